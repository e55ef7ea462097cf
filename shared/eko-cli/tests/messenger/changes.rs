//! Tests of changes of the own devices: where they are signed, and when they count as done.

use std::sync::{Arc, Mutex};

use eko_client::messenger::{Distrust, MessengerError};
use eko_client::store::EnvelopeState;
use eko_protocol::chain::ChainNode;
use eko_protocol::key::JoiningMac;
use eko_testkit::World;
use http::Method;
use serde_json::{Value, json};

use crate::distrust::{distrust, inserted, show_chain};
use crate::joining::false_chain;
use crate::people::{code_of, device, first, further, hear, text};
use crate::test_network::{FalseAnswer, TestNetwork};

#[tokio::test]
async fn a_change_is_signed_only_on_the_chain_that_is_known() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    let (three, _) = device(&world, &wire, "bob", "three").await;
    let posted = Arc::new(Mutex::new(0));
    let count = Arc::clone(&posted);
    wire.drop_requests(move |request| {
        let is_change = request.method() == Method::POST && request.uri().path() == "/user/bob/devices";
        *count.lock().unwrap() += usize::from(is_change);
        None
    });
    // The server shows another chain, whose first device is a key of its own, and one that hides
    // the second device.
    let shown = false_chain(&inserted(&world, &wire), &bob, &JoiningMac::from([0; 32]));
    show_chain(&wire, move |nodes| *nodes = shown.clone());
    let code = code_of(&three);
    assert_eq!(distrust(bob.approve(&code).await), Distrust::Forked(0));
    assert_eq!(distrust(bob.revoke(two.device().id()).await), Distrust::Forked(0));
    show_chain(&wire, |nodes| nodes.truncate(1));
    assert_eq!(distrust(bob.approve(&code).await), Distrust::RolledBack { pinned: 2, shown: 1 });
    assert_eq!(*posted.lock().unwrap(), 0);
    // While the alarm stands, nothing is signed on the true chain either, and no copy is sent.
    show_chain(&wire, |_| {});
    assert!(matches!(distrust(bob.revoke(two.device().id()).await), Distrust::Contradicted(_)));
    let sent = bob.send(&alice.me(), text("without a copy")).await.unwrap();
    assert_eq!(sent.state(&bob.me()), EnvelopeState::Accepted);
    let copy = sent.envelopes.iter().find(|envelope| envelope.recipient == bob.me().actor()).unwrap();
    assert_eq!(copy.state, EnvelopeState::Refused, "{copy:?}");
    assert_eq!(*posted.lock().unwrap(), 0);
    let seen = bob.verification(&bob.me()).await.unwrap();
    bob.accept(&bob.me(), &seen).unwrap();
    bob.revoke(two.device().id()).await.unwrap();
    assert_eq!(*posted.lock().unwrap(), 1);
    assert!(matches!(bob.forget(&bob.me()), Err(MessengerError::Invalid(_))));
    world.deliver().await;
    hear(&world, &alice).await;
    world.deliver().await;
    bob.receive().await.unwrap();
}

#[tokio::test]
async fn a_change_that_the_server_drops_is_not_reported_as_done() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let two = further(&world, &wire, &bob, "two").await;
    let (three, _) = device(&world, &wire, "bob", "three").await;
    // The server answers as if it had done it, and does nothing.
    wire.drop_requests(|request| {
        if request.method() != Method::POST || request.uri().path() != "/user/bob/devices" {
            return None;
        }
        let mut node: Value = serde_json::from_slice(request.body()).unwrap();
        match ChainNode::parse(&node) {
            Ok(read) => {
                node["eko:deviceSet"] = json!(read.device_set());
                Some(FalseAnswer { status: 201, body: node.to_string().into_bytes() })
            }
            Err(_) => Some(FalseAnswer { status: 204, body: Vec::new() }),
        }
    });
    let not_done = |outcome: Result<(), MessengerError>| {
        let error = outcome.unwrap_err();
        assert!(matches!(error, MessengerError::NotDone(_)), "{error}");
        assert!(error.to_string().ends_with("it was not done"), "{error}");
    };
    let code = code_of(&three);
    not_done(bob.revoke(two.device().id()).await);
    not_done(bob.approve(&code).await.map(drop));
    not_done(bob.turn_away(three.device().id()).await);
    // The chain that is shown afterwards may also be a false one.
    let shown = false_chain(&inserted(&world, &wire), &bob, &JoiningMac::from([0; 32]));
    let reads = Mutex::new(0);
    wire.tamper(move |passing| {
        if passing.endpoint != ("GET", "/user/bob/devices") {
            return None;
        }
        *reads.lock().unwrap() += 1;
        let last = ChainNode::parse(shown.last().unwrap()).unwrap();
        let body = json!({ "orderedItems": shown, "eko:deviceSet": last.device_set() });
        (*reads.lock().unwrap() > 1).then(|| FalseAnswer { status: 200, body: body.to_string().into_bytes() })
    });
    assert_eq!(distrust(bob.revoke(two.device().id()).await), Distrust::Forked(0));
    wire.honest();
    assert_eq!(bob.devices().await.unwrap().active.len(), 2);
    world.deliver().await;
    bob.receive().await.unwrap();
    two.receive().await.unwrap();
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_done_if_the_chain_shows_it() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let two = further(&world, &wire, &bob, "two").await;
    wire.tamper(|passing| {
        (passing.endpoint == ("POST", "/user/bob/devices"))
            .then(|| FalseAnswer { status: 503, body: b"the line is bad".to_vec() })
    });
    bob.revoke(two.device().id()).await.unwrap();
    assert_eq!(bob.devices().await.unwrap().active.len(), 1);
}
