//! Tests of a server that has a stolen key and forks a chain with it: safety numbers differ.

use eko_client::messenger::Trust;
use eko_protocol::chain::NextNode;
use eko_protocol::key::JoiningMac;
use eko_testkit::World;
use serde_json::Value;

use crate::distrust::{inserted, show_chain};
use crate::people::{TestMessenger, first, further};
use crate::test_network::TestNetwork;

const TIME: i64 = 1_769_715_000_000;

/// Returns a node that adds a device of the server's behind the first `length` nodes of Bob's chain,
/// signed with the stolen key of one of his devices.
async fn ghost(world: &World, wire: &TestNetwork, stolen: &TestMessenger, length: usize) -> Value {
    let nodes = stolen.device().chain(&stolen.me().user).await.unwrap().0;
    let position = nodes[length - 1].position();
    let ghost = inserted(world, wire);
    let node = NextNode::new(ghost.origin(), ghost.user(), &position, TIME);
    stolen.device().sign_node(node.approve(&ghost.described(), &JoiningMac::from([0; 32]))).unwrap()
}

/// Bob's first device was stolen, and his second one has revoked it. The server shows Alice a chain
/// that does not know of that.
#[tokio::test]
async fn a_chain_with_a_ghost_of_a_stolen_root_has_other_safety_numbers() {
    let world = World::new().await;
    let (wire, alices) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &alices, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    two.revoke(bob.device().id()).await.unwrap();
    let forged = ghost(&world, &alices, &bob, 1).await;
    show_chain(&alices, move |nodes| {
        nodes.truncate(1);
        nodes.push(forged.clone());
    });
    let seen = alice.verification(&bob.me()).await.unwrap();
    assert_eq!((seen.trust, seen.devices.len()), (Trust::FirstUse, 2), "a first contact believes it");
    let bobs = two.verification(&alice.me()).await.unwrap().number;
    assert_ne!(seen.number.digits, bobs.digits);
    assert!(!seen.number.matches(&bobs.scannable) && !bobs.matches(&seen.number.scannable));

    // The number of the true chain is the same on both sides.
    alices.honest();
    alice.forget(&bob.me()).unwrap();
    let seen = alice.verification(&bob.me()).await.unwrap();
    let bobs = two.verification(&alice.me()).await.unwrap().number;
    assert_eq!(seen.number.digits, bobs.digits);
    assert!(seen.number.matches(&bobs.scannable) && bobs.matches(&seen.number.scannable));
    world.deliver().await;
}

/// The server shows a chain of the right length, whose last node is its own.
#[tokio::test]
async fn a_fork_of_the_same_length_has_other_safety_numbers() {
    let world = World::new().await;
    let (wire, alices) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &alices, "alice").await, first(&world, &wire, "bob").await);
    let two = further(&world, &wire, &bob, "two").await;
    let forged = ghost(&world, &alices, &bob, 1).await;
    show_chain(&alices, move |nodes| nodes[1] = forged.clone());
    let seen = alice.verification(&bob.me()).await.unwrap();
    for device in [&bob, &two] {
        assert_ne!(seen.number.digits, device.verification(&alice.me()).await.unwrap().number.digits);
    }
    world.deliver().await;
}

/// The number changes with every change of a chain. Who compared it before stays verified, because
/// each change is signed by a device of the chain that was compared.
#[tokio::test]
async fn the_number_follows_the_chain_and_its_anchor() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &seen).unwrap();
    let two = further(&world, &wire, &bob, "two").await;
    let grown = alice.verification(&bob.me()).await.unwrap();
    assert_ne!(grown.number.digits, seen.number.digits);
    assert_eq!(grown.trust, Trust::Verified);
    two.revoke(bob.device().id()).await.unwrap();
    let moved = alice.verification(&bob.me()).await.unwrap();
    assert_ne!(moved.number.digits, grown.number.digits);
    assert_eq!(moved.number.digits, two.verification(&alice.me()).await.unwrap().number.digits);
    // A number that was compared before the chain grew may be confirmed afterwards.
    alice.mark_verified(&bob.me(), &grown).unwrap();
    assert_eq!(alice.verification_kept(&bob.me()).unwrap().unwrap().trust, Trust::Verified);
    world.deliver().await;
}
