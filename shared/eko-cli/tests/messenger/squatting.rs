//! Tests of whoever takes the id of a group for another group, before the group comes to a new
//! member: a removed member, and a former admin.

use std::collections::{BTreeMap, BTreeSet};

use eko_client::group::{
    GroupChange, GroupError, GroupGrant, GroupId, GroupParts, GroupState, MasterKey, Proposal, propose,
};
use eko_client::messenger::{GroupEvent, MessengerError, Notice};
use eko_testkit::World;

use crate::controls::{control, send_control, signing};
use crate::forging::{Forger, ForgingSessions};
use crate::people::{TestMessenger, befriend, first, hear, text};
use crate::test_network::TestNetwork;

/// Alice's group with Mallory and Bob, from which Mallory is removed, and Dave, who comes later.
struct Scene {
    world: World,
    sessions: ForgingSessions,
    alice: TestMessenger,
    bob: TestMessenger,
    dave: TestMessenger,
    mallory: Forger,
    id: GroupId,
    /// The last state that Mallory was sent.
    seen: GroupState,
}

impl Scene {
    async fn with(promoted: bool) -> Self {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
        let (dave, sessions) = (first(&world, &wire, "dave").await, ForgingSessions::default());
        let mallory = sessions.first(&world, &wire, "mallory").await;
        let (id, _) = alice.create_group("Friday", &[bob.me(), mallory.me()]).await.unwrap();
        world.deliver().await;
        bob.receive().await.unwrap();
        bob.join_group(&id, None).await.unwrap();
        mallory.receive().await.unwrap();
        mallory.join_group(&id, None).await.unwrap();
        if promoted {
            alice.change_group(&id, Proposal::Promote([mallory.me().actor()].into())).await.unwrap();
        }
        world.deliver().await;
        mallory.receive().await.unwrap();
        let seen = mallory.groups().unwrap().remove(0).state;
        alice.change_group(&id, Proposal::Remove([mallory.me().actor()].into())).await.unwrap();
        world.deliver().await;
        Self { world, sessions, alice, bob, dave, mallory, id, seen }
    }

    /// Sends Dave a control by Mallory that adds him to a group of Mallory's with the group's id, at
    /// a far epoch, with these grants.
    async fn squat(&self, grants: BTreeMap<String, GroupGrant>) {
        let mallory = self.mallory.me().actor();
        let before = GroupState::new(GroupParts {
            epoch: 900_000,
            members: BTreeSet::from([mallory.clone(), self.alice.me().actor()]),
            admins: BTreeSet::from([mallory]),
            grants,
            master_key: MasterKey::from_bytes([7; 32]),
            ..self.seen.parts().clone()
        })
        .unwrap();
        let added = Proposal::Add([self.dave.me().actor()].into());
        let (change, state) = signing(&self.mallory, |signer| propose(&before, added, signer)).unwrap();
        let squat = control(&self.mallory, change, Some(&before), &state);
        send_control(&self.sessions, &self.mallory, &self.dave.me(), &squat).await;
        self.world.deliver().await;
        self.dave.receive().await.unwrap();
    }

    /// Alice adds Dave.
    async fn add_dave(&self) {
        self.alice.change_group(&self.id, Proposal::Add([self.dave.me().actor()].into())).await.unwrap();
        self.world.deliver().await;
        self.dave.receive().await.unwrap();
    }

    /// Asserts that Dave is in Alice's group, and that what he writes reaches Alice and Bob alone.
    async fn assert_in_alices(&self) {
        let group = self.dave.groups().unwrap().remove(0);
        self.alice.receive().await.unwrap();
        assert_eq!(group.state, self.alice.groups().unwrap().remove(0).state);
        self.dave.send_to_group(&self.id, text("hello")).await.unwrap();
        self.world.deliver().await;
        for client in [&self.alice, &self.bob] {
            assert_eq!(hear(&self.world, client).await, ["hello"]);
        }
        let heard = self.mallory.receive().await.unwrap().messages;
        assert!(heard.iter().all(|message| message.content.text != "hello"));
        self.world.deliver().await;
    }
}

/// Mallory, whom nobody made an admin, grants herself what she likes in Alice's name.
#[tokio::test]
async fn a_removed_member_cannot_take_the_groups_id() {
    let scene = Scene::with(false).await;
    let mallory = scene.mallory.me().actor();
    let signature = scene.mallory.device().keys().identity().sign(b"", scene.mallory.device().environment());
    let (by, device) = (scene.alice.me().actor(), scene.alice.device().address());
    let forged = GroupGrant { admin: mallory.clone(), by, device, signature };
    scene.squat(BTreeMap::from([(mallory.clone(), forged)])).await;
    // Dave has not heard of Alice. The invitation is shown, and false as soon as he wants to join.
    let [invitation] = &scene.dave.invitations().unwrap()[..] else { panic!() };
    assert_eq!(invitation.by, mallory);
    let refused = scene.dave.join_group(&scene.id, None).await;
    assert!(
        matches!(&refused, Err(MessengerError::Group(GroupError::FalseGrant(of))) if *of == mallory),
        "{refused:?}"
    );
    assert_eq!((scene.dave.invitations().unwrap().len(), scene.dave.groups().unwrap().len()), (0, 0));
    scene.add_dave().await;
    scene.dave.join_group(&scene.id, None).await.unwrap();
    scene.assert_in_alices().await;
}

/// The false invitation lies beside the true one, and does not stand in its way.
#[tokio::test]
async fn a_false_invitation_does_not_hide_the_true_one() {
    let scene = Scene::with(false).await;
    let mallory = scene.mallory.me().actor();
    let signature = scene.mallory.device().keys().identity().sign(b"", scene.mallory.device().environment());
    let (by, device) = (scene.alice.me().actor(), scene.alice.device().address());
    let forged = GroupGrant { admin: mallory.clone(), by, device, signature };
    scene.squat(BTreeMap::from([(mallory, forged)])).await;
    scene.add_dave().await;
    assert_eq!(scene.dave.invitations().unwrap().len(), 2);
    scene.dave.join_group(&scene.id, None).await.unwrap();
    assert_eq!(scene.dave.invitations().unwrap().len(), 0);
    scene.assert_in_alices().await;
}

/// Mallory names an admin before her whose server does not exist, so that nothing is proven or refuted.
#[tokio::test]
async fn an_invitation_that_cannot_be_checked_does_not_stop_another() {
    let scene = Scene::with(false).await;
    let mallory = scene.mallory.me().actor();
    let nobody = "https://nowhere.example/user/nobody".to_owned();
    let environment = scene.mallory.device().environment();
    let grant = |admin: &String, by: &String| {
        let signature = scene.mallory.device().keys().identity().sign(b"", environment);
        let device = scene.alice.device().address();
        (admin.clone(), GroupGrant { admin: admin.clone(), by: by.clone(), device, signature })
    };
    let grants = [grant(&mallory, &nobody), grant(&nobody, &scene.alice.me().actor())];
    scene.squat(BTreeMap::from(grants)).await;
    let refused = scene.dave.join_group(&scene.id, None).await;
    assert!(!matches!(refused, Err(MessengerError::Group(_)) | Ok(_)), "{refused:?}");
    scene.add_dave().await;
    scene.dave.join_group(&scene.id, None).await.unwrap();
    scene.assert_in_alices().await;
}

/// Mallory's group is at an early epoch and has Alice among the admins, so that Alice's addition could be
/// what follows.
#[tokio::test]
async fn a_true_invitation_is_not_kept_in_the_name_of_a_stranger() {
    let scene = Scene::with(false).await;
    let [mallory, alice] = [scene.mallory.me().actor(), scene.alice.me().actor()];
    befriend(&scene.dave, &scene.alice).await;
    scene.world.deliver().await;
    scene.alice.receive().await.unwrap();
    let signature = scene.mallory.device().keys().identity().sign(b"", scene.mallory.device().environment());
    let device = format!("{alice}/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11");
    let grant = GroupGrant { admin: mallory.clone(), by: alice.clone(), device, signature };
    let both = BTreeSet::from([mallory.clone(), alice.clone()]);
    let before = GroupState::new(GroupParts {
        members: both.clone(),
        admins: both,
        grants: BTreeMap::from([(mallory.clone(), grant)]),
        master_key: MasterKey::from_bytes([7; 32]),
        ..scene.seen.parts().clone()
    })
    .unwrap();
    let added = Proposal::Add([scene.dave.me().actor()].into());
    let (change, state) = signing(&scene.mallory, |signer| propose(&before, added, signer)).unwrap();
    let squat = control(&scene.mallory, change, Some(&before), &state);
    send_control(&scene.sessions, &scene.mallory, &scene.dave.me(), &squat).await;
    scene.world.deliver().await;
    scene.dave.receive().await.unwrap();
    scene.world.advance(1_000);
    scene.alice.change_group(&scene.id, Proposal::Add([scene.dave.me().actor()].into())).await.unwrap();
    scene.world.deliver().await;
    let notices = scene.dave.receive().await.unwrap().notices;
    let is_told = notices
        .iter()
        .any(|it| matches!(it, Notice::Group { by, event: GroupEvent::Invited, .. } if *by == alice));
    assert!(is_told, "{notices:?}");
    let shown = scene.dave.invitations().unwrap();
    assert!(shown.iter().any(|it| it.by == alice && !it.stranger), "{shown:?}");
    assert!(shown.iter().any(|it| it.by == mallory && it.state == state), "{shown:?}");
    scene.dave.join_group(&scene.id, Some(&scene.alice.me())).await.unwrap();
    scene.assert_in_alices().await;
}

/// Whoever was an admin has a true grant for ever. Then the two invitations are a conflict, which
/// only the user can decide.
#[tokio::test]
async fn two_lineages_of_one_group_are_a_conflict() {
    let scene = Scene::with(true).await;
    let grants = scene.seen.grants().map(|grant| (grant.admin.clone(), grant.clone())).collect();
    scene.squat(grants).await;
    scene.add_dave().await;
    let by: BTreeSet<_> = scene.dave.invitations().unwrap().into_iter().map(|it| it.by).collect();
    assert_eq!(by, [scene.alice.me().actor(), scene.mallory.me().actor()].into());
    let refused = scene.dave.join_group(&scene.id, None).await;
    let several = matches!(refused, Err(MessengerError::Group(GroupError::SeveralInvitations)));
    assert!(several, "{refused:?}");
    assert_eq!(scene.dave.groups().unwrap().len(), 0, "nothing is chosen silently");
    scene.dave.join_group(&scene.id, Some(&scene.alice.me())).await.unwrap();
    scene.assert_in_alices().await;
    // In the group, a far epoch of somebody who is no admin changes nothing.
    let before = scene.dave.groups().unwrap().remove(0).state;
    let (change, far) = signing(&scene.mallory, |signer| {
        let seen = GroupState::new(GroupParts { epoch: 900, ..scene.seen.parts().clone() }).unwrap();
        propose(&seen, Proposal::Rename("mine".to_owned()), signer).unwrap()
    });
    let far = control(&scene.mallory, change, Some(&scene.seen), &far);
    assert_eq!(far.change(), GroupChange::Renamed);
    send_control(&scene.sessions, &scene.mallory, &scene.dave.me(), &far).await;
    scene.world.deliver().await;
    scene.dave.receive().await.unwrap();
    assert_eq!(scene.dave.groups().unwrap().remove(0).state, before);
    scene.world.deliver().await;
}
