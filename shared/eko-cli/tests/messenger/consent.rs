//! Tests of admins who bring somebody back into a group that the user has left. Nobody is in a group
//! without having said so.

use eko_client::group::{
    GroupChange, GroupControl, GroupDifference, GroupParts, GroupState, MasterKey, Proposal, propose,
};
use eko_client::messenger::{CALL_PAUSE_MS, GroupEvent};

use crate::controls::{control, signing};
use crate::friends::group;
use crate::lineages::Scene;
use crate::people::{hear, text};

/// Adds nine puppets of a server that Mallory chooses, and one member more.
fn with_puppets(parts: &mut GroupParts, member: &str) {
    parts.members.insert(member.to_owned());
    parts.members.extend((0..9).map(|n| format!("https://elsewhere.example/user/puppet{n}")));
}

/// Returns a state that follows `before`, with another change.
pub(crate) fn after(before: &GroupState, change: impl FnOnce(&mut GroupParts)) -> GroupState {
    let mut parts = GroupParts { epoch: before.epoch() + 1, ..before.parts().clone() };
    change(&mut parts);
    GroupState::new(parts).unwrap()
}

/// Has Bob leave, before anybody else sees it. Returns the state without him.
async fn bob_leaves(scene: &Scene) -> GroupState {
    scene.bob.change_group(&scene.id, Proposal::Leave).await.unwrap();
    for client in [&scene.alice, &scene.dave] {
        scene.look(client).await;
    }
    group(&scene.bob, &scene.id).state
}

/// Sends Bob a control of Mallory's, which invites him at most, and asks no server that she has chosen.
async fn assert_out(scene: &Scene, control: &GroupControl) -> Vec<GroupEvent> {
    let out = group(&scene.bob, &scene.id).state;
    scene.send(control, &scene.bob).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.extend(scene.look(&scene.bob).await.into_iter().map(|(_, event, _)| event));
        let now = group(&scene.bob, &scene.id);
        assert!(!now.member && now.state == out, "{told:?}");
    }
    let asked = scene.wire.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|url| !url.contains("elsewhere")), "{asked:#?}");
    told
}

async fn end(scene: &Scene) {
    scene.mallory.receive().await.unwrap();
    for client in [&scene.alice, &scene.dave] {
        scene.look(client).await;
    }
    scene.world.deliver().await;
}

/// Mallory adds Bob to the very state that he has left, with puppets.
#[tokio::test]
async fn an_addition_to_the_state_that_was_left_is_an_invitation() {
    let scene = Scene::begin().await;
    let (bob, me) = (&scene.bob, scene.bob.me().actor());
    let left = bob_leaves(&scene).await;
    let back = after(&left, |parts| with_puppets(parts, &me));
    let added = control(&scene.mallory, GroupChange::Added, Some(&left), &back);
    assert_eq!(assert_out(&scene, &added).await, [GroupEvent::Invited]);
    // What comes after it is no way in either.
    let renamed = after(&back, |parts| parts.name = "Saturday".to_owned());
    let renamed = control(&scene.mallory, GroupChange::Renamed, Some(&back), &renamed);
    assert_eq!(assert_out(&scene, &renamed).await, []);
    assert_eq!(bob.invitations().unwrap().len(), 1);
    bob.decline_group(&scene.id, None).unwrap();
    assert!(bob.send_to_group(&scene.id, text("hello")).await.is_err());
    end(&scene).await;
}

/// An honest admin adds Bob again, who joins by saying so, and then leaves as at first.
#[tokio::test]
async fn whoever_is_added_to_the_state_that_was_left_can_join() {
    let scene = Scene::begin().await;
    let (bob, id) = (&scene.bob, &scene.id);
    bob_leaves(&scene).await;
    scene.alice.change_group(id, Proposal::Add([bob.me().actor()].into())).await.unwrap();
    scene.look(bob).await;
    assert!(!group(bob, id).member);
    bob.join_group(id, None).await.unwrap();
    scene.look(&scene.alice).await;
    scene.look(bob).await;
    assert!(group(bob, id).member && group(bob, id).state == group(&scene.alice, id).state);
    bob.change_group(id, Proposal::Leave).await.unwrap();
    scene.look(&scene.alice).await;
    scene.look(bob).await;
    assert!(!group(bob, id).member);
    end(&scene).await;
}

/// Alice removes Bob while Mallory renames the group. Bob sees the other name only, and leaves. Then Alice
/// adds him again.
#[tokio::test]
async fn whoever_has_left_after_a_change_that_lost_can_be_added_again() {
    let scene = Scene::begin().await;
    let (alice, bob, id) = (&scene.alice, &scene.bob, &scene.id);
    alice.change_group(id, Proposal::Remove([bob.me().actor()].into())).await.unwrap();
    scene.mallory.change_group(id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    scene.look(bob).await;
    assert_eq!(group(bob, id).state.name(), "Saturday");
    bob.change_group(id, Proposal::Leave).await.unwrap();
    for client in [alice, &scene.dave] {
        scene.look(client).await;
        assert_eq!(group(client, id).state.name(), "Friday");
    }
    scene.mallory.receive().await.unwrap();
    assert_eq!(alice.held().unwrap().len(), 1, "his departure follows a state that she never had");
    alice.change_group(id, Proposal::Add([bob.me().actor()].into())).await.unwrap();
    assert!(alice.held().unwrap().is_empty());
    let told: Vec<GroupEvent> = scene.look(bob).await.into_iter().map(|(_, event, _)| event).collect();
    assert_eq!(told, [GroupEvent::Invited]);
    bob.join_group(id, None).await.unwrap();
    for client in [alice, &scene.dave, bob] {
        let told = scene.look(client).await;
        assert!(told.iter().all(|(_, event, _)| *event != GroupEvent::Conflict), "{told:?}");
    }
    for client in [bob, &scene.dave] {
        assert_eq!(group(client, id).state, group(alice, id).state);
        assert!(group(client, id).member && group(client, id).conflict.is_none());
    }
    bob.send_to_group(id, text("back")).await.unwrap();
    scene.world.deliver().await;
    assert!(hear(&scene.world, alice).await.iter().any(|it| it == "back"));
    end(&scene).await;
}

/// Mallory makes a removal of the epoch of Bob's departure, on a state that never was. Then she does the
/// same at the next epochs.
#[tokio::test]
async fn a_removal_of_another_history_brings_nobody_back() {
    let scene = Scene::begin().await;
    let me = scene.bob.me().actor();
    let left = bob_leaves(&scene).await;
    for epoch in left.epoch()..left.epoch() + 3 {
        let never = GroupState::new(GroupParts {
            epoch: epoch - 1,
            name: "Never".to_owned(),
            ..scene.common.parts().clone()
        });
        let never = never.unwrap();
        let back = after(&never, |parts| {
            with_puppets(parts, &me);
            parts.master_key = MasterKey::from_bytes([u8::try_from(epoch).unwrap(); 32]);
        });
        let removed = control(&scene.mallory, GroupChange::Removed, Some(&never), &back);
        if epoch == left.epoch() {
            assert_eq!(assert_out(&scene, &removed).await, [GroupEvent::Invited]);
        } else {
            scene.send(&removed, &scene.bob).await;
            for _ in 0..2 {
                scene.look(&scene.bob).await;
                assert!(!group(&scene.bob, &scene.id).member, "{epoch}");
            }
        }
    }
    end(&scene).await;
}

/// Mallory changes the group that Bob has left, so that her addition takes the place of that change.
#[tokio::test]
async fn an_addition_in_the_place_of_a_change_without_the_user_is_an_invitation() {
    let scene = Scene::begin().await;
    let me = scene.bob.me().actor();
    let left = bob_leaves(&scene).await;
    let back = after(&left, |parts| with_puppets(parts, &me));
    let renamed = (0..64).map(|n| after(&left, |parts| parts.name = format!("Friday {n}")));
    let renamed = renamed.max_by_key(GroupState::hash).unwrap();
    assert!(back.hash() < renamed.hash(), "the addition wins");
    scene.send(&control(&scene.mallory, GroupChange::Renamed, Some(&left), &renamed), &scene.bob).await;
    scene.look(&scene.bob).await;
    let added = control(&scene.mallory, GroupChange::Added, Some(&left), &back);
    assert_eq!(assert_out(&scene, &added).await, [GroupEvent::Invited]);
    end(&scene).await;
}

/// Mallory skips epochs to a state with puppets in it.
#[tokio::test]
async fn whoever_has_left_is_not_led_to_other_servers() {
    let scene = Scene::begin().await;
    let me = scene.bob.me().actor();
    bob_leaves(&scene).await;
    for epochs in [5, 1_000] {
        let call = scene.jump_by(epochs, |parts| with_puppets(parts, &me));
        assert!(assert_out(&scene, &call).await.iter().all(|told| *told == GroupEvent::Invited), "{epochs}");
    }
    end(&scene).await;
}

/// Mallory leaves, epochs later, a state in which Bob is the only admin. Nobody could leave it.
#[tokio::test]
async fn whoever_has_left_is_not_made_the_last_admin() {
    let scene = Scene::begin().await;
    let Scene { bob, dave, mallory, common, .. } = &scene;
    let [me, dave] = [bob, dave].map(|person| person.me().actor());
    bob_leaves(&scene).await;
    let promotion = Proposal::Promote([me.clone()].into());
    let (_, before) = signing(mallory, |signer| propose(common, promotion, signer)).unwrap();
    let before = after(&before, |parts| parts.epoch += 3);
    let last = after(&before, |parts| {
        parts.admins = [me.clone()].into();
        parts.members = [me.clone(), dave.clone()].into();
    });
    let left = control(mallory, GroupChange::Left, Some(&before), &last);
    assert_eq!(assert_out(&scene, &left).await, [GroupEvent::Invited]);
    end(&scene).await;
}

/// Mallory wins over Bob's departure, and has what follows that ready for the same look: puppets, the
/// rights of an admin for Bob, and her own departure, after which he could not leave.
#[tokio::test]
async fn whoever_has_left_is_kept_by_nothing_that_follows_the_race() {
    for promotes in [true, false] {
        let scene = Scene::begin().await;
        let Scene { bob, mallory, common, alice, dave, .. } = &scene;
        let [me, alice, dave] = [bob, alice, dave].map(|person| person.me().actor());
        bob_leaves(&scene).await;
        let mut puppets = GroupParts { ..common.parts().clone() };
        with_puppets(&mut puppets, &me);
        let puppets = puppets.members.difference(common.members()).cloned().collect();
        let mut proposals = vec![Proposal::Remove([alice, dave].into()), Proposal::Add(puppets)];
        if promotes {
            proposals.insert(1, Proposal::Promote([me.clone()].into()));
            proposals.push(Proposal::Leave);
        }
        let mut state = common.clone();
        for proposal in proposals {
            let (change, next) = signing(mallory, |signer| propose(&state, proposal, signer)).unwrap();
            scene.send(&control(mallory, change, Some(&state), &next), bob).await;
            // Entries of one millisecond have no order.
            scene.world.advance(1);
            state = next;
        }
        let mut told = Vec::new();
        for _ in 0..3 {
            told.extend(scene.look(bob).await.into_iter().map(|(_, event, _)| event));
            let now = group(bob, &scene.id);
            assert_eq!((now.member, now.state.epoch()), (false, common.epoch() + 2), "{told:?}");
            scene.world.advance(CALL_PAUSE_MS + 1);
        }
        assert!(told.contains(&GroupEvent::Invited), "{told:?}");
        let asked = scene.wire.asked.lock().unwrap().clone();
        assert!(asked.iter().all(|url| !url.contains("elsewhere")), "{asked:#?}");
        end(&scene).await;
    }
}

/// Mallory wins over each departure of Bob's, by a removal that takes out one member more.
#[tokio::test]
async fn whoever_has_left_is_brought_back_by_removals_once_an_hour() {
    let scene = Scene::begin().await;
    let Scene { bob, mallory, common, alice, dave, .. } = &scene;
    bob_leaves(&scene).await;
    let (mut state, mut epochs) = (common.clone(), Vec::new());
    for gone in [alice, dave] {
        let removal = Proposal::Remove([gone.me().actor()].into());
        let (change, next) = signing(mallory, |signer| propose(&state, removal, signer)).unwrap();
        scene.send(&control(mallory, change, Some(&state), &next), bob).await;
        scene.look(bob).await;
        assert!(!group(bob, &scene.id).member);
        epochs.push(group(bob, &scene.id).state.epoch() - common.epoch());
        state = next;
    }
    assert_eq!(epochs, [2, 2], "he has left again once");
    end(&scene).await;
}

/// The state before the one that Dave has comes late, and its control says what did not happen.
#[tokio::test]
async fn nothing_is_told_of_a_state_that_comes_late() {
    let scene = Scene::begin().await;
    let Scene { dave, mallory, .. } = &scene;
    let call = scene.jump_by(2, |_| {});
    let before =
        GroupState::new(GroupParts { epoch: call.state().epoch() - 1, ..scene.common.parts().clone() });
    let before = before.unwrap();
    scene.send(&call, dave).await;
    assert_eq!(scene.look(dave).await.len(), 1);
    let now = group(dave, &scene.id).state;
    for word in [GroupChange::Renamed, GroupChange::Rekeyed, GroupChange::Promoted] {
        scene.send(&control(mallory, word, Some(&scene.common), &before), dave).await;
        let told: Vec<(String, GroupEvent, GroupDifference)> = scene.look(dave).await;
        assert_eq!(told, [], "{word}");
        assert_eq!(group(dave, &scene.id).state, now);
    }
    end(&scene).await;
}
