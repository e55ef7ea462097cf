//! Tests of what a user is told of added and removed devices, and of what follows from a removal.

use eko_client::messenger::{Notice, Severity, Trust};
use eko_client::{DeviceStore, Environment};
use eko_protocol::chain::NextNode;
use eko_protocol::key::JoiningMac;
use eko_testkit::{World, seeded};

use crate::distrust::{inserted, show_chain};
use crate::people::{TestMessenger, code_of, device, first, further, hear, know, request, say, sign_in};
use crate::restarting::RestartingUser;
use crate::test_network::TestNetwork;

/// The devices that a notice says were added or removed.
type DeviceChange = (String, Vec<String>, Vec<String>);

/// Looks into a mailbox, and returns the changes of devices as shown.
async fn changes(client: &TestMessenger) -> Vec<DeviceChange> {
    let notices = client.receive().await.unwrap().notices;
    notices.iter().for_each(|notice| client.note_told(notice).unwrap());
    let change = |notice| match notice {
        Notice::DevicesChanged { actor, added, removed, .. } => Some((actor, added, removed)),
        _ => None,
    };
    notices.into_iter().filter_map(change).collect()
}

#[tokio::test]
async fn contacts_and_own_devices_are_told_of_a_device() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &seen).unwrap();
    let (three, _) = device(&world, &wire, "bob", "three").await;
    two.approve(&code_of(&three)).await.unwrap();
    world.deliver().await;
    // Alice meets the device when she writes.
    say(&alice, &bob.me(), "hello").await;
    let added = |device: &TestMessenger| (bob.me().actor(), vec![device.device().address()], Vec::new());
    assert_eq!(changes(&alice).await, [added(&three)]);
    assert_eq!(changes(&alice).await, [], "once");
    assert_eq!(alice.verification_kept(&bob.me()).unwrap().unwrap().trust, Trust::Verified);
    // The device that approved it is not told; the other one is, when it reads the list.
    assert_eq!(changes(&two).await, []);
    bob.devices().await.unwrap();
    assert_eq!(changes(&bob).await, [added(&three)]);
    assert_eq!(changes(&three).await, []);

    two.revoke(three.device().id()).await.unwrap();
    say(&alice, &bob.me(), "again").await;
    assert_eq!(changes(&alice).await, [(bob.me().actor(), Vec::new(), vec![three.device().address()])]);
    world.deliver().await;
    hear(&world, &bob).await;
    hear(&world, &two).await;
    world.deliver().await;
}

/// A device that is gone again may have read messages meanwhile.
#[tokio::test]
async fn a_device_that_came_and_went_is_told() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    hear(&world, &bob).await;
    let two = further(&world, &wire, &bob, "two").await;
    bob.revoke(two.device().id()).await.unwrap();
    alice.verification(&bob.me()).await.unwrap();
    let gone = vec![two.device().address()];
    assert_eq!(changes(&alice).await, [(bob.me().actor(), gone.clone(), gone)]);
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
}

/// The process that found the change ends before it can tell.
#[tokio::test]
async fn a_change_that_was_not_shown_is_told_again() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    know(&bob, &alice.me()).await;
    say(&alice, &bob.me(), "before").await;
    further(&world, &wire, &bob, "two").await;
    say(&alice, &bob.me(), "after").await;
    world.deliver().await;
    let told = async |client: &TestMessenger| {
        let notices = client.receive().await.unwrap().notices;
        notices.into_iter().find(|notice| matches!(notice, Notice::DevicesChanged { .. }))
    };
    let notice = told(&alice).await.unwrap();
    assert_eq!(notice.severity(), Severity::Attention);
    assert_eq!(told(&alice).await, None, "one process tells it once");
    drop(alice);
    let alice = user.open();
    assert_eq!(told(&alice).await.as_ref(), Some(&notice));
    alice.note_told(&notice).unwrap();
    drop(alice);
    assert_eq!(changes(&user.open()).await, []);
    hear(&world, &bob).await;
    world.deliver().await;
}

/// Strangers may have as many devices as they like.
#[tokio::test]
async fn nothing_is_told_of_strangers() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&bob, &alice.me(), "do you know me?").await;
    world.deliver().await;
    alice.receive().await.unwrap();
    let two = further(&world, &wire, &bob, "two").await;
    say(&two, &alice.me(), "now?").await;
    world.deliver().await;
    assert_eq!(changes(&alice).await, []);
    world.deliver().await;
}

/// A mailbox keeps nothing for longer than a month, so nothing needs the session after that.
#[tokio::test]
async fn the_session_with_a_revoked_device_is_deleted_after_a_month() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let two = further(&world, &wire, &bob, "two").await;
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    say(&alice, &bob.me(), "to both").await;
    assert_eq!(user.sessions(), 2);
    two.revoke(bob.device().id()).await.unwrap();
    alice.verification(&bob.me()).await.unwrap();
    for (days, sessions) in [(0, 2), (31, 2), (1, 1)] {
        world.advance(days * 24 * 3_600_000);
        alice.receive().await.unwrap();
        assert_eq!(user.sessions(), sessions);
    }
    world.deliver().await;
    hear(&world, &two).await;
    world.deliver().await;
}

/// A reset before the first contact is no reason for a warning: Alice knows no other devices.
#[tokio::test]
async fn a_first_contact_after_a_reset_is_a_first_contact() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let environment = Environment { clock: world.clock(), random: seeded("bob/anew") };
    let (store, request) = (DeviceStore::in_memory().unwrap(), request(&world, "bob", true));
    let (anew, _) = sign_in(&world, &wire, store, environment, request).await.unwrap();
    say(&alice, &bob.me(), "hello").await;
    assert_eq!(alice.verification_kept(&bob.me()).unwrap().unwrap().trust, Trust::FirstUse);
    world.deliver().await;
    assert_eq!(hear(&world, &anew).await, ["hello"]);
    world.deliver().await;
}

/// Somebody with a copy of Bob's key adds a ghost to his chain. Bob's own device must not take the node
/// for one that it has made.
#[tokio::test]
async fn a_ghost_under_a_copied_key_is_told_to_its_victim() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let two = further(&world, &wire, &bob, "two").await;
    let ghost = inserted(&world, &wire);
    let position = bob.device().chain(&bob.me().user).await.unwrap().1.position;
    let node = NextNode::new(ghost.origin(), ghost.user(), &position, world.now_ms());
    let node = node.approve(&ghost.described(), &JoiningMac::from([0; 32]));
    let node = bob.device().sign_node(node).unwrap();
    show_chain(&wire, move |nodes| nodes.push(node.clone()));
    bob.devices().await.unwrap();
    let (added, removed) = (vec![ghost.address()], Vec::new());
    let due = Notice::KeyCopied { added: added.clone(), removed: removed.clone(), length: 3 };
    assert_eq!(due.severity(), Severity::Warning);
    assert_eq!(bob.receive().await.unwrap().notices, std::slice::from_ref(&due));
    bob.note_told(&due).unwrap();
    // To the other device it is a change by a device of the user's.
    two.devices().await.unwrap();
    assert_eq!(changes(&two).await, [(bob.me().actor(), added, removed)]);
}
