//! Envelopes that name a device which is not active: they are rejected as a whole, and nothing is
//! queued.

use eko_client::device::OutgoingEnvelope;
use eko_protocol::activity::ReportKind;
use eko_testkit::{BARE, ChainChanges as _, envelope, refusal};
use serde_json::json;

use crate::outcomes::{accepted, partial, rejected};
use crate::people::{alice_and_bob, alice_and_bobs_two};
use crate::requests::post;

#[tokio::test]
async fn stale_is_rejected_and_nothing_is_queued() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let third = world.further(&bob, "three").await;
    bob.revoke(second.id()).await.unwrap();
    let before = world.stored().await;

    let report = rejected(alice.send(&envelope(&alice, &[&bob, &second, &third])).await.unwrap());
    assert_eq!(report.kind, ReportKind::Reject);
    assert!(report.device_set_out_of_date);
    assert_eq!(report.stale_devices, [second.address()]);
    assert_eq!(report.missing_key_packages, Vec::<String>::new());
    assert_eq!(report.device_set, alice.chain(bob.user()).await.unwrap().1.device_set().reference());

    // A device that never registered is as stale as a revoked one. The report names missing devices
    // beside stale ones.
    let unknown = world.device("bob", "never registered", BARE);
    let report = rejected(alice.send(&envelope(&alice, &[&bob, &unknown])).await.unwrap());
    assert_eq!(report.stale_devices, [unknown.address()]);
    assert_eq!(report.missing_key_packages, [bob.origin().key_package(bob.user(), third.id())]);
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(world.deliver().await, 0);
}

#[tokio::test]
async fn a_device_that_waits_is_neither_missing_nor_to_be_written_to() {
    let (world, alice, bob) = alice_and_bob().await;
    let waiting = world.pending(&bob, "two").await;
    accepted(alice.send(&envelope(&alice, &[&bob])).await.unwrap());
    let report = rejected(alice.send(&envelope(&alice, &[&bob, &waiting])).await.unwrap());
    assert_eq!(report.stale_devices, [waiting.address()]);
    world.deliver().await;
    // The pending device has nothing in its mailbox, not even the notice of its own registration.
    assert_eq!(world.stored().await.keys(waiting.id().as_str(), "M#").len(), 0);
}

#[tokio::test]
async fn a_device_revoked_between_partial_and_completion_counts_for_nothing() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let third = world.further(&bob, "three").await;
    let first = envelope(&alice, &[&bob, &second]);
    partial(alice.send(&first).await.unwrap());
    world.deliver().await;
    bob.revoke(second.id()).await.unwrap();
    accepted(
        alice.send(&OutgoingEnvelope { id: first.id.clone(), ..envelope(&alice, &[&third]) }).await.unwrap(),
    );
    world.deliver().await;
    assert_eq!(world.messages(&third).await.len(), 1);
}

#[tokio::test]
async fn nobody_of_that_name() {
    let (world, alice, bob) = alice_and_bob().await;
    let before = world.stored().await;
    let mut body = alice.create_activity(&envelope(&alice, &[&bob]));
    body["to"] = json!("https://eko.example/user/nobody");
    body["object"]["messages"][0]["to"] =
        json!(format!("https://eko.example/user/nobody/device/{}", bob.id()));
    let answer = post(&alice, "/user/alice/outbox", &body).await;
    assert_eq!(refusal(&answer), "404 not-found");
    assert_eq!(world.stored().await.difference(&before), []);
}
