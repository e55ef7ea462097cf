//! Tests of messages that never come, and of what both sides are shown of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eko_client::group::Proposal;
use eko_client::messenger::Notice;
use eko_client::store::EnvelopeState;
use eko_protocol::block::BlockedParty;
use eko_testkit::World;
use serde_json::{Value, json};

use crate::forging::ForgingSessions;
use crate::friends::Friends;
use crate::people::{TestMessenger, befriend, first, further, hear, say, text};
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
    assert_eq!(conversation(&bob), told(&[("one", 0), ("two", 0), ("four", 1)]));
    his.honest();
    assert_eq!(hear(&world, &bob).await, ["three"]);
    assert_eq!(conversation(&bob), told(&[("one", 0), ("two", 0), ("three", 0), ("four", 0)]));
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

fn is_missed(notice: &Notice) -> bool {
    matches!(notice, Notice::Missed { .. })
}

/// Mallory is blocked for a time, and told neither that nor that a server loses messages. What was lost
/// before is reported.
#[tokio::test]
async fn what_a_block_drops_is_not_missing_on_any_device() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, mallory) = (first(&world, &wire, "alice").await, first(&world, &wire, "mallory").await);
    befriend(&alice, &mallory).await;
    let phone = further(&world, &wire, &alice, "phone").await;
    world.deliver().await;
    let (id, _) = mallory.create_group("Friday", &[alice.me()]).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    alice.join_group(&id, None).await.unwrap();
    let everybody = async || {
        world.deliver().await;
        for device in [&alice, &phone] {
            hear(&world, device).await;
        }
        world.deliver().await;
        let notices = mallory.receive().await.unwrap().notices;
        world.deliver().await;
        notices
    };
    for _ in 0..3 {
        everybody().await;
    }
    let says = async |words: &str| {
        mallory.send_to_group(&id, text(words)).await.unwrap();
        let sent = say(&mallory, &alice.me(), words).await;
        world.deliver().await;
        world.advance(1_000);
        sent
    };
    says("one").await;
    everybody().await;
    // A server drops a message before the block.
    let lost = says("lost").await;
    for device in [&alice, &phone] {
        let of_mallory = lost.envelopes.iter().find(|it| it.recipient == alice.me().actor()).unwrap();
        pretend(device, &of_mallory.id).await;
    }
    says("two").await;
    hear(&world, &alice).await;
    hear(&world, &phone).await;
    world.deliver().await;
    let party = BlockedParty::Actor(mallory.me().actor());
    alice.change_block(&party, false).await.unwrap();
    world.deliver().await;
    phone.receive().await.unwrap();
    says("dropped").await;
    says("dropped, too").await;
    let mut notices = everybody().await;
    alice.change_block(&party, true).await.unwrap();
    world.advance(1);
    // The phone hears of the end of the block with what comes after it.
    says("and now?").await;
    world.deliver().await;
    assert_eq!(hear(&world, &phone).await, ["and now?", "and now?"]);
    for _ in 0..2 {
        notices.extend(everybody().await);
    }
    notices.retain(is_missed);
    let missed = Notice::Missed { actor: alice.me().actor(), ids: vec![lost.id] };
    assert!(!notices.is_empty() && notices.iter().all(|notice| *notice == missed), "{notices:?}");
    let missing = |device: &TestMessenger| {
        let all = conversation(device).into_iter();
        all.filter(|(_, missing)| *missing > 0).map(|(text, _)| text).collect::<Vec<_>>()
    };
    assert_eq!([missing(&alice), missing(&phone)], [["two"], ["two"]]);
    everybody().await;
}

/// Bob is out of the group for a time, of which nobody tells him. He misses nothing of what was said then, and
/// nobody is told that he does.
#[tokio::test]
async fn what_a_group_says_without_a_member_is_not_missing() {
    let friends = Friends::meet().await;
    let Friends { alice, bob, carol, world, .. } = &friends;
    let id = friends.group().await;
    let settle = async || {
        for client in [friends.everybody(); 3].concat() {
            friends.look(client).await;
            world.advance(6_000);
        }
    };
    let say = async |client: &TestMessenger, words: &str| {
        client.send_to_group(&id, text(words)).await.unwrap();
        settle().await;
    };
    say(alice, "all of us").await;
    say(bob, "here I am").await;
    let members = std::collections::BTreeSet::from([bob.me().actor()]);
    alice.change_group(&id, Proposal::Remove(members.clone())).await.unwrap();
    settle().await;
    say(alice, "without Bob").await;
    say(carol, "as I").await;
    alice.change_group(&id, Proposal::Add(members)).await.unwrap();
    settle().await;
    if bob.groups().unwrap().iter().all(|group| !group.member) {
        bob.join_group(&id, None).await.unwrap();
    }
    settle().await;
    alice.send_to_group(&id, text("with Bob")).await.unwrap();
    carol.send_to_group(&id, text("welcome")).await.unwrap();
    let mut notices = Vec::new();
    for client in [friends.everybody(); 3].concat() {
        world.deliver().await;
        notices.extend(client.receive().await.unwrap().notices);
        world.advance(6_000);
    }
    assert!(!notices.iter().any(is_missed), "{notices:?}");
    let heard = conversation(bob);
    assert!(heard.iter().all(|(_, missing)| *missing == 0), "{heard:?}");
    let mut said: Vec<_> = heard.iter().skip(2).map(|(text, _)| text.as_str()).collect();
    said.sort_unstable();
    assert_eq!(said, ["welcome", "with Bob"]);
    world.deliver().await;
}
