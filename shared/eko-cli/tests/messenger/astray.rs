//! Tests of members who are led to another history of their group, and of what brings them there again.

use eko_client::group::{GroupChange, GroupParts, GroupState, Proposal};
use eko_client::messenger::{GroupEvent, MessengerError, Notice};
use serde_json::{Value, json};

use crate::consent::after;
use crate::controls::{control, send, send_control};
use crate::forging::{Forger, ForgingSessions};
use crate::friends::{group, hide};
use crate::led::ahead;
use crate::lineages::{Scene, Told};
use crate::people::TestMessenger;
use crate::resets::forger;

/// A scene with Pat, a member who is never an admin.
struct Crowd {
    scene: Scene,
    pat: Forger,
    /// Pat's sessions.
    sessions: ForgingSessions,
}

impl Crowd {
    async fn gather() -> Self {
        let (scene, sessions) = (Scene::begin().await, ForgingSessions::default());
        let pat = sessions.first(&scene.world, &scene.wire, "pat").await;
        scene.alice.change_group(&scene.id, Proposal::Add([pat.me().actor()].into())).await.unwrap();
        scene.world.deliver().await;
        pat.receive().await.unwrap();
        pat.join_group(&scene.id, None).await.unwrap();
        let crowd = Self { scene, pat, sessions };
        let Scene { alice, id, .. } = &crowd.scene;
        alice.change_group(id, Proposal::Rename("Thursday".to_owned())).await.unwrap();
        crowd.all_look().await;
        crowd
    }

    async fn all_look(&self) {
        let Scene { world, alice, bob, dave, mallory, .. } = &self.scene;
        for client in [alice, bob, dave] {
            self.scene.look(client).await;
        }
        for client in [mallory, &self.pat] {
            client.receive().await.unwrap();
        }
        world.deliver().await;
    }

    /// Has Pat forward a control to one member.
    async fn forward(&self, control: &Value, to: &TestMessenger) {
        let (id, published) =
            (format!("urn:uuid:{}", "0d0d0d0d-5f6e-4d7c-8b9a-0a1b2c3d4e01"), self.scene.world.now_ms());
        let announce = json!({
            "@context": control["@context"], "type": "Announce", "id": id, "actor": self.pat.me().actor(),
            "to": [to.me().actor()], "published": eko_protocol::timestamp::format(published), "object": control,
        });
        send(&self.sessions, &self.pat, &to.me(), announce).await;
    }
}

fn has_conflict(told: &[Told], with: &TestMessenger) -> bool {
    told.iter().any(|(by, event, _)| (by, event) == (&with.me().actor(), &GroupEvent::Conflict))
}

/// Pat leaves states that nobody has made. Alice is their only admin, who needs no grant.
#[tokio::test]
async fn a_departure_is_no_history_to_go_over_to() {
    let crowd = Box::pin(Crowd::gather()).await;
    let Crowd { scene: Scene { alice, bob, id, .. }, pat, sessions } = &crowd;
    let base = group(bob, id).state;
    let puppet = "https://elsewhere.example/user/puppet".to_owned();
    for epochs in [0, 1] {
        let parts = GroupParts {
            epoch: base.epoch() + epochs,
            members: [alice.me().actor(), bob.me().actor(), puppet.clone()].into(),
            admins: [alice.me().actor()].into(),
            grants: [].into(),
            ..base.parts().clone()
        };
        let before = GroupParts { epoch: parts.epoch - 1, name: "Never".to_owned(), ..base.parts().clone() };
        let [before, made_up] = [before, parts].map(|parts| GroupState::new(parts).unwrap());
        let left = control(pat, GroupChange::Left, Some(&before), &made_up);
        send_control(sessions, pat, &bob.me(), &left).await;
        let told: Vec<_> =
            crowd.scene.look(bob).await.into_iter().map(|(by, event, _)| (by, event)).collect();
        let expected = [(pat.me().actor(), GroupEvent::Conflict)];
        assert_eq!(told, expected[..usize::from(epochs == 0)]);
        let refused = bob.join_group(id, Some(&pat.me())).await;
        assert!(matches!(refused, Err(MessengerError::NoSuchGroup(_))), "{refused:?}");
        assert_eq!(group(bob, id).state, base);
    }
    crowd.all_look().await;
}

/// Has Mallory lead Bob and Dave, who is an admin, to a state without Alice and Pat. Returns what Dave has
/// made there before the last change.
async fn lead_away(crowd: &Crowd) -> Value {
    let Scene { alice, bob, dave, mallory, id, .. } = &crowd.scene;
    alice.change_group(id, Proposal::Promote([dave.me().actor()].into())).await.unwrap();
    crowd.all_look().await;
    let [before, led] = ahead(&group(bob, id).state, 500, |parts| {
        for gone in [alice.me().actor(), crowd.pat.me().actor()] {
            parts.members.remove(&gone);
            parts.admins.remove(&gone);
        }
    });
    let led = control(mallory, GroupChange::Renamed, Some(&before), &led);
    for client in [bob, dave] {
        crowd.scene.send(&led, client).await;
        crowd.scene.look(client).await;
    }
    dave.change_group(id, Proposal::Rename("Sunday".to_owned())).await.unwrap();
    crowd.all_look().await;
    mallory.change_group(id, Proposal::Rename("Monday".to_owned())).await.unwrap();
    for client in [bob, dave] {
        crowd.scene.look(client).await;
        assert_eq!(group(client, id).state.name(), "Monday");
    }
    let heard = crowd.scene.sessions.heard.lock().unwrap().clone();
    heard.into_iter().find(|activity| activity["object"]["name"] == "Sunday").unwrap()
}

/// Bob and Dave were led away, and choose Alice's history again, Bob first. Then Pat forwards to Bob what Dave
/// has made in the other one.
#[tokio::test]
async fn nothing_forwarded_brings_back_whoever_has_gone_over() {
    let crowd = Box::pin(Crowd::gather()).await;
    let daves = Box::pin(lead_away(&crowd)).await;
    let Scene { alice, bob, dave, mallory, id, .. } = &crowd.scene;
    alice.change_group(id, Proposal::Remove([mallory.me().actor()].into())).await.unwrap();
    let chosen = group(alice, id).state;
    for client in [bob, dave] {
        assert!(has_conflict(&crowd.scene.look(client).await, alice));
    }
    bob.join_group(id, Some(&alice.me())).await.unwrap();
    crowd.scene.look(dave).await;
    // Dave still has the other history, and tells Bob of it.
    assert!(has_conflict(&crowd.scene.look(bob).await, dave));
    assert_eq!(group(bob, id).state, chosen);
    assert!(bob.invitations().unwrap().iter().any(|it| it.by == dave.me().actor() && it.other_history));
    dave.join_group(id, Some(&alice.me())).await.unwrap();
    crowd.all_look().await;
    crowd.forward(&daves, bob).await;
    for client in [bob, alice, dave, bob] {
        crowd.scene.look(client).await;
        assert_eq!(group(client, id).state, chosen);
    }
    crowd.all_look().await;
}

/// Mallory has led Dave elsewhere, before Alice has removed her. Dave leaves there. The others are told of the
/// other history when they come to its epoch, by whatever change.
#[tokio::test]
async fn a_departure_from_another_history_is_told_when_its_epoch_comes() {
    let crowd = Box::pin(Crowd::gather()).await;
    let Scene { alice, bob, dave, mallory, id, .. } = &crowd.scene;
    let [before, led] = ahead(&group(bob, id).state, 2, |_| {});
    crowd.scene.send(&control(mallory, GroupChange::Renamed, Some(&before), &led), dave).await;
    crowd.scene.look(dave).await;
    assert_eq!(group(dave, id).state, led);
    dave.change_group(id, Proposal::Leave).await.unwrap();
    for client in [alice, bob] {
        crowd.scene.look(client).await;
        assert_eq!(client.held().unwrap().len(), 1, "the departure is of a later epoch");
    }
    alice.change_group(id, Proposal::Remove([mallory.me().actor()].into())).await.unwrap();
    for (name, at_its_epoch) in [("one", false), ("two", true)] {
        assert!(!has_conflict(&crowd.scene.look(bob).await, dave));
        let changed = alice.change_group(id, Proposal::Rename(name.to_owned())).await.unwrap();
        let is_told = |notice: &Notice| matches!(notice, Notice::Group { by, event: GroupEvent::Conflict, .. } if *by == dave.me().actor());
        assert_eq!(changed.notices.iter().any(is_told), at_its_epoch, "{:?}", changed.notices);
    }
    assert!(has_conflict(&crowd.scene.look(bob).await, dave));
    crowd.all_look().await;
}

/// Alice's other device was stolen, and she has revoked it. Bob hears of that by a message. In the same look
/// Pat forwards to him what the thief has made.
#[tokio::test]
async fn what_is_forwarded_waits_for_the_chain_of_its_author() {
    let crowd = Box::pin(Crowd::gather()).await;
    let Scene { world, wire, alice, bob, id, .. } = &crowd.scene;
    let stolen = forger(world, wire, &ForgingSessions::default(), alice, false).await;
    world.deliver().await;
    alice.receive().await.unwrap();
    alice.approve(&stolen.joining_code().unwrap().unwrap()).await.unwrap();
    stolen.join().await.unwrap();
    bob.verification(&alice.me()).await.unwrap();
    let base = group(bob, id).state;
    let renamed = after(&base, |parts| parts.name = "Saturday".to_owned());
    let renamed = control(&stolen, GroupChange::Renamed, Some(&base), &renamed).to_value();
    alice.revoke(stolen.device().id()).await.unwrap();
    alice.send(&bob.me(), crate::people::text("look at my devices")).await.unwrap();
    world.deliver().await;
    world.advance(5);
    crowd.forward(&renamed, bob).await;
    crowd.scene.look(bob).await;
    assert_eq!((group(bob, id).state, bob.held().unwrap()), (base, vec![]));
    crowd.all_look().await;
}

/// The tablet of Dave, who is an admin, was stolen, and leads Bob far ahead. Dave revokes it, and his device
/// makes another key. To Bob that is a change of an older epoch.
#[tokio::test]
async fn whoever_was_led_ahead_by_a_device_that_is_revoked_is_shown_the_others() {
    let crowd = Box::pin(Crowd::gather()).await;
    let Scene { world, wire, alice, bob, dave, id, .. } = &crowd.scene;
    alice.change_group(id, Proposal::Promote([dave.me().actor()].into())).await.unwrap();
    crowd.all_look().await;
    let thief = ForgingSessions::default();
    let stolen = forger(world, wire, &thief, dave, false).await;
    world.deliver().await;
    dave.receive().await.unwrap();
    dave.approve(&stolen.joining_code().unwrap().unwrap()).await.unwrap();
    stolen.join().await.unwrap();
    bob.verification(&dave.me()).await.unwrap();
    hide(wire, dave, &[dave]);
    let [before, led] = ahead(&group(bob, id).state, 500, |_| {});
    let led = control(&stolen, GroupChange::Renamed, Some(&before), &led);
    send_control(&thief, &stolen, &bob.me(), &led).await;
    crowd.scene.look(bob).await;
    assert_eq!(group(bob, id).state, *led.state());
    dave.revoke(stolen.device().id()).await.unwrap();
    wire.honest();
    crowd.scene.look(dave).await;
    bob.verification(&dave.me()).await.unwrap();
    assert!(has_conflict(&crowd.scene.look(bob).await, dave));
    bob.join_group(id, Some(&dave.me())).await.unwrap();
    assert_eq!(group(bob, id).state, group(dave, id).state);
    crowd.all_look().await;
    assert_eq!(group(bob, id).state, group(alice, id).state);
}
