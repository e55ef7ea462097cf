//! Tests of the numbers of notes: under those of what was given up, or could not be sent, nothing is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eko_client::messenger::Notice;
use eko_client::store::EnvelopeState;
use eko_testkit::World;
use serde_json::{Value, json};

use crate::envelopes::report;
use crate::people::{TestMessenger, befriend, first, further, hear, know, say, shown, text};
use crate::restarting::RestartingUser;
use crate::test_network::{NetworkFault, PassingExchange, TestNetwork};

/// Looks once, and returns the texts. Nothing is waited for, and nothing is missing.
async fn heard_at_once(world: &World, client: &TestMessenger) -> Vec<String> {
    world.deliver().await;
    let received = client.receive().await.unwrap();
    assert_eq!(received.look_again_ms, None, "nothing is waited for");
    let history = client.history(None, 100).unwrap();
    assert!(history.iter().all(|message| message.missing_before == 0), "{history:?}");
    shown(client, &received)
}

/// Alice, who may restart, with a tablet; Bob.
async fn three(world: &World, wire: &TestNetwork) -> (RestartingUser, TestMessenger, [TestMessenger; 2]) {
    let (user, alice) = RestartingUser::sign_in(world, "alice").await;
    let bob = first(world, wire, "bob").await;
    let tablet = further(world, wire, &alice, "tablet").await;
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "one").await;
    for client in [&tablet, &bob] {
        assert_eq!(heard_at_once(world, client).await, ["one"]);
    }
    (user, alice, [tablet, bob])
}

/// The process dies after it, and the later message was written before.
#[tokio::test]
async fn what_was_discarded_is_missing_nowhere() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice, [tablet, bob]) = three(&world, &wire).await;
    user.line.fail(|| Some(NetworkFault::LostRequest));
    let mut unsent = Vec::new();
    for words in ["two", "three", "four"] {
        unsent.push(alice.put_message(&bob.me(), text(words)).await.unwrap());
    }
    for id in &unsent[..2] {
        assert_eq!(alice.discard(id).unwrap(), 1);
    }
    drop(alice);
    user.line.honest();
    let alice = user.open();
    alice.flush().await.unwrap();
    for client in [&tablet, &bob] {
        assert_eq!(heard_at_once(&world, client).await, ["four"]);
    }
    say(&alice, &bob.me(), "five").await;
    for client in [&tablet, &bob] {
        assert_eq!(heard_at_once(&world, client).await, ["five"]);
    }
    // What was discarded can still be sent.
    alice.send_again(&unsent[1]).await.unwrap();
    for client in [&tablet, &bob] {
        assert_eq!(heard_at_once(&world, client).await, ["three"]);
    }
    world.deliver().await;
    let notices = alice.receive().await.unwrap().notices;
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::Missed { .. })), "{notices:?}");
}

/// Alice is a stranger to Bob when she discards it.
#[tokio::test]
async fn what_was_discarded_before_its_author_is_accepted_is_missing_nowhere() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let bob = first(&world, &wire, "bob").await;
    say(&alice, &bob.me(), "one").await;
    user.line.fail(|| Some(NetworkFault::LostRequest));
    let two = alice.put_message(&bob.me(), text("two")).await.unwrap();
    assert_eq!(alice.discard(&two).unwrap(), 1);
    user.line.honest();
    say(&alice, &bob.me(), "three").await;
    world.deliver().await;
    bob.receive().await.unwrap();
    assert_eq!(bob.requests().unwrap().len(), 1);
    bob.accept_contact(&alice.me()).unwrap();
    assert_eq!(heard_at_once(&world, &bob).await, ["one", "three"]);
    world.deliver().await;
}

/// The answers to some are lost, so that Bob has them all the same.
#[tokio::test]
async fn what_came_and_was_then_discarded_is_shown_and_nothing_is_missing() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice, [tablet, bob]) = three(&world, &wire).await;
    user.line.fail(|| Some(NetworkFault::LostAnswer));
    let two = alice.send(&bob.me(), text("two")).await.unwrap();
    assert_eq!(two.state(&alice.me()), EnvelopeState::ToSend);
    alice.discard(&two.id).unwrap();
    let three = alice.send(&bob.me(), text("three")).await.unwrap();
    user.line.honest();
    alice.send_again(&three.id).await.unwrap();
    for client in [&bob, &tablet] {
        assert_eq!(heard_at_once(&world, client).await, ["two", "three"]);
    }
    world.deliver().await;
}

/// A message to a group fails for good for one of the members.
#[tokio::test]
async fn what_failed_for_one_member_is_missing_to_nobody() {
    let world = World::new().await;
    let (hers, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let alice = first(&world, &hers, "alice").await;
    let (bob, carol) = (first(&world, &wire, "bob").await, first(&world, &wire, "carol").await);
    for friend in [&bob, &carol] {
        know(friend, &alice.me()).await;
        know(&alice, &friend.me()).await;
    }
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    world.deliver().await;
    for friend in [&bob, &carol] {
        friend.receive().await.unwrap();
        friend.join_group(&id, None).await.unwrap();
    }
    world.deliver().await;
    hear(&world, &alice).await;
    alice.send_to_group(&id, text("one")).await.unwrap();
    for friend in [&bob, &carol] {
        assert_eq!(heard_at_once(&world, friend).await, ["one"]);
    }
    let (his, is_refused) = (bob.me().actor(), Arc::new(AtomicBool::new(false)));
    let was_refused = Arc::clone(&is_refused);
    hers.drop_requests(move |request| {
        let sent: Value = serde_json::from_slice(request.body()).ok()?;
        if sent["to"] != json!(his) && sent["to"] != json!([his]) {
            return None;
        }
        was_refused.store(true, Ordering::SeqCst);
        let passing = PassingExchange { endpoint: ("", ""), request: request.body(), answer: b"" };
        report(&passing, "Reject", json!({ "summary": "not here" }))
    });
    let two = alice.send_to_group(&id, text("two")).await.unwrap();
    assert!(is_refused.load(Ordering::SeqCst));
    assert_eq!(two.state(&alice.me()), EnvelopeState::Failed);
    hers.honest();
    alice.send_to_group(&id, text("three")).await.unwrap();
    assert_eq!(heard_at_once(&world, &bob).await, ["three"]);
    assert_eq!(heard_at_once(&world, &carol).await, ["two", "three"]);
    world.deliver().await;
}
