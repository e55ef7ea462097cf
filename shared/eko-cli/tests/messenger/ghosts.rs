//! Tests of grants by devices with which a server has replaced all devices of a user.

use eko_client::Environment;
use eko_client::group::{GroupChange, GroupControl, GroupParts, GroupState, Proposal, propose};
use eko_client::messenger::{Distrust, GroupEvent, MessengerError, Trust};
use eko_testkit::seeded;

use crate::controls::{control, send_control, signing};
use crate::forging::{Forger, ForgingSessions};
use crate::friends::{Friends, group};
use crate::people::{befriend, request};
use crate::resets::forger;

/// Alice's server has replaced her devices, and Bob has not accepted that. Mallory is a user there.
struct Ghost {
    friends: Friends,
    sessions: ForgingSessions,
    mallory: Forger,
    ghost: Forger,
}

impl Ghost {
    /// Lets `before` happen with Mallory before the devices are replaced.
    async fn rise(before: impl AsyncFnOnce(&Friends, &Forger)) -> Self {
        let friends = Friends::meet().await;
        befriend(&friends.alice, &friends.bob).await;
        let sessions = ForgingSessions::default();
        let mallory = sessions.first(&friends.world, &friends.line, "mallory").await;
        before(&friends, &mallory).await;
        let (world, line) = (&friends.world, &friends.line);
        let ghost = forger(world, line, &ForgingSessions::default(), &friends.alice, true).await;
        let verification = friends.bob.verification(&friends.alice.me()).await.unwrap();
        assert_eq!(verification.trust, Trust::Reset);
        Self { friends, sessions, mallory, ghost }
    }

    /// Has the ghost make Mallory an admin of a group.
    fn promote(&self, state: &GroupState) -> GroupState {
        let promotion = Proposal::Promote([self.mallory.me().actor()].into());
        signing(&self.ghost, |signer| propose(state, promotion, signer)).unwrap().1
    }

    /// Sends Bob a control of Mallory's. Returns what is told of groups.
    async fn send(&self, control: &GroupControl) -> Vec<GroupEvent> {
        send_control(&self.sessions, &self.mallory, &self.friends.bob.me(), control).await;
        self.friends.look(&self.friends.bob).await
    }
}

/// Mallory, a plain member, shows Bob a later state of his group in which she is an admin.
#[tokio::test]
async fn a_grant_of_a_reset_that_is_not_accepted_makes_nobody_an_admin() {
    let ghost = Ghost::rise(async |friends, mallory| {
        let Friends { alice, bob, .. } = friends;
        let (id, _) = alice.create_group("Friday", &[bob.me(), mallory.me()]).await.unwrap();
        friends.join(&id, &[bob]).await;
        mallory.receive().await.unwrap();
        mallory.join_group(&id, None).await.unwrap();
        friends.look(bob).await;
    })
    .await;
    let (bob, mallory) = (&ghost.friends.bob, &ghost.mallory);
    let before = bob.groups().unwrap().remove(0).state;
    let promoted = ghost.promote(&before);
    let own = GroupState::new(GroupParts {
        epoch: promoted.epoch() + 1,
        admins: [mallory.me().actor()].into(),
        members: [bob.me().actor(), mallory.me().actor()].into(),
        ..promoted.parts().clone()
    });
    let led = control(mallory, GroupChange::Renamed, Some(&promoted), &own.unwrap());
    ghost.send(&led).await;
    assert!(bob.invitations().unwrap().is_empty(), "nothing is offered");
    let joined = bob.join_group(before.id(), Some(&mallory.me())).await;
    assert!(matches!(joined, Err(MessengerError::NoSuchGroup(_))), "{joined:?}");
    assert_eq!(group(bob, before.id()).state, before);
}

/// Mallory invites Bob to a group that is said to be Alice's, whom he has verified. The server may have
/// replaced the device that grants once more.
#[tokio::test]
async fn a_newcomer_joins_nothing_by_a_grant_of_a_reset_that_is_not_accepted() {
    for resets in [1, 2] {
        assert_no_newcomer(resets).await;
    }
}

async fn assert_no_newcomer(resets: usize) {
    let ghost = Ghost::rise(async |Friends { alice, bob, .. }, _| {
        let verification = bob.verification(&alice.me()).await.unwrap();
        bob.mark_verified(&alice.me(), &verification).unwrap();
    })
    .await;
    let (bob, mallory) = (&ghost.friends.bob, &ghost.mallory);
    let environment = ghost.ghost.device().environment();
    let members = [mallory.me().actor()];
    let state = GroupState::create("Alice's", members, &ghost.ghost.me().actor(), environment).unwrap();
    let promoted = ghost.promote(&state);
    let addition = Proposal::Add([bob.me().actor()].into());
    let (change, next) = signing(mallory, |signer| propose(&promoted, addition, signer)).unwrap();
    for number in 1..resets {
        let Friends { world, line, .. } = &ghost.friends;
        let environment = Environment { clock: world.clock(), random: seeded(format!("ghost {number}")) };
        world.advance(600_000);
        let registration = request(world, "alice", true);
        ForgingSessions::default().sign_in(world, line, environment, registration).await;
    }
    ghost.send(&control(mallory, change, Some(&promoted), &next)).await;
    let joined = bob.join_group(next.id(), None).await;
    let Err(MessengerError::Distrust { actor, why: Distrust::Reset { verified: true } }) = joined else {
        panic!("{joined:?}");
    };
    assert_eq!(actor, ghost.friends.alice.me().actor());
    assert!(bob.groups().unwrap().is_empty());
    assert_eq!(bob.invitations().unwrap().len(), 1, "it waits");
}
