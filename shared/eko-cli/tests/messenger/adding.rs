//! Tests of additions that meet other changes of a group.

use eko_client::group::{GroupChange, GroupDifference, Proposal, Remedy};
use eko_client::messenger::{GroupEvent, Notice, Severity};

use crate::friends::{Friends, group};
use crate::people::{TestMessenger, first, hear, text};

/// Looks into a mailbox, and returns the events of groups with what they are about. What is sent
/// meanwhile is accepted later than all before, and comes after it.
async fn look(friends: &Friends, client: &TestMessenger) -> Vec<(GroupEvent, GroupDifference)> {
    friends.world.advance(1);
    friends.world.deliver().await;
    let told = |notice| match notice {
        Notice::Group { event: GroupEvent::Joined | GroupEvent::Held(_), .. } => None,
        Notice::Group { event, difference, .. } => Some((event, difference)),
        _ => None,
    };
    client.receive().await.unwrap().notices.into_iter().filter_map(told).collect()
}

/// Alice adds Erin while Dave removes Carol. Erin has the invitation, and may have joined by it.
#[tokio::test]
async fn an_addition_that_loses_to_a_removal_is_made_again() {
    for joins_at_once in [true, false] {
        let friends = Friends::meet().await;
        let Friends { world, alice, bob, carol, dave, .. } = &friends;
        let id = friends.group().await;
        let erin = first(world, &friends.alice_line, "erin").await;
        alice.change_group(&id, Proposal::Add([erin.me().actor()].into())).await.unwrap();
        dave.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
        look(&friends, &erin).await;
        if joins_at_once {
            erin.join_group(&id, None).await.unwrap();
        }
        // Alice is told that it is made again, and Dave, whose change holds, of hers.
        let lost = GroupDifference { added: [erin.me().actor()].into(), ..GroupDifference::default() };
        let told = look(&friends, alice).await;
        let [(GroupEvent::Undone { change, remedy, .. }, difference)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((*change, *remedy, difference), (GroupChange::Added, Remedy::Again, &lost));
        let told = look(&friends, dave).await;
        assert!(told.contains(&(GroupEvent::Prevailed(GroupChange::Added), lost)), "{told:?}");
        look(&friends, &erin).await;
        if !joins_at_once {
            assert!(!erin.invitations().unwrap()[0].state.members().contains(&carol.me().actor()));
            erin.join_group(&id, None).await.unwrap();
        }
        for client in [alice, bob, dave, &erin, alice, bob, dave, &erin] {
            look(&friends, client).await;
        }
        let state = group(alice, &id).state;
        assert!(!state.members().contains(&carol.me().actor()));
        for client in [bob, dave, &erin] {
            assert_eq!(group(client, &id).state, state);
        }
        assert_eq!(state.epoch(), 4, "it is made again once");
        hear(world, carol).await;
        erin.send_to_group(&id, text("among us")).await.unwrap();
        world.deliver().await;
        for client in [alice, bob, dave] {
            assert_eq!(hear(world, client).await, ["among us"]);
        }
        assert_eq!(hear(world, carol).await, [""; 0]);
        world.deliver().await;
    }
}

/// Dave removes Erin on purpose, in the next epoch. Alice does not bring her back.
#[tokio::test]
async fn whoever_is_removed_after_the_addition_stays_out() {
    let friends = Friends::meet().await;
    let Friends { world, alice, dave, .. } = &friends;
    let id = friends.group().await;
    let erin = first(world, &friends.alice_line, "erin").await;
    alice.change_group(&id, Proposal::Add([erin.me().actor()].into())).await.unwrap();
    look(&friends, dave).await;
    dave.change_group(&id, Proposal::Remove([erin.me().actor()].into())).await.unwrap();
    for client in [alice, dave, alice, dave] {
        look(&friends, client).await;
    }
    assert!(!group(alice, &id).state.members().contains(&erin.me().actor()));
    assert_eq!((group(alice, &id).state.epoch(), group(dave, &id).state.epoch()), (4, 4));
    look(&friends, &erin).await;
    world.deliver().await;
}

/// The winner is told of the change that does not hold, and it is no warning.
#[tokio::test]
async fn whose_change_holds_is_told_of_the_other_one() {
    let friends = Friends::meet().await;
    let Friends { world, alice, dave, .. } = &friends;
    let id = friends.group().await;
    for (client, name) in [(alice, "Saturday"), (dave, "Sunday")] {
        client.change_group(&id, Proposal::Rename(name.to_owned())).await.unwrap();
    }
    let alice_wins = group(alice, &id).state.hash() < group(dave, &id).state.hash();
    let (winner, lost) = if alice_wins { (alice, "Sunday") } else { (dave, "Saturday") };
    world.deliver().await;
    let notices = winner.receive().await.unwrap().notices;
    let told: Vec<_> = notices.iter().filter(|it| matches!(it, Notice::Group { .. })).collect();
    let [Notice::Group { event: GroupEvent::Prevailed(GroupChange::Renamed), difference, .. }] = told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!(difference.name.as_deref(), Some(lost));
    assert_eq!(told[0].severity(), Severity::News);
    for client in friends.everybody() {
        look(&friends, client).await;
    }
    world.deliver().await;
}
