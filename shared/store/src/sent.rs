//! The record of an envelope that a local user sent to another server.
//!
//! It decides who may report on the envelope, and which reports have been passed on already. Items
//! `U#{author}` / `X#{hash of the recipient's origin and the envelope id}`:
//!
//! | attribute | type | meaning |
//! |---|---|---|
//! | `at` | number | time of the first sending, epoch milliseconds |
//! | `d` | string | the sending device's id |
//! | `o` | string | the origin of the recipient's server ([`crate::deletion`]) |
//! | `r` | map | the reports that count: by digest the time of the first arrival, epoch milliseconds |
//! | `p` | string set | digests of the reports that went to the author's devices; absent if none did |
//! | `ttl` | number | epoch seconds after which the record counts as absent |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::{self, DeviceId, EnvelopeId};

use crate::attribute::{Item, ReadItem, corrupt, missing, n, s, ss};
use crate::condition::{ConditionalWrite, conditional};
use crate::deletion::CONTACT;
use crate::error::call;
use crate::{Result, Store, key};

/// The most different reports on one envelope. Further ones are ignored.
pub const MAX_REPORTS: usize = 32;

const SENT: &str = "at";
const DEVICE: &str = "d";
const REPORTS: &str = "r";
const PASSED_ON: &str = "p";
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
}

/// The answer to a report that asks for a place in the record of its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportPlace {
    /// The report has a place, since now or since an earlier arrival, and may not be passed on yet.
    Reserved {
        /// The device that sent the envelope.
        device: DeviceId,
        /// The time of the report's first arrival, in epoch milliseconds.
        since_ms: i64,
    },
    /// The report went to the author's devices before.
    PassedOn,
    /// The envelope was not sent to that server, its record has expired, or other reports have all
    /// places.
    None,
}

impl SentEnvelopeName<'_> {
    fn key(&self) -> key::ItemKey {
        key::sent(self.author, &id::envelope_key(self.recipient_origin.as_str(), &self.id.key()))
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
                "SET #at = if_not_exists(#at, :now), #d = if_not_exists(#d, :device), #ttl = :ttl, \
                 #o = :origin, #r = if_not_exists(#r, :none)",
            )
            .expression_attribute_names("#r", REPORTS)
            .expression_attribute_values(":none", AttributeValue::M(HashMap::new()))
            .expression_attribute_names("#at", SENT)
            .expression_attribute_names("#d", DEVICE)
            .expression_attribute_names("#o", CONTACT)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":origin", s(envelope.recipient_origin.as_str()))
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":device", s(device.to_string()))
            .expression_attribute_values(":ttl", n(ttl))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(call("UpdateItem"))?;
        SentRecord::from_item(&updated.attributes.unwrap_or_default())
    }

    /// Returns the record of a sent envelope, unless it has expired. One consistent GetItem.
    ///
    /// # Errors
    /// The table is out of reach, or the record is corrupt.
    pub async fn sent_record(
        &self,
        envelope: SentEnvelopeName<'_>,
        now_ms: i64,
    ) -> Result<Option<SentRecord>> {
        let Some(item) = self.get_item(&envelope.key()).await? else { return Ok(None) };
        let is_live = item.need_n(TTL)? > now_ms.div_euclid(1000);
        is_live.then(|| SentRecord::from_item(&item)).transpose()
    }

    /// Reserves one of the [`MAX_REPORTS`] places of an envelope for the report with this digest.
    ///
    /// One UpdateItem, whose condition decides between reports that race. A report that has a place
    /// keeps it, and the time of its first arrival: repeating the call changes nothing.
    ///
    /// # Errors
    /// The table is out of reach, or the record is corrupt.
    pub async fn reserve_report(
        &self,
        envelope: SentEnvelopeName<'_>,
        digest: &str,
        now_ms: i64,
    ) -> Result<ReportPlace> {
        let reserved = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(envelope.key().item()))
            .update_expression("SET #r.#digest = if_not_exists(#r.#digest, :now)")
            .condition_expression("#ttl > :seconds AND (attribute_exists(#r.#digest) OR size(#r) < :most)")
            .expression_attribute_names("#r", REPORTS)
            .expression_attribute_names("#digest", digest)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":seconds", n(now_ms.div_euclid(1000)))
            .expression_attribute_values(":most", n(i128::try_from(MAX_REPORTS).unwrap_or(i128::MAX)))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        let ConditionalWrite::Done(updated) = conditional(reserved)? else { return Ok(ReportPlace::None) };
        let item = updated.attributes.unwrap_or_default();
        if item.get_ss(PASSED_ON).contains(digest) {
            return Ok(ReportPlace::PassedOn);
        }
        let reports = item.get(REPORTS).and_then(|reports| reports.as_m().ok());
        let since_ms = reports.ok_or_else(|| missing(REPORTS))?.need_n(digest)?;
        Ok(ReportPlace::Reserved { device: SentRecord::from_item(&item)?.device, since_ms })
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
            .update_expression("ADD #p :digest")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#p", PASSED_ON)
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
        })
    }
}
