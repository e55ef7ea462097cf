use eko_protocol::Invalid;
use eko_protocol::chain::ChainError;
use http::StatusCode;

use crate::{ProblemDetails, TransportError};

/// Why a call did not do what it is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// There is no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server refused, and says why.
    #[error("{0}")]
    Problem(Box<ProblemDetails>),
    /// The answer is none that this call can have.
    #[error("{status}: {reason}: {body}")]
    Unexpected {
        /// Its status.
        status: StatusCode,
        /// What is wrong with it.
        reason: String,
        /// Its body, as far as a person would read it.
        body: String,
    },
    /// A device chain breaks a rule: its server, or whoever is between, made it up.
    #[error("the device chain of {actor} is false at node {index}: {error}")]
    FalseChain {
        /// Whose chain.
        actor: String,
        /// The first node that is wrong.
        index: usize,
        /// The rule.
        error: ChainError,
    },
    /// Something that the server answered is not what its owner signed, or contradicts the chain.
    #[error("not to be trusted: {0}")]
    Untrusted(String),
    /// What was asked for cannot be sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The device has no tokens: it must sign in first.
    #[error("this device is not signed in")]
    NotSignedIn,
}

impl ClientError {
    /// The problem, where the server named one.
    pub fn problem(&self) -> Option<&ProblemDetails> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}
