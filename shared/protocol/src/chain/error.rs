use crate::Invalid;
use crate::limits::MAX_ACTIVE_DEVICES;

/// Why a node is not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Another place than the next: the head is stale (HTTP 409).
    #[error("seq must be {expected}")]
    WrongSeq {
        /// The chain's length.
        expected: u64,
    },
    /// Another predecessor than the head: the head is stale (HTTP 409).
    #[error("prev must be {}", expected.as_deref().unwrap_or("null"))]
    WrongPrev {
        /// The hash of the last node; `None` before the first.
        expected: Option<String>,
    },
    /// Another context than the standard one and this server's.
    #[error("@context must be https://www.w3.org/ns/activitystreams and this server's /ns")]
    WrongContext,
    /// Another user's node.
    #[error("actor must be the user whose chain this is")]
    WrongActor,
    /// Another address than the node's place has.
    #[error("id must be {expected}")]
    WrongId {
        /// The address of the next node.
        expected: String,
    },
    /// Not a device of this user.
    #[error("device must be the address of a device of this user")]
    WrongDevice,
    /// Not the key package of this device.
    #[error("keyPackage must be the address of this device's key package")]
    WrongKeyPackage,
    /// The first node adds a device; it revokes and resets nothing.
    #[error("the first node must be an AddDevice")]
    FirstNodeMustAdd,
    /// Signed by a device that is not active, or by another than the new device where that one must sign.
    #[error("verificationMethod must be {0}")]
    WrongSigner(&'static str),
    /// The proof is not the signer's signature.
    #[error("proofValue is not the signer's signature over this node")]
    BadProof,
    /// The possession is not the new device's signature.
    #[error(
        "possession is not the new device's signature over actor, device, identityKey and registrationId"
    )]
    BadPossession,
    /// A device id that was in this chain before, active or not.
    #[error("this device id was used before")]
    DeviceIdReused,
    /// Revokes what is not active.
    #[error("this device is not active")]
    DeviceNotActive,
    /// No room for another active device.
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
    /// Whether another append came first: fetch the head, sign anew (HTTP 409 rather than 422).
    pub fn is_stale_head(&self) -> bool {
        matches!(self, Self::WrongSeq { .. } | Self::WrongPrev { .. })
    }

    /// The same as a fault in the node's JSON.
    pub fn invalid(&self) -> Invalid {
        let pointer = match self {
            Self::WrongSeq { .. } => "/seq",
            Self::WrongPrev { .. } => "/prev",
            Self::WrongContext => "/@context",
            Self::WrongActor => "/actor",
            Self::WrongId { .. } => "/id",
            Self::WrongDevice | Self::DeviceIdReused | Self::DeviceNotActive | Self::TooManyDevices => {
                "/device"
            }
            Self::WrongKeyPackage => "/keyPackage",
            Self::FirstNodeMustAdd => "/type",
            Self::WrongSigner(_) => "/proof/verificationMethod",
            Self::BadProof => "/proof/proofValue",
            Self::BadPossession => "/possession",
        };
        Invalid::at(pointer, self.to_string())
    }
}
