//! The queue `deliveries`: what was accepted, on its way to the mailboxes.
//!
//! An envelope's messages travel together, as many in one queue message as fit: fewer requests, fewer
//! bytes, and the mailbox writes of one envelope in one batch. A message is JSON; SQS counts each 64 KB as
//! a request and refuses more than 1 MiB, for one message as for a batch.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::address::UserName;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::{DeviceId, EntryKey};
use serde::{Deserialize, Serialize};

use crate::mailbox::{Addressed, Content, Entry, Message};
use crate::queue::{MESSAGE_BYTES, Outgoing};
use crate::{Result, Store};

/// One message of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Delivery {
    /// Messages of one envelope for some of a user's devices.
    Envelope(Envelope),
    /// A report for a user's devices, or one of them.
    Report(Report),
}

/// Messages of one envelope for some of a user's devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The recipient.
    pub to: String,
    /// Actor id of the author.
    pub author: String,
    /// Activity id of the `Create`.
    pub activity: String,
    /// The envelope's id.
    pub envelope: String,
    /// URL of the sending device.
    pub from: String,
    /// When it was first accepted, epoch milliseconds.
    pub accepted: i64,
    /// Epoch seconds after which its entries are gone.
    pub ttl: i64,
    /// When the sender says that it was published, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<i64>,
    /// When the sender lets it expire, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Whether a push notification is wanted.
    pub notify: bool,
    /// The device set that the sender last saw: length and head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<(u64, String)>,
    /// Device id and ciphertext in base64.
    pub messages: Vec<(String, String)>,
}

/// A report on its way to a user's devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The user whose devices get it.
    pub to: String,
    /// The only device that gets it; every active one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Key of its entry in each mailbox.
    pub entry: String,
    /// Epoch seconds after which it is gone.
    pub ttl: i64,
    /// The activity.
    pub activity: serde_json::Value,
}

impl Envelope {
    /// Adds a device's ciphertext.
    pub fn push(&mut self, device: &DeviceId, ciphertext: &[u8]) {
        self.messages.push((device.to_string(), STANDARD.encode(ciphertext)));
    }

    /// The mailbox entries that it stands for.
    pub fn entries(&self) -> Result<Vec<Addressed>> {
        let user = UserName::parse(&self.to).map_err(crate::attribute::corrupt)?;
        let key = EntryKey::new(self.accepted.unsigned_abs(), &self.author, &self.envelope);
        let one = |(device, content): &(String, String)| {
            let message = Message {
                author: self.author.clone(),
                activity: self.activity.clone(),
                envelope: self.envelope.clone(),
                from: self.from.clone(),
                ciphertext: STANDARD.decode(content).map_err(crate::attribute::corrupt)?,
                published_ms: self.published,
                notify: self.notify,
                expires_ms: self.expires,
                device_set: self.seen.clone().map(|(length, head)| DeviceSetRef { length, head }),
            };
            Ok(Addressed {
                user: user.clone(),
                device: DeviceId::parse(device).map_err(crate::attribute::corrupt)?,
                entry: Entry { key: key.clone(), ttl: self.ttl, content: Content::Message(message) },
            })
        };
        self.messages.iter().map(one).collect()
    }

    /// Splits it so that each part stays under [`MESSAGE_BYTES`] as JSON.
    fn parts(self) -> Vec<Self> {
        let size = |m: &(String, String)| m.0.len().saturating_add(m.1.len()).saturating_add(8);
        let overhead = 2_048;
        let mut parts: Vec<Self> = Vec::new();
        let mut bytes = usize::MAX;
        let empty = Self { messages: Vec::new(), ..self };
        for message in self.messages {
            let more = size(&message);
            match parts.last_mut() {
                Some(part) if bytes.saturating_add(more) <= MESSAGE_BYTES => {
                    bytes = bytes.saturating_add(more);
                    part.messages.push(message);
                }
                _ => {
                    bytes = more.saturating_add(overhead);
                    parts.push(Self { messages: vec![message], ..empty.clone() });
                }
            }
        }
        parts
    }
}

impl Store {
    /// Queues an envelope's messages: one SendMessageBatch as long as it is under 1 MB, otherwise as many
    /// as it needs, one after another. `Ok` means that SQS holds all of it.
    pub async fn queue_envelope(&self, envelope: Envelope) -> Result<()> {
        let deliveries = envelope.parts().into_iter().map(Delivery::Envelope).collect();
        self.queue(deliveries).await
    }

    /// Queues reports: one SendMessageBatch for each ten, or each megabyte.
    pub async fn queue_reports(&self, reports: Vec<Report>) -> Result<()> {
        self.queue(reports.into_iter().map(Delivery::Report).collect()).await
    }

    async fn queue(&self, deliveries: Vec<Delivery>) -> Result<()> {
        let message = |delivery| serde_json::to_string(delivery).map(Outgoing::from);
        let messages = deliveries.iter().map(message).collect::<std::result::Result<Vec<_>, _>>();
        self.send(self.deliveries_url(), messages.map_err(crate::attribute::corrupt)?).await
    }
}
