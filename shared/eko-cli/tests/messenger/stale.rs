//! Tests of a server that withholds a control: the other members tell whoever has not got it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use eko_client::group::{GroupChange, GroupError, GroupParts, GroupState, Proposal, propose};
use eko_client::messenger::{BEHIND_MINUTES, Distrust, GroupEvent, MessengerError};
use serde_json::Value;

use crate::controls::{control, send_control, signing};
use crate::distrust::show_chain_of;
use crate::forging::ForgingSessions;
use crate::friends::{Friends, changes, fail_after, group, hide};
use crate::people::{first, further, hear, text};
use crate::test_network::{FalseAnswer, NetworkFault};

/// Bob's server hides from him what Alice sends, and so that Carol was removed. Carol's mailbox is
/// not Bob's, so her server does not matter.
#[tokio::test]
async fn a_withheld_removal_is_told_by_the_others() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    hide(line, bob, &[alice]);
    alice.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
    assert_eq!(friends.look(dave).await, changes([GroupChange::Removed]));
    assert_eq!(friends.look(bob).await, []);
    // Bob writes to Carol, as he knows nothing. Dave sees that Bob has a former state.
    bob.send_to_group(&id, text("without knowing")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, carol).await, ["without knowing"]);
    assert_eq!(hear(world, dave).await, ["without knowing"]);
    // Dave's message reaches Bob, and with it Alice's control, which proves itself.
    assert_eq!(friends.look(bob).await, changes([GroupChange::Removed]));
    assert_eq!(group(bob, &id).state, group(dave, &id).state);
    bob.send_to_group(&id, text("among us")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, carol).await, [""; 0]);
    assert_eq!(hear(world, dave).await, ["among us"]);
    line.honest();
    for client in friends.everybody() {
        friends.look(client).await;
    }
    assert_eq!(group(alice, &id).state, group(bob, &id).state);
    world.deliver().await;
}

/// Bob's server drops what Alice sends, and what Dave has forwarded at first. An hour later Dave forwards it
/// again.
#[tokio::test]
async fn what_was_forwarded_and_dropped_is_forwarded_again() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    let authors = [alice, dave].map(|client| client.me().actor());
    let (drops_all, dropped) = (Arc::new(AtomicBool::new(true)), Mutex::new(BTreeSet::new()));
    let is_strict = Arc::clone(&drops_all);
    line.tamper(move |passing| {
        if passing.endpoint != ("GET", "/user/bob/inbox") {
            return None;
        }
        let mut page: Value = serde_json::from_slice(passing.answer).unwrap();
        let mut dropped = dropped.lock().unwrap();
        page["orderedItems"].as_array_mut().unwrap().retain(|item| {
            let from_alice = item["actor"] == *authors[0];
            if from_alice || is_strict.load(Ordering::Relaxed) && item["actor"] == *authors[1] {
                dropped.insert(item["id"].to_string());
            }
            !dropped.contains(&item["id"].to_string())
        });
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    alice.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
    friends.look(dave).await;
    for _ in 0..2 {
        bob.send_to_group(&id, text("to Carol, too")).await.unwrap();
        friends.look(dave).await;
        assert_eq!(friends.look(bob).await, []);
    }
    drops_all.store(false, Ordering::Relaxed);
    assert_eq!(friends.look(bob).await, [], "it was dropped");
    world.advance(BEHIND_MINUTES * 60_000);
    bob.send_to_group(&id, text("and again")).await.unwrap();
    friends.look(dave).await;
    assert_eq!(friends.look(bob).await, changes([GroupChange::Removed]));
    assert_eq!(group(bob, &id).state, group(dave, &id).state);
    world.deliver().await;
}

/// Erin's process ends after it has decided to forward a control: the request is lost, or its answer, at
/// whatever point. The next process sends what is in its store, and does not wait for an hour.
#[tokio::test]
async fn what_is_to_be_forwarded_outlives_the_process() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, .. } = &friends;
    let (user, mut erin) = friends.restarting_user("erin").await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), erin.me()]).await.unwrap();
    friends.join(&id, &[bob, &erin]).await;
    friends.look(&erin).await;
    hide(line, bob, &[alice]);
    let (mut waited, mut sent) = (0, 0);
    for (good, fault) in
        (1..=5).flat_map(|good| [(good, NetworkFault::LostRequest), (good, NetworkFault::LostAnswer)])
    {
        let name = format!("{good} {fault:?}");
        alice.change_group(&id, Proposal::Rename(name.clone())).await.unwrap();
        friends.look(&erin).await;
        assert_eq!(group(&erin, &id).state.name(), name);
        bob.send_to_group(&id, text("what is it called?")).await.unwrap();
        world.deliver().await;
        fail_after(&user.line, good, fault);
        let _ = erin.receive().await;
        drop(erin);
        // What Bob has now was sent before the process ended.
        friends.look(bob).await;
        if group(bob, &id).state.name() == name {
            sent += 1
        } else {
            waited += 1
        }
        user.line.honest();
        erin = user.open();
        if let Some(due_ms) = erin.next_due_ms().unwrap() {
            world.advance((due_ms - world.now_ms()).max(0));
        }
        friends.look(&erin).await;
        friends.look(bob).await;
        assert_eq!(group(bob, &id).state.name(), name, "{good} {fault:?}");
    }
    assert!(waited > 1 && sent > 1, "{waited} {sent}");
    world.deliver().await;
}

/// A message that is held for a state that does not come is shown, and counts when the state comes.
#[tokio::test]
async fn what_waits_for_a_withheld_control_is_shown() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    // Carol is told of nothing that an admin sends.
    hide(line, carol, &[alice, dave]);
    alice.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    friends.look(bob).await;
    bob.send_to_group(&id, text("on Saturday")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, carol).await, [""; 0]);
    let held = carol.held().unwrap();
    assert_eq!((held.len(), &held[0].actor), (1, &bob.me().actor()));
    line.honest();
    assert_eq!(hear(world, carol).await, ["on Saturday"]);
    assert_eq!(carol.held().unwrap(), []);
    world.deliver().await;
}

/// Bob's server hides from him that Alice made Carol an admin, and shows him what Carol does.
#[tokio::test]
async fn an_admin_who_forwards_a_control_vouches_for_its_author() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    hide(line, bob, &[alice]);
    alice.change_group(&id, Proposal::Promote([carol.me().actor()].into())).await.unwrap();
    friends.look(carol).await;
    friends.look(dave).await;
    carol.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    friends.look(dave).await;
    assert_eq!(friends.look(bob).await, [GroupEvent::UnseenAdmin]);
    assert_eq!(bob.held().unwrap().len(), 1);
    bob.send_to_group(&id, text("is it Friday?")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, dave).await, ["is it Friday?"]);
    assert_eq!(friends.look(bob).await, changes([GroupChange::Renamed]));
    assert_eq!(group(bob, &id).state, group(dave, &id).state);
    assert_eq!((bob.held().unwrap(), bob.invitations().unwrap().len()), (vec![], 0));
    world.deliver().await;
}

/// Bob has never heard of Erin, who was added and made an admin while his server hid it.
#[tokio::test]
async fn the_chain_of_an_unknown_author_is_read() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, dave, .. } = &friends;
    let id = friends.group().await;
    let erin = first(world, &friends.alice_line, "erin").await;
    hide(line, bob, &[alice, &erin]);
    alice.change_group(&id, Proposal::Add([erin.me().actor()].into())).await.unwrap();
    friends.look(&erin).await;
    erin.join_group(&id, None).await.unwrap();
    alice.change_group(&id, Proposal::Promote([erin.me().actor()].into())).await.unwrap();
    friends.look(&erin).await;
    friends.look(dave).await;
    erin.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    friends.look(dave).await;
    bob.send_to_group(&id, text("is it Friday?")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, dave).await, ["is it Friday?"]);
    let told = friends.look(bob).await;
    assert!(told.contains(&GroupEvent::Changed(GroupChange::Renamed)), "{told:?}");
    assert_eq!(group(bob, &id).state, group(dave, &id).state);
    assert_eq!(bob.held().unwrap(), []);
    world.deliver().await;
}

/// Bob has never heard of Erin, who has made Carol an admin. Dave's next control rests on that.
#[tokio::test]
async fn the_chain_of_an_unknown_granter_is_read() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    let erin = first(world, &friends.alice_line, "erin").await;
    hide(line, bob, &[alice, &erin, carol]);
    alice.change_group(&id, Proposal::Add([erin.me().actor()].into())).await.unwrap();
    friends.look(&erin).await;
    erin.join_group(&id, None).await.unwrap();
    alice.change_group(&id, Proposal::Promote([erin.me().actor()].into())).await.unwrap();
    friends.look(&erin).await;
    erin.change_group(&id, Proposal::Promote([carol.me().actor()].into())).await.unwrap();
    friends.look(dave).await;
    dave.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    assert_eq!(friends.look(bob).await, changes([GroupChange::Renamed]));
    assert_eq!(group(bob, &id).state, group(dave, &id).state);
    assert_eq!(bob.held().unwrap(), []);
    world.deliver().await;
}

/// Bob goes on in a former state. At first that may be a message that crossed the change.
#[tokio::test]
async fn a_member_who_goes_on_in_a_former_state_is_shown() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    hide(line, bob, &[alice, carol, dave]);
    alice.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
    friends.look(dave).await;
    let mut told = Vec::new();
    for minutes in [0, 30, 31, 60] {
        world.advance(minutes * 60_000);
        bob.send_to_group(&id, text("to Carol, too")).await.unwrap();
        told.push(friends.look(dave).await);
    }
    assert_eq!(told, [vec![], vec![], vec![GroupEvent::Behind], vec![]]);
    // It is over when Bob knows.
    line.honest();
    friends.look(bob).await;
    assert_eq!(group(bob, &id).state, group(alice, &id).state);
    world.deliver().await;
}

/// Alice and Dave change one state at once, and the server hides the change that wins from the other.
#[tokio::test]
async fn whoever_has_lost_is_told() {
    let friends = Friends::meet().await;
    let Friends { world, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    let base = group(alice, &id).state;
    let hash = |name: &str| {
        let (epoch, name) = (base.epoch() + 1, name.to_owned());
        GroupState::new(GroupParts { epoch, name, ..base.parts().clone() }).unwrap().hash()
    };
    let wins = hash("Saturday") < hash("Sunday");
    let mut changes = [(alice, "Saturday"), (dave, "Sunday")];
    if !wins {
        changes.reverse();
    }
    // Whoever knows the change that wins tells whoever sends the other one.
    for (admin, name) in changes {
        admin.change_group(&id, Proposal::Rename(name.to_owned())).await.unwrap();
        world.advance(1);
    }
    let (winner, loser, line) =
        if wins { (alice, dave, &friends.dave_line) } else { (dave, alice, &friends.alice_line) };
    hide(line, loser, &[winner]);
    friends.look(winner).await;
    for client in [bob, carol] {
        friends.look(client).await;
    }
    friends.look(loser).await;
    for client in [bob, carol, loser] {
        assert_eq!(group(client, &id).state, group(winner, &id).state);
    }
    world.deliver().await;
}

/// Alice, the only admin whom Bob knows, has made Carol one and left, and Bob's server hides both.
#[tokio::test]
async fn an_admin_whose_promotion_is_withheld_is_shown_and_can_be_followed() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, .. } = &friends;
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    friends.join(&id, &[bob, carol]).await;
    hide(line, bob, &[alice]);
    alice.change_group(&id, Proposal::Promote([carol.me().actor()].into())).await.unwrap();
    friends.look(carol).await;
    alice.change_group(&id, Proposal::Leave).await.unwrap();
    friends.look(carol).await;
    carol.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    assert_eq!(friends.look(bob).await, [GroupEvent::UnseenAdmin]);
    // Nothing is replaced until Bob says so, and he is not told of the same again.
    assert_eq!((group(bob, &id).state.name(), friends.look(bob).await), ("Friday", vec![]));
    assert_eq!(group(bob, &id).conflict, Some(carol.me().actor()));
    assert!(bob.invitations().unwrap().iter().any(|it| it.by == carol.me().actor() && it.other_history));
    bob.join_group(&id, Some(&carol.me())).await.unwrap();
    friends.look(carol).await;
    assert_eq!(group(bob, &id).state, group(carol, &id).state);
    assert_eq!((bob.held().unwrap(), group(bob, &id).conflict), (vec![], None));
    carol.change_group(&id, Proposal::Rename("Sunday".to_owned())).await.unwrap();
    assert_eq!(friends.look(bob).await, changes([GroupChange::Renamed]));
    // What was hidden comes at last.
    line.honest();
    friends.look(bob).await;
    assert_eq!(group(bob, &id).state, group(carol, &id).state);
    world.deliver().await;
}

/// The promotion is late by one look, or comes in the same look after what follows it.
#[tokio::test]
async fn an_admin_whose_promotion_is_late_is_offered_no_longer() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, .. } = &friends;
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    friends.join(&id, &[bob, carol]).await;
    hide(line, bob, &[alice]);
    alice.change_group(&id, Proposal::Promote([carol.me().actor()].into())).await.unwrap();
    friends.look(carol).await;
    carol.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    assert_eq!(friends.look(bob).await, [GroupEvent::UnseenAdmin]);
    line.honest();
    assert_eq!(friends.look(bob).await, changes([GroupChange::Promoted, GroupChange::Renamed]));
    assert_eq!((bob.invitations().unwrap().len(), group(bob, &id).conflict), (0, None));
    assert_eq!(group(bob, &id).state, group(carol, &id).state);
    world.deliver().await;
}

/// Alice's tablet was stolen. It makes Mallory an admin, before or after Bob has read that it is revoked.
#[tokio::test]
async fn nobody_is_led_away_by_a_grant_of_a_revoked_device() {
    for is_read_before in [true, false] {
        let friends = Friends::meet().await;
        let Friends { world, line, alice, bob, .. } = &friends;
        let tablet = further(world, line, alice, "tablet").await;
        let sessions = ForgingSessions::default();
        let mallory = sessions.first(world, line, "mallory").await;
        let (id, _) = alice.create_group("Friday", &[bob.me(), mallory.me()]).await.unwrap();
        friends.join(&id, &[bob]).await;
        mallory.receive().await.unwrap();
        mallory.join_group(&id, None).await.unwrap();
        friends.look(bob).await;
        bob.verification(&alice.me()).await.unwrap();
        let read_revocation = async || {
            alice.revoke(tablet.device().id()).await.unwrap();
            bob.verification(&alice.me()).await.unwrap();
        };
        if is_read_before {
            read_revocation().await;
        }
        let base = group(bob, &id).state;
        let promotion = Proposal::Promote([mallory.me().actor()].into());
        let (_, promoted) = signing(&tablet, |signer| propose(&base, promotion, signer)).unwrap();
        let own = GroupState::new(GroupParts {
            epoch: promoted.epoch() + 1,
            admins: [mallory.me().actor()].into(),
            members: [bob.me().actor(), mallory.me().actor()].into(),
            ..promoted.parts().clone()
        });
        let led = control(&mallory, GroupChange::Renamed, Some(&promoted), &own.unwrap());
        send_control(&sessions, &mallory, &bob.me(), &led).await;
        let told = friends.look(bob).await;
        assert_eq!(told.contains(&GroupEvent::UnseenAdmin), !is_read_before, "{told:?}");
        if !is_read_before {
            assert_eq!(bob.invitations().unwrap().len(), 1);
            read_revocation().await;
        }
        let refused = bob.join_group(&id, Some(&mallory.me())).await;
        match is_read_before {
            true => assert!(matches!(refused, Err(MessengerError::NoSuchGroup(_))), "{refused:?}"),
            false => assert!(
                matches!(refused, Err(MessengerError::Group(GroupError::RevokedDevice))),
                "{refused:?}"
            ),
        }
        assert_eq!((bob.invitations().unwrap().len(), &group(bob, &id).state), (0, &base));
        for client in [alice, bob] {
            friends.look(client).await;
        }
        mallory.receive().await.unwrap();
        world.deliver().await;
    }
}

/// Bob's server hides that Alice's tablet was stolen and is revoked. Alice's message has proven that the chain
/// is longer, when the tablet makes Mallory an admin.
#[tokio::test]
async fn nobody_is_led_away_by_a_grant_while_a_part_of_the_chain_is_hidden() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice_line, alice, bob, .. } = &friends;
    let tablet = further(world, alice_line, alice, "tablet").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(world, alice_line, "mallory").await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), mallory.me()]).await.unwrap();
    friends.join(&id, &[bob]).await;
    mallory.receive().await.unwrap();
    mallory.join_group(&id, None).await.unwrap();
    friends.look(bob).await;
    alice.revoke(tablet.device().id()).await.unwrap();
    show_chain_of("alice", line, |nodes| nodes.truncate(2));
    alice.send(&bob.me(), text("look at my devices")).await.unwrap();
    friends.look(bob).await;
    let base = group(bob, &id).state;
    let promotion = Proposal::Promote([mallory.me().actor()].into());
    let (_, promoted) = signing(&tablet, |signer| propose(&base, promotion, signer)).unwrap();
    let own = GroupState::new(GroupParts {
        epoch: promoted.epoch() + 1,
        admins: [mallory.me().actor()].into(),
        members: [bob.me().actor(), mallory.me().actor()].into(),
        ..promoted.parts().clone()
    });
    let led = control(&mallory, GroupChange::Renamed, Some(&promoted), &own.unwrap());
    send_control(&sessions, &mallory, &bob.me(), &led).await;
    friends.look(bob).await;
    let refused = bob.join_group(&id, Some(&mallory.me())).await;
    let withheld = Distrust::Withheld { shown: 2, proven: 3 };
    assert!(matches!(&refused, Err(MessengerError::Distrust { why, .. }) if *why == withheld), "{refused:?}");
    assert_eq!(group(bob, &id).state, base);
    // The true chain says whose the grant is.
    line.honest();
    let refused = bob.join_group(&id, Some(&mallory.me())).await;
    assert!(matches!(refused, Err(MessengerError::Group(GroupError::RevokedDevice))), "{refused:?}");
    for client in [alice, bob] {
        friends.look(client).await;
    }
    mallory.receive().await.unwrap();
    world.deliver().await;
}
