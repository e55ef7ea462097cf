//! Tests of what comes from a device that its user has revoked meanwhile: messages are shown with a
//! warning, and nothing else counts.

use eko_client::Environment;
use eko_client::group::{GroupChange, GroupParts, GroupState};
use eko_client::messenger::{Notice, UnreadableReason};
use eko_client::store::EnvelopeState;
use eko_testkit::{World, seeded};
use serde_json::json;

use crate::controls::control;
use crate::forging::ForgingSessions;
use crate::friends::{Friends, group};
use crate::people::{TestMessenger, befriend, first, further, hear, request, say, text};
use crate::proofs::state_heads;
use crate::receipts::state;
use crate::test_network::TestNetwork;

/// The warning for messages of another user's revoked device.
const THEIRS: &str = "it comes from a device that they have revoked";

/// Returns a state without this member.
fn without(state: &GroupState, actor: &str) -> GroupState {
    let mut parts = state.parts().clone();
    parts.members.remove(actor);
    GroupState::new(parts).unwrap()
}

/// Looks into a mailbox, and returns the texts of the messages with their warnings.
async fn warned(world: &World, client: &TestMessenger) -> Vec<(String, Option<String>)> {
    world.deliver().await;
    let mut heard = Vec::new();
    loop {
        let received = client.receive().await.unwrap();
        let messages = received.messages.into_iter();
        heard.extend(messages.map(|message| {
            client.note_shown(message.position).unwrap();
            (message.content.text, message.content.warning)
        }));
        match received.look_again_ms {
            Some(ms) => world.advance(ms - world.now_ms()),
            None => return heard,
        }
    }
}

fn with_warning(texts: &[&str], warning: &str) -> Vec<(String, Option<String>)> {
    texts.iter().map(|text| ((*text).to_owned(), Some(warning.to_owned()))).collect()
}

/// The user wrote before the device was lost. Alice learns of the revocation first, in a session that
/// she has, and in one that begins.
#[tokio::test]
async fn what_a_device_wrote_before_it_was_revoked_is_shown_with_a_warning() {
    for has_session in [true, false] {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
        befriend(&alice, &bob).await;
        let two = further(&world, &wire, &bob, "two").await;
        if has_session {
            say(&two, &alice.me(), "before").await;
            world.deliver().await;
            assert_eq!(hear(&world, &alice).await, ["before"]);
            say(&alice, &bob.me(), "both of you").await;
            world.deliver().await;
            hear(&world, &two).await;
            hear(&world, &bob).await;
        }
        for words in ["from the stolen one", "and again"] {
            say(&two, &alice.me(), words).await;
        }
        world.deliver().await;
        bob.revoke(two.device().id()).await.unwrap();
        alice.verification(&bob.me()).await.unwrap();
        assert_eq!(warned(&world, &alice).await, with_warning(&["from the stolen one", "and again"], THEIRS));
        assert_eq!(alice.receive().await.unwrap().notices, []);
        say(&bob, &alice.me(), "from the one that is left").await;
        assert_eq!(warned(&world, &alice).await, [("from the one that is left".to_owned(), None)]);
        // What Alice writes is encrypted to the other device alone.
        wire.seen.lock().unwrap().clear();
        say(&alice, &bob.me(), "to the one that is left").await;
        let (seen, address) = (wire.seen.lock().unwrap().clone(), two.device().address());
        assert!(!seen.iter().any(|body| String::from_utf8_lossy(body).contains(&address)));
        world.deliver().await;
        hear(&world, &bob).await;
        world.deliver().await;
    }
}

/// A note that waits for a control is shown with the warning, too.
#[tokio::test]
async fn what_was_held_of_a_revoked_device_is_shown_with_a_warning() {
    let friends = Friends::meet().await;
    let (world, alice, bob) = (&friends.world, &friends.alice, &friends.bob);
    let lines = TestNetwork::to(&[world]);
    let two = further(world, &lines, bob, "two").await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), friends.carol.me()]).await.unwrap();
    friends.look(bob).await;
    bob.join_group(&id, None).await.unwrap();
    for client in [&two, alice] {
        friends.look(client).await;
    }
    two.send_to_group(&id, text("from the stolen one")).await.unwrap();
    friends.look(&friends.carol).await;
    assert!(!friends.carol.held().unwrap().is_empty());
    bob.revoke(two.device().id()).await.unwrap();
    friends.carol.verification(&bob.me()).await.unwrap();
    friends.carol.join_group(&id, None).await.unwrap();
    let shown = warned(world, &friends.carol).await;
    assert!(shown.contains(&("from the stolen one".to_owned(), Some(THEIRS.to_owned()))), "{shown:?}");
    for client in friends.everybody() {
        friends.look(client).await;
    }
    world.deliver().await;
}

/// The copy of what this user wrote on a device that is revoked now.
#[tokio::test]
async fn the_copy_of_an_own_revoked_device_has_its_own_warning() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &alice, "two").await;
    say(&two, &bob.me(), "from the tablet").await;
    world.deliver().await;
    alice.revoke(two.device().id()).await.unwrap();
    let shown = warned(&world, &alice).await;
    assert_eq!(shown, with_warning(&["from the tablet"], "it comes from a device that you have revoked"));
    // Whom it wrote to is no contact for that.
    say(&bob, &alice.me(), "who are you?").await;
    world.deliver().await;
    alice.receive().await.unwrap();
    assert_eq!(alice.requests().unwrap().len(), 1);
    hear(&world, &bob).await;
    world.deliver().await;
}

/// The message of a stranger's revoked device is a request like any other of theirs.
#[tokio::test]
async fn a_strangers_revoked_device_makes_a_request() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    say(&two, &alice.me(), "hello").await;
    world.deliver().await;
    bob.revoke(two.device().id()).await.unwrap();
    assert_eq!(warned(&world, &alice).await, []);
    let request = alice.requests().unwrap().remove(0);
    assert_eq!(request.messages[0].warning.as_deref(), Some(THEIRS));
    assert_eq!(world.deliver().await, 0);
}

/// A thief's device says that Bob has got a message, that he has joined a group, what became of it, and
/// that he and others have more devices.
#[tokio::test]
async fn nothing_but_messages_counts_of_a_revoked_device() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let environment = Environment { clock: world.clock(), random: seeded("bob/stolen") };
    let stolen = sessions.sign_in(&world, &wire, environment, request(&world, "bob", false)).await;
    bob.approve(&stolen.joining_code().unwrap().unwrap()).await.unwrap();
    stolen.join().await.unwrap();
    let sent = say(&alice, &bob.me(), "to Bob").await;
    let id = sent.id.clone();
    for kind in ["Delivered", "Read"] {
        let id = id.clone();
        sessions.forge(move |activity| {
            activity["type"] = json!(kind);
            activity["object"] = if kind == "Read" { json!(id) } else { json!([id]) };
        });
        stolen.send(&alice.me(), text("he has it")).await.unwrap();
    }
    let carol = first(&world, &wire, "carol").await;
    let (group_id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    let before = group(&alice, &group_id).state;
    let next = GroupState::new(GroupParts { epoch: 2, ..before.parts().clone() }).unwrap();
    let told = control(&stolen, GroupChange::Left, Some(&before), &without(&next, &bob.me().actor()));
    let joined = json!({ "id": group_id, "epoch": 1, "state": before.hash() });
    sessions.forge(move |activity| {
        let id = joined["id"].clone();
        (activity["type"], activity["to"], activity["object"]) = (json!("Join"), json!([id]), id);
        activity["eko:group"] = joined.clone();
    });
    stolen.send(&alice.me(), text("he joins")).await.unwrap();
    sessions.forge(move |activity| {
        (activity["type"], activity["object"]) = (json!("Announce"), told.to_value());
    });
    stolen.send(&alice.me(), text("he leaves")).await.unwrap();
    state_heads(&sessions, &stolen, 9);
    stolen.send(&alice.me(), text("he has nine")).await.unwrap();
    let others = [alice.me().actor(), carol.me().actor()];
    sessions.forge(move |activity| {
        let set = json!({ "length": 9, "head": "ab".repeat(32) });
        activity["eko:deviceSets"] = json!({ &others[0]: set, &others[1]: set });
    });
    stolen.send(&alice.me(), text("and so have they")).await.unwrap();
    world.deliver().await;
    bob.revoke(stolen.device().id()).await.unwrap();
    alice.verification(&bob.me()).await.unwrap();
    let notices = alice.receive().await.unwrap().notices;
    let refused = Notice::Unreadable { actor: bob.me().actor(), why: UnreadableReason::RevokedDevice };
    let refusals = notices.iter().filter(|notice| **notice == refused).count();
    assert_eq!(refusals, 4, "{notices:?}");
    assert_eq!(group(&alice, &group_id).unconfirmed, [bob.me().actor(), carol.me().actor()].into());
    // The key is another, since a device was revoked. The members are the same.
    assert_eq!(group(&alice, &group_id).state.members(), before.members());
    assert_eq!(alice.held().unwrap(), []);
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::Read { .. } | Notice::Settled(_))));
    assert_eq!(state(&alice, &id), EnvelopeState::Accepted);
    let is_of_heads = |it: &Notice| matches!(it, Notice::Distrusted { .. } | Notice::Contradiction { .. });
    assert!(!notices.iter().any(is_of_heads), "{notices:?}");
    for person in [&bob, &carol, &alice] {
        let kept = alice.verification_kept(&person.me()).unwrap();
        assert_eq!(kept.and_then(|kept| kept.alarm), None);
    }
    let shown = warned(&world, &alice).await;
    assert_eq!(shown, with_warning(&["he has nine", "and so have they"], THEIRS));
    say(&alice, &bob.me(), "to the one that is left").await;
    world.deliver().await;
    for client in [&bob, &carol] {
        hear(&world, client).await;
    }
    world.deliver().await;
}
