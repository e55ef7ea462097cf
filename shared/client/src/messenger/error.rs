//! The errors of a messenger, and what a server shows that is not to be trusted.

use std::fmt;

use eko_protocol::Invalid;
use serde::{Deserialize, Serialize};

use crate::group::GroupError;
use crate::store::DeviceStoreError;
use crate::{ClientError, ClockDifference, IdTokenFault, SessionError, TransportError};

/// The pause between two attempts while the clock is wrong, in seconds.
const CLOCK_PAUSE_S: u64 = 300;

/// An error of a messenger.
#[derive(Debug, thiserror::Error)]
pub enum MessengerError {
    /// The server refused the call, or there is no answer.
    #[error(transparent)]
    Client(ClientError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] DeviceStoreError),
    /// The Signal library failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A server shows devices of somebody that contradict what it showed before, or what their
    /// owner signed. Nothing is sent.
    #[error("{actor}: {why}")]
    Distrust {
        /// The actor id of the devices' owner.
        actor: String,
        /// The contradiction.
        why: Distrust,
    },
    /// By this machine's clock no device of the recipient has confirmed their device list for long, and by
    /// the server's one has; or the server refuses the time that this device has signed. What is kept is sent
    /// once the clocks agree.
    #[error("{0}")]
    WrongClock(ClockDifference),
    /// There is no user of this name on that server.
    #[error("there is no {0}")]
    NoSuchPerson(String),
    /// The user blocks the person, by this actor id. Nothing was sent.
    #[error("you block {0}, so that no answer would reach you")]
    Blocked(String),
    /// The user blocks the person, by this actor id, with everybody at a domain, or at a server. Nothing was sent.
    #[error("you block everybody at {domain}, so that no answer of {actor} would reach you")]
    BlockedDomain {
        /// The actor id of the person.
        actor: String,
        /// The domain that is blocked, with its port.
        domain: String,
    },
    /// This device has not written the message.
    #[error("this device has written no message {0}")]
    NoSuchMessage(String),
    /// This device does not know the group.
    #[error("there is no group {0}")]
    NoSuchGroup(String),
    /// The group may not be changed in this way.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The ID token was made for another sign-in. It was not sent to the server.
    #[error(transparent)]
    IdToken(#[from] IdTokenFault),
    /// The tokens of this device have ended: the user must sign in again.
    #[error("this device is signed out")]
    SignedOut,
    /// The server refuses an access token that is new. Its functions may have different keys for a
    /// time.
    #[error("the server refuses the sign-in that it has just renewed")]
    TokenRefused,
    /// This device waits for the approval of another device of its user.
    #[error("this device waits until one of your other devices approves it")]
    Pending,
    /// This device was turned away or revoked by another device of its user, or by a reset.
    #[error(
        "this device was turned away or revoked by another of your devices, or by a reset of your account"
    )]
    Revoked,
    /// The server says that the account of this device's user was deleted.
    #[error("your account was deleted")]
    AccountDeleted,
    /// The account of this person was deleted, as their server says.
    #[error("the account of {0} was deleted")]
    PersonDeleted(String),
    /// The person has moved to another account, with this handle, and this device has followed.
    #[error("they have moved to {0}")]
    PersonMoved(String),
    /// This user has moved to another account, with this handle. This one sends nothing any more.
    #[error("you have moved from this account to {0}")]
    AccountMoved(String),
    /// This account was made for the move of its user from another one, which is not done.
    #[error("{to} was made for your move from {from}, which is not done: it sends and reads nothing before")]
    AwaitsMove {
        /// The handle of the account that the user leaves.
        from: String,
        /// The handle of this account.
        to: String,
        /// True once the user has left the other account.
        is_left: bool,
    },
    /// The account to which the user wants to move is there already.
    #[error("that account exists already, and nobody can move to it: a move needs a new one")]
    NotNew,
    /// This device was registered once, but the server does not know it or its user any more.
    #[error(
        "the server does not know this device any more: it has lost its data, or the account was deleted"
    )]
    Forgotten,
    /// A reset was asked for in a store that has a registered device. Only a new device can begin
    /// anew, in a store of its own.
    #[error("nothing was reset: a reset begins anew with a new device, and there is one of yours here")]
    ResetHere,
    /// A reset was asked for, and the server shows no devices of this user.
    #[error(
        "nothing was reset: the server shows no devices of yours; either there are none, or it hides them"
    )]
    NothingToReset,
    /// No device that waits has the joining code that was entered.
    #[error(
        "{}", match .waiting {
            0 => "no device waits for approval".to_owned(),
            _ => "no device that waits has this joining code: it is the code of another device, or your server \
                  shows another key than the new device has, to read along".to_owned(),
        }
    )]
    UnknownJoiningCode {
        /// The number of devices that wait.
        waiting: usize,
    },
    /// Several devices that wait have the joining code that was entered, so somebody else has seen
    /// it. None is approved.
    #[error("{0} devices that wait have this joining code: somebody else has seen it, and none is approved")]
    SharedJoiningCode(usize),
    /// The server has answered that it did something, and what it shows afterwards says otherwise.
    #[error("the server said that {0}, but it does not show that: it was not done")]
    NotDone(&'static str),
    /// The request breaks a rule of the protocol.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// A contradiction in what a server shows of somebody's devices. Its text is about somebody else;
/// [`Distrust::about_own`] returns the one for the user's own devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distrust {
    /// A node of the chain breaks a rule, for example because none of the user's devices signed it.
    FalseChain(String),
    /// The chain differs from the pinned one, from the node with this index on.
    Forked(u64),
    /// The chain is shorter than the pinned one.
    RolledBack {
        /// The number of nodes that were pinned.
        pinned: u64,
        /// The number of nodes that the server shows now.
        shown: u64,
    },
    /// All devices of the user were replaced at once.
    Reset {
        /// True if the user had compared safety numbers with the former devices.
        verified: bool,
    },
    /// A device of the user has signed a chain with more nodes than the server shows.
    Withheld {
        /// The number of nodes that the server shows.
        shown: u64,
        /// The number of nodes that the device has signed.
        proven: u64,
    },
    /// A device of the user has signed a chain with another node at this index than the server
    /// shows.
    Disputed(u64),
    /// No device of the user has confirmed the chain for long.
    Stale {
        /// The number of days since the last confirmation.
        days: u64,
    },
    /// The server asks for a ciphertext for this device, which is not in the chain.
    Inserted(String),
    /// The server shows a chain in which this device was added without the approval of whoever has
    /// its joining code.
    NotApproved,
    /// The server shows a chain of this user that does not begin with this device, which began it.
    OtherRoot,
    /// The server shows a chain of this user in which a reset has replaced all devices, this one
    /// too. The chain is not pinned.
    OwnReset,
    /// The server has shown a false list of this user's own devices, and the user has not accepted
    /// the true one again.
    Contradicted(String),
    /// A move to another account is not proven by both device chains.
    FalseMove {
        /// The handle of the other account.
        to: String,
        /// The reason, in words.
        why: String,
    },
    /// This device has lost the pinned chain with a part of its store, and takes the next one that the server
    /// shows for the first one. It sends all the same.
    Lost {
        /// True if the user had compared safety numbers with the former devices.
        verified: bool,
    },
    /// A key package differs from what the chain says of its device.
    FalseKeys(String),
}

/// The words for the owner of devices.
struct OwnerWords {
    they: &'static str,
    their: &'static str,
    theirs: &'static str,
}

impl Distrust {
    /// Returns the text for the user whose own devices the contradiction is about.
    pub fn about_own(&self) -> String {
        self.in_words(&OwnerWords { they: "you", their: "your", theirs: "yours" })
    }

    fn in_words(&self, OwnerWords { they, their, theirs }: &OwnerWords) -> String {
        match self {
            Self::FalseChain(why) => format!(
                "{their} server shows a device list that {they} have not signed ({why}); it may want to read along"
            ),
            Self::Forked(index) => format!(
                "{their} server shows another device list than before, from node {index} on; one of the two is \
                 false"
            ),
            Self::RolledBack { pinned, shown } => format!(
                "{their} server hides what was in {their} device list before: it showed {pinned} nodes, now \
                 {shown}"
            ),
            Self::Reset { verified } => {
                let compared =
                    if *verified { ", and you had compared safety numbers with the former ones" } else { "" };
                format!(
                    "all {their} devices were replaced at once{compared}: {they} lost them all, or somebody takes \
                     {their} place"
                )
            }
            Self::Withheld { shown, proven } => format!(
                "one of {their} devices has signed a device list with {proven} entries, and {their} server shows \
                 {shown}: it hides a device that was added or revoked"
            ),
            Self::Disputed(index) => format!(
                "one of {their} devices has signed another device list than {their} server shows, from node \
                 {index} on; one of the two is false"
            ),
            Self::Stale { days } => format!(
                "none of {their} devices has confirmed {their} device list for {days} days; {their} server may \
                 hide that one was revoked"
            ),
            Self::Inserted(device) => format!(
                "{their} server wants a copy for {device}, which is no device of {theirs}; it may want to read \
                 along"
            ),
            Self::NotApproved => "your server shows a device list that was not approved with this device's \
                                  joining code; somebody wants to be taken for your other devices"
                .to_owned(),
            Self::OtherRoot => {
                "your server shows a device list that somebody else has begun, though this device began it"
                    .to_owned()
            }
            Self::OwnReset => "all your devices were replaced, this one too: by a reset of your account, or \
                               by somebody who takes your place"
                .to_owned(),
            Self::Contradicted(why) => format!(
                "no copy goes to your other devices, and none of theirs is read, because your server has shown \
                 something false of them: {why}"
            ),
            Self::FalseMove { to, why } => format!(
                "a move from {their} account to {to} is claimed and not proven ({why}); somebody may want to take \
                 {their} place"
            ),
            Self::Lost { verified } => {
                let compared = if *verified { ", with which you had compared safety numbers," } else { "" };
                format!(
                    "the list of {their} devices{compared} was lost, or a part of it, with a part of the store, so that {their} server \
                     can show others now"
                )
            }
            Self::FalseKeys(why) => {
                format!("{their} server gives out keys that are not {their} device's: {why}")
            }
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(&OwnerWords { they: "they", their: "their", theirs: "theirs" }))
    }
}

impl std::error::Error for Distrust {}

impl From<ClientError> for MessengerError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::NotSignedIn => Self::SignedOut,
            ClientError::Problem(problem) => match problem.slug() {
                "device-pending" => Self::Pending,
                "device-revoked" => Self::Revoked,
                "account-deleted" => Self::AccountDeleted,
                "account-moved" => Self::AccountMoved("another one".to_owned()),
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
    /// True if this device has ended: it was revoked, or its account was deleted.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Revoked | Self::AccountDeleted)
    }

    /// True if the user has to sign in again before any call can succeed, or with a new device.
    pub(super) fn needs_sign_in(&self) -> bool {
        matches!(self, Self::SignedOut | Self::Forgotten)
    }

    /// True if nothing else can succeed either: the store failed, or the user has to sign in again. Whatever
    /// else fails holds up nothing but itself.
    pub(super) fn holds_up_all(&self) -> bool {
        matches!(self, Self::Store(_)) || self.needs_sign_in()
    }

    /// Returns the number of seconds to wait before trying again, or `None` if another attempt is
    /// useless. The number is 0 if the server named none.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Client(ClientError::Transport(_)) | Self::TokenRefused => Some(0),
            Self::WrongClock(_) => Some(CLOCK_PAUSE_S),
            Self::Client(ClientError::Problem(problem)) => {
                matches!(problem.status, 429 | 500..=599).then(|| problem.retry_after_s.unwrap_or(0))
            }
            Self::Client(ClientError::Unexpected { status, retry_after_s, .. }) => {
                (status.is_server_error() || status.as_u16() == 429).then(|| retry_after_s.unwrap_or(0))
            }
            _ => None,
        }
    }
}
