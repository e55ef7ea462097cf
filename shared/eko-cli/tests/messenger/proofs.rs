//! Tests of heads that a device has signed: what they prove, what settles them, and what false ones
//! can do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eko_client::Environment;
use eko_client::content::HeadStatement;
use eko_client::keys::IdentityPair;
use eko_client::messenger::{Distrust, Notice, UnreadableReason};
use eko_protocol::chain::NextNode;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::key::JoiningMac;
use eko_protocol::{multibase, timestamp};
use eko_testkit::{World, seeded};
use serde_json::{Value, json};

use crate::distrust::{distrust, inserted, show_chain};
use crate::forging::{Forger, ForgingSessions};
use crate::people::{code_of, device, first, further, request, say, text};
use crate::test_network::{FalseAnswer, TestNetwork};
use crate::withheld::told;

/// Has a forger's device sign made-up heads, of a length that the returned number tells.
pub(crate) fn state_heads(sessions: &ForgingSessions, forger: &Forger, length: usize) -> Arc<AtomicUsize> {
    let secret = *forger.device().keys().identity().secret();
    let (environment, device) = (forger.device().environment().clone(), forger.device().address());
    let length = Arc::new(AtomicUsize::new(length));
    let stated = Arc::clone(&length);
    sessions.forge(move |activity| {
        let set = DeviceSetRef::new(stated.load(Ordering::SeqCst) as u64, "ab".repeat(32)).unwrap();
        let published_ms = timestamp::parse(activity["published"].as_str().unwrap()).unwrap();
        let statement =
            HeadStatement { actor: activity["actor"].as_str().unwrap(), device: &device, published_ms };
        let signed = statement.sign(set, &IdentityPair::from_secret(secret), &environment).unwrap();
        activity["eko:deviceSet"] = json!(signed.set);
        activity["eko:signature"] = json!(multibase::encode(&signed.signature));
    });
    length
}

/// A server that was restored cannot show the proven head any more. The two compare numbers.
#[tokio::test]
async fn numbers_that_were_compared_settle_a_proof() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, sessions) = (first(&world, &hers, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    say(&alice, &bob.me(), "before").await;
    let length = state_heads(&sessions, &bob, 2);
    bob.send(&alice.me(), text("I have two devices")).await.unwrap();
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert_eq!(told(&received.notices), [Distrust::Withheld { shown: 1, proven: 2 }]);
    assert!(alice.send(&bob.me(), text("secret")).await.is_err());
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &seen).unwrap();
    say(&alice, &bob.me(), "now").await;

    // No chain has so many nodes, so this proves nothing.
    length.store(3_001, Ordering::SeqCst);
    bob.send(&alice.me(), text("I have thousands")).await.unwrap();
    world.deliver().await;
    assert_eq!(told(&alice.receive().await.unwrap().notices), []);
    say(&alice, &bob.me(), "still").await;
    world.deliver().await;
}

/// Bob's second device is a thief's. The server hides from Alice what the first one has signed, and
/// shows a fork in its place.
#[tokio::test]
async fn a_stolen_device_does_not_erase_what_another_one_has_proven() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let environment = Environment { clock: world.clock(), random: seeded("bob/stolen") };
    let stolen = sessions.sign_in(&world, &wire, environment, request(&world, "bob", false)).await;
    bob.approve(&stolen.joining_code().unwrap().unwrap()).await.unwrap();
    stolen.join().await.unwrap();
    say(&alice, &bob.me(), "before").await;
    let (three, _) = device(&world, &wire, "bob", "three").await;
    bob.approve(&code_of(&three)).await.unwrap();
    show_chain(&hers, |nodes| nodes.truncate(2));
    say(&bob, &alice.me(), "I have three").await;
    world.deliver().await;
    assert_eq!(told(&alice.receive().await.unwrap().notices), [Distrust::Withheld { shown: 2, proven: 3 }]);

    // The thief's head is longer. The server shows the fork with its ghost.
    state_heads(&sessions, &stolen, 7);
    stolen.send(&alice.me(), text("I have more")).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    let ghost = inserted(&world, &hers);
    let position = bob.device().chain(&bob.me().user).await.unwrap().0[1].position();
    let node = NextNode::new(ghost.origin(), ghost.user(), &position, world.now_ms());
    let node = node.approve(&ghost.described(), &JoiningMac::from([0; 32]));
    let forged = stolen.device().sign_node(node).unwrap();
    show_chain(&hers, move |nodes| nodes[2] = forged.clone());
    assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), Distrust::Disputed(2));
    let seen = alice.verification(&bob.me()).await.unwrap();
    assert!(!seen.devices.contains(&ghost.address()), "{:?}", seen.devices);
    assert!(alice.accept(&bob.me(), &seen).is_err());

    // The fork was not pinned, so the true chain can follow. The thief's claim remains.
    hers.honest();
    let seen = alice.verification(&bob.me()).await.unwrap();
    assert_eq!(seen.devices.len(), 3);
    assert_eq!(
        distrust(alice.send(&bob.me(), text("secret")).await),
        Distrust::Withheld { shown: 3, proven: 7 }
    );
    alice.mark_verified(&bob.me(), &seen).unwrap();
    say(&alice, &bob.me(), "to the true ones").await;
    world.deliver().await;
}

/// The user compares numbers while another message comes.
#[tokio::test]
async fn numbers_settle_no_proof_that_came_later() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, sessions) = (first(&world, &wire, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    say(&alice, &bob.me(), "before").await;
    let seen = alice.verification(&bob.me()).await.unwrap();
    state_heads(&sessions, &bob, 2);
    bob.send(&alice.me(), text("I have two devices")).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    alice.mark_verified(&bob.me(), &seen).unwrap();
    let withheld = Distrust::Withheld { shown: 1, proven: 2 };
    assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), withheld);
    world.deliver().await;
}

/// Each reading of a chain tells its server that the reader is there.
#[tokio::test]
async fn false_heads_do_not_have_a_chain_read_at_will() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, sessions) = (first(&world, &hers, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    say(&alice, &bob.me(), "before").await;
    let length = state_heads(&sessions, &bob, 2);
    let read = || {
        let asked = hers.asked.lock().unwrap();
        asked.iter().filter(|url| url.ends_with("/user/bob/devices")).count()
    };
    let before = read();
    for longer in 2..6 {
        length.store(longer, Ordering::SeqCst);
        bob.send(&alice.me(), text("I have more")).await.unwrap();
        world.deliver().await;
        alice.receive().await.unwrap();
    }
    assert_eq!(read() - before, 1);
    world.deliver().await;
}

/// Whoever sits between the ratchet and the reader cannot make a head: it has a signature.
#[tokio::test]
async fn a_head_that_the_sending_device_has_not_signed_is_malformed() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, sessions) = (first(&world, &wire, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    say(&alice, &bob.me(), "before").await;
    for (member, value) in [("length", json!(2)), ("head", json!("ab".repeat(32)))] {
        sessions.forge(move |activity| activity["eko:deviceSet"][member] = value.clone());
        bob.send(&alice.me(), text("hello")).await.unwrap();
        world.deliver().await;
        let received = alice.receive().await.unwrap();
        let malformed = |notice: &Notice| matches!(notice, Notice::Unreadable { why: UnreadableReason::Malformed(fault), .. } if fault.pointer == "/eko:signature");
        assert!(received.messages.is_empty() && received.notices.iter().any(malformed), "{received:?}");
    }
    world.deliver().await;
}

/// Bob's mailbox hands out the proof that a device was revoked before what that device sent. The chain
/// is read in between.
#[tokio::test]
async fn what_follows_a_proof_is_judged_by_the_chain() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    say(&alice, &bob.me(), "before").await;
    say(&bob, &alice.me(), "from the stolen one").await;
    two.revoke(bob.device().id()).await.unwrap();
    world.advance(1);
    say(&two, &alice.me(), "I have revoked it").await;
    world.deliver().await;
    hers.tamper(|passing| {
        if passing.endpoint != ("GET", "/user/alice/inbox") {
            return None;
        }
        let mut page: Value = serde_json::from_slice(passing.answer).unwrap();
        page["orderedItems"].as_array_mut().unwrap().reverse();
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    let messages = alice.receive().await.unwrap().messages;
    let warned = |words: &str| {
        let message = messages.iter().find(|message| message.content.text == words).unwrap();
        message.content.warning.is_some()
    };
    assert_eq!(["I have revoked it", "from the stolen one"].map(warned), [false, true]);
    world.deliver().await;
    two.receive().await.unwrap();
    world.deliver().await;
}

/// Whoever gets hold of the device later cannot make less of what it has signed.
#[tokio::test]
async fn a_device_does_not_replace_what_it_has_proven_by_less() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, sessions) = (first(&world, &wire, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    say(&alice, &bob.me(), "before").await;
    let length = state_heads(&sessions, &bob, 3);
    let withheld = Distrust::Withheld { shown: 1, proven: 3 };
    for (stated, why) in [([3, 2], withheld), ([1, 9], Distrust::Disputed(0))] {
        for stated in stated {
            length.store(stated, Ordering::SeqCst);
            bob.send(&alice.me(), text("so many")).await.unwrap();
            world.deliver().await;
            alice.receive().await.unwrap();
        }
        assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), why);
    }
    world.deliver().await;
}
