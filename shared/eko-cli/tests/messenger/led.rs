//! Tests of whoever has left a group as an admin, or on another device, and is led back.

use eko_client::group::{GroupChange, GroupParts, GroupState, LeaveDecision, Proposal, propose};
use eko_client::messenger::GroupEvent;

use crate::consent::after;
use crate::controls::{control, signing};
use crate::friends::group;
use crate::lineages::Scene;
use crate::people::{TestMessenger, further};
use crate::test_network::TestNetwork;

/// Returns a state that skips epochs from `state` on.
pub(crate) fn ahead(
    state: &GroupState,
    epochs: u64,
    change: impl FnOnce(&mut GroupParts),
) -> [GroupState; 2] {
    let before = after(state, |parts| {
        parts.epoch = state.epoch() + epochs - 1;
        parts.name = "Never".to_owned();
    });
    let led = after(&before, |parts| {
        parts.name = "Saturday".to_owned();
        change(parts);
    });
    [before, led]
}

/// Has Alice make Bob an admin.
async fn promote_bob(scene: &Scene) -> GroupState {
    let Scene { alice, bob, dave, mallory, id, .. } = scene;
    alice.change_group(id, Proposal::Promote([bob.me().actor()].into())).await.unwrap();
    for client in [bob, dave, alice] {
        scene.look(client).await;
    }
    mallory.receive().await.unwrap();
    group(bob, id).state
}

async fn end(scene: &Scene) {
    for client in [&scene.alice, &scene.dave] {
        scene.look(client).await;
    }
    scene.mallory.receive().await.unwrap();
    scene.world.deliver().await;
}

/// Forty days after Bob has left, Mallory skips epochs to a state with him as an admin, and leaves.
#[tokio::test]
async fn whoever_has_left_as_an_admin_is_made_the_last_one_by_no_jump() {
    let scene = Scene::begin().await;
    let Scene { world, alice, bob, dave, mallory, id, .. } = &scene;
    let base = promote_bob(&scene).await;
    bob.change_group(id, Proposal::Leave).await.unwrap();
    for client in [alice, dave, bob] {
        scene.look(client).await;
    }
    mallory.receive().await.unwrap();
    let out = group(bob, id).state;
    world.advance(40 * 24 * 3_600_000);
    let me = bob.me().actor();
    let [before, led] = ahead(&base, 4, |parts| {
        parts.admins = [me, mallory.me().actor()].into();
    });
    scene.send(&control(mallory, GroupChange::Renamed, Some(&before), &led), bob).await;
    world.advance(5);
    let (change, last) = signing(mallory, |signer| propose(&led, Proposal::Leave, signer)).unwrap();
    scene.send(&control(mallory, change, Some(&led), &last), bob).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.extend(scene.look(bob).await.into_iter().map(|(_, event, _)| event));
        let now = group(bob, id);
        assert_eq!((now.member, now.leaves, now.state), (false, LeaveDecision::NotDue, out.clone()));
        world.advance(2 * 3_600_000);
    }
    assert_eq!(told, [GroupEvent::Invited]);
    for client in [alice, dave] {
        assert_eq!(scene.look(client).await, [], "nothing was made in Bob's name");
    }
    end(&scene).await;
}

/// Mallory leads Bob back as a plain member, and makes him an admin by the next change.
#[tokio::test]
async fn whoever_has_left_as_an_admin_is_made_none_again_by_the_next_change() {
    let scene = Scene::begin().await;
    let Scene { alice, bob, dave, mallory, id, .. } = &scene;
    let base = promote_bob(&scene).await;
    bob.change_group(id, Proposal::Leave).await.unwrap();
    for client in [alice, dave, bob] {
        scene.look(client).await;
    }
    mallory.receive().await.unwrap();
    let me = bob.me().actor();
    let [before, led] = ahead(&base, 4, |parts| {
        parts.admins.remove(&me);
        parts.admins.remove(&alice.me().actor());
        parts.grants.remove(&me);
    });
    let promotion = Proposal::Promote([me.clone()].into());
    let (change, promoted) = signing(mallory, |signer| propose(&led, promotion, signer)).unwrap();
    let (last_change, last) = signing(mallory, |signer| propose(&promoted, Proposal::Leave, signer)).unwrap();
    for (change, before, state) in
        [(GroupChange::Renamed, &before, &led), (change, &led, &promoted), (last_change, &promoted, &last)]
    {
        scene.send(&control(mallory, change, Some(before), state), bob).await;
        scene.world.advance(5);
    }
    for _ in 0..3 {
        scene.look(bob).await;
        let now = group(bob, id);
        assert!(!now.state.admins().contains(&me) || !now.member, "{now:?}");
        assert_ne!(now.leaves, LeaveDecision::LastAdmin);
    }
    assert!(!group(bob, id).member);
    end(&scene).await;
}

/// Bob's departure loses to a removal, and the only other admin leaves. His device makes no key in a
/// group that he wants to leave: his other devices would take that for his consent.
#[tokio::test]
async fn whoever_stays_only_as_the_last_admin_renews_no_key() {
    let scene = Scene::begin().await;
    let Scene { alice, bob, dave, mallory, id, .. } = &scene;
    let base = promote_bob(&scene).await;
    bob.change_group(id, Proposal::Leave).await.unwrap();
    let removal = Proposal::Remove([alice.me().actor()].into());
    let (change, without) = signing(mallory, |signer| propose(&base, removal, signer)).unwrap();
    scene.send(&control(mallory, change, Some(&base), &without), bob).await;
    scene.world.advance(5);
    let (change, last) = signing(mallory, |signer| propose(&without, Proposal::Leave, signer)).unwrap();
    scene.send(&control(mallory, change, Some(&without), &last), bob).await;
    for _ in 0..3 {
        scene.look(bob).await;
        let now = group(bob, id);
        assert_eq!((now.leaves, now.rekey_due), (LeaveDecision::LastAdmin, true));
        assert_eq!(now.state, last, "he has made nothing");
        scene.world.advance(2 * 3_600_000);
    }
    // He makes Dave an admin, as he was told, and leaves.
    bob.change_group(id, Proposal::Promote([dave.me().actor()].into())).await.unwrap();
    scene.look(bob).await;
    assert!(!group(bob, id).member);
    end(&scene).await;
}

/// Bob's phone leaves. His tablet has seen another change of the same state before, to which the
/// departure is prior. It measures what comes by the state that was left all the same.
#[tokio::test]
async fn a_second_device_measures_by_the_state_that_was_left() {
    let scene = Scene::begin().await;
    let Scene { world, alice, bob, dave, mallory, id, .. } = &scene;
    let line = TestNetwork::to(&[world]);
    let tablet = further(world, &line, bob, "tablet").await;
    alice.change_group(id, Proposal::Rename("Thursday".to_owned())).await.unwrap();
    let everybody: [&TestMessenger; 4] = [bob, &tablet, dave, alice];
    for client in everybody {
        scene.look(client).await;
    }
    mallory.receive().await.unwrap();
    let base = group(bob, id).state;
    assert_eq!(group(&tablet, id).state, base);
    let puppets = (0..9).map(|n| format!("https://elsewhere.example/user/puppet{n}")).collect();
    let (change, next) = signing(mallory, |signer| propose(&base, Proposal::Add(puppets), signer)).unwrap();
    scene.send(&control(mallory, change, Some(&base), &next), bob).await;
    scene.look(&tablet).await;
    assert_eq!(group(&tablet, id).state, next);
    bob.change_group(id, Proposal::Leave).await.unwrap();
    for client in [bob, &tablet] {
        scene.look(client).await;
        assert!(!group(client, id).member);
    }
    world.advance(24 * 3_600_000);
    line.asked.lock().unwrap().clear();
    let [before, led] = ahead(&next, 3, |_| {});
    scene.send(&control(mallory, GroupChange::Renamed, Some(&before), &led), bob).await;
    for client in [bob, &tablet, bob, &tablet] {
        scene.look(client).await;
        assert!(!group(client, id).member);
        world.advance(2 * 3_600_000);
    }
    let asked = line.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|url| !url.contains("elsewhere")), "{asked:#?}");
    end(&scene).await;
}
