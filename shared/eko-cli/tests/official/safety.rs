//! Tests that our safety numbers equal libsignal's, for both sides and with any devices.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_client::fingerprint::SafetyNumber;
use eko_client::messenger::Person;
use serde_json::json;

use crate::device::OfficialDevice;
use crate::eko_device::EkoDevice;
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_libsignals() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    let alice = EkoDevice::first(&hers, "alice").await;
    let [mut phone, mut tablet] = OfficialDevice::two(Library::Current, &his, "bob").await;
    let first = compare(&alice, &mut phone).await;
    // The numbers belong to the users: every device of a user shows the same.
    assert_eq!(compare(&alice, &mut tablet).await, first);
    // They change with the chain of either.
    let other = alice.further(&hers).await;
    let second = compare(&other, &mut tablet).await;
    assert_ne!(second, first);
    assert!(!second.matches(&first.scannable));
    assert_eq!(compare(&alice, &mut phone).await, second);
    let mut carol = OfficialDevice::first(Library::Current, &his, "carol").await;
    assert_ne!(compare(&alice, &mut carol).await, second);

    // Alice loses her devices, and begins a new chain root.
    let anew = EkoDevice::resetting(&hers, "alice").await;
    let third = compare(&anew, &mut phone).await;
    assert_ne!(third, second);
    assert!(!third.matches(&second.scannable));
    hers.end().await;
    his.end().await;
}

/// Returns the number that Alice's client shows, and asserts that libsignal shows the same to Bob.
async fn compare(alice: &EkoDevice, bob: &mut OfficialDevice) -> SafetyNumber {
    let person = Person::of(&bob.actor).unwrap();
    let number = alice.client.verification(&person).await.unwrap().number;
    let libsignals = bob.command(json!({ "do": "safetyNumber", "of": alice.actor() })).await;
    assert_eq!(libsignals["displayable"], number.digits.replace(' ', ""));
    let bytes = |name: &str| STANDARD.decode(libsignals[name].as_str().unwrap()).unwrap();
    let (shown, wanted) = (bytes("scannable"), bytes("scannableByThem"));
    assert_eq!(number.scannable, wanted);
    assert!(number.matches(&shown) && !number.matches(&wanted));
    number
}
