//! The error of a call to a server.

use eko_protocol::Invalid;
use eko_protocol::chain::ChainError;
use http::StatusCode;

use crate::{ProblemDetails, TransportError};

/// An error of a call to a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// There is no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server refused the call, and says why.
    #[error("{0}")]
    Problem(Box<ProblemDetails>),
    /// The protocol does not allow the answer for this call.
    #[error("{}", unexpected_in_words(*.status, .reason))]
    Unexpected {
        /// The status of the answer.
        status: StatusCode,
        /// The fault in the answer.
        reason: String,
        /// The beginning of the answer's body, for whoever looks into a failed test. No text has it.
        body: String,
        /// The number of seconds in `Retry-After`, if the answer has that header.
        retry_after_s: Option<u64>,
    },
    /// The account was deleted, as the tombstone at this address says.
    #[error("{0} was deleted")]
    Deleted(String),
    /// A device chain breaks a rule, so its server, or somebody on the way to it, made it up.
    #[error("the device chain of {actor} is false at node {index}: {error}")]
    FalseChain {
        /// The actor id of the chain's user.
        actor: String,
        /// The index of the first node that is wrong, from 0.
        index: usize,
        /// The rule that it breaks.
        error: ChainError,
    },
    /// A key or a device in the answer is not signed by its owner, or contradicts the owner's
    /// chain.
    #[error("not to be trusted: {0}")]
    Untrusted(String),
    /// A URL that somebody else named is not fetched: it is on this machine or not under https, and
    /// not on a server that the user has named.
    #[error("{0} is not fetched: it is not a public https address, and not your own server's")]
    Unfetchable(String),
    /// The request cannot be sent, because a part of it breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The device has no tokens and must sign in first.
    #[error("this device is not signed in")]
    NotSignedIn,
}

impl ClientError {
    /// Returns the problem, if the server named one.
    pub fn problem(&self) -> Option<&ProblemDetails> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// True if the server says that the account which the call is about was deleted: by a problem, or by the
    /// tombstone itself.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.slug() == "user-deleted",
            Self::Deleted(_) => true,
            _ => false,
        }
    }
}

/// Returns the words for an answer that the protocol does not allow.
fn unexpected_in_words(status: StatusCode, reason: &str) -> String {
    match status.as_u16() {
        429 => "too many requests".to_owned(),
        500..=599 => format!("the server fails ({status})"),
        _ => format!("the server gives no answer of the protocol ({status}): {reason}"),
    }
}
