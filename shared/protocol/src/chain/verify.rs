use super::{Addition, ChainError, ChainNode, NodeKind, possession_base};
use crate::address::{Origin, UserName};
use crate::id::DeviceId;
use crate::key::{IdentityKey, RegistrationId, Signature};
use crate::limits::MAX_ACTIVE_DEVICES;
use crate::xeddsa;

/// Where a chain ends: all that an append needs to know of the nodes before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// Nodes in the chain.
    pub length: u64,
    /// The last node's hash; `None` while there is none.
    pub head: Option<String>,
}

/// Judges a node as the next of a user's chain: that it is at its place, speaks of this user's device, and is
/// signed by whom it must be. `signer_key` answers the identity key of a device that is active now, and
/// `None` for any other.
///
/// Who may sign: the first node, and a reset, the device they make active; every other an active device. That
/// a reset follows a fresh sign-in is for the caller to see, and so is membership ([`check_members`]).
///
/// # Errors
/// The first rule that is broken; [`ChainError::is_stale_head`] tells a lost race from a bad node.
pub fn verify_next(
    origin: &Origin,
    user: &UserName,
    position: &Position,
    signer_key: impl Fn(&DeviceId) -> Option<IdentityKey>,
    node: &ChainNode,
) -> Result<(), ChainError> {
    if node.actor != origin.actor(user) {
        return Err(ChainError::WrongActor);
    }
    if node.context != ["https://www.w3.org/ns/activitystreams".to_owned(), origin.ns()] {
        return Err(ChainError::WrongContext);
    }
    if node.seq != position.length {
        return Err(ChainError::WrongSeq { expected: position.length });
    }
    if node.prev != position.head {
        return Err(ChainError::WrongPrev { expected: position.head.clone() });
    }
    let id = origin.chain_node(user, position.length);
    if node.id != id {
        return Err(ChainError::WrongId { expected: id });
    }
    let device = device_of(origin, user, node)?;
    if node.addition().is_some_and(|addition| addition.key_package != origin.key_package(user, &device)) {
        return Err(ChainError::WrongKeyPackage);
    }
    let key = signer(origin, user, position, signer_key, node)?;
    let base = node.proof_base().map_err(|_| ChainError::BadProof)?;
    if !xeddsa::verify(&key, &base, &node.proof.value) {
        return Err(ChainError::BadProof);
    }
    match node.addition() {
        Some(Addition { identity_key, registration_id, possession, .. }) => {
            verify_possession(&node.actor, &node.device, identity_key, *registration_id, possession)
        }
        None => Ok(()),
    }
}

/// The key that must have signed.
fn signer(
    origin: &Origin,
    user: &UserName,
    position: &Position,
    signer_key: impl Fn(&DeviceId) -> Option<IdentityKey>,
    node: &ChainNode,
) -> Result<IdentityKey, ChainError> {
    let method = &node.proof.verification_method;
    match (&node.kind, position.length) {
        (NodeKind::Revoke | NodeKind::Reset(_), 0) => Err(ChainError::FirstNodeMustAdd),
        (NodeKind::Add(addition), 0) | (NodeKind::Reset(addition), _) if *method == node.device => {
            Ok(addition.identity_key)
        }
        (NodeKind::Add(_), 0) | (NodeKind::Reset(_), _) => {
            Err(ChainError::WrongSigner("the new device itself"))
        }
        (NodeKind::Add(_) | NodeKind::Revoke, _) => origin
            .parse_device(method)
            .filter(|(owner, _)| owner == user)
            .and_then(|(_, device)| signer_key(&device))
            .ok_or(ChainError::WrongSigner("an active device of this user")),
    }
}

/// The device a node is about.
pub(super) fn device_of(origin: &Origin, user: &UserName, node: &ChainNode) -> Result<DeviceId, ChainError> {
    match origin.parse_device(&node.device) {
        Some((owner, device)) if owner == *user => Ok(device),
        _ => Err(ChainError::WrongDevice),
    }
}

/// Judges what a node does to the set of active devices: `is_active` and `was_used` answer for its own
/// device, `active_count` counts the set, `was_used` is true for any device that ever was in the chain.
///
/// # Errors
/// [`ChainError::DeviceIdReused`], [`ChainError::TooManyDevices`] or [`ChainError::DeviceNotActive`].
pub fn check_members(
    kind: &NodeKind,
    active_count: usize,
    is_active: bool,
    was_used: bool,
) -> Result<(), ChainError> {
    match kind {
        NodeKind::Add(_) | NodeKind::Reset(_) if was_used || is_active => Err(ChainError::DeviceIdReused),
        NodeKind::Add(_) if active_count >= MAX_ACTIVE_DEVICES => Err(ChainError::TooManyDevices),
        NodeKind::Revoke if !is_active => Err(ChainError::DeviceNotActive),
        NodeKind::Add(_) | NodeKind::Reset(_) | NodeKind::Revoke => Ok(()),
    }
}

/// Judges a new device's possession of its identity key; `actor` and `device` are addresses.
///
/// # Errors
/// [`ChainError::BadPossession`].
pub fn verify_possession(
    actor: &str,
    device: &str,
    identity: &IdentityKey,
    registration: RegistrationId,
    possession: &Signature,
) -> Result<(), ChainError> {
    if xeddsa::verify(identity, &possession_base(actor, device, identity, registration), possession) {
        Ok(())
    } else {
        Err(ChainError::BadPossession)
    }
}
