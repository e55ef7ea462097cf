//! Tests of controls by devices that are not to be believed: of a user whose devices were all
//! replaced, and of a device that was revoked.

use std::collections::BTreeSet;

use eko_client::Environment;
use eko_client::group::{GroupChange, GroupParts, GroupState, MasterKey, Proposal};
use eko_client::messenger::{GroupEvent, Notice, Trust};
use eko_client::store::HeldReason;
use eko_testkit::{World, seeded};

use crate::controls::{control, send, send_control};
use crate::forging::{Forger, ForgingSessions};
use crate::friends::{Friends, group, hide, key};
use crate::people::{TestMessenger, befriend, hear, request, text};
use crate::test_network::TestNetwork;

/// Signs in a further device of a user, or a first one after a reset, with sessions that forge.
pub(crate) async fn forger(
    world: &World,
    wire: &TestNetwork,
    sessions: &ForgingSessions,
    of: &TestMessenger,
    reset: bool,
) -> Forger {
    let user = of.me().user;
    let environment = Environment { clock: world.clock(), random: seeded(format!("{user}/forger")) };
    sessions.sign_in(world, wire, environment, request(world, user.as_str(), reset)).await
}

/// Returns a state that follows `before`, with a key of the attacker's.
fn with_own_key(before: &GroupState) -> GroupState {
    let epoch = before.epoch() + 1;
    let master_key = MasterKey::from_bytes([7; 32]);
    GroupState::new(GroupParts { epoch, master_key, ..before.parts().clone() }).unwrap()
}

/// Alice's server resets her chain. Her new device, which the server has, changes the group. The
/// attacker even knows the group's state, as a former member does.
#[tokio::test]
async fn a_reset_that_is_not_accepted_changes_no_group() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    let before = group(bob, &id).state;
    let sessions = ForgingSessions::default();
    let false_alice = forger(world, line, &sessions, alice, true).await;
    let next = with_own_key(&before);
    let taken = control(&false_alice, GroupChange::Rekeyed, Some(&before), &next);
    send_control(&sessions, &false_alice, &bob.me(), &taken).await;
    assert_eq!(friends.look(bob).await, []);
    assert_eq!(group(bob, &id).state, before, "the control is held");
    let held = bob.held().unwrap();
    assert_eq!((held.len(), &held[0].actor, held[0].why), (1, &alice.me().actor(), HeldReason::Reset));
    // What Bob writes goes to the others, and in the state that they have.
    bob.send_to_group(&id, text("still among us")).await.unwrap();
    world.deliver().await;
    for client in [carol, dave] {
        assert_eq!(hear(world, client).await, ["still among us"]);
    }
    let heard = false_alice.receive().await.unwrap().messages;
    assert!(heard.is_empty(), "{heard:?}");
    // Only the user can say that these are Alice's devices now. Then the control is judged.
    let verification = bob.verification(&alice.me()).await.unwrap();
    assert_eq!(verification.trust, Trust::Reset);
    bob.accept(&alice.me(), &verification).unwrap();
    friends.look(bob).await;
    assert_eq!((group(bob, &id).state, bob.held().unwrap()), (next, vec![]));
    world.deliver().await;
}

/// A forwarded control of somebody whose reset is not accepted is held for that, whoever forwards it.
#[tokio::test]
async fn a_forwarded_control_waits_for_the_acceptance_of_its_author() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, .. } = &friends;
    let id = friends.group().await;
    let before = group(bob, &id).state;
    let sessions = ForgingSessions::default();
    let new_alice = forger(world, line, &sessions, alice, true).await;
    let next = with_own_key(&before);
    let made = control(&new_alice, GroupChange::Rekeyed, Some(&before), &next);
    send_control(&sessions, &new_alice, &bob.me(), &made).await;
    friends.look(bob).await;
    let accept = async |client: &TestMessenger| {
        let verification = client.verification(&alice.me()).await.unwrap();
        client.accept(&alice.me(), &verification).unwrap();
    };
    accept(bob).await;
    friends.look(bob).await;
    assert_eq!(group(bob, &id).state, next);
    carol.send_to_group(&id, text("hello")).await.unwrap();
    friends.look(bob).await;
    friends.look(carol).await;
    let held = carol.held().unwrap();
    assert_eq!((held.len(), &held[0].actor, held[0].why), (1, &alice.me().actor(), HeldReason::Reset));
    accept(carol).await;
    friends.look(carol).await;
    assert_eq!((group(carol, &id).state, carol.held().unwrap()), (next, vec![]));
    world.deliver().await;
}

/// A thief has Alice's second device. Its control comes after she has revoked the device.
#[tokio::test]
async fn a_control_of_a_revoked_device_never_counts() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, .. } = &friends;
    let sessions = ForgingSessions::default();
    let stolen = forger(world, line, &sessions, alice, false).await;
    world.deliver().await;
    alice.receive().await.unwrap();
    alice.approve(&code_of_forger(&stolen)).await.unwrap();
    stolen.join().await.unwrap();
    let id = friends.group().await;
    let before = group(bob, &id).state;
    let next = with_own_key(&before);
    let taken = control(&stolen, GroupChange::Rekeyed, Some(&before), &next);
    send_control(&sessions, &stolen, &bob.me(), &taken).await;
    world.deliver().await;
    alice.revoke(stolen.device().id()).await.unwrap();
    // Bob hears of the revocation before he looks.
    bob.verification(&alice.me()).await.unwrap();
    let told = friends.look(bob).await;
    assert!(!told.iter().any(|event| matches!(event, GroupEvent::Changed(_))), "{told:?}");
    assert_eq!((group(bob, &id).state, bob.held().unwrap()), (before, vec![]));
    // The thief has the keys of today. Alice's device makes another, and so does any other admin's.
    assert!(group(bob, &id).rekey_due);
    let old = group(bob, &id).state.master_key().clone();
    alice.receive().await.unwrap();
    friends.assert_renewed(&[alice, bob, &friends.carol, &friends.dave], &id, &old).await;
}

fn code_of_forger(client: &Forger) -> eko_client::JoiningCode {
    client.joining_code().unwrap().unwrap()
}

/// A member's device is revoked. The admins renew the key, since the device has it.
#[tokio::test]
async fn the_revocation_of_a_members_device_renews_the_key() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let two = crate::people::further(world, line, bob, "two").await;
    let id = friends.group().await;
    let old = group(alice, &id).state.master_key().clone();
    bob.revoke(two.device().id()).await.unwrap();
    alice.verification(&bob.me()).await.unwrap();
    assert!(group(alice, &id).rekey_due);
    alice.receive().await.unwrap();
    friends.assert_renewed(&[alice, bob, carol, dave], &id, &old).await;
}

/// Two admins see the revocation at once, and neither has the other's control yet. Whose key holds is a
/// matter of luck, so several groups are tried.
#[tokio::test]
async fn two_admins_who_renew_it_after_a_revocation_end_with_one_key() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let two = crate::people::further(world, line, bob, "two").await;
    let mut groups = Vec::new();
    for _ in 0..4 {
        let id = friends.group().await;
        groups.push((id.clone(), key(alice, &id)));
    }
    world.deliver().await;
    two.receive().await.unwrap();
    for (id, old) in &groups {
        assert_eq!(key(&two, id), *old, "the device has the key of that time");
    }
    bob.revoke(two.device().id()).await.unwrap();
    for client in friends.everybody() {
        client.verification(&bob.me()).await.unwrap();
    }
    for wire in [&friends.alice_line, &friends.dave_line, line] {
        wire.seen.lock().unwrap().clear();
    }
    for client in [alice, dave] {
        client.receive().await.unwrap();
    }
    let mut made = Vec::new();
    for (id, _) in &groups {
        let (hers, his) = (group(alice, id).state, group(dave, id).state);
        assert_ne!(hers.master_key(), his.master_key());
        made.push((hers, his));
    }
    let mut winners = BTreeSet::new();
    for ((id, old), (hers, his)) in groups.iter().zip(&made) {
        friends.assert_renewed(&[alice, dave, bob, carol], id, old).await;
        let winner = if hers.hash() < his.hash() { hers } else { his };
        assert_eq!((winner.epoch(), &group(carol, id).state), (3, winner));
        assert_eq!(key(&two, id), *old);
        winners.insert(winner == hers);
    }
    assert_eq!(winners.len(), 2, "each admin has won once");
    // Nothing was encrypted to the device since.
    let address = two.device().address();
    for wire in [&friends.alice_line, &friends.dave_line, line] {
        let seen = wire.seen.lock().unwrap();
        assert!(!seen.iter().any(|body| is_for(body, &address)));
    }
}

/// True if a body is that of an envelope with a ciphertext for the device with this address.
fn is_for(body: &[u8], address: &str) -> bool {
    let Ok(sent) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    sent["object"]["messages"].as_array().is_some_and(|all| all.iter().any(|it| it["to"] == address))
}

/// A member who adds and revokes devices does not make the admins renew the key each time.
#[tokio::test]
async fn revocations_renew_the_key_once_an_hour() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, .. } = &friends;
    let id = friends.group().await;
    let mut epochs = Vec::new();
    for label in ["two", "three", "four"] {
        let more = crate::people::further(world, line, bob, label).await;
        alice.verification(&bob.me()).await.unwrap();
        bob.revoke(more.device().id()).await.unwrap();
        alice.verification(&bob.me()).await.unwrap();
        alice.receive().await.unwrap();
        let group = group(alice, &id);
        epochs.push((group.state.epoch(), group.rekey_due));
        world.deliver().await;
        bob.receive().await.unwrap();
    }
    assert_eq!(epochs, [(3, false), (3, true), (3, true)]);
    world.advance(3_600_000);
    alice.receive().await.unwrap();
    assert_eq!((group(alice, &id).state.epoch(), group(alice, &id).rekey_due), (4, false));
    world.deliver().await;
}

/// A message that was held keeps the warning that there was when it came.
#[tokio::test]
async fn what_was_held_keeps_its_warning() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    // Carol does not know of the next state, so that what is said in it is held.
    hide(line, carol, &[dave]);
    dave.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    friends.look(bob).await;
    let state = group(bob, &id).state;
    let sessions = ForgingSessions::default();
    let false_alice = forger(world, line, &sessions, alice, true).await;
    let mut note = note_of(&false_alice, &state);
    note["object"]["content"] = "send money".into();
    send(&sessions, &false_alice, &carol.me(), note).await;
    assert_eq!(friends.look(carol).await, []);
    assert_eq!(carol.held().unwrap().len(), 1);
    // Carol accepts the new devices, and the state comes.
    let verification = carol.verification(&alice.me()).await.unwrap();
    carol.accept(&alice.me(), &verification).unwrap();
    line.honest();
    let received = carol.receive().await.unwrap();
    let warned = received.messages.iter().find(|it| it.content.text == "send money").unwrap();
    assert!(warned.content.warning.as_ref().unwrap().contains("all their devices were replaced"));
    assert!(received.notices.iter().any(|notice| matches!(notice, Notice::Group { .. })));
    world.deliver().await;
}

/// Returns a note to a group in this state.
fn note_of(client: &Forger, state: &GroupState) -> serde_json::Value {
    serde_json::json!({
        "@context": "https://www.w3.org/ns/activitystreams", "type": "Create",
        "id": "urn:uuid:1d2c3b4a-5f6e-4d7c-8b9a-0a1b2c3d4e99", "actor": client.me().actor(), "to": [state.id()],
        "published": "2026-01-29T19:30:00Z",
        "eko:group": { "id": state.id(), "epoch": state.epoch(), "state": state.hash() },
        "object": {
            "type": "Note", "id": "urn:uuid:4f9a1d52-3b1e-4c55-8a4e-0d7a6f3b2c99", "mediaType": "text/plain",
            "content": "",
        },
    })
}

/// Nothing says that a member has the group on the devices that have replaced all former ones.
#[tokio::test]
async fn a_member_after_a_reset_is_not_confirmed() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, .. } = &friends;
    let id = friends.group().await;
    let bobs = bob.me().actor();
    assert!(!group(alice, &id).unconfirmed.contains(&bobs));
    let sessions = ForgingSessions::default();
    forger(world, line, &sessions, bob, true).await;
    let seen = alice.verification(&bob.me()).await.unwrap();
    assert!(group(alice, &id).unconfirmed.contains(&bobs));
    alice.accept(&bob.me(), &seen).unwrap();
    assert!(group(alice, &id).unconfirmed.contains(&bobs));
    world.deliver().await;
}

/// The user has accepted the new devices, and is not warned of them afterwards.
#[tokio::test]
async fn an_accepted_reset_is_told_no_more() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, .. } = &friends;
    befriend(alice, bob).await;
    alice.receive().await.unwrap();
    let first = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &first).unwrap();
    let sessions = ForgingSessions::default();
    forger(world, line, &sessions, bob, true).await;
    let seen = alice.verification(&bob.me()).await.unwrap();
    assert_eq!(seen.trust, Trust::Reset);
    alice.accept(&bob.me(), &seen).unwrap();
    let notices = alice.receive().await.unwrap().notices;
    assert!(!notices.iter().any(|it| matches!(it, Notice::DevicesChanged { .. })), "{notices:?}");
    let trust = || alice.verification_kept(&bob.me()).unwrap().unwrap().trust;
    assert_eq!(trust(), Trust::Accepted, "and not what their server showed first");
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &seen).unwrap();
    assert_eq!(trust(), Trust::Verified);
    world.deliver().await;
}
