//! Tests of receipts: an envelope is delivered when its recipient says so, and when nobody else does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use eko_client::content::{PADDED_LENGTHS, pad};
use eko_client::device::EntryContent;
use eko_client::messenger::Notice;
use eko_client::store::EnvelopeState;
use eko_protocol::id::EnvelopeId;
use eko_testkit::World;
use serde_json::{Value, json};

use crate::forging::ForgingSessions;
use crate::people::{TestMessenger, befriend, first, hear, say, shown, text};
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

/// Returns the state of the envelope of an activity to its one recipient.
pub(crate) fn state(client: &TestMessenger, id: &str) -> EnvelopeState {
    client.sent(id).unwrap().state(&client.me())
}

/// Acknowledges an envelope without reading it, as a server can. The author gets a report.
pub(crate) async fn pretend(client: &TestMessenger, envelope: &EnvelopeId) {
    let entries = client.device().fetch().await.unwrap().entries.into_iter();
    let is_it = |content: &EntryContent| matches!(content, EntryContent::Message(message) if message.letter.header.id == *envelope);
    let entries: Vec<_> = entries.filter(|entry| is_it(&entry.content)).map(|entry| entry.address).collect();
    assert_eq!(entries.len(), 1);
    client.device().acknowledge(&entries).await.unwrap();
}

/// Counts the envelopes that passed on a line, and those of them that wake somebody.
fn envelopes(line: &TestNetwork) -> (usize, usize) {
    let bodies = line.seen.lock().unwrap().clone();
    let sent = bodies.iter().filter_map(|body| serde_json::from_slice::<Value>(body).ok());
    let sent: Vec<_> =
        sent.filter(|it| it["type"] == "Create" && it["object"]["messages"].is_array()).collect();
    (sent.len(), sent.iter().filter(|it| it["object"]["notify"] == true).count())
}

#[tokio::test]
async fn what_a_server_calls_delivered_is_not() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let dropped = say(&alice, &bob.me(), "never read").await;
    world.deliver().await;
    pretend(&bob, &dropped.envelopes[0].id).await;
    world.deliver().await;
    assert_eq!(alice.receive().await.unwrap().notices, []);
    assert_eq!(state(&alice, &dropped.id), EnvelopeState::Accepted);
    let read = say(&alice, &bob.me(), "read").await;
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
    hear(&world, &alice).await;
    assert_eq!(state(&alice, &read.id), EnvelopeState::Delivered);
    assert_eq!(state(&alice, &dropped.id), EnvelopeState::Accepted);
    world.deliver().await;
}

#[tokio::test]
async fn a_receipt_of_somebody_else_delivers_nothing() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    say(&alice, &mallory.me(), "hello, Mallory").await;
    let sent = say(&alice, &bob.me(), "for Bob").await;
    let id = sent.id.clone();
    sessions.forge(move |activity| {
        activity["type"] = json!("Delivered");
        activity["object"] = json!([id]);
    });
    mallory.send(&alice.me(), text("it is here")).await.unwrap();
    world.deliver().await;
    assert_eq!(alice.receive().await.unwrap().notices, []);
    assert_eq!(state(&alice, &sent.id), EnvelopeState::Accepted);
    hear(&world, &bob).await;
    world.deliver().await;
    let notices = alice.receive().await.unwrap().notices;
    assert!(matches!(&notices[..], [Notice::Settled(it)] if it.message == sent.id), "{notices:?}");
    assert_eq!(state(&alice, &sent.id), EnvelopeState::Delivered);
    world.deliver().await;
}

#[tokio::test]
async fn one_look_sends_one_receipt_which_is_silent_and_is_not_answered() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(say(&alice, &bob.me(), &format!("{n}")).await);
    }
    world.deliver().await;
    his.seen.lock().unwrap().clear();
    assert_eq!(hear(&world, &bob).await.len(), 5);
    assert_eq!(envelopes(&his), (1, 0));
    world.deliver().await;
    hers.seen.lock().unwrap().clear();
    assert_eq!(alice.receive().await.unwrap().notices.len(), 5);
    assert!(sent.iter().all(|sent| state(&alice, &sent.id) == EnvelopeState::Delivered));
    for _ in 0..3 {
        world.deliver().await;
        hear(&world, &alice).await;
        hear(&world, &bob).await;
    }
    let entries_of_alice = hers.seen.lock().unwrap().clone();
    assert!(!entries_of_alice.is_empty());
    assert_eq!((envelopes(&hers).1, envelopes(&his).0), (0, 1));
    // A receipt is in no conversation.
    for client in [&alice, &bob] {
        assert_eq!(client.history(None, 100).unwrap().len(), 5);
    }
}

/// A server sees the lengths of ciphertexts, and how many messages it has delivered.
#[tokio::test]
async fn receipts_are_as_long_as_a_short_note() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, sessions) = (first(&world, &wire, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    bob.send(&alice.me(), text("hello")).await.unwrap();
    world.deliver().await;
    hear(&world, &alice).await;
    for n in 0..30 {
        say(&alice, &bob.me(), &format!("{n}")).await;
    }
    world.deliver().await;
    let lengths: Arc<Mutex<Vec<usize>>> = Arc::default();
    let sent = Arc::clone(&lengths);
    sessions.forge(move |activity| {
        sent.lock().unwrap().push(pad(activity.to_string().as_bytes()).unwrap().len());
    });
    bob.receive().await.unwrap();
    assert_eq!(*lengths.lock().unwrap(), [PADDED_LENGTHS[0]; 3]);
    world.deliver().await;
    hear(&world, &alice).await;
    world.deliver().await;
}

/// The process ends after any number of requests, before or after the server has handled the last
/// one. The message is shown once, and the receipt arrives.
#[tokio::test]
async fn no_receipt_is_lost_wherever_the_process_ends() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let (user, bob) = RestartingUser::sign_in(&world, "bob").await;
    befriend(&alice, &bob).await;
    hear(&world, &bob).await;
    drop(bob);
    for fault in [NetworkFault::LostRequest, NetworkFault::LostAnswer] {
        for good in 0..4 {
            let words = format!("{good}");
            let sent = say(&alice, &user.open().me(), &words).await;
            world.deliver().await;
            let requests = AtomicUsize::new(0);
            user.line.fail(move || (requests.fetch_add(1, Ordering::SeqCst) >= good).then_some(fault));
            let dying = user.open();
            let mut heard =
                dying.receive().await.map(|received| shown(&dying, &received)).unwrap_or_default();
            drop(dying);
            user.line.honest();
            // An envelope that the ended process had claimed is due after a while.
            world.advance(180_000);
            heard.extend(hear(&world, &user.open()).await);
            assert_eq!(heard, [words]);
            world.deliver().await;
            hear(&world, &alice).await;
            assert_eq!(state(&alice, &sent.id), EnvelopeState::Delivered, "{good} requests");
            world.deliver().await;
            hear(&world, &user.open()).await;
        }
    }
    world.deliver().await;
}

/// A note for a group that Bob does not know is held. Nobody is told that it arrived.
#[tokio::test]
async fn what_is_only_held_is_not_acknowledged() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    say(&bob, &mallory.me(), "hello").await;
    world.deliver().await;
    mallory.receive().await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    let group = "urn:uuid:6a1f0c3e-2d4b-4e5f-8a6b-7c8d9e0f1a2b";
    sessions.forge(move |activity| {
        activity["to"] = json!([group]);
        activity["eko:group"] = json!({ "id": group, "epoch": 9, "state": "ab".repeat(32) });
    });
    let sent = mallory.send(&bob.me(), text("to a group of phantoms")).await.unwrap();
    world.deliver().await;
    for _ in 0..2 {
        let received = bob.receive().await.unwrap();
        assert!(received.messages.is_empty(), "{received:?}");
        assert_eq!(world.deliver().await, 0);
    }
    assert_eq!(mallory.receive().await.unwrap().notices, []);
    assert_eq!(mallory.sent(&sent.id).unwrap().state(&mallory.me()), EnvelopeState::Accepted);
    // Mallory's device confirms what Bob said, whom she has accepted by writing.
    world.deliver().await;
}

/// Alice's server has the envelope and she does not know it: the receipt is there before the answer.
#[tokio::test]
async fn a_receipt_that_comes_before_the_answer_counts() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "before").await;
    hers.fail(|| Some(NetworkFault::LostAnswer));
    let sent = alice.send(&bob.me(), text("hello")).await.unwrap();
    assert_eq!(state(&alice, &sent.id), EnvelopeState::ToSend);
    hers.honest();
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["before", "hello"]);
    world.deliver().await;
    alice.receive().await.unwrap();
    assert_eq!(state(&alice, &sent.id), EnvelopeState::ToSend, "it may lack other devices");
    world.advance(10_000);
    alice.flush().await.unwrap();
    assert_eq!(state(&alice, &sent.id), EnvelopeState::Delivered);
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, [""; 0]);
    world.deliver().await;
}

/// A receipt costs what an envelope costs, and its deletion sends no report. Five messages have one.
#[tokio::test]
async fn a_receipt_costs_one_envelope_and_one_deletion() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    for client in [&bob, &alice] {
        hear(&world, client).await;
        world.deliver().await;
    }
    for n in 0..5 {
        say(&alice, &bob.me(), &format!("{n}")).await;
    }
    world.deliver().await;
    world.calls.reset();
    bob.receive().await.unwrap();
    let mut made = world.calls.made();
    assert_eq!(made.remove(0), "Query");
    // The acknowledgement of the messages, with the servers' report.
    let acknowledged = made.iter().position(|call| call == "BatchWriteItem").unwrap() + 1;
    // The receipt: device sets and two budgets, the record, the queue.
    let mut receipt = made.split_off(acknowledged);
    receipt[..3].sort();
    assert_eq!(receipt, ["BatchGetItem", "UpdateItem", "UpdateItem", "UpdateItem", "SendMessageBatch"]);
    world.deliver().await;
    hers.asked.lock().unwrap().clear();
    world.calls.reset();
    assert_eq!(alice.receive().await.unwrap().notices.len(), 5);
    let deletions = hers.asked.lock().unwrap().iter().filter(|url| url.contains("/inbox/")).count();
    assert_eq!(deletions, 1);
    world.deliver().await;
}

/// Returns the number of requests on a line for the chains of these users.
fn chains_read(line: &TestNetwork, users: &[TestMessenger]) -> usize {
    let asked = line.asked.lock().unwrap();
    let is_chain =
        |url: &String| users.iter().any(|user| url.ends_with(&format!("/user/{}/devices", user.me().user)));
    asked.iter().filter(|url| is_chain(url)).count()
}

/// A server that is slow to show Bob's chain holds up no message to anybody else.
#[tokio::test]
async fn what_is_due_does_not_wait_for_receipts() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    let carol = first(&world, &wire, "carol").await;
    befriend(&alice, &bob).await;
    befriend(&alice, &carol).await;
    world.advance(2 * 24 * 3_600_000);
    hers.fail(|| Some(NetworkFault::LostRequest));
    alice.send(&carol.me(), text("to Carol")).await.unwrap();
    hers.honest();
    say(&bob, &alice.me(), "hello").await;
    world.deliver().await;
    world.advance(10_000);
    hers.asked.lock().unwrap().clear();
    alice.receive().await.unwrap();
    let asked = hers.asked.lock().unwrap().clone();
    let first = |part: &str| asked.iter().position(|url| url.ends_with(part)).unwrap();
    assert!(first("/user/alice/outbox") < first("/user/bob/devices"), "{asked:#?}");
    world.deliver().await;
    for client in [&bob, &carol] {
        hear(&world, client).await;
    }
    world.deliver().await;
    hear(&world, &alice).await;
    world.deliver().await;
}

/// Authors whose chains cannot be read are left for the next look, and keep what they are owed.
#[tokio::test]
async fn receipts_have_few_chains_read_in_one_look() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let alice = first(&world, &hers, "alice").await;
    let mut friends = Vec::new();
    for number in 0..10 {
        let friend = first(&world, &wire, &format!("friend{number}")).await;
        befriend(&alice, &friend).await;
        say(&friend, &alice.me(), "hello").await;
        friends.push(friend);
    }
    world.deliver().await;
    world.advance(8 * 24 * 3_600_000);
    hers.drop_requests(|request| {
        let body = json!({ "type": "x/unavailable", "title": "later", "status": 503 }).to_string();
        let path = request.uri().path();
        let is_chain = path.starts_with("/user/friend") && path.ends_with("/devices");
        is_chain.then(|| FalseAnswer { status: 503, body: body.into_bytes() })
    });
    hers.asked.lock().unwrap().clear();
    for read in [8, 10, 10] {
        alice.receive().await.unwrap();
        assert_eq!(chains_read(&hers, &friends), read);
    }
    assert_eq!(envelopes(&hers), (0, 0));
    hers.honest();
    world.advance(600_000);
    hers.seen.lock().unwrap().clear();
    for _ in 0..2 {
        alice.receive().await.unwrap();
    }
    assert_eq!(envelopes(&hers).0, 10);
    world.deliver().await;
    for friend in &friends {
        hear(&world, friend).await;
    }
    world.deliver().await;
}
