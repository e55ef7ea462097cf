//! Parcels that wait for another server, listed by server, so that a sign of life wakes them.
//!
//! A parcel waits hidden in the queue `federation`. Only the handle of its last receive makes it
//! visible before its time. The handle is listed with each wait. An entry whose parcel is done, or
//! was received again, names a handle that no longer works, and does no harm.
//!
//! # Item `H#{authority}` / `P#{message}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `r` | S | | the receipt handle |
//! | `ttl` | N | epoch s | the time after which the handle works no longer |
//!
//! `{message}` is the id of the message in the queue, which is the same at each receive.

use serde::{Deserialize, Serialize};

use crate::attribute::{Item, ReadItem, WriteItem, corrupt, n, s};
use crate::items::{BATCH_WRITES, Projection, SortKeys};
use crate::queue::OutgoingMessage;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, key};

/// The attribute of the receipt handle.
const RECEIPT: &str = "r";
/// The time for which a handle works, in seconds: SQS hides a message for 12 hours at most.
const WORKS_SECONDS: i64 = 12 * 3600;

/// A parcel that was received and has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingParcel {
    /// The authority of the server that it waits for.
    pub authority: String,
    /// The id of its message in the queue.
    pub message: String,
    /// The handle of its last receive.
    pub receipt: String,
    /// The time until which it waits, in epoch milliseconds.
    pub until_ms: i64,
}

/// The order to wake the parcels that wait for a server: a message of the queue `federation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeOrder {
    /// The authority of the server.
    pub wake: String,
}

impl WakeOrder {
    /// Reads the body of a queue message. Returns `None` for a message of another kind.
    pub fn parse(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }
}

impl Store {
    /// Hides parcels until their times, and lists them by their servers.
    ///
    /// One ChangeMessageVisibilityBatch for each ten: a message is hidden for less than 12 hours,
    /// and then comes back before its time. Then one BatchWriteItem for each 25: 1 write unit a
    /// parcel. A repetition does the same again.
    ///
    /// # Errors
    /// SQS is out of reach: the parcels then become visible again after the queue's own visibility
    /// timeout. The table is out of reach: the parcels that are not listed wait until their time.
    pub async fn postpone_parcels(&self, parcels: &[WaitingParcel], now_ms: i64) -> Result<()> {
        let hidden: Vec<(String, i64)> =
            parcels.iter().map(|parcel| (parcel.receipt.clone(), parcel.until_ms)).collect();
        self.hide_parcels(&hidden, now_ms).await?;
        for batch in parcels.chunks(BATCH_WRITES) {
            let entry = |parcel: &WaitingParcel| {
                let mut item = key::waiting(&parcel.authority, &parcel.message).item();
                item.set(RECEIPT, s(&parcel.receipt));
                item.set(TTL_ATTRIBUTE, n(now_ms.div_euclid(1000).saturating_add(WORKS_SECONDS)));
                item
            };
            self.batch_put(batch.iter().map(entry).collect()).await?;
        }
        Ok(())
    }

    /// Queues the order to wake the parcels for a server. One SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach. The parcels then wait until their time.
    pub async fn queue_wake(&self, authority: &str) -> Result<()> {
        let body = serde_json::to_string(&WakeOrder { wake: authority.to_owned() }).map_err(corrupt)?;
        self.send(self.federation_url(), vec![OutgoingMessage::from(body)]).await
    }

    /// Makes the parcels that wait for a server visible, and empties their list.
    ///
    /// One Query for each megabyte: 1 read unit for each 4 KB. Then one ChangeMessageVisibilityBatch
    /// for each ten and one BatchWriteItem for each 25 parcels: 1 write unit each. A repetition finds
    /// the list empty.
    ///
    /// # Errors
    /// The table or the queue is out of reach. Some of the parcels may be awake then.
    pub async fn wake_parcels(&self, authority: &str, now_ms: i64) -> Result<()> {
        let partition = key::host_partition(authority);
        let listed = self
            .query_all(&partition, SortKeys::StartingWith(key::WAITING_PREFIX), Projection::Whole)
            .await?;
        let handle = |item: &Item| Ok((item.need_s(RECEIPT)?.to_owned(), now_ms));
        let handles = listed.iter().map(handle).collect::<Result<Vec<_>>>()?;
        self.hide_parcels(&handles, now_ms).await?;
        for batch in listed.chunks(BATCH_WRITES) {
            self.batch_delete(batch.iter().map(key_of).collect()).await?;
        }
        Ok(())
    }
}

/// Returns the primary key of an item.
fn key_of(item: &Item) -> Item {
    let mut key = item.clone();
    key.retain(|name, _| matches!(name.as_str(), "pk" | "sk"));
    key
}
