//! Tests of removals that meet other changes of a group.

use std::collections::BTreeSet;

use eko_client::group::{
    GroupChange, GroupDifference, GroupId, GroupParts, GroupState, LeaveDecision, Proposal, Remedy,
};
use eko_client::messenger::{GroupEvent, Notice, Severity};

use crate::controls::{control, send_control};
use crate::friends::{Friends, group, key};
use crate::lineages::Scene;
use crate::people::TestMessenger;

/// Texts about a change of this user that was undone.
type Undone = (GroupChange, Remedy, GroupDifference);

/// Looks into a mailbox, and returns what is undone of this user's changes.
async fn look(friends: &Friends, client: &TestMessenger) -> Vec<Undone> {
    friends.world.deliver().await;
    let undone = |notice| match notice {
        Notice::Group { event: GroupEvent::Undone { change, remedy, .. }, difference, .. } => {
            Some((change, remedy, difference))
        }
        _ => None,
    };
    client.receive().await.unwrap().notices.into_iter().filter_map(undone).collect()
}

async fn settle(friends: &Friends) {
    for client in [friends.everybody(); 3].concat() {
        look(friends, client).await;
    }
}

fn actors<const N: usize>(clients: [&TestMessenger; N]) -> BTreeSet<String> {
    clients.map(|client| client.me().actor()).into()
}

fn assert_members<const N: usize>(members: [&TestMessenger; N], id: &GroupId) {
    for client in members {
        let group = group(client, id);
        assert_eq!(group.state.members(), &actors(members));
        assert!(group.member);
    }
}

/// Dave renames the group without having looked. Whether his hash is lower is a matter of luck, so
/// several groups are tried.
#[tokio::test]
async fn a_rename_does_not_undo_a_removal() {
    let friends = Friends::meet().await;
    let Friends { alice, bob, carol, dave, .. } = &friends;
    let (mut lower, groups) = (0, 6);
    for _ in 0..groups {
        let id = friends.group().await;
        let old = key(alice, &id);
        alice.change_group(&id, Proposal::Remove(actors([carol]))).await.unwrap();
        dave.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
        lower += usize::from(group(dave, &id).state.hash() < group(alice, &id).state.hash());
        // Dave is told what does not hold, and nobody else is told of a change of theirs.
        let lost = GroupDifference {
            name: Some("Saturday".to_owned()),
            former_name: Some("Friday".to_owned()),
            ..GroupDifference::default()
        };
        assert_eq!(look(&friends, dave).await, [(GroupChange::Renamed, Remedy::ByUser, lost)]);
        for client in [alice, bob, carol] {
            assert_eq!(look(&friends, client).await, []);
        }
        settle(&friends).await;
        assert_members([alice, bob, dave], &id);
        assert_ne!(key(alice, &id), old);
    }
    assert!((1..groups).contains(&lower), "{lower}");
}

#[tokio::test]
async fn of_two_removals_at_once_both_count_in_the_end() {
    let friends = Friends::meet().await;
    let Friends { alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    alice.change_group(&id, Proposal::Remove(actors([carol]))).await.unwrap();
    dave.change_group(&id, Proposal::Remove(actors([bob]))).await.unwrap();
    let alice_wins = group(alice, &id).state.hash() < group(dave, &id).state.hash();
    let (winner, loser, gone) = if alice_wins { (alice, dave, bob) } else { (dave, alice, carol) };
    let lost = GroupDifference { removed: actors([gone]), ..GroupDifference::default() };
    assert_eq!(look(&friends, winner).await, []);
    assert_eq!(look(&friends, loser).await, [(GroupChange::Removed, Remedy::Again, lost)]);
    settle(&friends).await;
    assert_members([alice, dave], &id);
    assert_eq!(key(alice, &id), key(dave, &id));
    friends.world.deliver().await;
}

/// Dave makes two changes without having looked, so his history is the longer one.
#[tokio::test]
async fn a_removal_that_a_longer_history_undoes_is_made_again() {
    let friends = Friends::meet().await;
    let Friends { alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    alice.change_group(&id, Proposal::Remove(actors([carol]))).await.unwrap();
    for name in ["Saturday", "Sunday"] {
        dave.change_group(&id, Proposal::Rename(name.to_owned())).await.unwrap();
    }
    let lost = GroupDifference { removed: actors([carol]), ..GroupDifference::default() };
    assert_eq!(look(&friends, alice).await, [(GroupChange::Removed, Remedy::Again, lost)]);
    settle(&friends).await;
    assert_members([alice, bob, dave], &id);
    assert_eq!(group(alice, &id).state.name(), "Sunday");
    friends.world.deliver().await;
}

/// Mallory leads Dave, who is an admin, 20 epochs ahead before Alice removes her. Pat leaves there, so
/// that Dave's device renews the key by itself, and tells everybody.
#[tokio::test]
async fn a_removal_that_an_admin_undoes_who_was_led_away_is_made_again() {
    let scene = Scene::begin().await;
    let Scene { world, wire, sessions, alice, bob, dave, mallory, id, .. } = &scene;
    let pat = sessions.first(world, wire, "pat").await;
    alice.change_group(id, Proposal::Promote(actors([dave]))).await.unwrap();
    for client in [alice, bob, dave] {
        scene.look(client).await;
    }
    let base = group(alice, id).state;
    let after = |state: &GroupState, epochs, change: &dyn Fn(&mut GroupParts)| {
        let mut parts = GroupParts { epoch: state.epoch() + epochs, ..state.parts().clone() };
        change(&mut parts);
        GroupState::new(parts).unwrap()
    };
    let before = after(&base, 20, &|_| {});
    let far = after(&before, 1, &|parts| {
        parts.name = "Saturday".to_owned();
        parts.members.insert(pat.me().actor());
    });
    scene.send(&control(mallory, GroupChange::Renamed, Some(&before), &far), dave).await;
    let gone = after(&far, 1, &|parts| {
        parts.members.remove(&pat.me().actor());
    });
    let left = control(&pat, GroupChange::Left, Some(&far), &gone);
    send_control(sessions, &pat, &dave.me(), &left).await;
    // What comes in one millisecond is in no order.
    world.advance(1);
    alice.change_group(id, Proposal::Remove([mallory.me().actor()].into())).await.unwrap();
    scene.look(bob).await;
    scene.look(dave).await;
    assert!(group(dave, id).state.epoch() > base.epoch() + 20);
    let told = scene.look(alice).await;
    let lost = GroupDifference { removed: [mallory.me().actor()].into(), ..GroupDifference::default() };
    let undone = GroupEvent::Undone { change: GroupChange::Removed, remedy: Remedy::Again, holds: None };
    // Mallory's change, which Dave forwards, or Dave's own comes first.
    let is_told = told.iter().any(|(_, event, difference)| *event == undone && *difference == lost);
    assert!(is_told, "{told:#?}");
    for client in [bob, dave, alice] {
        scene.look(client).await;
    }
    for client in [alice, bob, dave] {
        assert_eq!(group(client, id).state.members(), &actors([alice, bob, dave]));
    }
    world.deliver().await;
    mallory.receive().await.unwrap();
    pat.receive().await.unwrap();
    world.deliver().await;
}

/// Both admins leave at once. The one who loses is the only admin, and is told so.
#[tokio::test]
async fn who_became_the_last_admin_is_told() {
    let friends = Friends::meet().await;
    let Friends { alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    for client in [alice, dave] {
        client.change_group(&id, Proposal::Leave).await.unwrap();
    }
    let alice_wins = group(alice, &id).state.hash() < group(dave, &id).state.hash();
    let loser = if alice_wins { dave } else { alice };
    let lost = GroupDifference { removed: actors([loser]), ..GroupDifference::default() };
    assert_eq!(look(&friends, loser).await, [(GroupChange::Left, Remedy::AnotherAdmin, lost)]);
    assert_eq!(group(loser, &id).leaves, LeaveDecision::LastAdmin);
    settle(&friends).await;
    assert_members([bob, carol, loser], &id);
    loser.change_group(&id, Proposal::Promote(actors([bob]))).await.unwrap();
    settle(&friends).await;
    assert_members([bob, carol], &id);
    assert!(!group(loser, &id).member);
    friends.world.deliver().await;
}

/// The loser is told once of both changes, and it is no warning: nobody has undone anything.
#[tokio::test]
async fn two_renames_at_once_are_told_in_one_notice() {
    let friends = Friends::meet().await;
    let Friends { world, alice, dave, .. } = &friends;
    let id = friends.group().await;
    for (client, name) in [(alice, "Saturday"), (dave, "Sunday")] {
        client.change_group(&id, Proposal::Rename(name.to_owned())).await.unwrap();
    }
    let alice_wins = group(alice, &id).state.hash() < group(dave, &id).state.hash();
    let (loser, won, lost) =
        if alice_wins { (dave, "Saturday", "Sunday") } else { (alice, "Sunday", "Saturday") };
    let renamed = |name: &str| GroupDifference {
        name: Some(name.to_owned()),
        former_name: Some("Friday".to_owned()),
        ..GroupDifference::default()
    };
    world.deliver().await;
    let notices = loser.receive().await.unwrap().notices;
    let told: Vec<_> = notices.iter().filter(|it| matches!(it, Notice::Group { .. })).collect();
    let [Notice::Group { event: GroupEvent::Undone { holds, .. }, difference, .. }] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((holds, difference), (&Some(renamed(won)), &renamed(lost)));
    assert_eq!(told[0].severity(), Severity::Attention);
    settle(&friends).await;
    world.deliver().await;
}

/// The process that learns of it ends before anything is shown.
#[tokio::test]
async fn what_was_undone_is_told_of_by_the_next_process() {
    let friends = Friends::meet().await;
    let Friends { world, alice, bob, carol, .. } = &friends;
    let (user, erin) = friends.restarting_user("erin").await;
    let (id, _) = erin.create_group("Friday", &[alice.me(), bob.me(), carol.me()]).await.unwrap();
    friends.join(&id, &[alice, bob, carol]).await;
    erin.change_group(&id, Proposal::Promote(actors([alice]))).await.unwrap();
    settle(&friends).await;
    erin.receive().await.unwrap();
    alice.change_group(&id, Proposal::Remove(actors([carol]))).await.unwrap();
    erin.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    drop(erin);
    world.deliver().await;
    user.open().receive().await.unwrap();
    for told in [1, 0] {
        let erin = user.open();
        let mut notices = erin.receive().await.unwrap().notices;
        notices.retain(|it| matches!(it, Notice::Group { event: GroupEvent::Undone { .. }, .. }));
        assert_eq!(notices.len(), told, "{notices:?}");
        for notice in &notices {
            let Notice::Group { id: of, by, event, difference } = notice else { panic!("{notice:?}") };
            assert_eq!((of, by), (&id, &alice.me().actor()));
            let GroupEvent::Undone { change, remedy, holds } = event else { panic!("{event:?}") };
            assert_eq!((*change, *remedy), (GroupChange::Renamed, Remedy::ByUser));
            assert_eq!(holds.as_ref().unwrap().removed, actors([carol]));
            assert_eq!(difference.name.as_deref(), Some("Saturday"));
            erin.note_told(notice).unwrap();
        }
    }
    settle(&friends).await;
    world.deliver().await;
}
