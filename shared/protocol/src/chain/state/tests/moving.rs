//! Moves: the node that ends a chain, the first node of the next one, and both links between them.

use super::*;
use crate::chain::{MoveError, check_move};

const OLD: &str = "https://a.example/user/alice";

/// Returns the first node of a chain of `alina` that takes over from `origin`.
fn first_of_new(origin: &str) -> ChainNode {
    ChainNode::parse(&TestChain::new("alina").begin_moved(7, origin)).unwrap()
}

fn target(first: &ChainNode) -> MoveTarget {
    MoveTarget { actor: first.actor().to_owned(), root: first.hash() }
}

/// Returns the nodes of a chain of devices 1 and 2 that ends with a move to `target`.
fn moved(target: &MoveTarget) -> Vec<ChainNode> {
    let world = TestChain::new("alice");
    let one = world.append(&world.empty(), &world.add(&world.empty(), 1, 1)).unwrap();
    let two = world.two();
    let nodes = [world.add(&world.empty(), 1, 1), world.add(&one, 2, 1), world.move_to(&two, target, 2, 2)];
    nodes.iter().map(|node| ChainNode::parse(node).unwrap()).collect()
}

#[test]
fn a_move_ends_the_chain() {
    let (world, first) = (TestChain::new("alice"), first_of_new(OLD));
    let (two, nodes) = (world.two(), moved(&target(&first)));
    let state = ChainState::replay(&world.origin, &world.user, &nodes).unwrap();
    assert_eq!(active(&state), active(&two), "the devices stay");
    assert!(state.position.has_moved);
    assert_eq!(nodes[2].target(), Some(&target(&first)));
    let elsewhere = MoveTarget { actor: "https://c.example/user/alice".to_owned(), root: "ab".repeat(32) };
    for node in [
        world.add(&state, 3, 1),
        world.revoke(&state, 1, 1),
        world.reset(&state, 3, 3),
        world.move_to(&state, &elsewhere, 1, 1),
    ] {
        let refusal = world.append(&state, &node).unwrap_err();
        assert_eq!(refusal, ChainError::HasMoved);
        assert!(!refusal.is_stale_head());
    }
}

#[test]
fn an_active_device_moves_for_itself() {
    let (world, to) = (TestChain::new("alice"), target(&first_of_new(OLD)));
    let two = world.two();
    let without_one = world.append(&two, &world.revoke(&two, 1, 2)).unwrap();
    let reset = world.append(&two, &world.reset(&two, 3, 3)).unwrap();
    let another = Err(ChainError::WrongSigner("the node's device"));
    let inactive = Err(ChainError::WrongSigner("an active device of this user"));
    for (name, state, node, expected) in [
        ("for another device", &two, world.move_to(&two, &to, 1, 2), &another),
        ("a revoked device", &without_one, world.move_to(&without_one, &to, 1, 1), &inactive),
        ("a device that was reset away", &reset, world.move_to(&reset, &to, 2, 2), &inactive),
        ("a device that was never there", &two, world.move_to(&two, &to, 9, 9), &inactive),
        (
            "the first node",
            &world.empty(),
            world.move_to(&world.empty(), &to, 1, 1),
            &Err(ChainError::FirstNodeMustAdd),
        ),
        (
            "to the same account",
            &two,
            world.move_to(&two, &MoveTarget { actor: OLD.to_owned(), ..to.clone() }, 1, 1),
            &Err(ChainError::MovesToItself { pointer: "/target" }),
        ),
    ] {
        assert_eq!(&world.append(state, &node).map(drop), expected, "{name}");
    }
    assert_eq!(
        world.append(&world.empty(), &world.begin_moved(1, OLD)).map(drop),
        Err(ChainError::MovesToItself { pointer: "/origin" })
    );
}

#[test]
fn only_a_first_node_names_where_it_came_from() {
    let world = TestChain::new("alice");
    let two = world.two();
    let mut later = world.add(&two, 3, 1);
    later["origin"] = json!("https://c.example/user/alice");
    let later = world.changed(&later, "/seq", json!(2), 1);
    assert_eq!(world.append(&two, &later).map(drop), Err(ChainError::OriginOfLater));
    let mut reset = world.reset(&two, 3, 3);
    reset["origin"] = json!("https://c.example/user/alice");
    assert_eq!(ChainNode::parse(&reset).unwrap_err().pointer, "/origin");
}

#[test]
fn members_of_a_move_have_one_shape() {
    let (world, to) = (TestChain::new("alice"), target(&first_of_new(OLD)));
    let two = world.two();
    let node = world.move_to(&two, &to, 1, 1);
    let read = ChainNode::parse(&node).unwrap();
    assert_eq!((read.to_value(), ChainNode::from_stored(&read.to_stored())), (node.clone(), Ok(read)));
    for (name, value, pointer) in [
        ("target", json!("https://b.example/bob"), "/target"),
        ("target", json!("http://b.example/user/bob"), "/target"),
        ("target", json!(7), "/target"),
        ("targetRoot", json!("AB".repeat(32)), "/targetRoot"),
        ("targetRoot", json!("ab"), "/targetRoot"),
    ] {
        let mut other = node.clone();
        other[name] = value;
        assert_eq!(ChainNode::parse(&other).unwrap_err().pointer, pointer, "{name}");
        other.as_object_mut().unwrap().remove(name);
        assert_eq!(ChainNode::parse(&other).unwrap_err().pointer, "", "without {name}");
    }
    let mut revocation = world.revoke(&two, 1, 1);
    revocation["target"] = json!(to.actor);
    revocation["targetRoot"] = json!(to.root);
    assert_eq!(ChainNode::parse(&revocation).unwrap_err().pointer, "/target");
}

#[test]
fn both_links_must_agree() {
    let (first, other) = (first_of_new(OLD), first_of_new("https://c.example/user/alice"));
    let unlinked = {
        let world = TestChain::new("alina");
        ChainNode::parse(&world.add(&world.empty(), 7, 7)).unwrap()
    };
    let old = moved(&target(&first));
    assert_eq!(check_move(&old, std::slice::from_ref(&first)), Ok(()));
    assert_eq!(check_move(&old[..2], std::slice::from_ref(&first)), Err(MoveError::NotMoved));
    assert_eq!(check_move(&old, &[]), Err(MoveError::Elsewhere));
    // A chain that the new server made: it names the old account, and is not the one of the move.
    let forged = ChainNode::parse(&TestChain::new("alina").begin_moved(8, OLD)).unwrap();
    assert_eq!(check_move(&old, &[forged]), Err(MoveError::OtherRoot));
    // Accounts of somebody else, who has not agreed.
    for stranger in [other, unlinked] {
        let claimed = moved(&target(&stranger));
        assert_eq!(check_move(&claimed, &[stranger]), Err(MoveError::NoReturn));
    }
    let elsewhere = MoveTarget { actor: "https://c.example/user/x".to_owned(), root: first.hash() };
    assert_eq!(check_move(&moved(&elsewhere), &[first]), Err(MoveError::Elsewhere));
}
