//! The content of a decrypted message: one ActivityPub activity, padded (`docs/protocol.md`,
//! section 9).
//!
//! The author may be hostile. Every member that is read is checked, unknown members are ignored,
//! and an activity of an unknown type becomes [`ActivityContent::Other`]. One check is left to the
//! caller, because it needs the session: `actor` must be the user whose device the session is with.

mod decision;
mod franked;
mod head;
pub(crate) mod id;
pub(crate) mod member;
mod moving;
mod number_range;
mod padding;
pub(crate) mod read;
mod receipt;
pub(crate) mod write;

use std::collections::BTreeMap;

use eko_protocol::Invalid;
use eko_protocol::block::BlockedParty;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::json::{self, JsonError};
use serde_json::Value;

use crate::attachment::Attachment;
use crate::group::{GroupControl, GroupId};
use crate::sealed::StateKeys;

pub use decision::{Decision, Decisions, DeviceName, MAX_DECISIONS, MAX_DEVICE_NAME_CHARS, MAX_DEVICE_NAMES};
pub(crate) use franked::{FrankedContent, lacks_key, tag_of, with_key};
pub use head::{HeadStatement, SignedHead};
pub use id::{ActivityId, NoteId};
pub use moving::{MAX_MOVE_NODES, MoveEvidence};
pub use number_range::NumberRange;
pub use padding::{MAX_PLAINTEXT, PADDED_LENGTHS, pad, unpad};
pub use receipt::{MAX_MISSING, MAX_RECEIVED, MissingMessages, Receipt, UnreadableEnvelope};

/// The greatest number of device sets in one activity: as many as a group has members.
pub const MAX_DEVICE_SETS: usize = crate::group::MAX_MEMBERS;

/// The greatest number of ranges of void numbers in one activity.
pub const MAX_VOID: usize = MAX_MISSING;

/// The greatest number of attachments of one note.
pub const MAX_ATTACHMENTS: usize = 32;

/// An ActivityPub activity that one user sends to others.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// The id, drawn by the author.
    pub id: ActivityId,
    /// The actor id of the author. The caller compares it with the user whose device the session is
    /// with.
    pub actor: String,
    /// The conversation: an actor id, or the id of a group, which is then in `group` too.
    pub to: String,
    /// The time at which the author's clock says it was made, in epoch milliseconds.
    pub published_ms: i64,
    /// The number of this note among those that the sending device sent to this conversation, from 1.
    pub sequence: Option<u64>,
    /// The numbers before that one under which the device sends nothing to the reader, at most
    /// [`MAX_VOID`] ranges.
    pub void: Vec<NumberRange>,
    /// The author's own device set, signed by the sending device. `None` for a control, which signs its
    /// device set with everything else of it.
    pub device_set: Option<SignedHead>,
    /// The hash of the device sets of the conversation's members as the author saw them
    /// ([`device_sets_hash`]).
    pub device_sets_hash: Option<String>,
    /// The device sets themselves, by actor id. They are sent only after a difference was seen.
    pub device_sets: BTreeMap<String, DeviceSetRef>,
    /// The group that the activity is for.
    pub group: Option<GroupRef>,
    /// The content.
    pub content: ActivityContent,
}

/// The group of an activity, as its author had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRef {
    /// The group's id.
    pub id: GroupId,
    /// The epoch of the group's state, from 1. For a control it is the epoch that the control
    /// makes.
    pub epoch: u64,
    /// The hash of the group's state ([`crate::group::GroupState::hash`]), 64 lower-case hex digits.
    pub state: String,
}

/// The content of an activity.
#[derive(Debug, Clone, PartialEq)]
pub enum ActivityContent {
    /// A note: `Create` of a `Note`.
    Note(Note),
    /// A read receipt: the author has read the activity with this id.
    Read(ActivityId),
    /// The author is writing to the conversation.
    Typing,
    /// The author is not writing to the conversation any more.
    TypingEnded,
    /// A change of a group, which [`crate::group::judge_control`] has yet to judge.
    Control(Box<GroupControl>),
    /// A receipt: the author has, or lacks, activities of the recipient.
    Receipt(Receipt),
    /// The author has accepted an invitation to the group.
    Join(GroupId),
    /// A control of any author, forwarded as evidence.
    Announce(Box<GroupControl>),
    /// The author blocks the party, and tells the author's other devices.
    Block(BlockedParty),
    /// The author blocks the party no longer.
    Unblock(BlockedParty),
    /// The author's decisions about people and the names of the author's devices, for those.
    Decisions(Decisions),
    /// The keys of the user's group records, for the user's other devices.
    StateKeys(StateKeys),
    /// The author is about to move to the account with this actor id.
    Leave(String),
    /// Somebody has moved to another account: the author to this one, or a member of a common group.
    Move(MoveEvidence),
    /// An activity of an unknown type, whole.
    Other(Value),
}

/// A text, with files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The note's id.
    pub id: NoteId,
    /// The plain text as its author wrote it. A program that shows it on a terminal must remove
    /// control characters.
    pub text: String,
    /// The files, at most [`MAX_ATTACHMENTS`].
    pub attachments: Vec<Attachment>,
}

impl Activity {
    /// Returns the activity that carries a group control that this device has sealed.
    pub fn of_control(control: &GroupControl) -> Self {
        let state = control.state();
        Self {
            id: control.id().clone(),
            actor: control.author().to_owned(),
            to: state.id().to_string(),
            published_ms: control.published_ms(),
            sequence: None,
            void: Vec::new(),
            device_set: None,
            device_sets_hash: None,
            device_sets: BTreeMap::new(),
            group: Some(GroupRef { id: state.id().clone(), epoch: state.epoch(), state: state.hash() }),
            content: ActivityContent::Control(Box::new(control.clone())),
        }
    }

    /// Returns the padded bytes that are encrypted.
    ///
    /// # Errors
    /// [`Invalid`] if the result is longer than [`MAX_PLAINTEXT`], if [`Activity::from_plaintext`]
    /// would refuse a member, or if `content` holds an activity of its own
    /// ([`ActivityContent::Control`], [`ActivityContent::Other`]) whose members differ from these.
    pub fn to_plaintext(&self) -> Result<Vec<u8>, Invalid> {
        let value = write::value(self);
        let read = read::activity(&value)?;
        // The rules of what may be sent are those of reading.
        if read != *self {
            return Err(Invalid::whole("would not be read as it is"));
        }
        pad(value.to_string().as_bytes())
    }

    /// Reads a decrypted message.
    ///
    /// # Errors
    /// [`Invalid`] if it is not padded, or not JSON as the protocol reads it, or at the
    /// first member that is missing or wrong.
    pub fn from_plaintext(plaintext: &[u8]) -> Result<Self, Invalid> {
        let value = json::parse(unpad(plaintext)?).map_err(|error| match error {
            JsonError::Refused(invalid) => invalid,
            JsonError::NotJson(_) => Invalid::whole(error.to_string()),
        })?;
        read::activity(&value)
    }
}

/// Returns the hash that stands for device sets (`eko:deviceSetsHash`): SHA-256 of the canonical
/// JSON of the object `eko:deviceSets`, as 64 lower-case hex digits.
///
/// # Errors
/// [`Invalid`] if a length is beyond 2^53 - 1.
pub fn device_sets_hash(sets: &BTreeMap<String, DeviceSetRef>) -> Result<String, Invalid> {
    let canonical = json::canonical(&serde_json::json!(sets))?;
    Ok(hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &canonical)))
}

#[cfg(test)]
pub(crate) mod tests;
