//! The decisions of a server that appends a node.

use super::*;
use crate::chain::{
    AppendContext, AppendError, DeviceSetChange, NodeSubject, verify_append, verify_registration,
};
use crate::limits::MAX_ACTIVE_DEVICES;

const NOT_ACTIVE: AppendError = AppendError::Chain(ChainError::DeviceNotActive);

/// Returns what a server knows before a node by `signer`, on the chain of [`TestChain::two`].
fn context(world: &TestChain, signer: u64, subject: NodeSubject) -> AppendContext {
    AppendContext {
        position: world.two().position,
        active_count: 2,
        since_reset: 2,
        signer: Some(world.new_device(signer)),
        subject,
        now_ms: NOW_MS,
    }
}

fn decide(world: &TestChain, context: &AppendContext, node: &Value) -> Result<DeviceSetChange, AppendError> {
    verify_append(&world.origin, &world.user, context, &ChainNode::parse(node).unwrap())
}

#[test]
fn an_active_device_approves_and_revokes() {
    let world = TestChain::new("alice");
    let two = world.two();
    let pending = context(&world, 1, NodeSubject::Pending(world.new_device(3)));
    let registration_id = RegistrationId::new(4).unwrap();
    assert_eq!(
        decide(&world, &pending, &world.add(&two, 3, 1)),
        Ok(DeviceSetChange::Approve { device: device(3), registration_id })
    );
    let active = context(&world, 1, NodeSubject::Active);
    assert_eq!(
        decide(&world, &active, &world.revoke(&two, 2, 1)),
        Ok(DeviceSetChange::Revoke { device: device(2) })
    );
}

#[test]
fn a_node_must_fit_the_device_that_it_is_about() {
    let world = TestChain::new("alice");
    let two = world.two();
    let (add, revoke) = (world.add(&two, 3, 1), world.revoke(&two, 3, 1));
    let other_key = NewDevice { identity_key: Signer::new(9).identity(), ..world.new_device(3) };
    let other_id = NewDevice { registration_id: RegistrationId::new(99).unwrap(), ..world.new_device(3) };
    let pending = || NodeSubject::Pending(world.new_device(3));
    for (subject, node, error, pointer) in [
        (NodeSubject::Other, &add, AppendError::NotPending, "/device"),
        (NodeSubject::Active, &add, ChainError::DeviceIdReused.into(), "/device"),
        (NodeSubject::Pending(other_key), &add, AppendError::WrongIdentityKey, "/identityKey"),
        (NodeSubject::Pending(other_id), &add, AppendError::WrongRegistrationId, "/registrationId"),
        (NodeSubject::Other, &revoke, NOT_ACTIVE, "/device"),
        (pending(), &revoke, NOT_ACTIVE, "/device"),
        (pending(), &world.reset(&two, 3, 3), AppendError::ResetWithoutRegistration, "/type"),
    ] {
        assert_eq!(decide(&world, &context(&world, 1, subject), node), Err(error.clone()));
        assert_eq!(error.invalid().pointer, pointer);
    }
}

#[test]
fn the_rules_of_the_chain_hold() {
    let world = TestChain::new("alice");
    let two = world.two();
    let add = world.add(&two, 3, 1);
    let pending = || NodeSubject::Pending(world.new_device(3));
    let not_signer = ChainError::WrongSigner("an active device of this user");
    let no_signer = AppendContext { signer: None, ..context(&world, 1, pending()) };
    assert_eq!(decide(&world, &no_signer, &add), Err(not_signer.clone().into()));
    assert_eq!(decide(&world, &context(&world, 2, pending()), &add), Err(not_signer.into()));

    let old = AppendContext { since_reset: 200, ..context(&world, 1, pending()) };
    assert_eq!(
        decide(&world, &old, &world.add(&two, 3, 1)),
        Err(AppendError::Chain(ChainError::TooManySinceReset))
    );
    let full = AppendContext { active_count: MAX_ACTIVE_DEVICES, ..context(&world, 1, pending()) };
    assert_eq!(decide(&world, &full, &add), Err(ChainError::TooManyDevices.into()));

    let one = world.append(&world.empty(), &world.add(&world.empty(), 1, 1)).unwrap();
    let stale = decide(&world, &context(&world, 1, pending()), &world.add(&one, 3, 1)).unwrap_err();
    assert!(stale.is_stale_head());
    assert!(!NOT_ACTIVE.is_stale_head() && !AppendError::NotPending.is_stale_head());
}

/// A server takes no node from far ahead, unless the last node is from there.
#[test]
fn a_node_is_a_day_ahead_at_most() {
    let world = TestChain::new("alice");
    let (empty, two) = (world.empty(), world.two());
    let new = world.new_device(3);
    let verify = |state: &ChainState, node: &Value, now_ms: i64| {
        let node = ChainNode::parse(node).unwrap();
        verify_registration(&world.origin, &world.user, &state.position, &new, &node, now_ms)
    };
    let far = AppendError::TooFarAhead;
    assert_eq!(far.invalid().pointer, "/published");
    let (first, reset) = (world.add(&empty, 3, 3), world.reset(&two, 3, 3));
    let (day_ms, revoke) = (86_400_000, world.revoke(&two, 2, 1));
    assert_eq!(verify(&empty, &first, NOW_MS - day_ms), Ok(()));
    assert_eq!(verify(&empty, &first, NOW_MS - day_ms - 1), Err(far.clone()));
    // These nodes have the time of the node before them.
    assert_eq!(verify(&two, &reset, NOW_MS - day_ms - 1), Ok(()));
    let late = AppendContext { now_ms: NOW_MS - day_ms - 1, ..context(&world, 1, NodeSubject::Active) };
    assert!(decide(&world, &late, &revoke).is_ok());
    let later = world.changed(&revoke, "/published", json!("2026-01-29T19:30:00.001Z"), 1);
    assert_eq!(decide(&world, &late, &later), Err(far));
    let in_time = AppendContext { now_ms: late.now_ms + 2, ..late };
    assert!(decide(&world, &in_time, &later).is_ok());
}

#[test]
fn a_registration_brings_the_first_node_or_a_reset() {
    let world = TestChain::new("alice");
    let (empty, two) = (world.empty(), world.two());
    let verify = |state: &ChainState, new: &NewDevice, node: &Value| {
        let node = ChainNode::parse(node).unwrap();
        verify_registration(&world.origin, &world.user, &state.position, new, &node, NOW_MS)
    };
    let new = world.new_device(3);
    assert_eq!(verify(&empty, &new, &world.add(&empty, 3, 3)), Ok(()));
    assert_eq!(verify(&two, &new, &world.reset(&two, 3, 3)), Ok(()));

    assert_eq!(verify(&empty, &new, &world.reset(&empty, 3, 3)), Err(AppendError::MustAdd));
    assert_eq!(verify(&two, &new, &world.add(&two, 3, 1)), Err(AppendError::MustReset));
    assert_eq!(verify(&two, &new, &world.revoke(&two, 2, 1)), Err(AppendError::MustReset));
    let by_another = ChainError::WrongSigner("the new device itself");
    assert_eq!(verify(&two, &new, &world.reset(&two, 3, 1)), Err(by_another.into()));
    assert!(verify(&two, &new, &world.reset(&empty, 3, 3)).unwrap_err().is_stale_head());

    let reset = world.reset(&two, 3, 3);
    let others = [
        world.new_device(4),
        NewDevice { id: device(4), ..new.clone() },
        NewDevice { identity_key: Signer::new(4).identity(), ..new.clone() },
        NewDevice { registration_id: RegistrationId::new(99).unwrap(), ..new.clone() },
        NewDevice { possession: Signer::new(3).sign(b"x"), ..new.clone() },
    ];
    for other in others {
        assert_eq!(verify(&two, &other, &reset), Err(AppendError::WrongDevice));
    }
}
