//! The rules for the next node of a chain.

use super::{Addition, ChainError, ChainNode, NodeKind, possession_base};
use crate::address::{Origin, UserName};
use crate::id::DeviceId;
use crate::key::{IdentityKey, RegistrationId, Signature};
use crate::limits::{
    MAX_ACTIVE_DEVICES, MAX_CHAIN_NODES, MAX_CHAIN_NODES_TO_ADD, MAX_NODES_SINCE_RESET_TO_ADD,
};
use crate::xeddsa;

/// The end of a chain. An append needs to know no more than this of the nodes before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChainPosition {
    /// The number of nodes in the chain.
    pub length: u64,
    /// The hash of the last node; `None` before the first.
    pub head: Option<String>,
    /// The time at which the last node says that it was made, in epoch milliseconds; `None` before
    /// the first. No later node may state an earlier one.
    pub published_ms: Option<i64>,
    /// True if the last node is a `Move`. Then no node follows.
    pub has_moved: bool,
}

/// Verifies a node as the next one of a user's chain: its place, the length of the chain, its time,
/// its addresses, its signature and, if it adds a device, that device's possession of its identity
/// key.
///
/// `signer_key` returns the identity key of a device that is active now, and `None` for any other
/// device. The first node and a `ResetDevices` must be signed by the device that they make active,
/// every other node by an active device.
///
/// Two rules are left to the caller: the effect on the device set ([`check_membership`]), and that
/// a `ResetDevices` comes with a fresh sign-in. The value of `approvalMac` means something to the
/// added device only.
///
/// # Errors
/// [`ChainError`] for the first rule that is broken. [`ChainError::is_stale_head`] tells a lost
/// race from a bad node.
pub fn verify_next(
    origin: &Origin,
    user: &UserName,
    position: &ChainPosition,
    signer_key: impl Fn(&DeviceId) -> Option<IdentityKey>,
    node: &ChainNode,
) -> Result<(), ChainError> {
    if node.actor != origin.actor(user) {
        return Err(ChainError::WrongActor);
    }
    if position.has_moved {
        return Err(ChainError::HasMoved);
    }
    if node.seq != position.length {
        return Err(ChainError::WrongSeq { expected: position.length });
    }
    if node.previous != position.head {
        return Err(ChainError::WrongPrevious { expected: position.head.clone() });
    }
    // A whole chain holds times that only grow, so a device cannot date its own changes back.
    if let Some(not_before_ms) = position.published_ms.filter(|last_ms| node.published_ms < *last_ms) {
        return Err(ChainError::TimeRunsBackwards { not_before_ms });
    }
    let most = match node.kind {
        NodeKind::Add(_) => MAX_CHAIN_NODES_TO_ADD,
        NodeKind::Revoke | NodeKind::Reset(_) | NodeKind::Move(_) => MAX_CHAIN_NODES,
    };
    if position.length >= most {
        return Err(ChainError::ChainFull(position.length));
    }
    let id = origin.chain_node(user, position.length);
    if node.id != id {
        return Err(ChainError::WrongId { expected: id });
    }
    let device = device_of(origin, user, node)?;
    if node.addition().is_some_and(|addition| addition.key_package != origin.key_package(user, &device)) {
        return Err(ChainError::WrongKeyPackage);
    }
    match (&node.kind, position.length, node.approval_mac) {
        (NodeKind::Add(_), 1.., None) => return Err(ChainError::ApprovalMissing),
        (_, 0, Some(_)) => return Err(ChainError::ApprovalOfFirst),
        _ => {}
    }
    if node.moved_from.is_some() && position.length > 0 {
        return Err(ChainError::OriginOfLater);
    }
    for (pointer, other) in
        [("/origin", node.moved_from()), ("/target", node.target().map(|target| target.actor.as_str()))]
    {
        if other == Some(&node.actor) {
            return Err(ChainError::MovesToItself { pointer });
        }
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

/// Returns the key that must have signed the node.
fn signer(
    origin: &Origin,
    user: &UserName,
    position: &ChainPosition,
    signer_key: impl Fn(&DeviceId) -> Option<IdentityKey>,
    node: &ChainNode,
) -> Result<IdentityKey, ChainError> {
    let method = &node.proof.verification_method;
    match (&node.kind, position.length) {
        (NodeKind::Revoke | NodeKind::Reset(_) | NodeKind::Move(_), 0) => Err(ChainError::FirstNodeMustAdd),
        (NodeKind::Add(addition), 0) | (NodeKind::Reset(addition), _) if *method == node.device => {
            Ok(addition.identity_key)
        }
        (NodeKind::Add(_), 0) | (NodeKind::Reset(_), _) => {
            Err(ChainError::WrongSigner("the new device itself"))
        }
        (NodeKind::Move(_), _) if *method != node.device => Err(ChainError::WrongSigner("the node's device")),
        (NodeKind::Add(_) | NodeKind::Revoke | NodeKind::Move(_), _) => origin
            .parse_device_of(user, method)
            .and_then(|device| signer_key(&device))
            .ok_or(ChainError::WrongSigner("an active device of this user")),
    }
}

/// Returns the device that a node is about.
pub(super) fn device_of(origin: &Origin, user: &UserName, node: &ChainNode) -> Result<DeviceId, ChainError> {
    origin.parse_device_of(user, &node.device).ok_or(ChainError::WrongDevice)
}

/// The relation between a chain and the device that its next node is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceStanding {
    /// No node has added the device yet.
    New,
    /// The device is active.
    Active,
    /// The device was active once and was revoked or reset away.
    Former,
}

/// Checks that the device set allows what a node does. `standing` is that of the node's own device,
/// `active_count` is the number of devices that are active before the node, and `since_reset` is
/// the number of nodes from the last `ResetDevices` on, or of all nodes if there is none.
///
/// # Errors
/// * [`ChainError::DeviceIdReused`] if the node adds a device that was in the chain before.
/// * [`ChainError::TooManyDevices`] if an `AddDevice` would exceed [`MAX_ACTIVE_DEVICES`].
/// * [`ChainError::TooManySinceReset`] if an `AddDevice` comes after
///   [`MAX_NODES_SINCE_RESET_TO_ADD`] nodes.
/// * [`ChainError::DeviceNotActive`] if a `RevokeDevice` or a `Move` names a device that is not active.
pub fn check_membership(
    kind: &NodeKind,
    active_count: usize,
    since_reset: u64,
    standing: DeviceStanding,
) -> Result<(), ChainError> {
    match (kind, standing) {
        (NodeKind::Add(_) | NodeKind::Reset(_), DeviceStanding::Active | DeviceStanding::Former) => {
            Err(ChainError::DeviceIdReused)
        }
        (NodeKind::Add(_), DeviceStanding::New) if active_count >= MAX_ACTIVE_DEVICES => {
            Err(ChainError::TooManyDevices)
        }
        (NodeKind::Add(_), DeviceStanding::New) if since_reset >= MAX_NODES_SINCE_RESET_TO_ADD => {
            Err(ChainError::TooManySinceReset)
        }
        (NodeKind::Revoke | NodeKind::Move(_), DeviceStanding::New | DeviceStanding::Former) => {
            Err(ChainError::DeviceNotActive)
        }
        (NodeKind::Add(_) | NodeKind::Reset(_), DeviceStanding::New)
        | (NodeKind::Revoke | NodeKind::Move(_), DeviceStanding::Active) => Ok(()),
    }
}

/// Verifies that a new device holds its identity key. `actor` and `device` are addresses.
///
/// # Errors
/// [`ChainError::BadPossession`] if the signature is not the device's over [`possession_base`].
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
