//! Tests of departures from groups: a departure that was overtaken is made again, and whoever is
//! added again stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use eko_client::group::{GroupId, LATE_NOTES_MS, Proposal};
use eko_client::store::HeldReason;
use serde_json::Value;

use crate::friends::{Friends, fail_after, group, key};
use crate::people::{TestMessenger, further, text};
use crate::test_network::{FalseAnswer, NetworkFault};

/// Lets everybody look until nothing more comes of it.
async fn settle(friends: &Friends) {
    for client in [friends.everybody(); 3].concat() {
        friends.look(client).await;
    }
}

/// Bob and Carol leave at once. These look first, in this order.
async fn leave_both(friends: &Friends, id: &GroupId, first: [&TestMessenger; 2]) {
    for client in [&friends.bob, &friends.carol] {
        client.change_group(id, Proposal::Leave).await.unwrap();
    }
    for client in first {
        friends.look(client).await;
    }
    settle(friends).await;
}

#[tokio::test]
async fn two_who_leave_at_once_are_both_out() {
    let friends = Friends::meet().await;
    let (alice, dave) = (&friends.alice, &friends.dave);
    // Which of the two controls wins is random. With several groups both cases occur.
    let (mut bob_won, groups) = (0, 8);
    for round in 0..groups {
        let id = friends.group().await;
        let old = key(&friends.bob, &id);
        // Either an admin renews the key before the second departure, or after both.
        let first = if round % 2 == 0 { [alice, dave] } else { [&friends.bob, &friends.carol] };
        leave_both(&friends, &id, first).await;
        friends.assert_renewed(&[alice, dave], &id, &old).await;
        let end = group(alice, &id).state;
        assert_eq!(*end.members(), [alice, dave].map(|client| client.me().actor()).into());
        for client in [&friends.bob, &friends.carol] {
            let group = group(client, &id);
            assert!(!group.member);
            assert_ne!(group.state.master_key(), end.master_key());
        }
        let [bob, carol] = [&friends.bob, &friends.carol].map(|client| group(client, &id).state.epoch());
        assert_ne!(bob, carol, "one of them has left twice");
        bob_won += usize::from(bob < carol);
    }
    assert!((1..groups).contains(&bob_won), "{bob_won}");
}

#[tokio::test]
async fn who_left_and_was_added_again_stays() {
    let friends = Friends::meet().await;
    let id = friends.group().await;
    leave_both(&friends, &id, [&friends.alice, &friends.dave]).await;
    assert!([&friends.bob, &friends.carol].iter().all(|client| !group(client, &id).member));
    let both = [&friends.bob, &friends.carol].map(|client| client.me().actor());
    friends.dave.change_group(&id, Proposal::Add(both.into())).await.unwrap();
    settle(&friends).await;
    for client in [&friends.bob, &friends.carol] {
        client.join_group(&id, None).await.unwrap();
    }
    settle(&friends).await;
    let end = group(&friends.alice, &id).state;
    for client in friends.everybody() {
        let group = group(client, &id);
        assert!(group.member && group.state == end);
    }
    // The next departure is one like the first.
    friends.bob.change_group(&id, Proposal::Leave).await.unwrap();
    settle(&friends).await;
    friends.assert_renewed(&[&friends.alice, &friends.carol, &friends.dave], &id, end.master_key()).await;
    assert!(!group(&friends.bob, &id).member);
}

#[tokio::test]
async fn who_is_overtaken_leaves_again_after_failures_and_restarts() {
    let friends = Friends::meet().await;
    let world = &friends.world;
    let (user, mut erin) = friends.restarting_user("erin").await;
    // The look is cut off after the control that won was read, after it was acknowledged, and while
    // the second departure is being sent.
    for good in 1..4 {
        let id = loop {
            let members = [erin.me(), friends.bob.me(), friends.carol.me()];
            let (id, _) = friends.alice.create_group("Friday", &members).await.unwrap();
            friends.join(&id, &[&erin, &friends.bob, &friends.carol]).await;
            friends.look(&erin).await;
            for client in [&erin, &friends.bob] {
                client.change_group(&id, Proposal::Leave).await.unwrap();
            }
            // Nobody has read of the other's departure yet.
            if group(&friends.bob, &id).state.hash() < group(&erin, &id).state.hash() {
                break id;
            }
            for client in [&friends.alice, &friends.bob, &erin, &friends.alice, &friends.carol] {
                friends.look(client).await;
            }
        };
        let old = key(&friends.bob, &id);
        world.deliver().await;
        fail_after(&user.line, good, NetworkFault::LostRequest);
        // What the failure is does not matter here.
        let _ = erin.receive().await;
        drop(erin);
        user.line.honest();
        erin = user.open();
        if let Some(due_ms) = erin.next_due_ms().unwrap() {
            world.advance(due_ms - world.now_ms());
        }
        friends.look(&erin).await;
        assert!(!group(&erin, &id).member);
        friends.assert_renewed(&[&friends.alice, &friends.carol], &id, &old).await;
        let end = group(&friends.alice, &id).state;
        assert_eq!(*end.members(), [&friends.alice, &friends.carol].map(|client| client.me().actor()).into());
        assert_ne!(key(&erin, &id), *end.master_key());
    }
}

/// Withholds from Dave what Bob's device has sent until this is set, until [`TestNetwork::honest`].
fn withhold_from_dave(friends: &Friends) -> Arc<AtomicBool> {
    let (is_over, withheld) = (Arc::new(AtomicBool::new(false)), Mutex::new(Vec::new()));
    let (lets_through, bob) = (Arc::clone(&is_over), friends.bob.me().actor());
    friends.dave_line.tamper(move |passing| {
        if passing.endpoint != ("GET", "/user/dave/inbox") {
            return None;
        }
        let mut page: Value = serde_json::from_slice(passing.answer).unwrap();
        let mut withheld = withheld.lock().unwrap();
        page["orderedItems"].as_array_mut().unwrap().retain(|item| {
            if item["actor"] == *bob && !lets_through.load(Ordering::Relaxed) {
                withheld.push(item["id"].to_string());
            }
            !withheld.contains(&item["id"].to_string())
        });
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    is_over
}

/// Returns what Dave hears in a group, and whether there is a warning.
async fn heard_by_dave(friends: &Friends, id: &GroupId) -> Vec<(String, bool)> {
    friends.world.deliver().await;
    let messages = friends.dave.receive().await.unwrap().messages.into_iter();
    let mut heard = Vec::new();
    for message in messages.filter(|message| message.content.conversation == id.as_str()) {
        friends.dave.note_shown(message.position).unwrap();
        heard.push((message.content.text, message.content.warning.is_some()));
    }
    heard
}

/// Bob's message was there before he left, and his server shows it afterwards.
#[tokio::test]
async fn what_a_member_wrote_before_leaving_counts_whenever_it_is_read() {
    let friends = Friends::meet().await;
    let Friends { world, dave_line, bob, dave, .. } = &friends;
    let id = friends.group().await;
    let is_over = withhold_from_dave(&friends);
    bob.send_to_group(&id, text("before")).await.unwrap();
    friends.look(dave).await;
    is_over.store(true, Ordering::Relaxed);
    world.advance(1_000);
    bob.change_group(&id, Proposal::Leave).await.unwrap();
    friends.look(dave).await;
    assert!(!group(dave, &id).state.members().contains(&bob.me().actor()));
    dave_line.honest();
    assert_eq!(heard_by_dave(&friends, &id).await, [("before".to_owned(), false)]);
    world.deliver().await;
}

/// Bob has left, is added again, and is removed: on a device that knows nothing of it he names the state of then.
#[tokio::test]
async fn a_departure_counts_no_more_once_its_author_was_removed() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, dave, .. } = &friends;
    let other = further(world, line, bob, "two").await;
    let id = friends.group().await;
    friends.look(&other).await;
    bob.change_group(&id, Proposal::Leave).await.unwrap();
    for change in [Proposal::Add([bob.me().actor()].into()), Proposal::Remove([bob.me().actor()].into())] {
        friends.look(alice).await;
        friends.look(dave).await;
        world.advance(1_000);
        alice.change_group(&id, change).await.unwrap();
    }
    friends.look(dave).await;
    other.send_to_group(&id, text("hello")).await.unwrap();
    assert_eq!(heard_by_dave(&friends, &id).await, []);
}

/// Bob leaves on one device, or is removed, and writes on another one that does not know it yet.
#[tokio::test]
async fn what_a_former_member_writes_is_not_lost() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, dave, .. } = &friends;
    let other = further(world, line, bob, "two").await;
    let whom = || [bob.me().actor()].into();
    for (has_left, late_ms) in [(true, 60_000), (true, LATE_NOTES_MS + 60_000), (false, 0)] {
        let id = friends.group().await;
        friends.look(&other).await;
        world.advance(1_000);
        match has_left {
            true => bob.change_group(&id, Proposal::Leave).await.unwrap(),
            false => alice.change_group(&id, Proposal::Remove(whom())).await.unwrap(),
        };
        friends.look(dave).await;
        world.advance(late_ms);
        other.send_to_group(&id, text("hello")).await.unwrap();
        if has_left && late_ms < LATE_NOTES_MS {
            assert_eq!(heard_by_dave(&friends, &id).await, [("hello".to_owned(), true)], "with a warning");
        } else {
            assert_eq!(heard_by_dave(&friends, &id).await, []);
            let held: Vec<_> = dave.held().unwrap().into_iter().map(|held| (held.actor, held.why)).collect();
            assert_eq!(held, [(bob.me().actor(), HeldReason::NotMember)]);
            friends.look(alice).await;
            alice.change_group(&id, Proposal::Add(whom())).await.unwrap();
            assert_eq!(heard_by_dave(&friends, &id).await, [("hello".to_owned(), false)]);
            assert_eq!(dave.held().unwrap(), []);
        }
        settle(&friends).await;
        friends.look(&other).await;
    }
    world.deliver().await;
}
