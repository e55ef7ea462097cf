//! The rules: which device may append which node, to which chain.

use serde_json::{Value, json};

use super::*;

#[test]
fn the_life_of_a_chain() {
    let world = TestChain::new("alice");
    let empty = world.empty();
    let nodes = |list: &[&Value]| list.iter().map(|node| ChainNode::parse(node).unwrap()).collect::<Vec<_>>();

    let first = world.add(&empty, 1, 1);
    let one = world.append(&empty, &first).unwrap();
    let second = world.add(&one, 2, 1);
    let two = world.append(&one, &second).unwrap();
    assert_eq!(active(&two), [device(1), device(2)]);

    let third = world.revoke(&two, 1, 2);
    let three = world.append(&two, &third).unwrap();
    assert_eq!(active(&three), [device(2)]);

    let fourth = world.revoke(&three, 2, 2);
    let four = world.append(&three, &fourth).unwrap();
    assert!(four.active.is_empty());

    let fifth = world.reset(&four, 5, 5);
    let five = world.append(&four, &fifth).unwrap();
    assert_eq!(active(&five), [device(5)]);

    let all = nodes(&[&first, &second, &third, &fourth, &fifth]);
    assert_eq!(ChainState::replay(&world.origin, &world.user, &all), Ok(five.clone()));
    let set = five.device_set();
    assert_eq!((set.length, set.head.as_deref()), (5, Some(all[4].hash().as_str())));
    assert_eq!(set.active[&device(5)].get(), 6);
    assert_eq!(set.reference().unwrap().head, all[4].hash());
}

#[test]
fn a_reset_leaves_its_device_only() {
    let world = TestChain::new("alice");
    let two = world.two();
    let reset = world.append(&two, &world.reset(&two, 3, 3)).unwrap();
    assert_eq!(active(&reset), [device(3)]);
    assert_eq!(
        world.append(&reset, &world.add(&reset, 4, 1)),
        Err(ChainError::WrongSigner("an active device of this user"))
    );
    assert_eq!(world.append(&reset, &world.add(&reset, 1, 3)), Err(ChainError::DeviceIdReused));
}

#[test]
fn who_may_append() {
    let world = TestChain::new("alice");
    let (empty, two) = (world.empty(), world.two());
    let three = world.append(&two, &world.revoke(&two, 1, 2)).unwrap();
    let (not_new, not_active) = (
        Err(ChainError::WrongSigner("the new device itself")),
        Err(ChainError::WrongSigner("an active device of this user")),
    );
    for (name, state, node, expected) in [
        ("the first is signed by another", &empty, world.add(&empty, 1, 2), &not_new),
        ("the first is a reset", &empty, world.reset(&empty, 1, 1), &Err(ChainError::FirstNodeMustAdd)),
        ("the first is a revocation", &empty, world.revoke(&empty, 1, 1), &Err(ChainError::FirstNodeMustAdd)),
        (
            "the first is approved",
            &empty,
            world.signed(world.next(&empty).approve(&world.new_device(1), &JoiningMac::from([5; 32])), 1),
            &Err(ChainError::ApprovalOfFirst),
        ),
        (
            "a further device is not approved",
            &two,
            world.signed(world.next(&two).begin(&world.new_device(3)), 1),
            &Err(ChainError::ApprovalMissing),
        ),
        ("a ghost adds itself", &two, world.add(&two, 3, 3), &not_active),
        ("a ghost revokes", &two, world.revoke(&two, 1, 3), &not_active),
        ("a revoked device adds", &three, world.add(&three, 3, 1), &not_active),
        ("a revoked device revokes", &three, world.revoke(&three, 2, 1), &not_active),
        ("an active device resets for another", &two, world.reset(&two, 3, 1), &not_new),
        (
            "a revoked device resets for itself",
            &three,
            world.reset(&three, 1, 1),
            &Err(ChainError::DeviceIdReused),
        ),
        (
            "an active device resets for itself",
            &two,
            world.reset(&two, 1, 1),
            &Err(ChainError::DeviceIdReused),
        ),
        ("a device is added twice", &two, world.add(&two, 2, 1), &Err(ChainError::DeviceIdReused)),
        ("a revoked device comes back", &three, world.add(&three, 1, 2), &Err(ChainError::DeviceIdReused)),
        ("a device is revoked twice", &three, world.revoke(&three, 1, 2), &Err(ChainError::DeviceNotActive)),
        ("an unknown device is revoked", &two, world.revoke(&two, 7, 2), &Err(ChainError::DeviceNotActive)),
    ] {
        assert_eq!(&world.append(state, &node), expected, "{name}");
    }
}

#[test]
fn at_most_sixteen_are_active() {
    let world = TestChain::new("alice");
    let mut state = world.append(&world.empty(), &world.add(&world.empty(), 1, 1)).unwrap();
    for n in 2..=16 {
        state = world.append(&state, &world.add(&state, n, 1)).unwrap();
    }
    assert_eq!(world.append(&state, &world.add(&state, 17, 1)), Err(ChainError::TooManyDevices));
    state = world.append(&state, &world.revoke(&state, 16, 3)).unwrap();
    assert_eq!(world.append(&state, &world.add(&state, 17, 1)).unwrap().active.len(), 16);
}

#[test]
fn a_chain_ends_somewhere() {
    let world = TestChain::new("alice");
    let two = world.two();
    for (length, adds, others) in [
        (1999, true, true),
        (2000, false, true),
        (2999, false, true),
        (3000, false, false),
        (3001, false, false),
    ] {
        let mut state = two.clone();
        state.position.length = length;
        for (node, fits) in [
            (world.add(&state, 3, 1), adds),
            (world.revoke(&state, 2, 1), others),
            (world.reset(&state, 3, 3), others),
        ] {
            let appended = world.append(&state, &node).map(drop);
            let due = if fits { Ok(()) } else { Err(ChainError::ChainFull(length)) };
            assert_eq!(appended, due, "{length}: {node}");
        }
    }
}

/// From 200 nodes on a device is only added after a reset. Whatever a thief has appended, the owner
/// has 199 places again after it.
#[test]
fn a_reset_makes_room_for_devices() {
    let world = TestChain::new("alice");
    let mut state = world.two();
    for n in 0..99 {
        state = world.append(&state, &world.add(&state, 10 + n, 1)).unwrap();
        state = world.append(&state, &world.revoke(&state, 10 + n, 1)).unwrap();
    }
    assert_eq!((state.position.length, state.since_reset), (200, 200));
    assert_eq!(world.append(&state, &world.add(&state, 3, 1)), Err(ChainError::TooManySinceReset));
    assert!(ChainError::TooManySinceReset.invalid().to_string().contains("reset the devices"));
    // A revocation and a reset always fit.
    let revoked = world.append(&state, &world.revoke(&state, 2, 1)).unwrap();
    assert_eq!(revoked.since_reset, 201);
    let mut state = world.append(&revoked, &world.reset(&revoked, 3, 3)).unwrap();
    assert_eq!((state.position.length, state.since_reset), (202, 1));
    for n in 0..99 {
        state = world.append(&state, &world.add(&state, 200 + n, 3)).unwrap();
        state = world.append(&state, &world.revoke(&state, 200 + n, 3)).unwrap();
    }
    assert_eq!(state.since_reset, 199);
    let last = world.append(&state, &world.add(&state, 4, 3)).unwrap();
    assert_eq!(world.append(&last, &world.add(&last, 5, 3)), Err(ChainError::TooManySinceReset));
}

#[test]
fn times_never_run_backwards() {
    let world = TestChain::new("alice");
    let two = world.two();
    let node = world.add(&two, 3, 1);
    for (published, allowed) in [
        ("2026-01-29T19:30:00Z", true),
        ("2026-01-29T19:30:00.001Z", true),
        ("9999-12-31T23:59:59Z", true),
        ("2026-01-29T19:29:59.999Z", false),
        ("2026-01-29T19:29:59.999999Z", false),
        ("0001-01-01T00:00:00Z", false),
    ] {
        let dated = world.changed(&node, "/published", json!(published), 1);
        let appended = world.append(&two, &dated).map(drop);
        let due = if allowed { Ok(()) } else { Err(ChainError::TimeRunsBackwards { not_before_ms: NOW_MS }) };
        assert_eq!(appended, due, "{published}");
    }
    // A reset does not begin with another time either, and the first node may have any.
    let reset = world.changed(&world.reset(&two, 3, 3), "/published", json!("2026-01-29T19:29:59Z"), 3);
    let error = world.append(&two, &reset).unwrap_err();
    assert_eq!((error.is_stale_head(), error.invalid().pointer.as_str()), (false, "/published"));
    let first =
        world.changed(&world.add(&world.empty(), 1, 1), "/published", json!("0001-01-01T00:00:00Z"), 1);
    assert!(world.append(&world.empty(), &first).is_ok());
}

/// A device whose clock is slow takes the time of the last node, however far ahead that is.
#[test]
fn every_device_can_follow_the_last_node() {
    let world = TestChain::new("alice");
    let two = world.two();
    let ahead = world.changed(&world.add(&two, 3, 1), "/published", json!("9999-12-31T23:59:59.999Z"), 1);
    let three = world.append(&two, &ahead).unwrap();
    let four = world.append(&three, &world.revoke(&three, 1, 2)).unwrap();
    assert_eq!(four.position.published_ms, three.position.published_ms);
    assert!(world.append(&four, &world.reset(&four, 4, 4)).is_ok());
}

#[test]
fn stale_heads_are_told_apart() {
    let world = TestChain::new("alice");
    let two = world.two();
    let (a, b) = (world.add(&two, 3, 1), world.add(&two, 4, 2));
    let three = world.append(&two, &a).unwrap();
    let error = world.append(&three, &b).unwrap_err();
    assert_eq!(error, ChainError::WrongSeq { expected: 3 });
    assert!(error.is_stale_head());
    assert_eq!(world.append(&three, &a), Err(ChainError::WrongSeq { expected: 3 }));
    let other_view = world.changed(&a, "/previous", json!("ab".repeat(32)), 1);
    let error = world.append(&two, &other_view).unwrap_err();
    assert_eq!(error, ChainError::WrongPrevious { expected: two.position.head.clone() });
    assert!(error.is_stale_head());
    assert!(!ChainError::BadProof.is_stale_head());
    let replaced_first = world.add(&world.empty(), 9, 9);
    let nodes = [replaced_first, a].map(|node| ChainNode::parse(&node).unwrap());
    assert_eq!(
        ChainState::replay(&world.origin, &world.user, &nodes).unwrap_err(),
        ReplayError { index: 1, error: ChainError::WrongSeq { expected: 1 } }
    );
}
