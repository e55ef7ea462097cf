//! What can go wrong with another server.

use eko_store::StoreError;

/// Why another server, or what it says, cannot be used. The texts are for people, and name no more than the
/// other server's own addresses.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RemoteError {
    /// This server's policy excludes it, or it is no server that may be talked to at all.
    #[error("{0} is not federated with")]
    NotFederated(String),
    /// The other server refuses to federate with this one.
    #[error("{0} does not federate with this server")]
    Excluded(String),
    /// There is no such actor, or no more.
    #[error("{0} does not exist")]
    Gone(String),
    /// It answered something that cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// It is out of reach, for now.
    #[error("{0}")]
    Unreachable(String),
    /// Our own store failed.
    #[error("{0}")]
    Store(String),
}

impl From<StoreError> for RemoteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}
