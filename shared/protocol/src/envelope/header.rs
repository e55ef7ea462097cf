//! The members of an envelope that every device's copy has in common.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::activity::put_device_set;
use crate::device_set::DeviceSetRef;
use crate::franking::Franking;
use crate::id::EnvelopeId;
use crate::timestamp;

/// The members of a `SignalEnvelope` that are the same for every device (`docs/protocol.md`,
/// section 5).
///
/// A member of the envelope is declared here only: [`crate::envelope::Create`] reads it from a
/// sender, the queue `deliveries` carries it as JSON, `eko-store` keeps it in a mailbox entry, and
/// [`crate::letter::FetchedLetter`] shows it to the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeHeader {
    /// The author's actor id.
    pub author: String,
    /// The envelope's id. A sender uses the same id when it sends an envelope again.
    pub id: EnvelopeId,
    /// The URL of the sending device.
    pub from: String,
    /// The time of writing by the sender's clock, in epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_ms: Option<i64>,
    /// The time after which the envelope is of no more use, in epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// True if the recipient's devices should be woken by a push.
    pub notify: bool,
    /// The recipient's device set as the sender last saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_set: Option<DeviceSetRef>,
    /// The commitment to the content, by which its recipient can report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub franking: Option<Franking>,
}

impl EnvelopeHeader {
    /// Writes the `SignalEnvelope` object with these `messages`, an array.
    pub(crate) fn to_object(&self, messages: Value) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!(["Object", "SignalEnvelope"]));
        object.insert("id".to_owned(), json!(self.id));
        put_time(&mut object, "published", self.published_ms);
        object.insert("notify".to_owned(), json!(self.notify));
        put_time(&mut object, "expires", self.expires_ms);
        put_device_set(&mut object, self.device_set.as_ref());
        if let Some(franking) = &self.franking {
            object.insert("eko:franking".to_owned(), json!(franking));
        }
        object.insert("messages".to_owned(), messages);
        object
    }
}

/// Writes a time, given in epoch milliseconds, as RFC 3339 text. Writes nothing for `None`.
pub(crate) fn put_time(object: &mut Map<String, Value>, name: &str, epoch_ms: Option<i64>) {
    if let Some(epoch_ms) = epoch_ms {
        object.insert(name.to_owned(), json!(timestamp::format(epoch_ms)));
    }
}
