//! Tests of messages that never come, and of what both sides are shown of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eko_client::messenger::Notice;
use eko_client::store::EnvelopeState;
use eko_testkit::World;
use serde_json::{Value, json};

use crate::forging::ForgingSessions;
use crate::people::{TestMessenger, befriend, first, hear, say, text};
use crate::receipts::{pretend, state};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Returns the texts of all messages, each with the number of messages that are missing before it.
fn conversation(client: &TestMessenger) -> Vec<(String, u64)> {
    let history = client.history(None, 100).unwrap();
    history.into_iter().map(|message| (message.content.text, message.missing_before)).collect()
}

fn told(texts: &[(&str, u64)]) -> Vec<(String, u64)> {
    texts.iter().map(|(text, missing)| ((*text).to_owned(), *missing)).collect()
}

#[tokio::test]
async fn a_dropped_message_is_missed_by_both_sides() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["one"]);
    let two = say(&alice, &bob.me(), "two").await;
    world.deliver().await;
    world.advance(1);
    let three = say(&alice, &bob.me(), "three").await;
    world.deliver().await;
    // The server drops the second message, and tells Alice that it was delivered.
    pretend(&bob, &two.envelopes[0].id).await;
    assert_eq!(hear(&world, &bob).await, ["three"]);
    assert_eq!(conversation(&bob), told(&[("one", 0), ("three", 1)]));
    // The next look tells her.
    hear(&world, &bob).await;
    world.deliver().await;
    let notices = alice.receive().await.unwrap().notices;
    let missed = Notice::Missed { actor: bob.me().actor(), ids: vec![two.id.clone()] };
    assert_eq!(notices.iter().filter(|notice| **notice == missed).count(), 1, "{notices:?}");
    assert_eq!(state(&alice, &two.id), EnvelopeState::Accepted);
    assert_eq!(state(&alice, &three.id), EnvelopeState::Delivered);
    let reason = alice.sent(&two.id).unwrap().envelopes[0].reason.clone().unwrap();
    assert!(reason.contains("not received"), "{reason}");
    // She is told once.
    hear(&world, &bob).await;
    world.deliver().await;
    assert_eq!(alice.receive().await.unwrap().notices, []);
}

#[tokio::test]
async fn a_message_that_comes_late_is_missing_no_more() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    hear(&world, &bob).await;
    let late = [say(&alice, &bob.me(), "two").await, say(&alice, &bob.me(), "three").await];
    say(&alice, &bob.me(), "four").await;
    world.deliver().await;
    // The server holds the second and the third message back.
    let held = late.clone().map(|sent| sent.envelopes[0].id.to_string());
    let back = Arc::new(AtomicBool::new(false));
    let is_back = Arc::clone(&back);
    his.tamper(move |passing| {
        if passing.endpoint != ("GET", "/user/bob/inbox") {
            return None;
        }
        let mut page: Value = serde_json::from_slice(passing.answer).ok()?;
        let is_held = |entry: &Value| held.iter().position(|id| entry["object"]["id"] == *id);
        let until = if is_back.load(Ordering::SeqCst) { 1 } else { 0 };
        page["orderedItems"].as_array_mut()?.retain(|entry| is_held(entry).is_none_or(|n| n < until));
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    assert_eq!(hear(&world, &bob).await, ["four"]);
    assert_eq!(conversation(&bob), told(&[("one", 0), ("four", 2)]));
    back.store(true, Ordering::SeqCst);
    assert_eq!(hear(&world, &bob).await, ["two"]);
    assert_eq!(conversation(&bob), told(&[("one", 0), ("four", 1), ("two", 0)]));
    his.honest();
    assert_eq!(hear(&world, &bob).await, ["three"]);
    assert_eq!(conversation(&bob), told(&[("one", 0), ("four", 0), ("two", 0), ("three", 0)]));
    hear(&world, &bob).await;
    world.deliver().await;
    hear(&world, &alice).await;
    for sent in late {
        assert_eq!(state(&alice, &sent.id), EnvelopeState::Delivered);
        assert_eq!(alice.sent(&sent.id).unwrap().envelopes[0].reason, None);
    }
    world.deliver().await;
}

/// Mallory names messages to Bob, numbers that Alice never used, and those of another device of hers.
#[tokio::test]
async fn nobody_misses_what_was_not_for_them() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    say(&alice, &mallory.me(), "hello, Mallory").await;
    let sent = say(&alice, &bob.me(), "for Bob").await;
    let (device, his, hers) = (alice.device().address(), bob.me().actor(), mallory.me().actor());
    let another = format!("{}/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11", alice.me().actor());
    sessions.forge(move |activity| {
        activity["type"] = json!("Delivered");
        activity["object"] = json!([]);
        activity["eko:missing"] = json!([
            { "device": device, "conversation": his, "sequence": [1] },
            { "device": device, "conversation": hers, "sequence": [2, 9_007_199_254_740_991_i64] },
            { "device": another, "conversation": hers, "sequence": [1] },
        ]);
    });
    mallory.send(&alice.me(), text("I miss it")).await.unwrap();
    world.deliver().await;
    assert_eq!(alice.receive().await.unwrap().notices, []);
    assert_eq!(alice.sent(&sent.id).unwrap().envelopes[0].reason, None);
    hear(&world, &bob).await;
    world.deliver().await;
}
