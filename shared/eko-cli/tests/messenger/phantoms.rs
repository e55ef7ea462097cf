//! Tests of members who are listed and know nothing of it, and of consent to invitations.

use eko_client::group::{GroupChange, GroupState, Proposal};
use eko_client::messenger::GroupEvent;
use eko_client::store::{EnvelopeState, HeldReason};
use eko_testkit::World;
use serde_json::json;

use crate::controls::{control, send_control};
use crate::forging::ForgingSessions;
use crate::friends::{Friends, events, fail_after, group};
use crate::people::{befriend, first, hear, text};
use crate::receipts::state;
use crate::restarting::RestartingUser;
use crate::test_network::{NetworkFault, TestNetwork};

/// Mallory lists Bob and Carol, and tells Alice alone.
#[tokio::test]
async fn members_who_were_told_nothing_are_not_reached() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let (carol, sessions) = (first(&world, &wire, "carol").await, ForgingSessions::default());
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let names = [&alice, &bob, &carol].map(|client| client.me().actor());
    let environment = mallory.device().environment();
    let state = GroupState::create("Friday", names, &mallory.me().actor(), environment).unwrap();
    let created = control(&mallory, GroupChange::Created, None, &state);
    send_control(&sessions, &mallory, &alice.me(), &created).await;
    world.deliver().await;
    assert_eq!(events(alice.receive().await.unwrap().notices), [GroupEvent::Invited]);
    assert_eq!(alice.groups().unwrap().len(), 0, "nobody is in a group without saying so");
    alice.join_group(state.id(), None).await.unwrap();
    let sent = alice.send_to_group(state.id(), text("hello, all")).await.unwrap();
    world.deliver().await;
    for client in [&bob, &carol] {
        assert_eq!(hear(&world, client).await, [""; 0]);
        let held: Vec<_> = client.held().unwrap().into_iter().map(|held| held.why).collect();
        assert_eq!(held, [HeldReason::NotJoined; 2], "the Join and the message");
        assert_eq!((client.groups().unwrap().len(), client.invitations().unwrap().len()), (0, 0));
    }
    world.deliver().await;
    alice.receive().await.unwrap();
    let others = [&bob, &carol].map(|client| client.me().actor());
    assert_eq!(group(&alice, state.id()).unconfirmed, others.clone().into());
    let envelopes = alice.sent(&sent.id).unwrap().envelopes;
    let to_others = envelopes.iter().filter(|envelope| others.contains(&envelope.recipient));
    assert!(to_others.clone().all(|envelope| envelope.state == EnvelopeState::Accepted));
    assert_eq!(to_others.count(), 2);
    world.deliver().await;
}

/// An invitation that is declined is not shown again, and nothing that members write is held.
#[tokio::test]
async fn what_is_declined_is_shown_no_more() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    alice.send_to_group(&id, text("hello")).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    assert_eq!((bob.invitations().unwrap().len(), bob.held().unwrap().len()), (1, 1));
    bob.decline_group(&id, None).unwrap();
    assert_eq!((bob.invitations().unwrap().len(), bob.held().unwrap().len()), (0, 0));
    alice.send_to_group(&id, text("are you there?")).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    assert_eq!((bob.groups().unwrap().len(), bob.held().unwrap().len()), (0, 0));
    assert!(bob.join_group(&id, None).await.is_err());
    assert_eq!(group(&alice, &id).unconfirmed, [bob.me().actor()].into());
    world.deliver().await;
}

/// An invitation that a user has accepted on one device counts on the others.
#[tokio::test]
async fn a_user_joins_on_all_devices_at_once() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let bob_two = crate::people::further(&world, &wire, &bob, "two").await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    bob.join_group(&id, None).await.unwrap();
    alice.send_to_group(&id, text("hello")).await.unwrap();
    world.deliver().await;
    for client in [&bob, &bob_two] {
        assert_eq!(hear(&world, client).await, ["hello"]);
        assert!(group(client, &id).member);
    }
    world.deliver().await;
}

/// The process ends after the user has joined and before anybody is told. The next one tells them.
#[tokio::test]
async fn a_join_outlives_the_process_that_made_it() {
    for fault in [NetworkFault::LostRequest, NetworkFault::LostAnswer] {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let alice = first(&world, &wire, "alice").await;
        let (user, bob) = RestartingUser::sign_in(&world, "bob").await;
        let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
        world.deliver().await;
        assert_eq!(events(bob.receive().await.unwrap().notices), [GroupEvent::Invited]);
        // The chain of whoever invites is read before the joining.
        fail_after(&user.line, 1, fault);
        // What the failure is does not matter here.
        let _ = bob.join_group(&id, None).await;
        drop(bob);
        user.line.honest();
        let bob = user.open();
        assert!(group(&bob, &id).member, "the group is kept together with what is to be sent");
        if let Some(due_ms) = bob.next_due_ms().unwrap() {
            world.advance(due_ms - world.now_ms());
        }
        bob.receive().await.unwrap();
        world.deliver().await;
        alice.receive().await.unwrap();
        assert_eq!(group(&alice, &id).unconfirmed, [].into());
        world.deliver().await;
    }
}

/// A user who has declined hears of it when an admin invites them anew.
#[tokio::test]
async fn whoever_has_declined_is_invited_anew() {
    let friends = Friends::meet().await;
    let Friends { alice, bob, carol, .. } = &friends;
    befriend(alice, bob).await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    assert_eq!(friends.look(bob).await, [GroupEvent::Invited]);
    bob.decline_group(&id, None).unwrap();
    for proposal in [Proposal::Remove, Proposal::Add] {
        alice.change_group(&id, proposal([bob.me().actor()].into())).await.unwrap();
    }
    assert_eq!(friends.look(bob).await, [GroupEvent::Invited]);
    bob.join_group(&id, None).await.unwrap();
    friends.look(carol).await;
    friends.look(alice).await;
    assert!(!group(alice, &id).unconfirmed.contains(&bob.me().actor()));
    friends.world.deliver().await;
}

/// The receipts of before Bob left say nothing of the group that he is brought into again.
#[tokio::test]
async fn a_receipt_for_what_was_written_before_a_departure_confirms_nobody() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, sessions) = (first(&world, &wire, "alice").await, ForgingSessions::default());
    let bob = sessions.first(&world, &wire, "bob").await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    bob.join_group(&id, None).await.unwrap();
    let sent = alice.send_to_group(&id, text("hello")).await.unwrap();
    bob.change_group(&id, Proposal::Leave).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    world.advance(1_000);
    let bobs = bob.me().actor();
    alice.change_group(&id, Proposal::Add([bobs.clone()].into())).await.unwrap();
    let read = sent.id.clone();
    sessions.forge(move |activity| {
        activity["type"] = json!("Delivered");
        activity["object"] = json!([read]);
    });
    bob.send(&alice.me(), text("it is here")).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    assert_eq!(state(&alice, &sent.id), EnvelopeState::Delivered);
    assert_eq!(group(&alice, &id).unconfirmed, [bobs].into());
    world.deliver().await;
}
