//! The reasons why a verb has no outcome.

use eko_federation::RemoteError;
use eko_protocol::Invalid;
use eko_store::StoreError;
use eko_store::devices::Absence;

/// The result of a verb.
pub type Result<T> = std::result::Result<T, MessagingError>;

/// The reason why a verb (a method of [`Messaging`](crate::Messaging)) has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum MessagingError {
    /// The caller may not have what it asks for.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The other server cannot be asked, or its answer cannot be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The store is broken or out of reach.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The reason why a caller does not get what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A member is against a rule.
    Invalid(Invalid),
    /// A member names somebody else than the caller.
    NotTheCaller(Invalid),
    /// The user does not exist on this server, or on the server that was asked.
    UnknownUser,
    /// The account of the user was deleted, on this server or on the server that was asked.
    UserDeleted,
    /// The account of the calling device was deleted.
    AccountDeleted,
    /// The user has moved to another account, on this server or on the server that was asked. Holds the
    /// new actor id, if the server that was asked has named one.
    UserMoved(Option<String>),
    /// The user of the calling device has moved to another account. Holds the new actor id.
    AccountMoved(String),
    /// The calling device waits for approval.
    DevicePending,
    /// The calling device has been revoked, or was never there.
    DeviceRevoked,
    /// The calling device has signed out.
    SignedOut,
    /// A budget is spent.
    OverBudget {
        /// The time until the budget is full again, in seconds.
        retry_after: u64,
        /// The budget, for a person.
        budget: &'static str,
    },
}

impl From<Absence> for Refusal {
    /// Returns the refusal of what is asked of a user who is not there.
    fn from(absence: Absence) -> Self {
        match absence {
            Absence::Unknown => Self::UnknownUser,
            Absence::Deleted { .. } => Self::UserDeleted,
        }
    }
}

impl From<Absence> for MessagingError {
    fn from(absence: Absence) -> Self {
        Self::Refused(absence.into())
    }
}

impl From<Refusal> for MessagingError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Invalid> for MessagingError {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(Refusal::Invalid(invalid))
    }
}
