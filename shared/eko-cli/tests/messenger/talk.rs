//! Tests of conversations between users with one or several devices, on one and on two servers.

use eko_client::messenger::{MessengerError, Notice};
use eko_client::store::EnvelopeState;
use eko_testkit::World;

use crate::people::{code_of, first, further, hear, say};
use crate::test_network::{NetworkFault, TestNetwork};

#[tokio::test]
async fn two_people_talk_and_hear_of_receipts() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    for round in 0..12 {
        let sent = say(&alice, &bob.me(), &format!("{round} from Alice")).await;
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, [format!("{round} from Alice")]);
        world.deliver().await;
        let notices = alice.receive().await.unwrap().notices;
        let [Notice::Settled(envelope)] = &notices[..] else { panic!("{notices:?}") };
        assert_eq!((&envelope.message, envelope.state), (&sent.id, EnvelopeState::Delivered));
        say(&bob, &alice.me(), &format!("{round} from Bob")).await;
        world.deliver().await;
        assert_eq!(hear(&world, &alice).await, [format!("{round} from Bob")]);
        world.deliver().await;
        hear(&world, &bob).await;
    }
    assert_eq!(alice.history(Some(&bob.me().actor()), 100).unwrap().len(), 24);
    // A message is shown only once.
    assert_eq!(hear(&world, &alice).await, [""; 0]);
    world.deliver().await;
}

#[tokio::test]
async fn every_device_of_both_has_every_message() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let alice_two = further(&world, &wire, &alice, "two").await;
    let bob_two = further(&world, &wire, &bob, "two").await;
    for round in 0..6 {
        let words = format!("round {round}");
        let (from, others) = match round % 4 {
            0 => (&alice, [&alice_two, &bob, &bob_two]),
            1 => (&bob_two, [&alice, &alice_two, &bob]),
            2 => (&alice_two, [&alice, &bob, &bob_two]),
            _ => (&bob, [&alice, &alice_two, &bob_two]),
        };
        let to = if from.me() == alice.me() { bob.me() } else { alice.me() };
        say(from, &to, &words).await;
        world.deliver().await;
        for other in others {
            assert_eq!(
                hear(&world, other).await,
                std::slice::from_ref(&words),
                "{}",
                other.device().address()
            );
        }
        world.deliver().await;
        for client in [&alice, &alice_two, &bob, &bob_two] {
            assert_eq!(hear(&world, client).await, [""; 0]);
        }
    }
    let told = |client: &crate::people::TestMessenger, with: &str| -> Vec<(String, bool)> {
        let history = client.history(Some(with), 100).unwrap();
        history.into_iter().map(|m| (m.content.text, m.content.outgoing)).collect()
    };
    assert_eq!(told(&alice, &bob.me().actor()), told(&alice_two, &bob.me().actor()));
    assert_eq!(told(&bob, &alice.me().actor()), told(&bob_two, &alice.me().actor()));
    world.deliver().await;
}

#[tokio::test]
async fn a_device_that_is_added_while_she_sends_has_every_message() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["before"]);
    let bob_two = further(&world, &wire, &bob, "two").await;
    // Alice does not know of the new device.
    say(&alice, &bob.me(), "after").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["after"]);
    assert_eq!(hear(&world, &bob_two).await, ["after"]);
    // One device is revoked. It gets nothing more, and the other device misses nothing.
    bob_two.revoke(bob.device().id()).await.unwrap();
    say(&alice, &bob.me(), "to the one left").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob_two).await, ["to the one left"]);
    let revoked = bob.receive().await;
    assert!(matches!(revoked, Err(MessengerError::Revoked)), "{revoked:?}");
    world.deliver().await;
}

#[tokio::test]
async fn across_two_servers() {
    let internet = eko_testkit::Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    let wire = TestNetwork::to(&[&a, &b]);
    let (alice, bob) = (first(&a, &wire, "alice").await, first(&b, &wire, "bob").await);
    let found = alice.find(&bob.me().handle()).await.unwrap();
    assert_eq!(found, bob.me());
    for round in 0..4 {
        say(&alice, &bob.me(), &format!("{round} over there")).await;
        b.deliver().await;
        assert_eq!(hear(&a, &bob).await, [format!("{round} over there")]);
        b.deliver().await;
        b.federate().await;
        a.deliver().await;
        let notices = alice.receive().await.unwrap().notices;
        assert!(
            matches!(&notices[..], [Notice::Settled(e)] if e.state == EnvelopeState::Delivered),
            "{notices:?}"
        );
        say(&bob, &alice.me(), &format!("{round} back")).await;
        a.deliver().await;
        assert_eq!(hear(&a, &alice).await, [format!("{round} back")]);
        a.deliver().await;
        a.federate().await;
        b.deliver().await;
        hear(&a, &bob).await;
    }
}

#[tokio::test]
async fn copies_reach_a_device_whose_approval_was_cut_off() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    let (two, _) = crate::people::device(&world, &wire, "alice", "two").await;
    // Reading the chain and the list and appending the node succeed. Reading the chain afterwards
    // fails.
    let requests = std::sync::atomic::AtomicUsize::new(0);
    wire.fail(move || {
        (requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 3)
            .then_some(NetworkFault::LostRequest)
    });
    assert!(alice.approve(&code_of(&two)).await.is_err());
    wire.honest();
    say(&alice, &bob.me(), "after").await;
    world.deliver().await;
    assert_eq!(hear(&world, &two).await, ["after"]);
    hear(&world, &bob).await;
    world.deliver().await;
}
