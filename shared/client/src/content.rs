//! What an envelope's message says once it is decrypted: one ActivityPub activity, padded (`docs/protocol.md`,
//! section 9).
//!
//! Whoever wrote it may be hostile: every member that is read is checked, members that are not known are ignored, and
//! a type that is not known is [`ActivityContent::Other`]. What cannot be checked here, since it is not in the activity: that its
//! `actor` is the user whose device the session is with.

pub(crate) mod id;
pub(crate) mod member;
mod padding;
pub(crate) mod read;
pub(crate) mod write;

use std::collections::BTreeMap;

use eko_protocol::Invalid;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::json::{self, JsonError};
use serde_json::Value;

use crate::attachment::Attachment;
use crate::group::{GroupControl, GroupId};

pub use id::{ActivityId, NoteId};
pub use padding::{PADDING_STEP, pad, unpad};

/// Bytes of a padded activity. A message's content is 96 KiB at most, of which this leaves 4,224 bytes to Signal: a first
/// message of libsignal 0.103 takes 1,774, later ones about a hundred.
pub const MAX_PLAINTEXT: usize = 588 * PADDING_STEP;

/// Addresses in `to`, and device sets, of one activity: as many as a group has members.
pub const MAX_ADDRESSES: usize = crate::group::MAX_MEMBERS;

/// Attachments of one note.
pub const MAX_ATTACHMENTS: usize = 32;

/// One activity.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Its id, drawn by its author.
    pub id: ActivityId,
    /// The actor id of its author, which is to be compared with the session's user.
    pub actor: String,
    /// The conversation: actor ids, or the id of the one group, which then is in `group` too.
    pub to: Vec<String>,
    /// When it was made, by its author's clock; epoch milliseconds.
    pub published_ms: i64,
    /// Its place among what the sending device said in this conversation, from 1.
    pub sequence: Option<u64>,
    /// The device sets of the conversation's members as the author saw them, by actor id.
    pub device_sets: BTreeMap<String, DeviceSetRef>,
    /// The group that it is for.
    pub group: Option<GroupRef>,
    /// What it says.
    pub content: ActivityContent,
}

/// The group of an activity, as its author had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRef {
    /// The group.
    pub id: GroupId,
    /// The epoch of its state, from 1; of a control, the epoch that it makes.
    pub epoch: u64,
}

/// What an activity says.
#[derive(Debug, Clone, PartialEq)]
pub enum ActivityContent {
    /// `Create` of a `Note`.
    Note(Note),
    /// `Read`: the activity with this id was read by the author.
    Read(ActivityId),
    /// A change of a group, as yet not judged ([`crate::group::judge_control`]).
    Control(Box<GroupControl>),
    /// Of a type that is not known here: the whole activity, as it came or as it shall go.
    Other(Value),
}

/// A text, and files with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// The text, plain, as its author wrote it: whoever shows it on a terminal keeps control characters off it.
    pub text: String,
    /// At most [`MAX_ATTACHMENTS`].
    pub attachments: Vec<Attachment>,
}

impl Activity {
    /// Returns the activity that carries a control which this device has sealed.
    pub fn of_control(control: &GroupControl) -> Self {
        let state = control.state();
        Self {
            id: control.id().clone(),
            actor: control.author().to_owned(),
            to: vec![state.id().to_string()],
            published_ms: control.published_ms(),
            sequence: None,
            device_sets: BTreeMap::new(),
            group: Some(GroupRef { id: state.id().clone(), epoch: state.epoch() }),
            content: ActivityContent::Control(Box::new(control.clone())),
        }
    }

    /// The padded bytes that are encrypted.
    ///
    /// # Errors
    /// It is longer than [`MAX_PLAINTEXT`]; a member is not what [`Activity::from_plaintext`] accepts; or `said` holds an
    /// activity of its own ([`ActivityContent::Control`], [`ActivityContent::Other`]) whose members are not these.
    pub fn to_plaintext(&self) -> Result<Vec<u8>, Invalid> {
        let value = write::value(self)?;
        let read = read::activity(&value)?;
        // Reading is the one judge of what may be sent.
        if read != *self {
            return Err(Invalid::whole("would not be read as it is"));
        }
        let plaintext = pad(value.to_string().as_bytes());
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(too_long());
        }
        Ok(plaintext)
    }

    /// Reads what was decrypted.
    ///
    /// # Errors
    /// It is too long, not padded, not JSON as this protocol reads it, or the first member that is missing or wrong.
    pub fn from_plaintext(plaintext: &[u8]) -> Result<Self, Invalid> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(too_long());
        }
        let value = json::parse(unpad(plaintext)?).map_err(|error| match error {
            JsonError::Refused(invalid) => invalid,
            JsonError::NotJson(_) => Invalid::whole(error.to_string()),
        })?;
        read::activity(&value)
    }
}

fn too_long() -> Invalid {
    Invalid::whole(format!("is more than {MAX_PLAINTEXT} bytes"))
}

#[cfg(test)]
pub(crate) mod tests;
