//! Tests of a group with two histories: who is told, what a jump hides, and how a member goes over to
//! the other history.

use std::collections::BTreeSet;

use eko_client::group::{
    GroupChange, GroupControl, GroupDifference, GroupError, GroupGrant, GroupId, GroupParts, GroupState,
    MasterKey, Proposal, propose,
};
use eko_client::messenger::{GroupEvent, MessengerError, Notice};
use eko_testkit::World;

use crate::controls::{control, send_control, signing};
use crate::forging::{Forger, ForgingSessions};
use crate::friends::group;
use crate::people::{TestMessenger, first, hear, text};
use crate::test_network::TestNetwork;

/// Alice's group with Bob, Dave and Mallory, who is an admin as Alice is.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) wire: TestNetwork,
    pub(crate) sessions: ForgingSessions,
    pub(crate) alice: TestMessenger,
    pub(crate) bob: TestMessenger,
    pub(crate) dave: TestMessenger,
    pub(crate) mallory: Forger,
    pub(crate) id: GroupId,
    /// The state that all of them have.
    pub(crate) common: GroupState,
}

/// An event of a group: the actor, the event, and what differs.
pub(crate) type Told = (String, GroupEvent, GroupDifference);

impl Scene {
    pub(crate) async fn begin() -> Self {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
        let (dave, sessions) = (first(&world, &wire, "dave").await, ForgingSessions::default());
        let mallory = sessions.first(&world, &wire, "mallory").await;
        let (id, _) = alice.create_group("Friday", &[bob.me(), dave.me(), mallory.me()]).await.unwrap();
        world.deliver().await;
        for client in [&bob, &dave] {
            client.receive().await.unwrap();
            client.join_group(&id, None).await.unwrap();
        }
        mallory.receive().await.unwrap();
        mallory.join_group(&id, None).await.unwrap();
        alice.change_group(&id, Proposal::Promote([mallory.me().actor()].into())).await.unwrap();
        world.deliver().await;
        mallory.receive().await.unwrap();
        let common = mallory.groups().unwrap().remove(0).state;
        let scene = Self { world, wire, sessions, alice, bob, dave, mallory, id, common };
        for client in [&scene.alice, &scene.bob, &scene.dave] {
            scene.look(client).await;
            assert_eq!(group(client, &scene.id).state, scene.common);
        }
        scene
    }

    /// Looks into a mailbox, and returns what is told of the group.
    pub(crate) async fn look(&self, client: &TestMessenger) -> Vec<Told> {
        self.world.deliver().await;
        let told = |notice| match notice {
            Notice::Group { event: GroupEvent::Joined | GroupEvent::Held(_), .. } => None,
            Notice::Group { by, event, difference, .. } => Some((by, event, difference)),
            _ => None,
        };
        client.receive().await.unwrap().notices.into_iter().filter_map(told).collect()
    }

    /// Returns a renaming by Mallory that skips epochs, and changes what `change` does too.
    fn jump(&self, change: impl FnOnce(&mut GroupParts)) -> GroupControl {
        self.jump_by(1_000, change)
    }

    pub(crate) fn jump_by(&self, epochs: u64, change: impl FnOnce(&mut GroupParts)) -> GroupControl {
        let epoch = self.common.epoch() + epochs;
        let before = GroupParts { epoch: epoch - 1, ..self.common.parts().clone() };
        let mut after = GroupParts { epoch, name: "Saturday".to_owned(), ..before.clone() };
        change(&mut after);
        let [before, after] = [before, after].map(|parts| GroupState::new(parts).unwrap());
        control(&self.mallory, GroupChange::Renamed, Some(&before), &after)
    }

    pub(crate) async fn send(&self, control: &GroupControl, to: &TestMessenger) {
        send_control(&self.sessions, &self.mallory, &to.me(), control).await;
    }

    async fn remove_mallory(&self) {
        let mallory = self.mallory.me().actor();
        self.alice.change_group(&self.id, Proposal::Remove([mallory].into())).await.unwrap();
    }
}

/// Mallory leads Dave 1,000 epochs ahead before she is removed, so that no control of Alice's is new
/// to him.
#[tokio::test]
async fn both_sides_of_a_split_are_told_and_one_goes_over() {
    let scene = Scene::begin().await;
    let Scene { world, alice, bob, dave, mallory, id, .. } = &scene;
    let jump = scene.jump(|_| {});
    scene.send(&jump, dave).await;
    let told = scene.look(dave).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(group(dave, id).state, *jump.state());
    scene.remove_mallory().await;
    // Dave is told by Alice's control. He forwards Mallory's, which tells Alice.
    for (client, other) in [(dave, alice), (alice, dave)] {
        let told = scene.look(client).await;
        assert_eq!(told, [(other.me().actor(), GroupEvent::Conflict, GroupDifference::default())]);
        assert_eq!(group(client, id).conflict, Some(other.me().actor()));
    }
    // A message tells Bob.
    dave.send_to_group(id, text("one")).await.unwrap();
    bob.send_to_group(id, text("two")).await.unwrap();
    scene.look(bob).await;
    scene.look(dave).await;
    assert!(
        scene
            .look(bob)
            .await
            .iter()
            .any(|(by, event, _)| { (by, event) == (&dave.me().actor(), &GroupEvent::Conflict) })
    );
    // Nothing is replaced until Dave says whom he follows.
    assert_eq!(group(dave, id).state, *jump.state());
    let refused = dave.join_group(id, None).await;
    assert!(matches!(refused, Err(MessengerError::Group(GroupError::SeveralInvitations))), "{refused:?}");
    assert!(dave.invitations().unwrap().iter().any(|it| it.by == alice.me().actor() && it.other_history));
    dave.join_group(id, Some(&alice.me())).await.unwrap();
    assert_eq!((group(dave, id).state, group(dave, id).conflict), (group(alice, id).state, None));
    for client in [alice, bob] {
        scene.look(client).await;
        assert_eq!((group(client, id).conflict, client.invitations().unwrap().len()), (None, 0));
    }
    dave.send_to_group(id, text("hello")).await.unwrap();
    world.deliver().await;
    for client in [alice, bob] {
        assert!(hear(world, client).await.contains(&"hello".to_owned()));
    }
    let heard = mallory.receive().await.unwrap().messages;
    assert!(heard.iter().all(|message| message.content.text != "hello"));
    world.deliver().await;
}

/// A change that is called a renaming brings in Eve and takes Alice's rights.
#[tokio::test]
async fn a_jump_is_told_by_what_it_changes() {
    let scene = Scene::begin().await;
    let (alice, mallory) = (scene.alice.me().actor(), scene.mallory.me().actor());
    let eve = alice.replace("/alice", "/eve");
    let jump = scene.jump(|after| {
        after.members.insert(eve.clone());
        after.admins = BTreeSet::from([mallory.clone()]);
        after.master_key = MasterKey::from_bytes([7; 32]);
    });
    // The key is another, so the control is called so too.
    let before = GroupState::new(GroupParts { epoch: 9, ..scene.common.parts().clone() }).unwrap();
    let jump = control(&scene.mallory, GroupChange::Rekeyed, Some(&before), jump.state());
    scene.send(&jump, &scene.dave).await;
    let difference = GroupDifference {
        added: [eve].into(),
        demoted: [alice].into(),
        name: Some("Saturday".to_owned()),
        former_name: Some("Friday".to_owned()),
        rekeyed: true,
        ..GroupDifference::default()
    };
    let told = scene.look(&scene.dave).await;
    assert_eq!(told, [(mallory, GroupEvent::Changed(GroupChange::Rekeyed), difference)]);
    scene.world.deliver().await;
}

/// A grant that nobody signed would make the group false for everybody who is invited later.
#[tokio::test]
async fn a_jump_with_a_false_grant_is_refused() {
    let scene = Scene::begin().await;
    let dave = scene.dave.me().actor();
    let by = scene.mallory.device();
    let jump = scene.jump(|after| {
        let signature = by.keys().identity().sign(b"", by.environment());
        let grant = GroupGrant { admin: dave.clone(), by: by.actor(), device: by.address(), signature };
        after.grants.insert(dave.clone(), grant);
        after.admins.insert(dave.clone());
    });
    scene.send(&jump, &scene.dave).await;
    let events: Vec<GroupEvent> = scene.look(&scene.dave).await.into_iter().map(|told| told.1).collect();
    assert_eq!(events, [GroupEvent::Refused(GroupError::FalseGrant(dave))]);
    assert_eq!(group(&scene.dave, &scene.id).state, scene.common);
    scene.world.deliver().await;
}

/// Mallory was removed, and adds Bob, who is in the group, to a group of hers with its id.
#[tokio::test]
async fn a_member_is_not_invited_to_the_same_group() {
    let scene = Scene::begin().await;
    let Scene { world, bob, mallory, id, .. } = &scene;
    scene.remove_mallory().await;
    scene.look(bob).await;
    let before = group(bob, id).state;
    for (epoch, expected) in
        [(900, GroupEvent::Conflict), (1 << 31, GroupEvent::Refused(GroupError::TooFarAhead))]
    {
        let own = GroupState::new(GroupParts {
            epoch,
            members: BTreeSet::from([mallory.me().actor()]),
            admins: BTreeSet::from([mallory.me().actor()]),
            master_key: MasterKey::from_bytes([7; 32]),
            ..scene.common.parts().clone()
        })
        .unwrap();
        let added = Proposal::Add([bob.me().actor()].into());
        let (change, next) = signing(mallory, |signer| propose(&own, added, signer)).unwrap();
        scene.send(&control(mallory, change, Some(&own), &next), bob).await;
        let told = scene.look(bob).await;
        assert_eq!(told, [(mallory.me().actor(), expected, GroupDifference::default())]);
        assert_eq!(group(bob, id).state, before);
        let refused = bob.join_group(id, None).await;
        assert!(matches!(refused, Err(MessengerError::Group(GroupError::SeveralInvitations))), "{refused:?}");
    }
    assert!(bob.invitations().unwrap().iter().all(|it| it.other_history));
    world.deliver().await;
}

/// A newcomer is not led to an epoch after which there is no room.
#[tokio::test]
async fn nobody_comes_in_at_a_far_epoch() {
    let scene = Scene::begin().await;
    let wire = TestNetwork::to(&[&scene.world]);
    let eve = first(&scene.world, &wire, "eve").await;
    for (epoch, invitations) in [(1_000_000, 0), (999_999, 1)] {
        let far = GroupState::new(GroupParts { epoch, ..scene.common.parts().clone() }).unwrap();
        let added = Proposal::Add([eve.me().actor()].into());
        let (change, next) = signing(&scene.mallory, |signer| propose(&far, added, signer)).unwrap();
        scene.send(&control(&scene.mallory, change, Some(&far), &next), &eve).await;
        scene.look(&eve).await;
        assert_eq!(eve.invitations().unwrap().len(), invitations);
    }
    scene.world.deliver().await;
}

/// Mallory lists Bob, who has left, over and over.
#[tokio::test]
async fn whoever_has_left_is_led_back_once_an_hour_at_most() {
    let scene = Scene::begin().await;
    let Scene { world, alice, bob, dave, mallory, id, .. } = &scene;
    bob.change_group(id, Proposal::Leave).await.unwrap();
    for client in [alice, dave] {
        scene.look(client).await;
    }
    let mut told = Vec::new();
    for (minutes, epochs) in [(0, 5), (0, 7), (61, 8), (61, 9), (61, 1_000)] {
        world.advance(minutes * 60_000);
        let call = scene.jump_by(epochs, |parts| parts.name = format!("Come back {epochs}"));
        scene.send(&call, bob).await;
        for _ in 0..2 {
            told.extend(scene.look(bob).await.into_iter().map(|(_, event, _)| event));
            assert!(!group(bob, id).member, "{epochs}");
        }
    }
    let left = told.iter().filter(|event| **event == GroupEvent::Changed(GroupChange::Renamed)).count();
    assert_eq!(left, 2, "he was led back once an hour, within eight epochs, and left again: {told:?}");
    assert!(told.contains(&GroupEvent::Invited), "{told:?}");
    mallory.receive().await.unwrap();
    world.deliver().await;
}
