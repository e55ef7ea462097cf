//! The decision whether a server appends a node to a user's chain, without a replay.
//!
//! A server stores the end of the chain, the active devices and the pending ones. That is enough to
//! decide about the next node. Three rules go beyond those of a replay: an `AddDevice` of a later
//! node must be about a pending device and have the keys with which that device registered, a
//! `ResetDevices` comes only with the registration of its device, and no node is dated far ahead.

use super::verify::device_of;
use super::{
    ChainError, ChainNode, ChainPosition, DeviceStanding, MoveTarget, NewDevice, NodeKind, check_membership,
    verify_next,
};
use crate::Invalid;
use crate::address::{Origin, UserName};
use crate::id::DeviceId;
use crate::key::RegistrationId;
use crate::limits::MAX_NODE_AHEAD_MS;

/// A user's devices as far as they matter to the next node.
#[derive(Debug, Clone)]
pub struct AppendContext {
    /// The end of the chain.
    pub position: ChainPosition,
    /// The number of active devices.
    pub active_count: usize,
    /// The number of nodes from the last `ResetDevices` on, or of all nodes if there is none.
    pub since_reset: u64,
    /// The device that the node's proof names, if it is an active device of the user.
    pub signer: Option<NewDevice>,
    /// The device that the node is about.
    pub subject: NodeSubject,
    /// The server's time, in epoch milliseconds.
    pub now_ms: i64,
}

/// The device that a node is about, as the server knows it before the node.
#[derive(Debug, Clone)]
pub enum NodeSubject {
    /// The device is active.
    Active,
    /// The device waits for approval. Holds the device as it registered.
    Pending(NewDevice),
    /// The device is neither active nor pending.
    Other,
}

/// The effect of a node on the device set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSetChange {
    /// A pending device becomes active.
    Approve {
        /// The device.
        device: DeviceId,
        /// The device's registration id.
        registration_id: RegistrationId,
    },
    /// An active device leaves the set for ever.
    Revoke {
        /// The device.
        device: DeviceId,
    },
    /// The user goes on under another actor id. The devices stay as they are.
    Move(MoveTarget),
}

/// The rule that a node breaks. The server does not append the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The node breaks a rule of the chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A `ResetDevices` comes without the registration of its device.
    #[error("a reset needs a fresh sign-in: send it to /auth/devices")]
    ResetWithoutRegistration,
    /// An `AddDevice` is about a device that is not pending.
    #[error("must be a device that waits for approval")]
    NotPending,
    /// An `AddDevice` has another identity key than the one that the device registered.
    #[error("is not the key that the device registered")]
    WrongIdentityKey,
    /// An `AddDevice` has another registration id than the one that the device registered.
    #[error("is not the one that the device registered")]
    WrongRegistrationId,
    /// The first device of a user registers with another node than an `AddDevice`.
    #[error("must be AddDevice")]
    MustAdd,
    /// A later device registers with another node than a `ResetDevices`.
    #[error("must be ResetDevices")]
    MustReset,
    /// The node is dated more than [`MAX_NODE_AHEAD_MS`] ahead of the server's time, and after the
    /// last node.
    #[error("is more than a day ahead: set the clock of this device")]
    TooFarAhead,
    /// The node of a registration is about another device, or has other keys than the registration.
    #[error("must be the device that registers, with the same keys")]
    WrongDevice,
}

impl AppendError {
    /// True if another node was appended first; see [`ChainError::is_stale_head`].
    pub fn is_stale_head(&self) -> bool {
        matches!(self, Self::Chain(error) if error.is_stale_head())
    }

    /// Returns the error as a fault of the member of the node's JSON that breaks the rule.
    pub fn invalid(&self) -> Invalid {
        let pointer = match self {
            Self::Chain(error) => return error.invalid(),
            Self::ResetWithoutRegistration | Self::MustAdd | Self::MustReset => "/type",
            Self::NotPending | Self::WrongDevice => "/device",
            Self::WrongIdentityKey => "/identityKey",
            Self::WrongRegistrationId => "/registrationId",
            Self::TooFarAhead => "/published",
        };
        Invalid::at(pointer, self.to_string())
    }
}

/// Verifies a node that an active device sends, as the next one of its user's chain, and returns
/// the effect on the device set.
///
/// # Errors
/// [`AppendError`] for the first rule that is broken.
pub fn verify_append(
    origin: &Origin,
    user: &UserName,
    context: &AppendContext,
    node: &ChainNode,
) -> Result<DeviceSetChange, AppendError> {
    let signer_key = |device: &DeviceId| {
        context.signer.as_ref().filter(|signer| signer.id == *device).map(|signer| signer.identity_key)
    };
    verify_next(origin, user, &context.position, signer_key, node)?;
    check_not_ahead(&context.position, node, context.now_ms)?;
    // A device that left the chain is not told apart from a new one. Neither is pending, so an
    // `AddDevice` of either fails below.
    let standing = match context.subject {
        NodeSubject::Active => DeviceStanding::Active,
        NodeSubject::Pending(_) | NodeSubject::Other => DeviceStanding::New,
    };
    check_membership(&node.kind, context.active_count, context.since_reset, standing)?;
    match (&node.kind, &context.subject) {
        (NodeKind::Revoke, _) => Ok(DeviceSetChange::Revoke { device: device_of(origin, user, node)? }),
        (NodeKind::Move(target), _) => Ok(DeviceSetChange::Move(target.clone())),
        (NodeKind::Reset(_), _) => Err(AppendError::ResetWithoutRegistration),
        (NodeKind::Add(addition), NodeSubject::Pending(pending)) => {
            if pending.identity_key != addition.identity_key {
                return Err(AppendError::WrongIdentityKey);
            }
            if pending.registration_id != addition.registration_id {
                return Err(AppendError::WrongRegistrationId);
            }
            let (device, registration_id) = (pending.id.clone(), pending.registration_id);
            Ok(DeviceSetChange::Approve { device, registration_id })
        }
        (NodeKind::Add(_), NodeSubject::Active | NodeSubject::Other) => Err(AppendError::NotPending),
    }
}

/// Verifies the node that comes with the registration of `new` as the next one of its user's chain.
/// The node is an `AddDevice` if the chain is empty, and a `ResetDevices` otherwise. In both cases
/// the device signs it itself. `now_ms` is the server's time, in epoch milliseconds.
///
/// # Errors
/// [`AppendError`] for the first rule that is broken.
pub fn verify_registration(
    origin: &Origin,
    user: &UserName,
    position: &ChainPosition,
    new: &NewDevice,
    node: &ChainNode,
    now_ms: i64,
) -> Result<(), AppendError> {
    let addition = match (&node.kind, position.length) {
        (NodeKind::Add(addition), 0) | (NodeKind::Reset(addition), 1..) => addition,
        (_, 0) => return Err(AppendError::MustAdd),
        (_, 1..) => return Err(AppendError::MustReset),
    };
    // No device but the new one may sign the node.
    verify_next(origin, user, position, |_| None, node)?;
    check_not_ahead(position, node, now_ms)?;
    let is_same = node.device == origin.device(user, &new.id)
        && addition.identity_key == new.identity_key
        && addition.registration_id == new.registration_id
        && addition.possession == new.possession;
    if is_same { Ok(()) } else { Err(AppendError::WrongDevice) }
}

/// Checks that the node is not dated far ahead of the server's time. The time of the last node is
/// always allowed, so that no node can keep another from following it.
fn check_not_ahead(position: &ChainPosition, node: &ChainNode, now_ms: i64) -> Result<(), AppendError> {
    let latest_ms = now_ms.saturating_add(MAX_NODE_AHEAD_MS);
    let latest_ms = position.published_ms.map_or(latest_ms, |last_ms| latest_ms.max(last_ms));
    if node.published_ms > latest_ms { Err(AppendError::TooFarAhead) } else { Ok(()) }
}
