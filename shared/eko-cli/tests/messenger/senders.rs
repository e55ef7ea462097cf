//! Tests of who may say what: messages of devices that are in doubt or revoked, and activities in
//! the name of somebody else.

use eko_client::messenger::{Distrust, Notice, SENDER_PAUSE_MINUTES, UnreadableReason};
use eko_testkit::World;
use serde_json::json;

use crate::distrust::show_chain;
use crate::forging::ForgingSessions;
use crate::people::{befriend, first, further, hear, say, text};
use crate::test_network::TestNetwork;

/// The device that sent a message is not in the chain that is shown. The message waits for the true
/// chain.
#[tokio::test]
async fn a_message_of_somebody_distrusted_stays_in_the_mailbox() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
    hear(&world, &alice).await;
    let two = further(&world, &wire, &bob, "two").await;
    say(&two, &alice.me(), "from the second").await;
    world.deliver().await;
    show_chain(&hers, |nodes| nodes.truncate(1));
    let received = alice.receive().await.unwrap();
    let address = two.device().address();
    let refused = |notice: &Notice| matches!(notice, Notice::Refused { why: Distrust::Inserted(device), .. } if *device == address);
    assert!(received.messages.is_empty() && received.notices.iter().any(refused), "{received:?}");
    // However much that device sends, the chain is read once in ten minutes for it.
    let asked = || hers.asked.lock().unwrap().iter().filter(|url| url.ends_with("/user/bob/devices")).count();
    let before = asked();
    say(&two, &alice.me(), "from the second again").await;
    world.deliver().await;
    let mut told = Vec::new();
    for _ in 0..3 {
        world.advance(60_000);
        told.extend(alice.receive().await.unwrap().notices);
    }
    let alarm = Notice::Distrusted { actor: bob.me().actor(), why: Distrust::Inserted(address) };
    assert_eq!(told, [alarm], "the alarm about the chain is told once");
    assert_eq!(asked(), before);
    hers.honest();
    world.advance(SENDER_PAUSE_MINUTES * 60_000);
    assert_eq!(hear(&world, &alice).await, ["from the second", "from the second again"]);
    world.deliver().await;
    hear(&world, &bob).await;
    hear(&world, &two).await;
    world.deliver().await;
}

/// The chain that is shown lacks a node that Alice knows. What Bob's new device sent waits, too.
#[tokio::test]
async fn a_message_stays_while_its_senders_chain_contradicts_the_known_one() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    further(&world, &wire, &bob, "two").await;
    befriend(&alice, &bob).await;
    let three = further(&world, &wire, &bob, "three").await;
    say(&three, &alice.me(), "from the third").await;
    world.deliver().await;
    show_chain(&hers, |nodes| nodes.truncate(1));
    let received = alice.receive().await.unwrap();
    let why = Distrust::RolledBack { pinned: 2, shown: 1 };
    let refused = Notice::Refused { actor: bob.me().actor(), why };
    assert!(received.messages.is_empty() && received.notices.contains(&refused), "{received:?}");
    hers.honest();
    world.advance(SENDER_PAUSE_MINUTES * 60_000);
    assert_eq!(hear(&world, &alice).await, ["from the third"]);
    world.deliver().await;
}

#[tokio::test]
async fn an_activity_in_the_name_of_somebody_else_is_not_read() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    say(&bob, &alice.me(), "it is me").await;
    world.deliver().await;
    hear(&world, &alice).await;
    for victim in [bob.me().actor(), alice.me().actor()] {
        sessions.forge(move |activity| activity["actor"] = json!(victim));
        mallory.send(&alice.me(), text("give it all to Mallory")).await.unwrap();
        world.deliver().await;
        let received = alice.receive().await.unwrap();
        let told = received.notices.iter().any(|notice| {
            matches!(notice, Notice::Unreadable { actor, why: UnreadableReason::OtherAuthor }
                if *actor == mallory.me().actor())
        });
        assert!(told && received.messages.is_empty(), "{received:?}");
    }
    assert_eq!(alice.history(None, 10).unwrap().len(), 1);
    world.deliver().await;
}

#[tokio::test]
async fn a_message_that_is_addressed_to_somebody_else_is_not_read() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let to = bob.me().actor();
    sessions.forge(move |activity| activity["to"] = json!([to]));
    mallory.send(&alice.me(), text("for Bob")).await.unwrap();
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    let told =
        |notice: &Notice| matches!(notice, Notice::Unreadable { why: UnreadableReason::OtherAddressee, .. });
    assert!(received.messages.is_empty() && received.notices.iter().any(told), "{received:?}");
    assert!(alice.history(None, 10).unwrap().is_empty());
    world.deliver().await;
}
