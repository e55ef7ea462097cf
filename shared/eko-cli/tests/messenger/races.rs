//! Tests of a device that is revoked while somebody writes to it: an honest race, and no alarm.

use std::sync::atomic::{AtomicBool, Ordering};

use eko_client::store::EnvelopeState;
use eko_testkit::{Internet, World};
use serde_json::{Value, json};

use crate::people::{TestMessenger, first, further, hear, say, text};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Asserts that a message reaches Bob's one device, and that there is no alarm about him.
async fn reaches_the_one_left(world: &World, alice: &TestMessenger, bob: &TestMessenger) {
    let sent = alice.send(&bob.me(), text("to whom it is left")).await.unwrap();
    assert_eq!(sent.state(&alice.me()), EnvelopeState::Accepted, "{:?}", sent.envelopes);
    assert_eq!(alice.verification(&bob.me()).await.unwrap().alarm, None);
    world.deliver().await;
    assert_eq!(hear(world, bob).await, ["to whom it is left"]);
    world.deliver().await;
}

#[tokio::test]
async fn a_missing_device_that_is_revoked_before_the_chain_is_read_is_no_intruder() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    hear(&world, &bob).await;
    let two = further(&world, &wire, &bob, "two").await;
    bob.revoke(two.device().id()).await.unwrap();
    // The answer was made while the second device was active, and Alice reads the chain after its
    // revocation.
    let package = world.state.origin().key_package(&bob.me().user, two.device().id());
    let once = AtomicBool::new(true);
    wire.tamper(move |passing| {
        let sent: Value = serde_json::from_slice(passing.request).ok()?;
        if passing.endpoint != ("POST", "/user/alice/outbox") || sent["object"]["id"].is_null() {
            return None;
        }
        let report = json!({ "type": "PartialDelivery", "actor": sent["to"], "to": sent["actor"],
            "object": sent["object"]["id"], "eko:deviceSetOutOfDate": true,
            "missingKeyPackages": [package], "staleDevices": [] });
        let body = report.to_string().into_bytes();
        once.swap(false, Ordering::Relaxed).then_some(FalseAnswer { status: 207, body })
    });
    reaches_the_one_left(&world, &alice, &bob).await;
}

#[tokio::test]
async fn a_device_that_is_revoked_before_its_keys_are_taken_is_left_out() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    assert_eq!(alice.verification(&bob.me()).await.unwrap().devices.len(), 2);
    bob.revoke(two.device().id()).await.unwrap();
    reaches_the_one_left(&world, &alice, &bob).await;
}

#[tokio::test]
async fn the_same_between_two_servers() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    let wire = TestNetwork::to(&[&a, &b]);
    let (alice, bob) = (first(&a, &wire, "alice").await, first(&b, &wire, "bob").await);
    let two = further(&b, &wire, &bob, "two").await;
    assert_eq!(alice.verification(&bob.me()).await.unwrap().devices.len(), 2);
    bob.revoke(two.device().id()).await.unwrap();
    reaches_the_one_left(&b, &alice, &bob).await;
    b.federate().await;
    a.deliver().await;
    hear(&a, &alice).await;
}
