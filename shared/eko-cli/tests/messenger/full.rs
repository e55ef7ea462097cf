//! Tests of a recipient's device that does not fetch, until its mailbox is full.

use std::collections::BTreeSet;

use eko_client::messenger::JoinState;
use eko_client::store::EnvelopeState;
use eko_testkit::World;

use crate::people::{TestMessenger, code_of, device, first, further, hear, say, text};
use crate::test_network::TestNetwork;

#[tokio::test]
async fn a_full_device_is_noted_and_not_sent_to_again() {
    let world = World::with(|config| {
        config.limits.mailbox_entries = 16;
        config.limits.mailbox_bytes = 16 * 8_000;
    })
    .await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let tablet = further(&world, &wire, &bob, "tablet").await;
    hear(&world, &tablet).await;
    for _ in 0..4 {
        let sent = say(&alice, &bob.me(), "hello").await;
        assert_eq!(sent.envelopes[0].full_devices, BTreeSet::new());
        world.deliver().await;
        hear(&world, &bob).await;
    }
    for _ in 0..2 {
        let sent = alice.send(&bob.me(), text("and again")).await.unwrap();
        assert_eq!(sent.state(&alice.me()), EnvelopeState::Accepted);
        assert_eq!(sent.envelopes[0].full_devices, BTreeSet::from([tablet.device().address()]));
        assert_eq!(alice.flush().await.unwrap(), []);
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, ["and again"]);
    }
    assert_eq!(hear(&world, &tablet).await.len(), 4);
    world.deliver().await;
}

/// Marks a device's mailbox as full for everyone, for an hour.
async fn fill(world: &World, full: &TestMessenger) {
    world.mark_full(full.device().user(), full.device().id()).await;
}

/// Signs in another device of a user and approves it, while the approving device fetches nothing.
async fn quietly_further(
    world: &World,
    wire: &TestNetwork,
    approver: &TestMessenger,
    label: &str,
) -> TestMessenger {
    let (client, _) = device(world, wire, approver.me().user.as_str(), label).await;
    approver.approve(&code_of(&client)).await.unwrap();
    assert_eq!(client.join().await.unwrap(), JoinState::Joined);
    client
}

#[tokio::test]
async fn a_new_device_gets_what_the_only_known_one_is_too_full_for() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    let laptop = quietly_further(&world, &wire, &bob, "laptop").await;
    fill(&world, &bob).await;
    let sent = say(&alice, &bob.me(), "to the laptop").await;
    assert_eq!(sent.envelopes[0].full_devices, BTreeSet::from([bob.device().address()]));
    world.deliver().await;
    assert_eq!(hear(&world, &laptop).await, ["to the laptop"]);
    assert_eq!(alice.flush().await.unwrap(), []);
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["before"]);
    world.deliver().await;
}

#[tokio::test]
async fn an_envelope_that_one_device_has_is_accepted_though_the_others_are_full() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let tablet = further(&world, &wire, &bob, "tablet").await;
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    let laptop = quietly_further(&world, &wire, &bob, "laptop").await;
    fill(&world, &tablet).await;
    fill(&world, &laptop).await;
    let sent = say(&alice, &bob.me(), "to one of three").await;
    let full = BTreeSet::from([tablet.device().address(), laptop.device().address()]);
    assert_eq!(sent.envelopes[0].full_devices, full);
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["before", "to one of three"]);
    world.deliver().await;
}

#[tokio::test]
async fn an_envelope_that_no_device_has_room_for_fails() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    fill(&world, &bob).await;
    let sent = alice.send(&bob.me(), text("too much")).await.unwrap();
    assert_eq!(sent.state(&alice.me()), EnvelopeState::Failed);
    assert_eq!(sent.envelopes[0].reason.as_deref(), Some("their mailbox is full"));
    assert_eq!(sent.envelopes[0].full_devices, BTreeSet::from([bob.device().address()]));
}
