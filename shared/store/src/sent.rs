//! The record of an envelope that a local user sent to another server.
//!
//! It decides who may report on the envelope, and which reports have been passed on already. Items
//! `U#{author}` / `X#{hash of the recipient's origin and the envelope id}`:
//!
//! | attribute | type | meaning |
//! |---|---|---|
//! | `at` | number | time of the first sending, epoch milliseconds |
//! | `d` | string | the sending device's id |
//! | `r` | string set | digests of the reports that went to the author's devices; absent if none did |
//! | `ttl` | number | epoch seconds after which the record counts as absent |

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::ReturnValue;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::{self, DeviceId, EnvelopeId};

use crate::attribute::{Item, ReadItem, corrupt, n, s, ss};
use crate::condition::conditional;
use crate::error::call;
use crate::{Result, Store, key};

/// The most reports that are remembered of one envelope. Further ones are ignored.
pub const MAX_REPORTS: usize = 32;

const SENT: &str = "at";
const DEVICE: &str = "d";
const REPORTS: &str = "r";
const TTL: &str = "ttl";

/// The name of an envelope that a local user sent to another server.
#[derive(Clone, Copy, Debug)]
pub struct SentEnvelopeName<'a> {
    /// The author, a local user.
    pub author: &'a UserName,
    /// The recipient's server.
    pub recipient_origin: &'a Origin,
    /// The envelope's id.
    pub id: &'a EnvelopeId,
}

/// The record of a sent envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRecord {
    /// The time of the first sending, in epoch milliseconds.
    pub sent_ms: i64,
    /// The device that sent it.
    pub device: DeviceId,
    /// The digests of the reports that went to the author's devices.
    pub reported: BTreeSet<String>,
}

impl SentEnvelopeName<'_> {
    fn key(&self) -> key::ItemKey {
        key::sent(self.author, &id::envelope_key(self.recipient_origin.as_str(), self.id.as_str()))
    }
}

impl Store {
    /// Records that `device` of the author sends an envelope. Returns the record.
    ///
    /// Time and device of an earlier sending of the same envelope stay. One UpdateItem. Repeating
    /// the call changes nothing.
    ///
    /// # Errors
    /// The table is out of reach, or the record is corrupt.
    pub async fn record_sent(
        &self,
        envelope: SentEnvelopeName<'_>,
        device: &DeviceId,
        now_ms: i64,
        ttl: i64,
    ) -> Result<SentRecord> {
        let updated = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(envelope.key().item()))
            .update_expression(
                "SET #at = if_not_exists(#at, :now), #d = if_not_exists(#d, :device), #ttl = :ttl",
            )
            .expression_attribute_names("#at", SENT)
            .expression_attribute_names("#d", DEVICE)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":device", s(device.to_string()))
            .expression_attribute_values(":ttl", n(ttl))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(call("UpdateItem"))?;
        SentRecord::from_item(&updated.attributes.unwrap_or_default())
    }

    /// Reads the record of a sent envelope: one GetItem. Returns `None` if the envelope was not
    /// sent, or so long ago that the record has expired.
    ///
    /// # Errors
    /// The table is out of reach, or the record is corrupt.
    pub async fn sent(&self, envelope: SentEnvelopeName<'_>, now_ms: i64) -> Result<Option<SentRecord>> {
        let item = self.get_item(&envelope.key()).await?;
        let live = item.filter(|item| item.get_n(TTL).is_some_and(|ttl| ttl > now_ms.div_euclid(1000)));
        live.as_ref().map(SentRecord::from_item).transpose()
    }

    /// Records that a report with this digest went to the author's devices: one UpdateItem. Has no
    /// effect if the record is gone. Repeating the call changes nothing.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn mark_reported(&self, envelope: SentEnvelopeName<'_>, digest: &str) -> Result<()> {
        let marked = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(envelope.key().item()))
            .update_expression("ADD #r :digest")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#r", REPORTS)
            .expression_attribute_values(":digest", ss([digest]))
            .send()
            .await;
        conditional(marked)?;
        Ok(())
    }
}

impl SentRecord {
    fn from_item(item: &Item) -> Result<Self> {
        Ok(Self {
            sent_ms: item.need_n(SENT)?,
            device: DeviceId::parse(item.need_s(DEVICE)?).map_err(corrupt)?,
            reported: item.get_ss(REPORTS),
        })
    }
}
