use eko_protocol::Invalid;

use crate::group::GroupError;
use crate::store::DeviceStoreError;
use crate::{ClientError, SessionError, TransportError};

/// Why a messenger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum MessengerError {
    /// The server refused, or there is no answer.
    #[error(transparent)]
    Client(ClientError),
    /// The device's store.
    #[error(transparent)]
    Store(#[from] DeviceStoreError),
    /// The Signal library.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// What a server shows of someone contradicts what was shown before, or what they signed: nothing is sent.
    #[error("{actor}: {why}")]
    Distrust {
        /// Whose devices it is about: an actor id.
        actor: String,
        /// What is wrong.
        why: Distrust,
    },
    /// Nobody of that name is on that server.
    #[error("there is no {0}")]
    NoSuchPerson(String),
    /// This device knows no such group.
    #[error("there is no group {0}")]
    NoSuchGroup(String),
    /// The group cannot be changed like that.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// Its tokens have ended: the user must sign in again.
    #[error("this device is signed out")]
    SignedOut,
    /// It waits for the approval of another device of its user.
    #[error("this device waits until one of your other devices approves it")]
    Pending,
    /// Another device of its user has revoked it.
    #[error("this device was revoked by another of your devices, or by a reset of your account")]
    Revoked,
    /// It was registered once, and the server does not know it any more.
    #[error(
        "the server does not know this device any more: it has lost its data, or the account was deleted"
    )]
    Forgotten,
    /// What was asked for cannot be said or done.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// What is wrong with what a server shows of someone's devices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// A node of the chain breaks a rule, such as being signed by no device of theirs.
    #[error("their server shows a device list that they have not signed ({0}); it may want to read along")]
    FalseChain(String),
    /// Another chain than the one that was pinned.
    #[error("their server shows another device list than before, from node {0} on; one of the two is false")]
    Forked(u64),
    /// A chain that ends before the one that was pinned.
    #[error("their server hides what was in their device list before: it showed {pinned} nodes, now {shown}")]
    RolledBack {
        /// Nodes that were pinned.
        pinned: u64,
        /// Nodes that it shows.
        shown: u64,
    },
    /// All their devices were replaced at once.
    #[error(
        "all their devices were replaced at once{}: they lost them all, or somebody takes their place",
        if *.verified { ", and you had compared safety numbers with the former ones" } else { "" }
    )]
    Reset {
        /// Whether numbers had been compared.
        verified: bool,
    },
    /// The server wants a message for a device that is not in the chain.
    #[error("their server wants a copy for {0}, which is no device of theirs; it may want to read along")]
    Inserted(String),
    /// A key package is not what the chain says of its device.
    #[error("their server gives out keys that are not their device's: {0}")]
    FalseKeys(String),
}

impl From<ClientError> for MessengerError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::NotSignedIn => Self::SignedOut,
            ClientError::Problem(problem) => match problem.slug() {
                "device-pending" => Self::Pending,
                "device-revoked" => Self::Revoked,
                _ => Self::Client(error),
            },
            _ => Self::Client(error),
        }
    }
}

impl From<TransportError> for MessengerError {
    fn from(error: TransportError) -> Self {
        Self::Client(error.into())
    }
}

impl MessengerError {
    /// Whether the same may go well later, and not before so many seconds where the server said so.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Client(ClientError::Transport(_)) => Some(0),
            Self::Client(ClientError::Problem(problem)) => {
                matches!(problem.status, 429 | 500..=599).then(|| problem.retry_after_s.unwrap_or(0))
            }
            Self::Client(ClientError::Unexpected { status, .. }) => {
                (status.is_server_error() || status.as_u16() == 429).then_some(0)
            }
            _ => None,
        }
    }
}
