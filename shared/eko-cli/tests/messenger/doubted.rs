//! Tests of what devices say that have replaced all others of their user, before they are accepted.

use eko_client::group::{GroupChange, GroupParts, GroupState};
use eko_client::store::EnvelopeState;
use serde_json::json;

use crate::controls::control;
use crate::forging::ForgingSessions;
use crate::friends::{Friends, group};
use crate::people::{TestMessenger, befriend, say, text};
use crate::receipts::state;
use crate::resets::forger;

/// Accepts the devices that a user has now.
async fn accept(client: &TestMessenger, whose: &TestMessenger) {
    let verification = client.verification(&whose.me()).await.unwrap();
    client.accept(&whose.me(), &verification).unwrap();
}

/// Bob's server replaces his devices by its own, which says that Bob has read what it keeps from him.
#[tokio::test]
async fn a_receipt_counts_when_its_device_is_accepted() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, .. } = &friends;
    befriend(alice, bob).await;
    let sent = say(alice, &bob.me(), "for Bob").await;
    let sessions = ForgingSessions::default();
    let false_bob = forger(world, line, &sessions, bob, true).await;
    let id = sent.id.clone();
    sessions.forge(move |activity| {
        (activity["type"], activity["object"]) = (json!("Delivered"), json!([id]));
    });
    false_bob.send(&alice.me(), text("he has it")).await.unwrap();
    friends.look(alice).await;
    assert_ne!(state(alice, &sent.id), EnvelopeState::Delivered);
    accept(alice, bob).await;
    false_bob.send(&alice.me(), text("he has it")).await.unwrap();
    friends.look(alice).await;
    assert_eq!(state(alice, &sent.id), EnvelopeState::Delivered);
    world.deliver().await;
}

/// A device of Bob's server forwards a control that an admin has made, and has told nobody else.
#[tokio::test]
async fn what_is_forwarded_counts_when_the_device_that_forwards_it_is_accepted() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, .. } = &friends;
    let id = friends.group().await;
    let before = group(carol, &id).state;
    let name = "Saturday".to_owned();
    let next =
        GroupState::new(GroupParts { epoch: before.epoch() + 1, name, ..before.parts().clone() }).unwrap();
    let renamed = control(alice, GroupChange::Renamed, Some(&before), &next).to_value();
    let sessions = ForgingSessions::default();
    let false_bob = forger(world, line, &sessions, bob, true).await;
    sessions.forge(move |activity| {
        (activity["type"], activity["object"]) = (json!("Announce"), renamed.clone());
    });
    false_bob.send(&carol.me(), text("it has another name")).await.unwrap();
    friends.look(carol).await;
    assert_eq!(group(carol, &id).state, before);
    accept(carol, bob).await;
    false_bob.send(&carol.me(), text("it has another name")).await.unwrap();
    friends.look(carol).await;
    assert_eq!(group(carol, &id).state, next);
    world.deliver().await;
}
