//! Changes of a user's devices while somebody writes to them.

use serde_json::json;

use crate::device::OfficialDevice;
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server() {
    let here = LocalServer::start().await;
    change(&here, &here).await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_two_servers() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    change(&hers, &his).await;
    hers.end().await;
    his.end().await;
}

/// Adds and revokes a device of Bob's, on the second server, while Alice writes to him from the
/// first.
async fn change(hers: &LocalServer, his: &LocalServer) {
    let mut alice = OfficialDevice::first(Library::Current, hers, "alice").await;
    let mut phone = OfficialDevice::first(Library::Current, his, "bob").await;
    let sent = alice.send(&phone.actor, "to the phone").await;
    sent.assert_accepted(1);
    sent.assert_is(&phone.fetch(1).await[0], &alice, &phone);

    // Alice does not know the tablet yet: a `PartialDelivery` tells her, and she completes the
    // envelope.
    let mut tablet = phone.further(his).await;
    let sent = alice.send(&phone.actor, "to both").await;
    let [partial, complete] = sent.tries() else { panic!("{:#?}", sent.tries()) };
    assert_eq!((&partial["status"], &complete["status"]), (&json!(207), &json!(201)));
    let report = &partial["answer"];
    let missing = tablet.address.replace("/device/", "/keyPackage/");
    assert_eq!(
        (&report["type"], &report["object"]),
        (&json!(["Activity", "PartialDelivery"]), &json!(sent.envelope()))
    );
    assert_eq!((&report["missingKeyPackages"], &report["staleDevices"]), (&json!([missing]), &json!([])));
    assert_eq!(complete["messages"].as_array().unwrap().len(), 1);
    for device in [&mut phone, &mut tablet] {
        sent.assert_is(&device.fetch(1).await[0], &alice, device);
    }

    // Alice does not know that the tablet was revoked: a `Reject` tells her, and the rejected
    // envelope reaches nobody.
    phone.command(json!({ "do": "revoke", "device": tablet.address })).await;
    let sent = alice.send(&phone.actor, "to the phone again").await;
    let [rejected, accepted] = sent.tries() else { panic!("{:#?}", sent.tries()) };
    assert_eq!((&rejected["status"], &accepted["status"]), (&json!(409), &json!(201)));
    let report = &rejected["answer"];
    assert_eq!((&report["type"], &report["object"]), (&json!("Reject"), &json!(sent.envelope())));
    assert_eq!(report["eko:deviceSetOutOfDate"], true);
    assert_eq!(
        (&report["missingKeyPackages"], &report["staleDevices"]),
        (&json!([]), &json!([tablet.address]))
    );
    sent.assert_is(&phone.fetch(1).await[0], &alice, &phone);
    let (status, problem) = tablet.refused(json!({ "do": "fetch" })).await;
    assert_eq!(status, 401, "{problem:#}");
    assert!(problem["type"].as_str().unwrap().ends_with("/device-revoked"), "{problem:#}");
    alice.settled().await;
}
