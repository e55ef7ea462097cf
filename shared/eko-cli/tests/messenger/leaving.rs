//! Tests of departures from groups: a departure that was overtaken is made again, and whoever is
//! added again stays.

use eko_client::group::{GroupId, Proposal};

use crate::friends::{Friends, fail_after, group, key};
use crate::people::TestMessenger;
use crate::test_network::NetworkFault;

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
