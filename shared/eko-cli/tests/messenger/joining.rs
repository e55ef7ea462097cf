//! Tests of a malicious home server between a new device and the user's other devices.

use std::sync::{Arc, Mutex};

use eko_cli::LibSignal;
use eko_client::device::{JoinKind, RegistrationStatus};
use eko_client::messenger::{Distrust, JoinState, MessengerError, Notice};
use eko_client::store::EnvelopeState;
use eko_client::{Device, DeviceKeys, DeviceStore, Environment, JoiningCode, Messenger};
use eko_protocol::chain::{ChainNode, JoiningKeys, NextNode, possession_base};
use eko_protocol::key::JoiningMac;
use eko_protocol::multibase;
use eko_testkit::{World, seeded};
use serde_json::{Value, json};

use crate::distrust::{distrust, inserted, show_chain};
use crate::people::{
    COUNTS, TestMessenger, code_of, device, first, further, hear, request, say, sign_in, text,
};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Returns a chain of the server's own key `mallory` that adds Bob's new device with this MAC.
pub(crate) fn false_chain(
    mallory: &Device<TestNetwork>,
    new: &TestMessenger,
    mac: &JoiningMac,
) -> Vec<Value> {
    let root = mallory.first_node().unwrap();
    let position = ChainNode::parse(&root).unwrap().position();
    let next = NextNode::new(mallory.origin(), mallory.user(), &position, 1_769_715_000_000);
    let added = mallory.sign_node(next.approve(&new.device().described(), mac)).unwrap();
    vec![root, added]
}

/// Asserts that a device did nothing but register, look at its own registration, and read the chain
/// of its own user.
fn did_nothing(wire: &TestNetwork) {
    let allowed = ["/auth/devices", "/auth/refresh", "/user/bob/devices", "/user/bob/devices/pending"];
    let asked = wire.asked.lock().unwrap();
    assert!(asked.iter().all(|url| allowed.iter().any(|path| url.ends_with(path))), "{asked:#?}");
}

/// Signs in a device of Bob's, and returns the error.
async fn refused_sign_in(world: &World, wire: &TestNetwork, label: &str, reset: bool) -> MessengerError {
    let environment = Environment { clock: world.clock(), random: seeded(format!("bob/{label}")) };
    let folder = tempfile::tempdir().unwrap();
    let open = || DeviceStore::open(&folder.path().join("eko.db")).unwrap();
    let request = request(world, "bob", reset);
    let signed_in = sign_in(world, wire, open(), environment.clone(), request).await;
    let refused = signed_in.err().unwrap();
    // Nothing is different when the program is started again.
    let again = Messenger::open(wire.clone(), LibSignal, open(), environment).unwrap().unwrap();
    let received = again.receive().await;
    assert!(
        matches!(received, Err(MessengerError::Distrust { .. } | MessengerError::Pending)),
        "{received:?}"
    );
    refused
}

/// The attack that the joining code was made for: Bob has approved his second device on the first
/// one, and the server shows the second one a chain of a key of its own.
#[tokio::test]
async fn a_new_device_believes_no_chain_that_its_users_other_device_does_not_know() {
    let world = World::new().await;
    let (wire, theirs) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let (two, status) = device(&world, &theirs, "bob", "two").await;
    assert_eq!(status, RegistrationStatus::Pending);
    let code = code_of(&two);
    let waiting = bob.approve(&code).await.unwrap();
    let approval = *bob.device().chain(&bob.me().user).await.unwrap().0[1].approval_mac().unwrap();
    let mallory = inserted(&world, &theirs);
    // The server tries no MAC, the MAC of the registration, and the MAC of the true approval.
    for mac in [JoiningMac::from([0; 32]), waiting.joining_mac, approval] {
        let shown = false_chain(&mallory, &two, &mac);
        show_chain(&theirs, move |nodes| *nodes = shown.clone());
        assert_eq!(distrust(two.join().await), Distrust::NotApproved);
        assert_eq!(distrust(two.send(&alice.me(), text("hello")).await), Distrust::NotApproved);
        assert_eq!(distrust(two.receive().await), Distrust::NotApproved);
        assert_eq!(distrust(two.key_status().await), Distrust::NotApproved);
        assert_eq!(distrust(two.devices().await), Distrust::NotApproved);
        assert_eq!(two.joining_code().unwrap().unwrap().digits(), code.digits());
    }
    did_nothing(&theirs);

    // The true chain is believed as soon as it is shown. The alarm stays, and no copy goes to the
    // own devices, until the user has looked at it.
    theirs.honest();
    assert_eq!(two.join().await.unwrap(), JoinState::Joined);
    assert!(two.joining_code().unwrap().is_none());
    let sent = say(&two, &alice.me(), "from the second").await;
    let copy = sent.envelopes.iter().find(|envelope| envelope.recipient == bob.me().actor()).unwrap();
    assert_eq!(copy.state, EnvelopeState::Refused);
    assert!(copy.reason.as_ref().unwrap().contains("no copy goes to your other devices"), "{copy:?}");
    let seen = two.verification(&two.me()).await.unwrap();
    assert!(seen.alarm.as_ref().unwrap().why.contains("not approved with this device's joining code"));
    two.accept(&two.me(), &seen).unwrap();
    say(&two, &alice.me(), "with a copy").await;
    world.deliver().await;
    // The copy that was refused goes out, too.
    for client in [&alice, &bob] {
        assert_eq!(hear(&world, client).await, ["from the second", "with a copy"]);
    }
    world.deliver().await;
    hear(&world, &two).await;
}

#[tokio::test]
async fn a_chain_that_is_shown_before_the_approval_is_not_believed() {
    let world = World::new().await;
    let (wire, theirs) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let bob = first(&world, &wire, "bob").await;
    let (two, _) = device(&world, &theirs, "bob", "two").await;
    let shown = false_chain(&inserted(&world, &theirs), &two, &JoiningMac::from([1; 32]));
    show_chain(&theirs, move |nodes| *nodes = shown.clone());
    assert_eq!(distrust(two.join().await), Distrust::NotApproved);
    // A chain that begins with the new device was approved by nobody either.
    let own = two.device().first_node().unwrap();
    show_chain(&theirs, move |nodes| *nodes = vec![own.clone()]);
    assert_eq!(distrust(two.join().await), Distrust::NotApproved);
    theirs.honest();
    assert_eq!(two.join().await.unwrap(), JoinState::Waiting);
    assert!(matches!(two.send(&bob.me(), text("hello")).await, Err(MessengerError::Pending)));
    did_nothing(&theirs);
    world.deliver().await;
    bob.receive().await.unwrap();
}

#[tokio::test]
async fn an_approval_of_another_device_or_of_an_older_chain_is_not_believed() {
    let world = World::new().await;
    let (wire, theirs) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let bob = first(&world, &wire, "bob").await;
    let three = further(&world, &wire, &bob, "three").await;
    let (two, _) = device(&world, &theirs, "bob", "two").await;
    let nodes = bob.device().chain(&bob.me().user).await.unwrap().0;
    let of_three = *nodes[1].approval_mac().unwrap();
    bob.approve(&code_of(&two)).await.unwrap();
    let nodes = bob.device().chain(&bob.me().user).await.unwrap().0;
    let of_two = *nodes[2].approval_mac().unwrap();
    let (origin, user) = (world.state.origin().clone(), bob.me().user);
    // A stolen device of Bob's signs what the server likes: the approval of another device, and the
    // true approval on a chain from which the node before it is left out.
    for (before, mac) in [(2, of_three), (1, of_two)] {
        let position = nodes[before - 1].position();
        let next = NextNode::new(&origin, &user, &position, 1_769_715_000_000);
        let added = bob.device().sign_node(next.approve(&two.device().described(), &mac)).unwrap();
        show_chain(&theirs, move |nodes| {
            nodes.truncate(before);
            nodes.push(added.clone());
        });
        assert_eq!(distrust(two.join().await), Distrust::NotApproved);
    }
    // The approval of another account's device, which has the same code.
    let carol = first(&world, &wire, "carol").await;
    let keys = JoiningKeys::derive(&[7; 16]);
    let chain = carol.device().chain(&carol.me().user).await.unwrap().0;
    let mac = keys.approval_mac(&origin, &carol.me().user, &two.device().described(), &chain).unwrap();
    let shown = false_chain(&inserted(&world, &theirs), &two, &mac);
    show_chain(&theirs, move |nodes| *nodes = shown.clone());
    assert_eq!(distrust(two.join().await), Distrust::NotApproved);
    did_nothing(&theirs);
    theirs.honest();
    assert_eq!(two.join().await.unwrap(), JoinState::Joined);
    world.deliver().await;
    for client in [&bob, &three] {
        client.receive().await.unwrap();
    }
}

#[tokio::test]
async fn the_servers_word_that_a_device_is_active_counts_for_nothing() {
    let world = World::new().await;
    let (wire, theirs) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let bob = first(&world, &wire, "bob").await;
    theirs.tamper(|passing| {
        let mut answer: Value = serde_json::from_slice(passing.answer).ok()?;
        let status = answer.get_mut("status").filter(|status| **status == "pending")?;
        *status = json!("active");
        Some(FalseAnswer { status: 201, body: answer.to_string().into_bytes() })
    });
    let refused = refused_sign_in(&world, &theirs, "two", false).await;
    assert_eq!(distrust::<()>(Err(refused)), Distrust::NotApproved);
    did_nothing(&theirs);
    world.deliver().await;
    bob.receive().await.unwrap();
}

#[tokio::test]
async fn a_device_that_began_the_chain_believes_no_other_root() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let mallory = inserted(&world, &wire);
    let root = mallory.first_node().unwrap();
    // The chain is shown from the registration on: before it, the name is free.
    let registered = Arc::new(Mutex::new(false));
    let shown = json!({ "@context": [], "type": "OrderedCollection", "orderedItems": [root],
        "eko:deviceSet": ChainNode::parse(&root).unwrap().device_set() });
    wire.tamper(move |passing| match passing.endpoint {
        ("POST", "/auth/devices") => {
            *registered.lock().unwrap() = true;
            None
        }
        ("GET", "/user/bob/devices") if *registered.lock().unwrap() => {
            Some(FalseAnswer { status: 200, body: shown.to_string().into_bytes() })
        }
        _ => None,
    });
    let refused = refused_sign_in(&world, &wire, "one", false).await;
    assert_eq!(distrust::<()>(Err(refused)), Distrust::OtherRoot);
    // A reset is shown the chain from before it.
    let registered = Arc::new(Mutex::new(false));
    wire.honest();
    let before = mallory.chain(mallory.user()).await.unwrap().0.remove(0);
    let shown = json!({ "@context": [], "type": "OrderedCollection", "orderedItems": [before.to_value()],
        "eko:deviceSet": before.device_set() });
    wire.tamper(move |passing| match passing.endpoint {
        ("POST", "/auth/devices") => {
            *registered.lock().unwrap() = true;
            None
        }
        ("GET", "/user/bob/devices") if *registered.lock().unwrap() => {
            Some(FalseAnswer { status: 200, body: shown.to_string().into_bytes() })
        }
        _ => None,
    });
    let refused = refused_sign_in(&world, &wire, "anew", true).await;
    assert_eq!(distrust::<()>(Err(refused)), Distrust::OtherRoot);
    did_nothing(&wire);
}

#[tokio::test]
async fn only_the_device_that_has_the_code_is_approved() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let (two, _) = device(&world, &wire, "bob", "two").await;
    // The server puts a key of its own under the device's id, with a valid proof of possession.
    let environment = Environment { clock: world.clock(), random: seeded("mallory") };
    let identity = DeviceKeys::generate(COUNTS, &environment).unwrap();
    let identity = identity.identity();
    let (actor, address) = (bob.me().actor(), two.device().address());
    let registration_id = two.device().keys().registration_id();
    let base = possession_base(&actor, &address, &identity.public(), registration_id);
    let possession = multibase::encode(&identity.sign(&base, &environment));
    let key = json!(identity.public());
    wire.tamper(move |passing| {
        let mut shown: Value = serde_json::from_slice(passing.answer).ok()?;
        let waiting = shown["items"].get_mut(0)?;
        waiting["identityKey"] = key.clone();
        waiting["possession"] = json!(possession);
        (passing.endpoint == ("GET", "/user/bob/devices/pending"))
            .then(|| FalseAnswer { status: 200, body: shown.to_string().into_bytes() })
    });
    let nodes = async || bob.device().chain(&bob.me().user).await.unwrap().0.len();
    let refused = bob.approve(&code_of(&two)).await.unwrap_err();
    assert!(matches!(refused, MessengerError::UnknownJoiningCode { waiting: 1 }), "{refused}");
    assert!(refused.to_string().contains("your server shows another key"), "{refused}");
    wire.honest();
    // The code of another device approves nothing, and costs the server nothing but reads.
    let other = JoiningCode::from_secret([7; 16]);
    let refused = bob.approve(&other).await.unwrap_err();
    assert!(matches!(refused, MessengerError::UnknownJoiningCode { waiting: 1 }), "{refused}");
    assert_eq!(nodes().await, 1);
    // A thief who has seen the code and can sign in registers a device with it.
    let thief = inserted(&world, &wire);
    let token = world.id_token(&thief).await;
    thief.register(&token, JoinKind::Further(code_of(&two))).await.unwrap();
    let refused = bob.approve(&code_of(&two)).await.unwrap_err();
    assert!(matches!(refused, MessengerError::SharedJoiningCode(2)), "{refused}");
    bob.turn_away(thief.id()).await.unwrap();
    assert_eq!(nodes().await, 1);
    assert_eq!(bob.approve(&code_of(&two)).await.unwrap().device, two.device().described());
    assert_eq!(nodes().await, 2);
    world.deliver().await;
    bob.receive().await.unwrap();
}

#[tokio::test]
async fn a_joining_code_outlives_the_process_and_ends_with_the_joining() {
    let world = World::new().await;
    let (wire, folder) = (TestNetwork::to(&[&world]), tempfile::tempdir().unwrap());
    let bob = first(&world, &wire, "bob").await;
    let path = folder.path().join("eko.db");
    let environment = || Environment { clock: world.clock(), ..Environment::system() };
    // The answer to the registration is lost.
    wire.tamper(|passing| {
        (passing.endpoint == ("POST", "/auth/devices"))
            .then(|| FalseAnswer { status: 503, body: b"the line is bad".to_vec() })
    });
    let open = || DeviceStore::open(&path).unwrap();
    let again = async || sign_in(&world, &wire, open(), environment(), request(&world, "bob", false)).await;
    assert!(again().await.is_err());
    let reopened = || Messenger::open(wire.clone(), LibSignal, open(), environment()).unwrap().unwrap();
    // The code is kept, and shown only once the server has confirmed the registration. The server
    // has registered the device with that very code.
    assert!(reopened().joining_code().unwrap().is_none());
    wire.honest();
    let (two, signed_in) = again().await.unwrap();
    assert_eq!(signed_in.status, RegistrationStatus::Pending);
    let code = code_of(&two);
    assert_eq!(code_of(&reopened()).digits(), code.digits());
    bob.approve(&code).await.unwrap();
    drop(two);
    let two = reopened();
    two.receive().await.unwrap();
    assert!(two.joining_code().unwrap().is_none());
    assert!(reopened().joining_code().unwrap().is_none());
    world.deliver().await;
    bob.receive().await.unwrap();
}

/// A device that reads its mailbox after its user has decided is not told to decide again.
#[tokio::test]
async fn a_device_that_waits_no_longer_is_not_announced() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let mut waiting = Vec::new();
    for label in ["two", "three", "four"] {
        waiting.push(device(&world, &wire, "bob", label).await.0);
    }
    bob.approve(&code_of(&waiting[0])).await.unwrap();
    bob.turn_away(waiting[1].device().id()).await.unwrap();
    world.deliver().await;
    let notices = bob.receive().await.unwrap().notices;
    let [Notice::DeviceWaits(told)] = &notices[..] else { panic!("{notices:?}") };
    let listed = bob.devices().await.unwrap().pending;
    assert_eq!((&told.device.id, [told]), (waiting[2].device().id(), [&listed[0]]));
}
