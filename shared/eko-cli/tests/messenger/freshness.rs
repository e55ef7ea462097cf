//! Tests of the age of a chain: when it is read again, and how long it is believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use eko_client::content::HeadStatement;
use eko_client::keys::IdentityPair;
use eko_client::messenger::Distrust;
use eko_client::store::EnvelopeState;
use eko_client::{DeviceStore, Environment};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::{multibase, timestamp};
use eko_testkit::{World, seeded};
use serde_json::json;

use crate::distrust::distrust;
use crate::forging::{Forger, ForgingSessions};
use crate::people::{TestMessenger, befriend, code_of, device, first, hear, request, say, sign_in, text};
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, TestNetwork};

const DAY_MS: i64 = 24 * 3_600_000;

/// Has a forger's device sign another head or another time.
fn state_head(
    sessions: &ForgingSessions,
    forger: &Forger,
    change: impl Fn(&mut DeviceSetRef, &mut i64) + Send + Sync + 'static,
) {
    let secret = *forger.device().keys().identity().secret();
    let (environment, device) = (forger.device().environment().clone(), forger.device().address());
    sessions.forge(move |activity| {
        let (length, head) = (&activity["eko:deviceSet"]["length"], &activity["eko:deviceSet"]["head"]);
        let mut set = DeviceSetRef::new(length.as_u64().unwrap(), head.as_str().unwrap().to_owned()).unwrap();
        let mut published_ms = timestamp::parse(activity["published"].as_str().unwrap()).unwrap();
        change(&mut set, &mut published_ms);
        let statement =
            HeadStatement { actor: activity["actor"].as_str().unwrap(), device: &device, published_ms };
        let signed = statement.sign(set, &IdentityPair::from_secret(secret), &environment).unwrap();
        activity["published"] = json!(timestamp::format(published_ms));
        activity["eko:deviceSet"] = json!(signed.set);
        activity["eko:signature"] = json!(multibase::encode(&signed.signature));
    });
}

#[tokio::test]
async fn a_chain_that_nobody_confirms_is_shown_and_then_refused() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let pass = async |days: i64, client: &TestMessenger| {
        world.advance(days * DAY_MS);
        world.deliver().await;
        client.receive().await.unwrap();
    };
    say(&alice, &bob.me(), "before").await;
    pass(29, &alice).await;
    assert_eq!(alice.unconfirmed_days(&bob.me()).unwrap(), None);
    pass(2, &alice).await;
    assert_eq!(alice.unconfirmed_days(&bob.me()).unwrap(), Some(31));
    say(&bob, &alice.me(), "I am here").await;
    pass(0, &alice).await;
    assert_eq!(alice.unconfirmed_days(&bob.me()).unwrap(), None);
    for _ in 0..3 {
        pass(29, &alice).await;
        say(&alice, &bob.me(), "are you?").await;
    }
    pass(3, &alice).await;
    assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), Distrust::Stale { days: 90 });
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.accept(&bob.me(), &seen).unwrap();
    say(&alice, &bob.me(), "I take it that you are").await;
    world.deliver().await;
}

/// Bob's device confirms its chain before Alice has decided anything. An earlier version has kept no plaintext
/// of one of the messages.
#[tokio::test]
async fn what_was_held_back_is_sent_once_the_chain_is_confirmed() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let bob = first(&world, &wire, "bob").await;
    befriend(&alice, &bob).await;
    for _ in 0..3 {
        world.advance(29 * DAY_MS);
        say(&alice, &bob.me(), "are you there?").await;
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, ["are you there?"]);
    }
    world.advance(4 * DAY_MS);
    let is_held_back = async |words: &str| {
        let id = alice.put_message(&bob.me(), text(words)).await.unwrap();
        alice.send_message(&id).await.unwrap().state(&alice.me()) == EnvelopeState::Refused
    };
    assert!(is_held_back("one").await);
    user.change_store(
        "UPDATE envelopes SET plaintext = NULL WHERE state = 6; \
         DELETE FROM ciphertexts WHERE envelope IN (SELECT id FROM envelopes WHERE state = 6)",
    );
    assert!(is_held_back("two").await);
    say(&bob, &alice.me(), "I am here").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["I am here"]);
    world.deliver().await;
    let mut heard = hear(&world, &bob).await;
    heard.sort();
    assert_eq!(heard, ["one", "two"]);
    let history = bob.history(None, 10).unwrap();
    assert!(history.iter().all(|message| message.missing_before == 0), "{history:?}");
    world.deliver().await;
}

#[tokio::test]
async fn a_chain_is_read_again_after_a_day() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    let read = || {
        let asked = hers.asked.lock().unwrap();
        asked.iter().filter(|url| url.ends_with("/user/bob/devices")).count()
    };
    say(&alice, &bob.me(), "one").await;
    say(&alice, &bob.me(), "two").await;
    assert_eq!(read(), 1);
    world.advance(DAY_MS);
    say(&alice, &bob.me(), "three").await;
    say(&alice, &bob.me(), "four").await;
    assert_eq!(read(), 2);

    // A server that is down stops nobody for a week. It is asked once in ten minutes.
    let down = |hers: &TestNetwork| {
        hers.drop_requests(|request| {
            let body = json!({ "type": "x/unavailable", "title": "later", "status": 503 }).to_string();
            let is_chain = request.uri().path() == "/user/bob/devices";
            is_chain.then(|| FalseAnswer { status: 503, body: body.into_bytes() })
        });
    };
    down(&hers);
    for (days, reads) in [(1, 3), (0, 3), (5, 4)] {
        world.advance(days * DAY_MS);
        say(&alice, &bob.me(), "more").await;
        assert_eq!(read(), reads);
    }
    world.advance(2 * DAY_MS);
    let sent = alice.send(&bob.me(), text("it waits")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::ToSend, "{:?}", sent.envelopes);
    hers.honest();
    world.advance(600_000);
    assert_eq!(alice.flush().await.unwrap()[0].state, EnvelopeState::Accepted);
    world.deliver().await;
}

/// Alice's clock is half a year ahead when she first reads Bob's chain. Once it is right, what it has
/// stored confirms nothing.
#[tokio::test]
async fn times_that_are_yet_to_come_confirm_nothing() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let bob = first(&world, &wire, "bob").await;
    let ahead_ms = Arc::new(AtomicI64::new(0));
    let (true_clock, offset) = (world.clock(), Arc::clone(&ahead_ms));
    let clock = Arc::new(move || true_clock() + offset.load(Ordering::SeqCst));
    let environment = Environment { clock, random: seeded("alice/one") };
    let (store, request) = (DeviceStore::in_memory().unwrap(), request(&world, "alice", false));
    let (alice, _) = sign_in(&world, &hers, store, environment, request).await.unwrap();
    let read = || {
        let asked = hers.asked.lock().unwrap();
        asked.iter().filter(|url| url.ends_with("/user/bob/devices")).count()
    };
    ahead_ms.store(180 * DAY_MS, Ordering::SeqCst);
    alice.verification(&bob.me()).await.unwrap();
    alice.accept_contact(&bob.me()).unwrap();
    ahead_ms.store(0, Ordering::SeqCst);
    let before = read();
    assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), Distrust::Stale { days: 90 });
    assert_eq!(read() - before, 1, "the chain is read again");
    assert_eq!(alice.unconfirmed_days(&bob.me()).unwrap(), Some(90));
    // The next head that Bob signs counts, though an earlier time stands in place of the false one.
    say(&bob, &alice.me(), "I am here").await;
    world.deliver().await;
    alice.receive().await.unwrap();
    assert_eq!(alice.unconfirmed_days(&bob.me()).unwrap(), None);
    say(&alice, &bob.me(), "there you are").await;
    world.advance(91 * DAY_MS);
    assert_eq!(distrust(alice.send(&bob.me(), text("secret")).await), Distrust::Stale { days: 91 });
    world.deliver().await;
}

/// A device that was left behind, or a thief's, states a head that the chain once had.
#[tokio::test]
async fn only_the_end_of_the_chain_confirms_it() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, sessions) = (first(&world, &wire, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    let (two, _) = device(&world, &wire, "bob", "two").await;
    bob.approve(&code_of(&two)).await.unwrap();
    say(&alice, &bob.me(), "before").await;
    let old = bob.device().chain(&bob.me().user).await.unwrap().0[0].hash();
    world.advance(31 * DAY_MS);
    state_head(&sessions, &bob, move |set, _| *set = DeviceSetRef::new(1, old.clone()).unwrap());
    let unconfirmed = async || {
        bob.send(&alice.me(), text("I am here")).await.unwrap();
        world.deliver().await;
        assert_eq!(hear(&world, &alice).await, ["I am here"]);
        alice.unconfirmed_days(&bob.me()).unwrap()
    };
    assert_eq!(unconfirmed().await, Some(31));
    sessions.forge(|_| {});
    world.deliver().await;
    assert_eq!(unconfirmed().await, None);
    world.deliver().await;
}

/// Bob's device dates what it signs half a year ahead. Alice gets it four weeks later.
#[tokio::test]
async fn no_later_time_is_promised_than_that_of_the_server() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, sessions) = (first(&world, &wire, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    say(&alice, &bob.me(), "before").await;
    state_head(&sessions, &bob, |_, published_ms| *published_ms += 180 * DAY_MS);
    bob.send(&alice.me(), text("I am here for long")).await.unwrap();
    world.deliver().await;
    world.advance(28 * DAY_MS);
    assert_eq!(alice.receive().await.unwrap().messages.len(), 1);
    world.advance(3 * DAY_MS);
    assert_eq!(alice.unconfirmed_days(&bob.me()).unwrap(), Some(31));
    world.deliver().await;
}
