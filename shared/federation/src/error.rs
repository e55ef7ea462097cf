//! The errors of lookups at other servers.

use eko_protocol::excerpt::excerpt;
use eko_protocol::limits::MAX_REASON_BYTES;
use eko_store::StoreError;

/// The reason why another server or its document cannot be used. The texts are for people. They
/// name no other addresses than those of the other server.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RemoteError {
    /// The policy of this server excludes the other server, or the text is not an address of
    /// another server.
    #[error("{0} is not federated with")]
    NotFederated(String),
    /// The other server refuses to federate with this one.
    #[error("{0} does not federate with this server")]
    Excluded(String),
    /// The actor does not exist.
    #[error("{0} does not exist")]
    Gone(String),
    /// The actor was deleted.
    #[error("{0} was deleted")]
    Deleted(String),
    /// The server's answer cannot be used. The text says why.
    #[error("{0}")]
    Unusable(String),
    /// No connection to the server can be opened now. The text says why. This is a failure of the
    /// whole server.
    #[error("{0}")]
    Unconnected(String),
    /// The server's answer is missing or says "later". The text says why. The fault may be that of
    /// one URL.
    #[error("{0}")]
    Unreachable(String),
    /// The server is slow, and a request that nobody has verified does not wait for it.
    #[error("{why}")]
    Slow {
        /// The reason.
        why: String,
        /// The time after which another try can succeed, in seconds.
        retry_after_seconds: u32,
    },
    /// The store of this server failed.
    #[error("{0}")]
    Store(String),
}

/// Returns a reason as it is kept and told: of a long one, which another server can cause, the
/// beginning.
pub(crate) fn reason(text: impl std::fmt::Display) -> String {
    excerpt(&text.to_string(), MAX_REASON_BYTES).to_owned()
}

impl From<StoreError> for RemoteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}
