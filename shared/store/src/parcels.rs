//! The queue `federation`: activities on their way to other servers.
//!
//! A parcel is a queue message. An activity that is too long for one (an envelope may have 2.5 MiB, a message
//! of SQS 1 MiB) lies in the table meanwhile, in parts, since an item may have 400 KB: `F#{uuid}` / `{part}`,
//! `b` bytes, `ttl`.

use eko_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use crate::attribute::{Item, ReadItem, b, corrupt, n};
use crate::items::Projection;
use crate::queue::{MESSAGE_BYTES, Outgoing};
use crate::{Result, Store, StoreError, key};

/// Parcels are tried for this long, in milliseconds: 48 hours (`docs/protocol.md`, section 7).
pub const TRIED_FOR_MS: i64 = 48 * 3600 * 1000;
/// An activity up to this many bytes travels in the queue message itself: as JSON text inside JSON it grows a
/// little.
const INLINE_BYTES: usize = MESSAGE_BYTES - 100_000;
/// Bytes of a part in the table.
const PART_BYTES: usize = 380_000;
/// The longest that SQS delays a new message, in seconds: 15 minutes.
const LONGEST_DELAY_SECONDS: i64 = 900;
/// The longest that SQS hides a message, in seconds: 12 hours.
const LONGEST_HIDDEN_SECONDS: i64 = 12 * 3600;

/// An activity on its way to another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Actor id of the recipient.
    pub to: String,
    /// Name of the local user whose key signs it.
    pub author: String,
    /// When it was first tried or queued, epoch milliseconds.
    pub first: i64,
    /// Not to be tried before, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// Epoch milliseconds after which it is of no more use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Whose device waits to hear what became of it, and of which envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tell: Option<Tell>,
    /// The activity's text.
    pub body: Body,
}

/// Whom to tell what became of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    /// The author's device that sent it.
    pub device: String,
    /// The envelope's id.
    pub envelope: String,
}

/// The text of an activity, or where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// The text itself.
    Text(String),
    /// In the table, under this id.
    Stored(String),
}

impl Tell {
    /// The device that waits.
    pub fn device(&self) -> Result<DeviceId> {
        DeviceId::parse(&self.device).map_err(corrupt)
    }
}

impl Parcel {
    /// When it is given up, epoch milliseconds.
    pub fn ends_ms(&self) -> i64 {
        let ends = self.first.saturating_add(TRIED_FOR_MS);
        self.expires.map_or(ends, |expires| expires.min(ends))
    }
}

impl Store {
    /// Queues parcels, delayed until they may be tried as far as SQS can: one SendMessageBatch for each ten, or each megabyte; before it, for each that is too
    /// long, a BatchWriteItem of its parts under its random `spill` id. `Ok` means that all of it is durable.
    pub async fn queue_parcels(
        &self,
        parcels: Vec<Parcel>,
        now_ms: i64,
        spill: impl Fn() -> String,
    ) -> Result<()> {
        let mut bodies = Vec::with_capacity(parcels.len());
        for mut parcel in parcels {
            if let Body::Text(text) = &parcel.body
                && serde_json::to_string(text).map_err(corrupt)?.len() > INLINE_BYTES
            {
                let id = spill();
                self.store_body(&id, text, parcel.ends_ms()).await?;
                parcel.body = Body::Stored(id);
            }
            let wait_ms = parcel.not_before.map_or(0, |at| at.saturating_sub(now_ms));
            let delay = wait_ms.saturating_add(999).div_euclid(1000).clamp(0, LONGEST_DELAY_SECONDS);
            let body = serde_json::to_string(&parcel).map_err(corrupt)?;
            bodies.push(Outgoing { body, delay_seconds: i32::try_from(delay).unwrap_or_default() });
        }
        self.send(self.federation_url(), bodies).await
    }

    async fn store_body(&self, id: &str, text: &str, ends_ms: i64) -> Result<()> {
        // A day longer than it is tried: the time to live must not overtake the last attempt.
        let ttl = ends_ms.div_euclid(1000).saturating_add(24 * 3600);
        let item = |(part, bytes): (usize, &[u8])| {
            let mut item: Item = key::body_part(id, part).item();
            item.insert("b".to_owned(), b(bytes));
            item.insert("ttl".to_owned(), n(ttl));
            item
        };
        self.batch_put(text.as_bytes().chunks(PART_BYTES).enumerate().map(item).collect()).await
    }

    /// The text of a parcel's activity; a Query a megabyte where it is in the table, otherwise no call.
    pub async fn parcel_text(&self, body: &Body) -> Result<String> {
        let id = match body {
            Body::Text(text) => return Ok(text.clone()),
            Body::Stored(id) => id,
        };
        let mut bytes = Vec::new();
        for item in self.query_all(&key::body_partition(id), "", Projection::Whole).await? {
            bytes.extend_from_slice(item.need_b("b")?);
        }
        if bytes.is_empty() {
            return Err(StoreError::Corrupt(format!("the body {id} is not there")));
        }
        String::from_utf8(bytes).map_err(corrupt)
    }

    /// Removes what a parcel has in the table: a Query a megabyte and a BatchWriteItem; no call where it has
    /// nothing there.
    pub async fn discard_parcel(&self, body: &Body) -> Result<()> {
        let Body::Stored(id) = body else { return Ok(()) };
        let parts = self.query_all(&key::body_partition(id), "", Projection::Keys).await?;
        let keys: Vec<Item> = (0..parts.len()).map(|part| key::body_part(id, part).item()).collect();
        if keys.is_empty() { Ok(()) } else { self.batch_delete(keys).await }
    }

    /// Hides received parcels until a time each (epoch milliseconds), by receipt handle: one
    /// ChangeMessageVisibilityBatch for each ten.
    pub async fn postpone_parcels(&self, receipts: &[(String, i64)], now_ms: i64) -> Result<()> {
        let seconds = |until: &i64| {
            let seconds = until.saturating_sub(now_ms).saturating_add(999).div_euclid(1000);
            i32::try_from(seconds.clamp(1, LONGEST_HIDDEN_SECONDS)).unwrap_or(i32::MAX)
        };
        let hidden: Vec<(String, i32)> =
            receipts.iter().map(|(receipt, until)| (receipt.clone(), seconds(until))).collect();
        self.hide(self.federation_url(), &hidden).await
    }
}
