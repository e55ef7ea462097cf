//! Notices: what a look into the mailbox brings besides messages. They are typed values; the
//! program that shows them puts them into words.

use std::fmt;

use eko_protocol::Invalid;

use super::{Distrust, MessengerError};
use crate::SessionError;
use crate::device::PendingDevice;
use crate::group::{GroupChange, GroupDifference, GroupError, GroupId, Remedy};
use crate::store::{EnvelopeState, HeldReason, OutboxEnvelope};

/// Something that happened and is not a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// An envelope of this user has an outcome.
    Settled(OutboxEnvelope),
    /// A device asks to become a device of this user. Only the user can say whether it is theirs.
    DeviceWaits(PendingDevice),
    /// Somebody read a message.
    Read {
        /// The actor who read it.
        actor: String,
        /// The id of the activity that was read.
        id: String,
        /// The number of messages before it of which it was not known that they were read. Those that another
        /// device of this user has sent are not counted.
        before: usize,
    },
    /// A contact is writing at this moment.
    Typing {
        /// The contact.
        actor: String,
        /// The contact's actor id, or the group's id.
        conversation: String,
    },
    /// A contact who was writing has deleted what they wrote.
    TypingEnded {
        /// The contact.
        actor: String,
        /// The contact's actor id, or the group's id.
        conversation: String,
    },
    /// Somebody to whom this user has never written wrote to them ([`Messenger::requests`]).
    ///
    /// [`Messenger::requests`]: super::Messenger::requests
    Request {
        /// The stranger.
        actor: String,
    },
    /// Somebody has not received messages of this user that a server has accepted.
    Missed {
        /// The actor who misses them.
        actor: String,
        /// The ids of the activities.
        ids: Vec<String>,
    },
    /// Somebody could not decrypt a message of this user, and it is not sent again by itself.
    NotRead {
        /// The actor who could not read it.
        actor: String,
        /// The id of the activity.
        id: String,
    },
    /// Somebody got envelopes in the name of this device that this device has not sent to them.
    /// Either a server has made them up, or this device goes on from an old copy of its data.
    Forged {
        /// The actor who got them.
        actor: String,
        /// The number of envelopes.
        count: usize,
    },
    /// A message cannot be decrypted. Its device is asked to send it again, and its place is kept
    /// ([`Messenger::awaited`](super::Messenger::awaited)).
    Awaited {
        /// The actor who sent it.
        actor: String,
    },
    /// A message cannot be read. It is acknowledged and will not come again.
    Unreadable {
        /// The actor who sent it.
        actor: String,
        /// The reason.
        why: UnreadableReason,
    },
    /// A message was not taken, because the sender's devices are not to be trusted.
    Refused {
        /// The actor who seems to have sent it.
        actor: String,
        /// The reason.
        why: Distrust,
    },
    /// A sender was shown another device list than this device was.
    Contradiction {
        /// The actor who was shown the other list.
        seen_by: String,
        /// The actor whose devices the list is of.
        of: String,
    },
    /// A server contradicts what is known of somebody's devices: their server shows something false, or
    /// not what one of their devices has signed. Nothing is sent to them until it shows what is known.
    Distrusted {
        /// The actor whose devices the list is of.
        actor: String,
        /// The contradiction.
        why: Distrust,
    },
    /// The devices of a contact, of a member of a group, or of this user have changed. Devices of
    /// theirs have signed that. [`crate::Messenger::note_told`] records that it was shown.
    DevicesChanged {
        /// The actor whose devices they are.
        actor: String,
        /// The addresses of the devices that were added.
        added: Vec<String>,
        /// The addresses of the devices that were removed.
        removed: Vec<String>,
        /// True if the user has replaced all devices at once, by a reset that none of them has signed.
        reset: bool,
        /// The number of nodes of the chain that the notice is about.
        length: u64,
    },
    /// Devices of this user were added or removed under the key of this device, which has not done
    /// that. Somebody has a copy of the key, or the device goes on from an old copy of its data.
    KeyCopied {
        /// The addresses of all devices that were added since the user was last told, in order.
        added: Vec<String>,
        /// The addresses of all devices that were removed since, in order.
        removed: Vec<String>,
        /// The number of nodes of the chain that the notice is about.
        length: u64,
    },
    /// Somebody has moved to another account. Both device chains prove it, and this device goes on with the
    /// new one.
    Moved {
        /// The actor who has moved.
        actor: String,
        /// The actor id of the new account.
        to: String,
    },
    /// The server had keys of this device that this device did not make, so all of its keys were
    /// replaced. Either the device goes on from an old copy of its data, or somebody has a copy of
    /// its identity key.
    KeysReplaced,
    /// The server, or this device by its bounds for groups, makes no more people known
    /// ([`Messenger::let_write`](super::Messenger::let_write)). What some of those write whom the user knows
    /// may be taken for a stranger's.
    KnownUntold,
    /// The server has no room for the record of another group. A device that is approved later does not know
    /// the group by itself.
    RecordsFull {
        /// The records there that no current key opens. They are deleted from a day on after this device has
        /// first seen them.
        unreadable: usize,
    },
    /// An entry stays in the mailbox, because another server cannot be asked for somebody's devices
    /// now.
    Waits {
        /// The actor who sent the entry.
        actor: String,
        /// The failure, in words.
        why: String,
    },
    /// A control of a group arrived.
    Group {
        /// The group.
        id: GroupId,
        /// The actor who sent the control.
        by: String,
        /// The effect of the control on this device's copy of the group.
        event: GroupEvent,
        /// The parts of the group that are others now.
        difference: GroupDifference,
    },
}

/// The urgency of a [`Notice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// News that may be left out, as in a quiet mode.
    News,
    /// A change that is usual, and that the user has to know of: only the user can say whether it is
    /// right. Never left out.
    Attention,
    /// A security warning: a server shows something false, or a message was held back because of
    /// it, or this device's keys are in question. Never left out.
    Warning,
}

/// The effect of a control that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// The group was changed.
    Changed(GroupChange),
    /// The group was changed, and another change of the same state was undone: of two changes at
    /// once, one wins.
    Replaced {
        /// The change.
        change: GroupChange,
        /// The address of the device whose change was undone.
        of: String,
        /// The parts of that change that do not hold.
        lost: GroupDifference,
    },
    /// A change that this user has made does not hold, because of another one. The difference is what
    /// does not hold of it.
    Undone {
        /// The change of this user.
        change: GroupChange,
        /// The way in which it comes about all the same.
        remedy: Remedy,
        /// The parts of the group that the other change makes others, if both were made of one state.
        holds: Option<GroupDifference>,
    },
    /// A change of this user and one of the actor were made of the same state, and that of this user
    /// holds. The difference is what does not hold of the other one.
    Prevailed(GroupChange),
    /// The actor changes the group as an admin, by grants that lead to the creator, and this device has
    /// not seen how the actor became one. Something was withheld. The actor's history is offered
    /// ([`crate::Messenger::invitations`]), and nothing follows it until this user chooses it.
    UnseenAdmin,
    /// The control was refused and changed nothing.
    Refused(GroupError),
    /// The control brings this user into the group. The user joins or declines.
    Invited,
    /// A member says that it has joined, and had not shown before that it has the group. If it is this
    /// user, the user has joined on another device.
    Joined,
    /// A control or a message shows another history of the group than the one that this device has.
    Conflict,
    /// The device that made the control has told others something else in its place.
    TwoStories,
    /// A member goes on in another state of the group an hour after it has changed.
    Behind,
    /// The actor could not be told of the last change of the group for 30 days, and is told no more, unless the
    /// actor writes.
    NotTold,
    /// The activity is held, because it cannot be judged yet.
    Held(HeldReason),
}

impl GroupEvent {
    /// Returns the urgency of this event. A change that does not hold is a warning if somebody stays who
    /// was to be kept out.
    fn severity(&self, difference: &GroupDifference) -> Severity {
        match self {
            Self::Undone { .. } if difference.removed.is_empty() && !difference.rekeyed => {
                Severity::Attention
            }
            Self::NotTold => Severity::Attention,
            Self::Conflict
            | Self::UnseenAdmin
            | Self::TwoStories
            | Self::Behind
            | Self::Undone { .. }
            | Self::Held(HeldReason::Reset) => Severity::Warning,
            Self::Refused(
                GroupError::RevokedDevice | GroupError::OtherHistory | GroupError::FalseGrant(_),
            ) => Severity::Warning,
            Self::Changed(_)
            | Self::Replaced { .. }
            | Self::Prevailed(_)
            | Self::Refused(_)
            | Self::Invited
            | Self::Joined
            | Self::Held(_) => Severity::News,
        }
    }
}

/// A reason for which a message cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub enum UnreadableReason {
    /// The entry, or the activity in it, is malformed.
    Malformed(Invalid),
    /// The ciphertext cannot be decrypted.
    Undecryptable(SessionError),
    /// The ciphertext cannot be decrypted, and holds no message: it was sent so that nobody is woken by it, as
    /// receipts are.
    UndecryptableReceipt(SessionError),
    /// The device that sent it was revoked by its user.
    RevokedDevice,
    /// The activity names another author than the user whose device sent it.
    OtherAuthor,
    /// The activity is addressed to neither this user nor a group of theirs.
    OtherAddressee,
    /// Another failure, in words: the sender does not exist, or their server answers nonsense.
    Failed(String),
}

impl Notice {
    /// Returns the urgency of this notice.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Refused { .. }
            | Self::Contradiction { .. }
            | Self::Distrusted { .. }
            | Self::Forged { .. }
            | Self::KeyCopied { .. }
            | Self::KeysReplaced => Severity::Warning,
            Self::DevicesChanged { reset: true, .. } => Severity::Warning,
            Self::DevicesChanged { added, .. } if !added.is_empty() => Severity::Attention,
            Self::Settled(envelope) if envelope.state == EnvelopeState::Refused => Severity::Warning,
            Self::Group { event, difference, .. } => event.severity(difference),
            Self::Moved { .. } | Self::KnownUntold | Self::RecordsFull { .. } => Severity::Attention,
            Self::Settled(_)
            | Self::DevicesChanged { .. }
            | Self::DeviceWaits(_)
            | Self::Read { .. }
            | Self::Typing { .. }
            | Self::TypingEnded { .. }
            | Self::Request { .. }
            | Self::Missed { .. }
            | Self::NotRead { .. }
            | Self::Awaited { .. }
            | Self::Unreadable { .. }
            | Self::Waits { .. } => Severity::News,
        }
    }
}

impl From<MessengerError> for UnreadableReason {
    fn from(error: MessengerError) -> Self {
        match error {
            MessengerError::Invalid(invalid) => Self::Malformed(invalid),
            MessengerError::Session(error) => Self::Undecryptable(error),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl fmt::Display for UnreadableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(invalid) => invalid.fmt(f),
            Self::Undecryptable(error) | Self::UndecryptableReceipt(error) => error.fmt(f),
            Self::RevokedDevice => {
                f.write_str("it comes from a device that was revoked, or that a reset has replaced")
            }
            Self::OtherAuthor => f.write_str("it names another author than its sender"),
            Self::OtherAddressee => f.write_str("it is addressed to somebody else"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}
