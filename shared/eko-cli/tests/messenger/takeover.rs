//! Tests of a server that takes a user's place by a reset, which needs nobody's consent, or that
//! hides the user's devices from a new one.

use eko_client::messenger::{Distrust, MessengerError, Notice, Trust};
use eko_client::store::EnvelopeState;
use eko_client::{Device, DeviceKeys, DeviceStore, Environment};
use eko_protocol::chain::{ChainNode, NextNode};
use eko_protocol::key::JoiningMac;
use eko_testkit::{World, seeded};
use serde_json::{Value, json};

use crate::distrust::{distrust, inserted, show_chain};
use crate::people::{
    COUNTS, TestMessenger, code_of, device, first, further, hear, request, say, sign_in, text,
};
use crate::test_network::{FalseAnswer, TestNetwork};

const TIME: i64 = 1_769_715_000_000;

/// Returns the nodes that a server can append to Bob's chain without anybody's help: a reset to a
/// key of its own, and a second key of its own, which would get copies.
fn takeover(world: &World, wire: &TestNetwork, last: &ChainNode) -> Vec<Value> {
    let mallory = inserted(world, wire);
    let environment = Environment { clock: world.clock(), random: seeded("mallory/two") };
    let keys = DeviceKeys::generate(COUNTS, &environment).unwrap();
    let (origin, user) = (mallory.origin().clone(), mallory.user().clone());
    let second = Device::new(wire.clone(), origin.clone(), user.clone(), keys, environment);
    let position = last.position();
    let reset = NextNode::new(&origin, &user, &position, TIME).reset(&mallory.described());
    let reset = mallory.sign_node(reset).unwrap();
    let position = ChainNode::parse(&reset).unwrap().position();
    let added = NextNode::new(&origin, &user, &position, TIME);
    let added = added.approve(&second.described(), &JoiningMac::from([0; 32]));
    vec![reset, mallory.sign_node(added).unwrap()]
}

/// Shows Bob's chain with a takeover behind its true nodes.
async fn show_takeover(world: &World, wire: &TestNetwork, bob: &TestMessenger) {
    let nodes = bob.device().chain(&bob.me().user).await.unwrap().0;
    let behind = takeover(world, wire, nodes.last().unwrap());
    show_chain(wire, move |nodes| nodes.extend(behind.clone()));
}

/// True if keys of Bob's devices were taken, which is the first step of a copy to them.
fn copied(wire: &TestNetwork) -> bool {
    wire.asked.lock().unwrap().iter().any(|url| url.ends_with("/user/bob/keyPackages"))
}

/// The server needs no code: it waits for the true approval, and shows the new device the true chain
/// with a reset to its own keys behind it.
#[tokio::test]
async fn a_reset_behind_the_approval_is_not_believed() {
    let world = World::new().await;
    let (wire, theirs) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let (two, _) = device(&world, &theirs, "bob", "two").await;
    let code = code_of(&two);
    bob.approve(&code).await.unwrap();
    let nodes = bob.device().chain(&bob.me().user).await.unwrap().0;
    let behind = takeover(&world, &theirs, &nodes[1]);
    show_chain(&theirs, move |nodes| nodes.extend(behind.clone()));
    for _ in 0..2 {
        assert_eq!(distrust(two.join().await), Distrust::OwnReset);
        assert_eq!(distrust(two.send(&alice.me(), text("hello")).await), Distrust::OwnReset);
        assert_eq!(code_of(&two).digits(), code.digits());
    }
    assert!(!copied(&theirs));

    // The true chain is believed as soon as it is shown, and the alarm stays.
    theirs.honest();
    two.join().await.unwrap();
    let seen = two.verification(&two.me()).await.unwrap();
    assert!(seen.alarm.unwrap().why.contains("all your devices were replaced"));
    world.deliver().await;
    bob.receive().await.unwrap();
}

/// The server shows the false nodes after the device has joined.
#[tokio::test]
async fn a_list_without_this_device_cannot_be_accepted() {
    let world = World::new().await;
    let (honest, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &honest, "alice").await, first(&world, &honest, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    show_takeover(&world, &wire, &bob).await;
    for _ in 0..2 {
        let seen = two.verification(&two.me()).await.unwrap();
        assert_eq!(seen.contradiction, Some(Distrust::OwnReset));
        assert_eq!(distrust(two.accept(&two.me(), &seen)), Distrust::OwnReset);
    }
    let sent = two.send(&alice.me(), text("hello")).await.unwrap();
    let copy = sent.envelopes.iter().find(|envelope| envelope.recipient == bob.me().actor()).unwrap();
    assert_eq!(copy.state, EnvelopeState::Refused, "{copy:?}");
    assert!(!copied(&wire));

    // The pinned list is the true one. It can be accepted when the server shows it again.
    wire.honest();
    let seen = two.verification(&two.me()).await.unwrap();
    assert_eq!(seen.devices.len(), 2);
    two.accept(&two.me(), &seen).unwrap();
    say(&two, &alice.me(), "with a copy").await;
    world.deliver().await;
    // The copy that was refused goes out, too.
    assert_eq!(hear(&world, &bob).await, ["hello", "with a copy"]);
    hear(&world, &alice).await;
    world.deliver().await;
    hear(&world, &two).await;
}

/// Bob's server resets his chain in what it shows to Alice. His true device must not seem to be one that
/// he has revoked.
#[tokio::test]
async fn a_false_reset_does_not_make_the_true_device_a_revoked_one() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    let gone = further(&world, &wire, &bob, "two").await;
    say(&gone, &alice.me(), "from the second").await;
    bob.revoke(gone.device().id()).await.unwrap();
    say(&alice, &bob.me(), "before").await;
    show_takeover(&world, &hers, &bob).await;
    assert_eq!(alice.verification(&bob.me()).await.unwrap().trust, Trust::Reset);
    world.deliver().await;
    bob.receive().await.unwrap();
    say(&bob, &alice.me(), "it is still me").await;
    world.deliver().await;
    let mut messages = alice.receive().await.unwrap().messages;
    if messages.len() < 2 {
        world.advance(5_000);
        messages = alice.receive().await.unwrap().messages;
    }
    let warnings: Vec<_> =
        messages.iter().map(|it| (&*it.content.text, it.content.warning.as_deref())).collect();
    assert!(warnings.contains(&("from the second", Some("it comes from a device that they have revoked"))));
    let still = "it comes from one of the devices that you knew; all of them were replaced, and you had not said \
                 then that this is right";
    assert!(warnings.contains(&("it is still me", Some(still))), "{warnings:?}");
    // What the device says besides does not count until Alice decides, and nothing is sent to it.
    let sent = alice.send(&bob.me(), text("secret")).await;
    assert_eq!(distrust(sent), Distrust::Reset { verified: false });
    world.deliver().await;
}

/// Messages of another own device are put into the user's own conversations.
#[tokio::test]
async fn nothing_is_read_from_own_devices_that_are_in_doubt() {
    let world = World::new().await;
    let (wire, theirs) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &theirs, &bob, "two").await;
    say(&bob, &alice.me(), "from the first").await;
    world.deliver().await;
    show_takeover(&world, &theirs, &bob).await;
    let seen = two.verification(&two.me()).await.unwrap();
    assert!(seen.alarm.is_some());
    let received = two.receive().await.unwrap();
    let refused = |notice: &Notice| matches!(notice, Notice::Refused { actor, why: Distrust::Contradicted(_) } if *actor == bob.me().actor());
    assert!(received.messages.is_empty() && received.notices.iter().any(refused), "{received:?}");
    theirs.honest();
    let seen = two.verification(&two.me()).await.unwrap();
    two.accept(&two.me(), &seen).unwrap();
    world.advance(60_000);
    assert_eq!(hear(&world, &two).await, ["from the first"]);
    world.deliver().await;
    hear(&world, &alice).await;
    world.deliver().await;
    hear(&world, &bob).await;
}

/// A command that reads the chain and accepts it must not settle an alarm that it has just raised.
#[tokio::test]
async fn an_alarm_is_not_settled_by_the_look_that_raised_it() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    alice.verification(&bob.me()).await.unwrap();
    show_chain(&wire, |nodes| nodes.truncate(1));
    for (client, person) in [(&alice, bob.me()), (&two, two.me())] {
        let seen = client.verification(&person).await.unwrap();
        let hidden = Distrust::RolledBack { pinned: 2, shown: 1 };
        assert_eq!(distrust(client.accept(&person, &seen)), hidden);
        assert!(client.verification_kept(&person).unwrap().unwrap().alarm.is_some());
    }
    // Numbers that are equal prove the pinned devices, and not that the server was right.
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &seen).unwrap();
    assert!(alice.verification_kept(&bob.me()).unwrap().unwrap().alarm.is_some());
    wire.honest();
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &seen).unwrap();
    assert!(alice.verification_kept(&bob.me()).unwrap().unwrap().alarm.is_none());
}

/// The warning to a user whose device is the first hangs on the chain that the device has pinned.
#[tokio::test]
async fn that_a_device_is_the_first_is_not_the_servers_word() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    wire.tamper(|passing| {
        let mut answer: Value = serde_json::from_slice(passing.answer).ok()?;
        answer.get("accessToken")?;
        answer["eko:deviceSet"]["length"] = json!(2);
        Some(FalseAnswer { status: 201, body: answer.to_string().into_bytes() })
    });
    let environment = Environment { clock: world.clock(), random: seeded("bob/one") };
    let (store, request) = (DeviceStore::in_memory().unwrap(), request(&world, "bob", false));
    let (_, outcome) = sign_in(&world, &wire, store, environment, request).await.unwrap();
    assert_eq!(outcome.device_set.length, 1);
}

#[tokio::test]
async fn a_reset_of_devices_that_the_server_hides_is_refused() {
    let world = World::new().await;
    let (wire, theirs) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let bob = first(&world, &wire, "bob").await;
    theirs.drop_requests(|request| {
        (request.uri().path() == "/user/bob/devices")
            .then(|| FalseAnswer { status: 200, body: br#"{ "orderedItems": [] }"#.to_vec() })
    });
    let environment = || Environment { clock: world.clock(), random: seeded("bob/anew") };
    let folder = tempfile::tempdir().unwrap();
    let open = || DeviceStore::open(&folder.path().join("eko.db")).unwrap();
    let ask = async || sign_in(&world, &theirs, open(), environment(), request(&world, "bob", true)).await;
    let refused = ask().await.err().unwrap();
    assert!(matches!(refused, MessengerError::NothingToReset), "{refused}");
    assert!(!theirs.asked.lock().unwrap().iter().any(|url| url.ends_with("/auth/devices")));

    // The same store goes on with the reset when the chain is shown. A second reset in it is refused.
    theirs.honest();
    for is_first in [true, false] {
        match ask().await {
            Ok((_, outcome)) => assert!(is_first && outcome.device_set.length == 2, "{outcome:?}"),
            Err(error) => assert!(!is_first && matches!(error, MessengerError::ResetHere), "{error}"),
        }
    }
    assert!(matches!(bob.receive().await, Err(MessengerError::Revoked)));
}
