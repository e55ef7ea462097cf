//! Tests of what a device keeps of a message so that its user can report it.

use std::sync::{Arc, Mutex};

use eko_client::content::{pad, unpad};
use eko_client::device::ReportOutcome;
use eko_client::{DeviceStore, Environment};
use eko_protocol::envelope::Create;
use eko_protocol::franking::{franked_content, franking_tag};
use eko_protocol::key::{FrankingKey, FrankingTag};
use eko_testkit::{Internet, World, seeded};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::forging::ForgingSessions;
use crate::people::{TestMessenger, befriend, first, further, hear, request, say, sign_in, text};
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

/// Changes the franking of every envelope that a device fetches.
fn change_franking(wire: &TestNetwork, change: impl Fn(&mut Value) + Send + Sync + 'static) {
    wire.tamper(move |passing| {
        let (method, path) = passing.endpoint;
        if method != "GET" || !path.contains("/inbox") {
            return None;
        }
        let mut page: Value = serde_json::from_slice(passing.answer).ok()?;
        for item in page["orderedItems"].as_array_mut()? {
            change(&mut item["object"]);
        }
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
}

/// Returns the last message of a device's history: its text, its warning, and whether it can be reported.
fn last(client: &TestMessenger) -> (String, Option<String>, bool) {
    let content = client.history(None, 1).unwrap().pop().unwrap().content;
    let can_report = client.can_report(&content.actor, &content.id).unwrap();
    (content.text, content.warning, can_report)
}

/// Returns the tags of the envelopes that went to a user's outbox, by their recipients.
fn tags(wire: &TestNetwork) -> Vec<(String, Option<String>)> {
    let seen = wire.seen.lock().unwrap();
    let creates = seen.iter().filter_map(|body| Create::parse(&serde_json::from_slice(body).ok()?, 0).ok());
    let mut tags: Vec<_> = creates
        .map(|create| (create.to, create.header.franking.map(|franking| franking.tag.to_base64())))
        .collect();
    tags.dedup();
    tags
}

#[tokio::test]
async fn a_message_is_reported_to_both_servers_and_verified_by_the_authors() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    let wire = TestNetwork::to(&[&a, &b]);
    let (alice, mallory) = (first(&a, &wire, "alice").await, first(&b, &wire, "mallory").await);
    let sent = say(&mallory, &alice.me(), "a threat").await;
    a.deliver().await;
    alice.receive().await.unwrap();
    // It is the request of a stranger.
    let found = alice.received_messages("").unwrap();
    assert_eq!((found.len(), &found[0].content.text), (1, &"a threat".to_owned()));
    let report = async |words| alice.report(&mallory.me().actor(), &sent.id, Some(words)).await;
    assert_eq!(report("they threaten me").await.unwrap(), Some(ReportOutcome::Accepted));
    assert_eq!(report("again").await.unwrap(), Some(ReportOutcome::Repeated));
    assert!(report("\u{1b}[2J").await.is_err());
    a.federate().await;
    assert_eq!(
        (a.flags().await, b.flags().await),
        (vec!["delivered".to_owned()], vec!["verified".to_owned()])
    );
    // Nobody reports what they have written themselves.
    assert!(mallory.received_messages("").unwrap().is_empty());
    assert_eq!(mallory.report(&mallory.me().actor(), &sent.id, None).await.unwrap(), None);
    // What is declined is gone, with all that was kept to report it.
    alice.decline(&mallory.me()).unwrap();
    assert!(!alice.can_report(&mallory.me().actor(), &sent.id).unwrap());
    a.deliver().await;
    b.deliver().await;
}

#[tokio::test]
async fn each_envelope_to_somebody_else_has_a_tag_of_its_own() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let phone = further(&world, &wire, &alice, "two").await;
    wire.seen.lock().unwrap().clear();
    say(&alice, &bob.me(), "hello").await;
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
    for device in [&alice, &phone] {
        hear(&world, device).await;
    }
    world.deliver().await;
    let tags = tags(&wire);
    let is_own = |to: &str, from_alice: bool| from_alice && to == alice.me().actor();
    assert!(tags.len() >= 3, "{tags:?}");
    let to_bob: Vec<_> = tags.iter().filter(|(to, _)| *to == bob.me().actor()).collect();
    assert!(to_bob.iter().all(|(_, tag)| tag.is_some()), "{tags:?}");
    let mut all: Vec<&String> = tags.iter().filter_map(|(_, tag)| tag.as_ref()).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    // The note and the receipt for it, which looks alike; the copy for the own device has none.
    assert_eq!(all.len(), count);
    assert!(tags.iter().any(|(to, tag)| is_own(to, true) && tag.is_none()), "{tags:?}");
}

#[tokio::test]
async fn a_false_tag_is_shown_and_a_missing_one_is_none() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    say(&bob, &alice.me(), "one").await;
    world.deliver().await;
    hear(&world, &alice).await;
    assert_eq!(last(&alice), ("one".to_owned(), None, true));
    let other = json!(FrankingTag::from([0; 32]));
    change_franking(&wire, move |object| object["eko:franking"]["tag"] = other.clone());
    say(&bob, &alice.me(), "two").await;
    world.deliver().await;
    hear(&world, &alice).await;
    let (text, warning, can_report) = last(&alice);
    assert_eq!((text.as_str(), can_report), ("two", false));
    assert!(warning.unwrap().contains("cannot be reported"));
    change_franking(&wire, |object| object["eko:franking"] = Value::Null);
    say(&bob, &alice.me(), "three").await;
    world.deliver().await;
    hear(&world, &alice).await;
    assert_eq!(last(&alice), ("three".to_owned(), None, false));
    let id = alice.history(None, 1).unwrap().pop().unwrap().content.id;
    assert_eq!(alice.report(&bob.me().actor(), &id, None).await.unwrap(), None);
    assert!(world.flags().await.is_empty());
    world.deliver().await;
}

/// One note is given up and sent again. The other one waits since before the library knew of keys.
#[tokio::test]
async fn what_is_sent_later_can_be_reported_and_has_no_warning() {
    let world = World::new().await;
    let (wire, line) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let alice = first(&world, &wire, "alice").await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("eko.db");
    let environment = Environment { clock: world.clock(), random: seeded("bob/file") };
    let (store, request) = (DeviceStore::open(&path).unwrap(), request(&world, "bob", false));
    let (bob, _) = sign_in(&world, &line, store, environment, request).await.unwrap();
    befriend(&alice, &bob).await;
    line.fail(|| Some(NetworkFault::LostRequest));
    let given_up = bob.send(&alice.me(), text("given up")).await.unwrap().id;
    bob.discard(&given_up).unwrap();
    let waits = bob.send(&alice.me(), text("waits")).await.unwrap().id;
    let file = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT plaintext FROM envelopes WHERE message = ?1";
    let plaintext: Vec<u8> = file.query_row(sql, [&waits], |row| row.get(0)).unwrap();
    let mut note: Value = serde_json::from_slice(unpad(&plaintext).unwrap()).unwrap();
    assert!(note.as_object_mut().unwrap().remove("eko:frankingKey").is_some());
    let plaintext = pad(note.to_string().as_bytes()).unwrap();
    file.execute("UPDATE envelopes SET plaintext = ?2 WHERE message = ?1", (&waits, plaintext)).unwrap();
    drop(file);
    line.honest();
    bob.send_message(&waits).await.unwrap();
    bob.send_again(&given_up).await.unwrap();
    world.deliver().await;
    let mut heard = hear(&world, &alice).await;
    heard.sort();
    assert_eq!(heard, ["given up", "waits"]);
    for message in alice.received_messages("").unwrap() {
        let content = message.content;
        assert_eq!(content.warning, None, "{}", content.text);
        assert!(alice.can_report(&content.actor, &content.id).unwrap(), "{}", content.text);
    }
    world.deliver().await;
}

/// A note without a key in an envelope that has a tag cannot be reported, and the user sees that at once.
/// What its author sends under the same id later is not what the user has seen.
#[tokio::test]
async fn a_report_reveals_what_is_shown() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let sessions = ForgingSessions::default();
    let (alice, mallory) =
        (first(&world, &wire, "alice").await, sessions.first(&world, &wire, "mallory").await);
    let id = "urn:uuid:1d2c3b4a-5f6e-4d7c-8b9a-0a1b2c3d4e01";
    let tag: Arc<Mutex<Option<FrankingTag>>> = Arc::default();
    let said = Arc::clone(&tag);
    sessions.forge(move |activity| {
        activity["id"] = json!(id);
        if activity["object"]["content"] == "a threat" {
            activity.as_object_mut().unwrap().remove("eko:frankingKey");
            return;
        }
        let key = FrankingKey::from_base64(activity["eko:frankingKey"].as_str().unwrap()).unwrap();
        *said.lock().unwrap() = Some(franking_tag(&key, &franked_content(activity).unwrap()));
    });
    change_franking(&wire, move |object| {
        if let Some(tag) = *tag.lock().unwrap() {
            object["eko:franking"]["tag"] = json!(tag);
        }
    });
    for words in ["a threat", "hello"] {
        mallory.send(&alice.me(), text(words)).await.unwrap();
        world.deliver().await;
        alice.receive().await.unwrap();
        let found = alice.received_messages("").unwrap();
        assert_eq!((found.len(), found[0].content.text.as_str()), (1, "a threat"));
        let warning = found[0].content.warning.as_deref().unwrap_or_default();
        assert!(warning.contains("cannot be reported"), "{warning}");
        assert!(!alice.can_report(&mallory.me().actor(), id).unwrap());
    }
    world.deliver().await;
}

/// A note of a group that the user has not joined can be reported once it is shown. What is dropped
/// leaves nothing.
#[tokio::test]
async fn what_is_held_is_reported_once_it_is_shown() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let (id, _) = bob.create_group("Friday", &[alice.me()]).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    world.advance(1);
    bob.send_to_group(&id, text("a threat")).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    assert_eq!(alice.received_messages("").unwrap().len(), 0);
    alice.join_group(&id, None).await.unwrap();
    let found = alice.received_messages("").unwrap();
    assert_eq!((found.len(), found[0].content.text.as_str()), (1, "a threat"));
    let reported = alice.report(&bob.me().actor(), &found[0].content.id, None).await.unwrap();
    assert_eq!(reported, Some(ReportOutcome::Accepted));
    assert_eq!(world.flags().await, ["verified"]);
    world.deliver().await;
}
