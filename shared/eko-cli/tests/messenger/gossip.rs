//! Tests of the heads that activities carry for all members of a conversation: one hash, and the
//! whole view once there is a difference.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use eko_client::content::pad;
use eko_client::group::Proposal;
use eko_client::messenger::{Notice, READ_AGAIN_MINUTES};
use eko_testkit::World;
use serde_json::Value;

use crate::distrust::show_chain;
use crate::forging::ForgingSessions;
use crate::friends::{Friends, hide};
use crate::people::{code_of, device, first, further, hear, know, say, text};
use crate::test_network::{FalseAnswer, TestNetwork};

fn contradicts(notices: &[Notice], by: &str, whose: &str) -> bool {
    notices
        .iter()
        .any(|notice| matches!(notice, Notice::Contradiction { seen_by, of } if seen_by == by && of == whose))
}

/// A server hides a device of Bob's from Dave. Alice knows of it, and neither of the two asks Bob.
#[tokio::test]
async fn the_view_of_a_member_exposes_what_is_hidden_from_another() {
    let friends = Friends::meet().await;
    let id = friends.group().await;
    let (alice, bob, dave) = (&friends.alice, &friends.bob, &friends.dave);
    let lines = TestNetwork::to(&[&friends.world]);
    further(&friends.world, &lines, bob, "two").await;
    alice.verification(&bob.me()).await.unwrap();
    show_chain(&friends.dave_line, |nodes| nodes.truncate(1));
    let mut notices = Vec::new();
    for (from, to) in [(alice, dave), (dave, alice), (alice, dave)] {
        from.send_to_group(&id, text("hello")).await.unwrap();
        friends.world.deliver().await;
        notices = to.receive().await.unwrap().notices;
        friends.world.deliver().await;
    }
    assert!(contradicts(&notices, &alice.me().actor(), &bob.me().actor()), "{notices:?}");

    // The true chain settles it.
    friends.dave_line.honest();
    dave.send_to_group(&id, text("hello")).await.unwrap();
    assert_eq!(dave.verification_kept(&bob.me()).unwrap().unwrap().devices.len(), 2);
    friends.world.deliver().await;
}

/// A difference that stays is no reason to send the whole view with every message.
#[tokio::test]
async fn a_view_is_sent_once() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let sessions = ForgingSessions::default();
    let alice = sessions.first(&world, &wire, "alice").await;
    let bob = first(&world, &his, "bob").await;
    know(&bob, &alice.me()).await;
    let views: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let sent = Arc::clone(&views);
    sessions.forge(move |activity| {
        assert!(activity["eko:deviceSetsHash"].is_string() && activity["eko:signature"].is_string());
        if activity["eko:deviceSets"] != Value::Null {
            sent.lock().unwrap().insert(activity["id"].to_string());
        }
    });
    let two = further(&world, &wire, &bob, "two").await;
    show_chain(&his, |nodes| nodes.truncate(2));
    let (three, _) = device(&world, &wire, "bob", "three").await;
    two.approve(&code_of(&three)).await.unwrap();
    for _ in 0..4 {
        alice.send(&bob.me(), text("hello")).await.unwrap();
        world.deliver().await;
        hear(&world, &bob).await;
        bob.send(&alice.me(), text("hello")).await.unwrap();
        world.deliver().await;
        alice.receive().await.unwrap();
    }
    assert_eq!(views.lock().unwrap().len(), 1);
    world.deliver().await;
}

/// Bob has another state of a group, which Dave has told him of, and then another view of the two of
/// them. What is not told again takes no view with it.
#[tokio::test]
async fn a_view_is_not_used_up_by_what_is_not_sent() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &his, "bob").await);
    let sessions = ForgingSessions::default();
    let dave = sessions.first(&world, &wire, "dave").await;
    say(&bob, &dave.me(), "before").await;
    world.deliver().await;
    dave.receive().await.unwrap();
    dave.accept_contact(&bob.me()).unwrap();
    let (id, _) = alice.create_group("Friday", &[bob.me(), dave.me()]).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    bob.join_group(&id, None).await.unwrap();
    dave.receive().await.unwrap();
    dave.join_group(&id, None).await.unwrap();
    world.deliver().await;
    hide(&his, &bob, &[&alice]);
    // Two entries of one millisecond have no order.
    world.advance(1);
    alice.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    world.deliver().await;
    dave.receive().await.unwrap();
    // Dave tells Bob of the state. Bob's server hides that, too.
    let (from, inbox) = ([alice.me().actor(), dave.me().actor()], "/user/bob/inbox");
    his.tamper(move |passing| {
        let mut page: Value = serde_json::from_slice(passing.answer).ok()?;
        let items = page["orderedItems"].as_array_mut().filter(|_| passing.endpoint == ("GET", inbox))?;
        items.retain(|item| !from.iter().any(|author| item["actor"] == *author));
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    bob.send_to_group(&id, text("is it Friday?")).await.unwrap();
    let sent: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
    let recorded = Arc::clone(&sent);
    sessions.forge(move |activity| {
        let kind = activity["type"].as_str().unwrap_or_default().to_owned();
        recorded.lock().unwrap().push((kind, activity["eko:deviceSets"].is_object()));
    });
    let look = async || {
        world.deliver().await;
        dave.receive().await.unwrap();
        let mut sent = std::mem::take(&mut *sent.lock().unwrap());
        sent.sort();
        sent.dedup();
        sent
    };
    let (receipt, announce) = ("Delivered".to_owned(), "Announce".to_owned());
    assert_eq!(look().await, [(announce, false), (receipt.clone(), false)]);
    world.advance(READ_AGAIN_MINUTES * 60_000);
    further(&world, &wire, &bob, "two").await;
    say(&bob, &dave.me(), "I have two devices").await;
    world.advance(1);
    bob.send_to_group(&id, text("is it still Friday?")).await.unwrap();
    assert_eq!(look().await, [(receipt, true)]);
    world.deliver().await;
}

/// The own name in somebody's view is a reason to read the own chain, and proves nothing.
#[tokio::test]
async fn a_lie_about_others_stops_nobody() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    say(&alice, &bob.me(), "before").await;
    alice.create_group("Friday", &[bob.me(), mallory.me()]).await.unwrap();
    let (hers, his) = (alice.me().actor(), bob.me().actor());
    let (a, b) = (hers.clone(), his.clone());
    sessions.forge(move |activity| {
        let set = serde_json::json!({ "length": 7, "head": "ab".repeat(32) });
        activity["eko:deviceSets"] = serde_json::json!({ &a: set, &b: set });
    });
    let read = || wire.asked.lock().unwrap().iter().filter(|url| url.ends_with("/devices")).count();
    let mut counts = Vec::new();
    for _ in 0..3 {
        mallory.send(&alice.me(), text("they have seven")).await.unwrap();
        world.deliver().await;
        let before = read();
        let notices = alice.receive().await.unwrap().notices;
        counts.push(read() - before);
        let is_first = counts.len() == 1;
        assert_eq!(contradicts(&notices, &mallory.me().actor(), &his), is_first, "{notices:?}");
        assert_eq!(contradicts(&notices, &mallory.me().actor(), &hers), is_first, "{notices:?}");
    }
    assert_eq!(counts, [2, 0, 0], "each chain is read once in ten minutes");
    say(&alice, &bob.me(), "nevertheless").await;
    world.deliver().await;
}

/// Mallory is in no conversation with Bob that Alice is in, so Mallory has nothing to say about him.
#[tokio::test]
async fn a_view_of_somebody_in_no_common_conversation_counts_for_nothing() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    say(&alice, &bob.me(), "before").await;
    say(&alice, &mallory.me(), "before").await;
    let his = bob.me().actor();
    sessions.forge(move |activity| {
        activity["eko:deviceSets"] = serde_json::json!({ &his: { "length": 7, "head": "ab".repeat(32) } });
    });
    mallory.send(&alice.me(), text("he has seven")).await.unwrap();
    world.deliver().await;
    let before = wire.asked.lock().unwrap().len();
    let notices = alice.receive().await.unwrap().notices;
    assert!(!contradicts(&notices, &mallory.me().actor(), &bob.me().actor()), "{notices:?}");
    let asked = wire.asked.lock().unwrap().split_off(before);
    assert!(!asked.iter().any(|url| url.ends_with("/user/bob/devices")), "{asked:?}");
    world.deliver().await;
}

/// A server sees the lengths of ciphertexts. They do not tell how many members a conversation has.
#[tokio::test]
async fn a_message_is_as_long_in_every_conversation() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let sessions = ForgingSessions::default();
    let alice = sessions.first(&world, &wire, "alice").await;
    let mut others = Vec::new();
    for number in 0..9 {
        others.push(first(&world, &wire, &format!("friend{number}")).await.me());
    }
    let trio = alice.create_group("Three", &others[..2]).await.unwrap().0;
    let ten = alice.create_group("Ten of us", &others).await.unwrap().0;
    let lengths: Arc<Mutex<Vec<usize>>> = Arc::default();
    let sent = Arc::clone(&lengths);
    sessions.forge(move |activity| {
        assert!(activity["eko:deviceSetsHash"].is_string() && activity["eko:deviceSets"].is_null());
        sent.lock().unwrap().push(pad(activity.to_string().as_bytes()).unwrap().len());
    });
    // A group's name and master key are in no note, and few texts are longer than this one.
    let words = "x".repeat(500);
    alice.send(&others[0], text(&words)).await.unwrap();
    alice.send_to_group(&trio, text(&words)).await.unwrap();
    alice.send_to_group(&ten, text("well")).await.unwrap();
    assert_eq!(*lengths.lock().unwrap(), [1_536; 1 + 2 + 9]);
    world.deliver().await;
}

/// Two members tell of ten others. Their servers are not all asked in one look.
#[tokio::test]
async fn views_have_few_chains_read_in_one_look() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let alice = first(&world, &hers, "alice").await;
    let mut members = Vec::new();
    for number in 0..10 {
        members.push(first(&world, &wire, &format!("friend{number}")).await.me());
    }
    let gossips = [(); 2].map(|()| ForgingSessions::default());
    let mut tellers = Vec::new();
    for (number, sessions) in gossips.iter().enumerate() {
        tellers.push(sessions.first(&world, &wire, &format!("teller{number}")).await);
    }
    let others: Vec<_> = members.iter().cloned().chain(tellers.iter().map(|teller| teller.me())).collect();
    alice.create_group("Friday", &others).await.unwrap();
    for ((sessions, teller), of) in gossips.iter().zip(&tellers).zip(members.chunks(5)) {
        let of: Vec<String> = of.iter().map(|member| member.actor()).collect();
        sessions.forge(move |activity| {
            let set = serde_json::json!({ "length": 7, "head": "ab".repeat(32) });
            activity["eko:deviceSets"] = of.iter().map(|actor| (actor.clone(), set.clone())).collect();
        });
        teller.send(&alice.me(), text("they have seven")).await.unwrap();
    }
    world.deliver().await;
    let is_chain = |url: &&String| url.contains("/user/friend") && url.ends_with("/devices");
    for expected in [8, 2, 0] {
        hers.asked.lock().unwrap().clear();
        alice.receive().await.unwrap();
        assert_eq!(hers.asked.lock().unwrap().iter().filter(is_chain).count(), expected);
    }
    world.deliver().await;
}
