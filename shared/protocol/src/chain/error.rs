//! The rules of the chain that a node can break.

use crate::limits::{MAX_ACTIVE_DEVICES, MAX_NODES_SINCE_RESET_TO_ADD};
use crate::{Invalid, timestamp};

/// The rule that a node breaks. The node is not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// `seq` is not the chain's length. Another node may have been appended first (HTTP 409).
    #[error("seq must be {expected}")]
    WrongSeq {
        /// The chain's length.
        expected: u64,
    },
    /// `previous` is not the hash of the last node. Another node may have been appended first (HTTP
    /// 409).
    #[error("previous must be {}", expected.as_deref().unwrap_or("absent"))]
    WrongPrevious {
        /// The hash of the last node; `None` before the first.
        expected: Option<String>,
    },
    /// `published` is before that of the last node.
    #[error("published must not be before {}, the time of the last node", timestamp::format(*not_before_ms))]
    TimeRunsBackwards {
        /// The time of the last node, in epoch milliseconds.
        not_before_ms: i64,
    },
    /// The chain has as many nodes as a node of this kind allows.
    #[error("the chain has {0} nodes, and no node of this type may follow")]
    ChainFull(u64),
    /// The chain has [`MAX_NODES_SINCE_RESET_TO_ADD`] nodes since the last reset, and the node is an
    /// `AddDevice`.
    #[error("the chain has {MAX_NODES_SINCE_RESET_TO_ADD} nodes since the last reset: reset the devices")]
    TooManySinceReset,
    /// `actor` is another user.
    #[error("actor must be the user whose chain this is")]
    WrongActor,
    /// `id` is not the address of the node's place.
    #[error("id must be {expected}")]
    WrongId {
        /// The address of the next node.
        expected: String,
    },
    /// `device` is not the address of a device of this user.
    #[error("device must be the address of a device of this user")]
    WrongDevice,
    /// `keyPackage` is not the key package of the node's device.
    #[error("keyPackage must be the address of this device's key package")]
    WrongKeyPackage,
    /// The first node is not an `AddDevice`.
    #[error("the first node must be an AddDevice")]
    FirstNodeMustAdd,
    /// The signing device is not active, or is not the new device where that one must sign.
    #[error("verificationMethod must be {0}")]
    WrongSigner(&'static str),
    /// `proofValue` is not the signer's signature over the node.
    #[error("proofValue is not the signer's signature over this node")]
    BadProof,
    /// `possession` is not the new device's signature over its own members.
    #[error(
        "possession is not the new device's signature over actor, device, identityKey and registrationId"
    )]
    BadPossession,
    /// An `AddDevice` after the first node has no `approvalMac`.
    #[error("approvalMac is missing: only the first node has none")]
    ApprovalMissing,
    /// The first node has an `approvalMac`.
    #[error("the first node has no approvalMac: nobody approves it")]
    ApprovalOfFirst,
    /// The device that is added was in the chain before.
    #[error("this device id was used before")]
    DeviceIdReused,
    /// The device that is revoked is not active.
    #[error("this device is not active")]
    DeviceNotActive,
    /// The last node of the chain is a `Move`.
    #[error("the user has moved: no node follows")]
    HasMoved,
    /// A node after the first one names an account that this one takes over from.
    #[error("only the first node names an account that this one takes over from")]
    OriginOfLater,
    /// The node moves the user to or from the account that it is of.
    #[error("must be another account")]
    MovesToItself {
        /// The member that names this account.
        pointer: &'static str,
    },
    /// The user has the maximum number of active devices.
    #[error("a user has at most {MAX_ACTIVE_DEVICES} active devices")]
    TooManyDevices,
}

/// The first node of a replayed chain that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node {index}: {error}")]
pub struct ReplayError {
    /// The place of the node in the chain, from 0.
    pub index: usize,
    /// The rule that the node breaks.
    pub error: ChainError,
}

impl ChainError {
    /// True if another node was appended first. The client fetches the head and signs a new node;
    /// the server answers 409 instead of 422.
    pub fn is_stale_head(&self) -> bool {
        matches!(self, Self::WrongSeq { .. } | Self::WrongPrevious { .. })
    }

    /// Returns the error as a fault of the member of the node's JSON that breaks the rule.
    pub fn invalid(&self) -> Invalid {
        let pointer = match self {
            Self::WrongSeq { .. } | Self::ChainFull(_) | Self::TooManySinceReset => "/seq",
            Self::WrongPrevious { .. } => "/previous",
            Self::TimeRunsBackwards { .. } => "/published",
            Self::WrongActor => "/actor",
            Self::WrongId { .. } => "/id",
            Self::WrongDevice | Self::DeviceIdReused | Self::DeviceNotActive | Self::TooManyDevices => {
                "/device"
            }
            Self::WrongKeyPackage => "/keyPackage",
            Self::FirstNodeMustAdd | Self::HasMoved => "/type",
            Self::OriginOfLater => "/origin",
            Self::MovesToItself { pointer } => pointer,
            Self::WrongSigner(_) => "/proof/verificationMethod",
            Self::BadProof => "/proof/proofValue",
            Self::BadPossession => "/possession",
            Self::ApprovalMissing | Self::ApprovalOfFirst => "/approvalMac",
        };
        Invalid::at(pointer, self.to_string())
    }
}
