//! Tests of a malicious server: the false things that it can show, and the reaction of the client.

use eko_client::messenger::{Distrust, MessengerError, Notice, SentActivity, Trust};
use eko_client::store::EnvelopeState;
use eko_client::{Device, DeviceKeys, DeviceStore, Environment};
use eko_protocol::address::UserName;
use eko_protocol::chain::{ChainNode, ChainPosition, NextNode};
use eko_protocol::key::JoiningMac;
use eko_testkit::{World, seeded};
use serde_json::{Value, json};

use crate::people::{
    COUNTS, TestMessenger, code_of, first, further, hear, know, request, say, sign_in, text,
};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Returns a device of Bob's that his server has made for itself.
pub(crate) fn inserted(world: &World, wire: &TestNetwork) -> Device<TestNetwork> {
    let environment = Environment { clock: world.clock(), random: seeded("mallory") };
    let keys = DeviceKeys::generate(COUNTS, &environment).unwrap();
    let (origin, user) = (world.state.origin().clone(), UserName::parse("bob").unwrap());
    Device::new(wire.clone(), origin, user, keys, environment)
}

/// Changes Bob's chain in the server's answers, and its head accordingly.
pub(crate) fn show_chain(wire: &TestNetwork, change: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) {
    show_chain_of("bob", wire, change);
}

/// Changes the nodes of the chain that a server shows of a user, and the head with them.
pub(crate) fn show_chain_of(
    user: &str,
    wire: &TestNetwork,
    change: impl Fn(&mut Vec<Value>) + Send + Sync + 'static,
) {
    let devices = format!("/user/{user}/devices");
    wire.tamper(move |passing| {
        if passing.endpoint != ("GET", devices.as_str()) {
            return None;
        }
        let mut shown: Value = serde_json::from_slice(passing.answer).unwrap();
        let nodes = shown["orderedItems"].as_array_mut().unwrap();
        change(nodes);
        let last = ChainNode::parse(nodes.last().unwrap()).unwrap();
        shown["eko:deviceSet"] = json!({ "length": nodes.len(), "head": last.hash() });
        Some(FalseAnswer { status: 200, body: shown.to_string().into_bytes() })
    });
}

async fn two(world: &World, wire: &TestNetwork) -> (TestMessenger, TestMessenger) {
    (first(world, wire, "alice").await, first(world, wire, "bob").await)
}

fn reason(sent: &SentActivity) -> &str {
    assert_eq!(sent.envelopes[0].state, EnvelopeState::Refused, "{:?}", sent.envelopes);
    sent.envelopes[0].reason.as_deref().unwrap()
}

pub(crate) fn distrust<R: std::fmt::Debug>(refused: Result<R, MessengerError>) -> Distrust {
    match refused {
        Err(MessengerError::Distrust { why, .. }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_device_that_bob_has_not_signed_is_refused_at_first_sight() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    let mallory = inserted(&world, &wire);
    show_chain(&wire, move |nodes| nodes.push(forged(&mallory, nodes)));
    let why = distrust(alice.send(&bob.me(), text("secret")).await);
    assert!(matches!(why, Distrust::FalseChain(_)), "{why:?}");
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, [""; 0]);
    world.deliver().await;
}

/// A stolen device dates its own node before the node in front of it, so that it seems to have been
/// there all along.
#[tokio::test]
async fn a_chain_whose_times_run_backwards_is_false() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    let ghost = inserted(&world, &wire);
    let (nodes, state) = bob.device().chain(&bob.me().user).await.unwrap();
    let position = ChainPosition { published_ms: None, ..state.position };
    let earlier_ms = nodes[0].published_ms() - 1;
    let node = NextNode::new(ghost.origin(), ghost.user(), &position, earlier_ms)
        .approve(&ghost.described(), &JoiningMac::from([0; 32]));
    let node = bob.device().sign_node(node).unwrap();
    show_chain(&wire, move |nodes| nodes.push(node.clone()));
    let why = distrust(alice.send(&bob.me(), text("secret")).await);
    let Distrust::FalseChain(why) = why else { panic!("{why:?}") };
    assert!(why.contains("published must not be before"), "{why}");
    world.deliver().await;
}

/// Returns an `AddDevice` node for the server's own device. The device has signed it itself, since
/// it has no key of Bob's.
fn forged(mallory: &Device<TestNetwork>, nodes: &[Value]) -> Value {
    let last = ChainNode::parse(nodes.last().unwrap()).unwrap();
    let position = last.position();
    let described = mallory.described();
    let node = NextNode::new(mallory.origin(), mallory.user(), &position, 1_769_715_000_000)
        .approve(&described, &JoiningMac::from([0; 32]));
    mallory.sign_node(node).unwrap()
}

#[tokio::test]
async fn a_device_that_the_server_wants_a_copy_for_must_be_in_the_chain() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    say(&alice, &bob.me(), "before").await;
    let mallory = inserted(&world, &wire);
    let address = mallory.address();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(0));
    let (server, count) = (world.state.origin().clone(), std::sync::Arc::clone(&asked));
    // The server queues the message for Bob's device, and answers that one more device needs it.
    let package = server.key_package(mallory.user(), mallory.id());
    wire.tamper(move |passing| {
        let sent: Value = serde_json::from_slice(passing.request).ok()?;
        if passing.endpoint != ("POST", "/user/alice/outbox") || sent["object"]["id"].is_null() {
            return None;
        }
        *count.lock().unwrap() += 1;
        let report = json!({ "type": "PartialDelivery", "actor": sent["to"], "to": sent["actor"],
            "object": sent["object"]["id"], "eko:deviceSetOutOfDate": true,
            "missingKeyPackages": [package], "staleDevices": [] });
        Some(FalseAnswer { status: 207, body: report.to_string().into_bytes() })
    });
    let sent = alice.send(&bob.me(), text("secret")).await.unwrap();
    assert!(reason(&sent).contains(&address), "{}", reason(&sent));
    assert_eq!(*asked.lock().unwrap(), 1, "nothing was encrypted for it");
    let verification = alice.verification(&bob.me()).await.unwrap();
    assert!(verification.alarm.is_some());
    world.deliver().await;
}

#[tokio::test]
async fn a_device_that_is_inserted_into_a_known_chain_is_refused() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    say(&alice, &bob.me(), "before").await;
    let mallory = inserted(&world, &wire);
    show_chain(&wire, move |nodes| nodes.push(forged(&mallory, nodes)));
    let verification = alice.verification(&bob.me()).await.unwrap();
    assert!(verification.alarm.is_some_and(|alarm| alarm.why.contains("not signed")));
    assert_eq!(verification.devices, [bob.device().address()]);
    world.deliver().await;
}

#[tokio::test]
async fn keys_that_are_not_the_devices_own_are_refused() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    let mallory = inserted(&world, &wire);
    wire.tamper(move |passing| {
        if passing.endpoint != ("POST", "/user/bob/keyPackages") {
            return None;
        }
        let mut answer: Value = serde_json::from_slice(passing.answer).unwrap();
        let keys = mallory.keys();
        let package = &mut answer["items"][0];
        package["identityKey"] = json!(keys.identity().public());
        let signed = keys.signed_pre_key();
        package["signedPreKeyId"] = json!(signed.id);
        package["signedPreKey"] = json!(signed.key);
        package["signedPreKeySignature"] = json!(signed.signature);
        let kyber = keys.last_resort().unwrap();
        package["kyberPreKeyId"] = json!(kyber.id);
        package["kyberPreKey"] = json!(kyber.key);
        package["kyberPreKeySignature"] = json!(kyber.signature);
        Some(FalseAnswer { status: 200, body: answer.to_string().into_bytes() })
    });
    let sent = alice.send(&bob.me(), text("secret")).await.unwrap();
    assert!(reason(&sent).contains("not their device's"), "{}", reason(&sent));
    wire.honest();
    say(&alice, &bob.me(), "again").await;
    world.deliver().await;
}

#[tokio::test]
async fn a_chain_that_loses_nodes_or_changes_is_refused() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    let bob_two = further(&world, &wire, &bob, "two").await;
    say(&alice, &bob.me(), "to both").await;
    let first_node = bob_two.device().chain(&bob.me().user).await.unwrap().0.remove(0).to_value();
    show_chain(&wire, |nodes| nodes.truncate(1));
    let shown = alice.verification(&bob.me()).await.unwrap();
    assert!(shown.alarm.is_some_and(|alarm| alarm.why.contains("showed 2 nodes, now 1")));
    // A fork has the same first device and another second one, which the first has signed. A stolen
    // key can make it.
    let other = inserted(&world, &wire);
    let last = ChainNode::parse(&first_node).unwrap();
    let position = last.position();
    let node = NextNode::new(other.origin(), other.user(), &position, 1)
        .approve(&other.described(), &JoiningMac::from([0; 32]));
    let forked = bob.device().sign_node(node).unwrap();
    show_chain(&wire, move |nodes| nodes[1] = forked.clone());
    let shown = alice.verification(&bob.me()).await.unwrap();
    assert!(shown.alarm.is_some_and(|alarm| alarm.why.contains("from node 1 on")));
    assert_eq!(shown.devices.len(), 2);
    world.deliver().await;
}

#[tokio::test]
async fn a_reset_is_told_and_nothing_is_sent_until_she_says_so() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    say(&alice, &bob.me(), "before").await;
    let before = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &before).unwrap();
    assert_eq!(alice.verification_kept(&bob.me()).unwrap().unwrap().trust, Trust::Verified);
    let number = &before.number;
    assert_eq!(number.digits, bob.verification(&alice.me()).await.unwrap().number.digits);
    // Bob resets his devices because he has lost the old one. His server could do the same without
    // him.
    let environment = Environment { clock: world.clock(), random: seeded("bob/anew") };
    let (store, request) = (DeviceStore::in_memory().unwrap(), request(&world, "bob", true));
    let (anew, _) = sign_in(&world, &wire, store, environment, request).await.unwrap();
    let sent = alice.send(&bob.me(), text("secret")).await.unwrap();
    assert!(reason(&sent).contains("replaced at once, and you had compared"), "{}", reason(&sent));
    assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), Distrust::Reset { verified: true });
    // A message from the new device carries a warning.
    say(&anew, &alice.me(), "it is me").await;
    world.deliver().await;
    let messages = alice.receive().await.unwrap().messages;
    assert!(messages[0].content.warning.as_ref().is_some_and(|warning| warning.contains("replaced")));
    // Alice compares the new numbers, and goes on.
    let shown = alice.verification(&bob.me()).await.unwrap();
    assert_ne!(shown.number.digits, number.digits);
    let theirs = anew.verification(&alice.me()).await.unwrap().number;
    assert_eq!(shown.number.digits, theirs.digits);
    assert!(shown.number.matches(&theirs.scannable) && !number.matches(&theirs.scannable));
    // The number that she compared before belongs to other keys.
    let stale = distrust(alice.mark_verified(&bob.me(), &before));
    assert_eq!(stale, Distrust::Reset { verified: true });
    alice.mark_verified(&bob.me(), &shown).unwrap();
    say(&alice, &bob.me(), "welcome back").await;
    world.deliver().await;
    // What was refused before is sent first.
    assert_eq!(hear(&world, &anew).await, ["secret", "welcome back"]);
    world.deliver().await;
}

#[tokio::test]
async fn a_device_that_is_hidden_from_its_own_user_comes_to_light() {
    let world = World::new().await;
    let (wire, bobs) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let alice = first(&world, &wire, "alice").await;
    let bob = first(&world, &bobs, "bob").await;
    know(&bob, &alice.me()).await;
    let bob_two = further(&world, &wire, &bob, "two").await;
    // The second device is in a thief's hands and approves a third. The server hides that from the
    // first device.
    show_chain(&bobs, |nodes| nodes.truncate(2));
    let (three, _) = crate::people::device(&world, &wire, "bob", "three").await;
    bob_two.approve(&code_of(&three)).await.unwrap();
    say(&alice, &bob.me(), "to all three").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["to all three"]);
    // The hash of the device sets differs. Each of the two sends the other its view once.
    say(&bob, &alice.me(), "to Alice").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["to Alice"]);
    say(&alice, &bob.me(), "again").await;
    world.deliver().await;
    let received = bob.receive().await.unwrap();
    let told = received.notices.iter().any(
        |notice| matches!(notice, Notice::Contradiction { seen_by, of } if *seen_by == alice.me().actor() && *of == bob.me().actor()),
    );
    assert!(told, "{:?}", received.notices);
    world.deliver().await;
}
