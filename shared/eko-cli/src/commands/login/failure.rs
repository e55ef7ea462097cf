//! The failure of a sign-in, and what it says about the device.

use eko_client::ClientError;
use eko_client::messenger::{Distrust, MessengerError};
use eko_client::store::StoreFault;

use crate::failure::CommandFailure;

/// The reason why a sign-in has failed.
pub(super) enum SignInFailure {
    /// There is no ID token. Nothing was asked of the server.
    NoToken(CommandFailure),
    /// The sign-in itself has failed.
    Messenger(MessengerError),
    /// The person has ended the command while the server was asked, which may have accepted.
    Interrupted,
}

impl From<CommandFailure> for SignInFailure {
    fn from(failure: CommandFailure) -> Self {
        Self::NoToken(failure)
    }
}

impl From<MessengerError> for SignInFailure {
    fn from(error: MessengerError) -> Self {
        Self::Messenger(error)
    }
}

impl SignInFailure {
    /// True if the server has refused the sign-in, or nothing was asked of it. After an error
    /// without an answer it may have accepted.
    pub(super) fn was_refused(&self) -> bool {
        match self {
            Self::Messenger(MessengerError::Client(ClientError::Problem(problem))) => {
                (400..500).contains(&problem.status)
            }
            Self::NoToken(_)
            | Self::Messenger(
                MessengerError::IdToken(_)
                | MessengerError::NothingToReset
                | MessengerError::NotNew
                | MessengerError::PersonDeleted(_)
                | MessengerError::WrongClock(_),
            ) => true,
            Self::Messenger(_) | Self::Interrupted => false,
        }
    }
}

/// The failure of a sign-in that the person has ended.
pub(super) fn interrupted() -> CommandFailure {
    CommandFailure::new("the sign-in was interrupted")
}

/// True if the device cannot be used any more: it was revoked, its server has forgotten it or shows
/// a chain without it, or its store cannot be read.
pub(super) fn is_lost(error: &MessengerError) -> bool {
    match error {
        MessengerError::Revoked | MessengerError::Forgotten => true,
        // A new device would need another name.
        MessengerError::AccountDeleted => false,
        MessengerError::Store(error) => is_lost_store(error.fault()),
        MessengerError::Distrust { why, .. } => {
            matches!(why, Distrust::OwnReset | Distrust::NotApproved | Distrust::OtherRoot)
        }
        _ => false,
    }
}

/// True if a store with this fault cannot be read, and not only now.
pub(super) fn is_lost_store(fault: StoreFault) -> bool {
    use StoreFault::{Damaged, Emptied, Newer, Older};
    matches!(fault, Damaged | Emptied | Older | Newer)
}
