//! Tests of a server that hides the end of a chain, or shows another one: what is sent meanwhile.

use std::sync::{Arc, Mutex};

use eko_client::messenger::{Distrust, Notice};
use eko_client::store::EnvelopeState;
use eko_protocol::chain::{ChainNode, ChainPosition, NextNode};
use eko_protocol::key::JoiningMac;
use eko_testkit::World;
use serde_json::{Value, json};

use crate::distrust::{distrust, inserted, show_chain};
use crate::people::{code_of, device, first, further, hear, say, text};
use crate::test_network::{FalseAnswer, TestNetwork};

const DAY_MS: i64 = 24 * 3_600_000;

/// Accepts every envelope in the place of the server, and returns the addresses of the devices that
/// it has ciphertexts for.
fn swallow_envelopes(wire: &TestNetwork) -> Arc<Mutex<Vec<String>>> {
    let devices = Arc::new(Mutex::new(Vec::new()));
    let swallowed = Arc::clone(&devices);
    wire.drop_requests(move |request| {
        let sent: Value = serde_json::from_slice(request.body()).ok()?;
        let messages = sent["object"]["messages"].as_array()?;
        swallowed.lock().unwrap().extend(messages.iter().map(|it| it["to"].as_str().unwrap().to_owned()));
        Some(FalseAnswer { status: 201, body: json!({ "id": "https://x.example/1" }).to_string().into() })
    });
    devices
}

pub(crate) fn told(notices: &[Notice]) -> Vec<Distrust> {
    let distrusted = |notice: &Notice| match notice {
        Notice::Distrusted { why, .. } => Some(why.clone()),
        _ => None,
    };
    notices.iter().filter_map(distrusted).collect()
}

/// Bob's first device was stolen, and his second one has revoked it. The server hides that from Alice
/// and delivers to the thief.
#[tokio::test]
async fn nothing_goes_to_a_stolen_device_after_the_proof() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    say(&alice, &bob.me(), "before").await;
    // Both devices answer, so that the sessions last.
    say(&bob, &alice.me(), "one").await;
    say(&two, &alice.me(), "two").await;
    world.deliver().await;
    for client in [&bob, &two, &alice] {
        hear(&world, client).await;
    }
    two.revoke(bob.device().id()).await.unwrap();
    show_chain(&hers, |nodes| nodes.truncate(2));
    let swallowed = swallow_envelopes(&hers);
    let stolen = bob.device().address();
    let to_the_thief = || swallowed.lock().unwrap().iter().filter(|device| **device == stolen).count();
    for day in 1..=50 {
        world.advance(DAY_MS);
        say(&alice, &bob.me(), "secret").await;
        let shown = alice.unconfirmed_days(&bob.me()).unwrap();
        assert_eq!(shown, (day >= 30).then_some(day));
    }
    assert_eq!(to_the_thief(), 50);

    // A message from Bob's other device proves the longer chain, for good.
    say(&two, &alice.me(), "it is me").await;
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    let withheld = Distrust::Withheld { shown: 2, proven: 3 };
    assert_eq!(told(&received.notices), std::slice::from_ref(&withheld));
    for _ in 0..2 {
        assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), withheld);
        world.advance(DAY_MS);
    }
    let seen = alice.verification(&bob.me()).await.unwrap();
    assert!(seen.alarm.as_ref().unwrap().why.contains("device list with 3 entries"), "{:?}", seen.alarm);
    assert_eq!(distrust(alice.accept(&bob.me(), &seen)), withheld);
    assert_eq!(to_the_thief(), 50);

    // The chain with the proven head settles it.
    hers.honest();
    say(&alice, &bob.me(), "to the right one").await;
    world.deliver().await;
    assert_eq!(hear(&world, &two).await, ["to the right one"]);
    world.deliver().await;
}

/// Bob's server shows a contradiction, and goes on with it.
#[tokio::test]
async fn a_contradiction_stops_every_attempt_to_send() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    further(&world, &wire, &bob, "two").await;
    say(&alice, &bob.me(), "before").await;
    world.advance(DAY_MS);
    show_chain(&hers, |nodes| nodes.truncate(1));
    for _ in 0..3 {
        let refused = distrust(alice.send(&bob.me(), text("secret")).await);
        assert_eq!(refused, Distrust::RolledBack { pinned: 2, shown: 1 });
    }
    hers.honest();
    say(&alice, &bob.me(), "after").await;
    world.deliver().await;
}

/// The server shows Alice a fork that it made with a stolen key. Bob's devices sign the true chain.
#[tokio::test]
async fn a_head_that_contradicts_the_chain_stops_the_sending() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    let ghost = inserted(&world, &hers);
    let nodes = bob.device().chain(&bob.me().user).await.unwrap().0;
    let position = nodes[0].position();
    let node = NextNode::new(ghost.origin(), ghost.user(), &position, world.now_ms());
    let node = node.approve(&ghost.described(), &JoiningMac::from([0; 32]));
    let forged = bob.device().sign_node(node).unwrap();
    further(&world, &wire, &bob, "two").await;
    show_chain(&hers, move |nodes| nodes[1] = forged.clone());
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.accept(&bob.me(), &seen).unwrap();
    say(&bob, &alice.me(), "hello").await;
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert_eq!(told(&received.notices), [Distrust::Disputed(1)]);
    assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), Distrust::Disputed(1));

    // The pinned chain can never get the head, so the user forgets it and compares.
    hers.honest();
    assert!(alice.verification(&bob.me()).await.unwrap().contradiction.is_some());
    alice.forget(&bob.me()).unwrap();
    say(&alice, &bob.me(), "to the true ones").await;
    world.deliver().await;
    assert!(hear(&world, &bob).await.contains(&"to the true ones".to_owned()));
    world.deliver().await;
}

/// A thief approves a device and the server hides that from its own user's device. Another own device
/// knows.
#[tokio::test]
async fn an_own_device_proves_what_the_own_server_hides() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &his, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    show_chain(&his, |nodes| nodes.truncate(2));
    let (three, _) = device(&world, &wire, "bob", "three").await;
    two.approve(&code_of(&three)).await.unwrap();
    say(&two, &alice.me(), "with a copy").await;
    world.deliver().await;
    // The first thing that proves it says whom the other device has accepted. It is refused, which tells.
    let received = bob.receive().await.unwrap();
    let why = Distrust::Withheld { shown: 2, proven: 3 };
    assert_eq!(received.notices, [Notice::Refused { actor: bob.me().actor(), why: why.clone() }]);
    assert_eq!(told(&bob.receive().await.unwrap().notices), [why]);
    let sent = bob.send(&alice.me(), text("hello")).await.unwrap();
    let copy = sent.envelopes.iter().find(|envelope| envelope.recipient == bob.me().actor()).unwrap();
    assert_eq!(copy.state, EnvelopeState::Refused, "{copy:?}");

    his.honest();
    let seen = bob.verification(&bob.me()).await.unwrap();
    assert_eq!(seen.devices.len(), 3);
    bob.accept(&bob.me(), &seen).unwrap();
    say(&bob, &alice.me(), "with a copy again").await;
    world.deliver().await;
    // The copy that was refused goes out, too.
    let mut heard = hear(&world, &three).await;
    heard.sort();
    assert_eq!(heard, ["hello", "with a copy", "with a copy again"]);
    world.deliver().await;
}

/// The own chain shows this device with the key of somebody else.
#[tokio::test]
async fn a_chain_with_other_keys_of_this_device_is_false() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let mallory = inserted(&world, &wire);
    let (origin, user, id) = (bob.me().origin, bob.me().user, bob.device().id().clone());
    let identity = mallory.keys().identity();
    let environment = mallory.environment();
    let registration = mallory.described().registration_id;
    let (actor, address) = (bob.me().actor(), bob.device().address());
    let base = eko_protocol::chain::possession_base(&actor, &address, &identity.public(), registration);
    let described = eko_protocol::chain::NewDevice {
        id: id.clone(),
        possession: identity.sign(&base, environment),
        ..mallory.described()
    };
    let node = NextNode::new(&origin, &user, &ChainPosition::default(), world.now_ms()).begin(&described);
    let proof = identity.sign(&node.signing_bytes().unwrap(), environment);
    let forged = node.finish(&id, &proof);
    assert!(ChainNode::parse(&forged).is_ok());
    show_chain(&wire, move |nodes| nodes[0] = forged.clone());
    let seen = bob.verification(&bob.me()).await.unwrap();
    assert_eq!(seen.contradiction, Some(Distrust::FalseKeys(address)));
}
