//! The queue `federation`: activities on their way to other servers.
//!
//! A parcel is one queue message. An activity that is too long for one (an envelope may have 2.5
//! MiB, a message of SQS 1 MiB) lies in the table meanwhile, in parts, since an item may have 400
//! KB. Its items are `F#{uuid}` / `{part}`:
//!
//! | attribute | type | meaning |
//! |---|---|---|
//! | `b` | binary | a part of the activity's text |
//! | `ttl` | number | epoch seconds; a day after the last attempt |

use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EnvelopeId};
use serde::{Deserialize, Serialize};

use crate::attribute::{Item, ReadItem, b, corrupt, n};
use crate::items::{Projection, SortKeys};
use crate::queue::{MESSAGE_BYTES, OutgoingMessage};
use crate::{Result, Store, key};

/// The time for which a parcel is tried, in milliseconds: 48 hours (`docs/protocol.md`, section 7).
pub const TRIED_FOR_MS: i64 = 48 * 3600 * 1000;
/// The most bytes of an activity that travels in the queue message itself. As JSON text inside JSON
/// it grows a little.
const INLINE_BYTES: usize = MESSAGE_BYTES - 100_000;
/// The bytes of one stored part.
const PART_BYTES: usize = 380_000;
/// The longest delay of a new SQS message, in seconds: 15 minutes.
const LONGEST_DELAY_SECONDS: i64 = 900;
/// The longest time for which a received message is hidden, in seconds. SQS hides a message for 12
/// hours after its receive. A function has run for at most 15 minutes of them.
const LONGEST_HIDDEN_SECONDS: i64 = (12 * 60 - 15) * 60;

/// The attribute with a part of an activity's text.
const TEXT: &str = "b";

/// An activity on its way to another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The recipient's actor id.
    pub to: String,
    /// The local user who is the activity's actor.
    pub author: UserName,
    /// The time when it was first tried or queued, in epoch milliseconds.
    pub first_ms: i64,
    /// The earliest time of the next attempt, in epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<i64>,
    /// The time after which the activity is of no more use, in epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// The device that is told the outcome, if the activity is an envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome_to: Option<OutcomeAddress>,
    /// The parcel's id in the list of its author's parcels ([`crate::outstanding`]), if it is
    /// listed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed_as: Option<String>,
    /// True for the `Delete` of a deleted account. Other parcels of the account are dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_deletion: bool,
    /// True if the activity's actor is the server. Then `author` is the user who has caused it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_server: bool,
    /// The activity's text, without its context.
    pub body: ParcelBody,
}

/// The device that is told the outcome of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeAddress {
    /// The author's device that sent the envelope.
    pub device: DeviceId,
    /// The envelope's id.
    pub envelope: EnvelopeId,
}

/// The text of an activity, or the place where it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParcelBody {
    /// The text itself.
    Text(String),
    /// The name of the text, which the table holds in parts.
    Stored(StoredText),
}

/// The name of a text that the table holds in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredText {
    /// The id under which the parts are stored.
    pub id: String,
    /// The length of the whole text. A shorter one is being removed.
    pub bytes: usize,
}

impl Parcel {
    /// Reads the body of a queue message.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the body is not what this server queues.
    pub fn parse(body: &str) -> Result<Self> {
        serde_json::from_str(body).map_err(corrupt)
    }

    /// Returns the time of the last attempt, in epoch milliseconds: after 48 hours, or when the
    /// activity expires.
    pub fn ends_ms(&self) -> i64 {
        let ends = self.first_ms.saturating_add(TRIED_FOR_MS);
        self.expires_ms.map_or(ends, |expires| expires.min(ends))
    }
}

impl Store {
    /// True if this function may queue parcels, and the server federates.
    pub fn has_parcels(&self) -> bool {
        !self.federation_url().is_empty()
    }

    /// Queues parcels, each delayed until it may be tried, as far as SQS can delay it (15 minutes).
    ///
    /// One SendMessageBatch for each ten parcels, or for each megabyte. A text that is too long for
    /// a message is first stored in parts by BatchWriteItem, under an id that `new_id` draws. `Ok`
    /// means that all parcels are durable.
    ///
    /// # Errors
    /// The table or the queue is out of reach. Some parcels may be queued then. DynamoDB deletes
    /// stored parts after their `ttl`.
    pub async fn queue_parcels(
        &self,
        parcels: Vec<Parcel>,
        now_ms: i64,
        new_id: impl Fn() -> String,
    ) -> Result<()> {
        let mut bodies = Vec::with_capacity(parcels.len());
        for mut parcel in parcels {
            if let ParcelBody::Text(text) = &parcel.body
                && serde_json::to_string(text).map_err(corrupt)?.len() > INLINE_BYTES
            {
                let id = new_id();
                self.store_body(&id, text, parcel.ends_ms()).await?;
                parcel.body = ParcelBody::Stored(StoredText { id, bytes: text.len() });
            }
            let wait_ms = parcel.not_before_ms.map_or(0, |at| at.saturating_sub(now_ms));
            let delay = wait_ms.saturating_add(999).div_euclid(1000).clamp(0, LONGEST_DELAY_SECONDS);
            let body = serde_json::to_string(&parcel).map_err(corrupt)?;
            bodies.push(OutgoingMessage { body, delay_seconds: i32::try_from(delay).unwrap_or_default() });
        }
        self.send(self.federation_url(), bodies).await
    }

    async fn store_body(&self, id: &str, text: &str, ends_ms: i64) -> Result<()> {
        // A day longer than it is tried: the time to live must not overtake the last attempt.
        let ttl = ends_ms.div_euclid(1000).saturating_add(24 * 3600);
        let item = |(part, bytes): (usize, &[u8])| {
            let mut item: Item = key::body_part(id, part).item();
            item.insert(TEXT.to_owned(), b(bytes));
            item.insert("ttl".to_owned(), n(ttl));
            item
        };
        self.batch_put(text.as_bytes().chunks(PART_BYTES).enumerate().map(item).collect()).await
    }

    /// Returns the text of a parcel's activity. One Query per megabyte if the table holds it,
    /// otherwise no call.
    ///
    /// The text is stored before the parcel is queued, and removed when the parcel is done. So
    /// `None`, for a text that is not there or not whole, means that the parcel is done and that
    /// the process died before its message was deleted.
    ///
    /// # Errors
    /// The table is out of reach, or the text is no UTF-8.
    pub async fn parcel_text(&self, body: &ParcelBody) -> Result<Option<String>> {
        let stored = match body {
            ParcelBody::Text(text) => return Ok(Some(text.clone())),
            ParcelBody::Stored(stored) => stored,
        };
        let mut bytes = Vec::with_capacity(stored.bytes);
        for item in self.query_all(&key::body_partition(&stored.id), SortKeys::All, Projection::Whole).await?
        {
            bytes.extend_from_slice(item.need_b(TEXT)?);
        }
        if bytes.len() < stored.bytes {
            return Ok(None);
        }
        String::from_utf8(bytes).map(Some).map_err(corrupt)
    }

    /// Removes the stored text of a parcel: one Query per megabyte and a BatchWriteItem. No call if
    /// nothing is stored. Removing it again has no effect.
    ///
    /// # Errors
    /// The table is out of reach. DynamoDB then deletes the parts after their `ttl`.
    pub async fn discard_parcel(&self, body: &ParcelBody) -> Result<()> {
        let ParcelBody::Stored(StoredText { id, .. }) = body else { return Ok(()) };
        let parts = self.query_all(&key::body_partition(id), SortKeys::All, Projection::Keys).await?;
        if parts.is_empty() { Ok(()) } else { self.batch_delete(parts).await }
    }

    /// Hides received parcels, each named by its receipt handle, until a time in epoch
    /// milliseconds, or makes them visible if it is over: one ChangeMessageVisibilityBatch for each
    /// ten. A message is hidden for less than 12 hours, and then comes back before its time.
    ///
    /// # Errors
    /// SQS is out of reach. The parcels then become visible again after the queue's own visibility
    /// timeout.
    pub(crate) async fn hide_parcels(&self, receipts: &[(String, i64)], now_ms: i64) -> Result<()> {
        let seconds = |until: &i64| {
            let seconds = until.saturating_sub(now_ms).saturating_add(999).div_euclid(1000);
            i32::try_from(seconds.clamp(0, LONGEST_HIDDEN_SECONDS)).unwrap_or(i32::MAX)
        };
        let hidden: Vec<(String, i32)> =
            receipts.iter().map(|(receipt, until)| (receipt.clone(), seconds(until))).collect();
        self.hide(self.federation_url(), &hidden).await
    }
}
