//! The record of an accepted envelope, which makes retries and partial deliveries exact.
//!
//! Items `U#{recipient}` / `E#{hash of author and envelope id}`:
//!
//! | attribute | type | meaning |
//! |---|---|---|
//! | `at` | number | time of the first acceptance, epoch milliseconds |
//! | `d` | string set | devices for which the envelope was accepted |
//! | `o` | string | the origin of the author's server, if that is another one ([`crate::deletion`]) |
//! | `k` | string set | those of them that have acknowledged or discarded it; absent if none has |
//! | `rd` | string | the device that sends the receipt; absent before the first acknowledgement |
//! | `rt` | number | time of that device's first acknowledgement, epoch milliseconds |
//! | `ttl` | number | epoch seconds after which the record counts as absent |

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::ReturnValue;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::envelope::EnvelopeHeader;
use eko_protocol::id::{self, DeviceId, EntryKey};

use crate::attribute::{Item, ReadItem, corrupt, n, s, ss};
use crate::condition::{ConditionalWrite, conditional};
use crate::deletion::CONTACT;
use crate::device::DeviceAddress;
use crate::key::EXISTS;
use crate::{Result, Store, StoreError, key};

const ACCEPTED: &str = "at";
const DEVICES: &str = "d";
const ACKNOWLEDGED: &str = "k";
const RECEIPT_DEVICE: &str = "rd";
const RECEIPT_TIME: &str = "rt";
const TTL: &str = "ttl";
/// The most times that a record is extended while others replace an expired one.
const ACCEPT_TRIES: usize = 3;

/// The record of an envelope after an acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeRecord {
    /// The time of the first acceptance of any part, in epoch milliseconds. It is part of every
    /// entry's key, so a retry overwrites the entries of the first attempt.
    pub accepted_ms: i64,
    /// The devices for which the envelope was accepted, now or before.
    pub devices: BTreeSet<DeviceId>,
    /// The devices that have acknowledged it with `Delivered`, or discarded it. Neither a retry nor
    /// a replay brings an entry back to them.
    pub acknowledged: BTreeSet<DeviceId>,
}

/// The answer to the question who sends the receipt of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptDuty {
    /// The device that acknowledged is the first one, and sends it.
    ///
    /// It gets the same answer for as long as it repeats the acknowledgement, which it does until
    /// its entry is deleted.
    OfThisDevice {
        /// The time of its first acknowledgement, in epoch milliseconds.
        since_ms: i64,
    },
    /// Another device was the first one.
    OfAnotherDevice,
    /// The envelope's record is gone, so nobody sends one.
    Nobodys,
}

impl Store {
    /// Records that an envelope is accepted for `devices` of `user`. `from` is the author's server, if
    /// that is another one. Returns the record.
    ///
    /// One UpdateItem. A PutItem follows only if a record of the same envelope has expired and is
    /// not removed yet, and another UpdateItem if somebody else has replaced that record first.
    /// Repeating the call changes nothing.
    ///
    /// # Errors
    /// The table is out of reach, or the record is corrupt.
    pub async fn accept_envelope(
        &self,
        user: &UserName,
        envelope: &EnvelopeHeader,
        from: Option<&Origin>,
        devices: &BTreeSet<DeviceId>,
        now_ms: i64,
        ttl: i64,
    ) -> Result<EnvelopeRecord> {
        let record = record_key(user, envelope);
        for _ in 0..ACCEPT_TRIES {
            if let Some(record) = self.extend_envelope(&record, from, devices, now_ms, ttl).await? {
                return Ok(record);
            }
            if let Some(record) = self.restart_envelope(&record, from, devices, now_ms, ttl).await? {
                return Ok(record);
            }
        }
        Err(StoreError::GaveUp { operation: "UpdateItem", detail: "the record keeps expiring".to_owned() })
    }

    /// Adds devices to the record of an envelope, which may be new: one UpdateItem. Returns `None`
    /// if the record has expired.
    async fn extend_envelope(
        &self,
        record: &key::ItemKey,
        from: Option<&Origin>,
        devices: &BTreeSet<DeviceId>,
        now_ms: i64,
        ttl: i64,
    ) -> Result<Option<EnvelopeRecord>> {
        let update = self.dynamodb().update_item().table_name(self.table());
        let update = match from {
            None => update.update_expression(
                "SET #at = if_not_exists(#at, :now), #ttl = if_not_exists(#ttl, :ttl) ADD #d :devices",
            ),
            Some(origin) => update
                .update_expression(
                    "SET #at = if_not_exists(#at, :now), #ttl = if_not_exists(#ttl, :ttl), #o = :o ADD #d :devices",
                )
                .expression_attribute_names("#o", CONTACT)
                .expression_attribute_values(":o", s(origin.as_str())),
        };
        let updated = update
            .set_key(Some(record.item()))
            .condition_expression("attribute_not_exists(#ttl) OR #ttl > :seconds")
            .expression_attribute_names("#at", ACCEPTED)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#d", DEVICES)
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":seconds", n(now_ms.div_euclid(1000)))
            .expression_attribute_values(":ttl", n(ttl))
            .expression_attribute_values(":devices", ss(devices))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match conditional(updated)? {
            ConditionalWrite::Done(updated) => {
                EnvelopeRecord::from_item(&updated.attributes.unwrap_or_default()).map(Some)
            }
            ConditionalWrite::Refused { .. } => Ok(None),
        }
    }

    /// Returns the record of an envelope, or `None` if no part of it was accepted or the record has
    /// expired. One consistent GetItem.
    ///
    /// # Errors
    /// The table is out of reach, or the record is corrupt.
    pub async fn envelope_record(
        &self,
        user: &UserName,
        envelope: &EnvelopeHeader,
        now_ms: i64,
    ) -> Result<Option<EnvelopeRecord>> {
        let Some(item) = self.get_item(&record_key(user, envelope)).await? else { return Ok(None) };
        if item.need_n(TTL)? <= now_ms.div_euclid(1000) {
            return Ok(None);
        }
        EnvelopeRecord::from_item(&item).map(Some)
    }

    /// Replaces an expired record: one PutItem. Returns `None` if it has not expired, possibly
    /// because this call, or somebody else's, has replaced it already.
    async fn restart_envelope(
        &self,
        record: &key::ItemKey,
        from: Option<&Origin>,
        devices: &BTreeSet<DeviceId>,
        now_ms: i64,
        ttl: i64,
    ) -> Result<Option<EnvelopeRecord>> {
        let mut item = record.item();
        if let Some(origin) = from {
            item.insert(CONTACT.to_owned(), s(origin.as_str()));
        }
        item.insert(ACCEPTED.to_owned(), n(now_ms));
        item.insert(TTL.to_owned(), n(ttl));
        item.insert(DEVICES.to_owned(), ss(devices));
        let put = self
            .dynamodb()
            .put_item()
            .table_name(self.table())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#ttl) OR #ttl <= :seconds")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":seconds", n(now_ms.div_euclid(1000)))
            .send()
            .await;
        let restarted =
            EnvelopeRecord { accepted_ms: now_ms, devices: devices.clone(), acknowledged: BTreeSet::new() };
        Ok(conditional(put)?.is_done().then_some(restarted))
    }

    /// Records that a device has acknowledged the envelope of an entry, with `Delivered`. The first
    /// device that does so sends the envelope's receipt.
    ///
    /// The call may be repeated: the first device stays the first, and the time stays the same.
    /// [`ReceiptDuty::Nobodys`] also if the record is gone; nothing is stored then. One UpdateItem.
    ///
    /// # Errors
    /// The table is out of reach, or the record is corrupt.
    pub async fn acknowledge_envelope(
        &self,
        device: DeviceAddress<'_>,
        entry: &EntryKey,
        now_ms: i64,
    ) -> Result<ReceiptDuty> {
        let acknowledged = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::envelope(device.user, entry.envelope_key()).item()))
            .update_expression(
                "SET #rd = if_not_exists(#rd, :device), #rt = if_not_exists(#rt, :now) ADD #k :devices",
            )
            .condition_expression(EXISTS)
            .expression_attribute_names("#rd", RECEIPT_DEVICE)
            .expression_attribute_names("#rt", RECEIPT_TIME)
            .expression_attribute_names("#k", ACKNOWLEDGED)
            .expression_attribute_values(":device", s(device.device.as_str()))
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":devices", ss([device.device]))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        let ConditionalWrite::Done(acknowledged) = conditional(acknowledged)? else {
            return Ok(ReceiptDuty::Nobodys);
        };
        let record = acknowledged.attributes.unwrap_or_default();
        if record.need_s(RECEIPT_DEVICE)? == device.device.as_str() {
            Ok(ReceiptDuty::OfThisDevice { since_ms: record.need_n(RECEIPT_TIME)? })
        } else {
            Ok(ReceiptDuty::OfAnotherDevice)
        }
    }

    /// Records that a device has discarded the envelope of an entry: the envelope does not come
    /// back to it, and no receipt is sent.
    ///
    /// The call may be repeated. It does nothing if the record is gone. One UpdateItem.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn discard_envelope(&self, device: DeviceAddress<'_>, entry: &EntryKey) -> Result<()> {
        let discarded = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::envelope(device.user, entry.envelope_key()).item()))
            .update_expression("ADD #k :devices")
            .condition_expression(EXISTS)
            .expression_attribute_names("#k", ACKNOWLEDGED)
            .expression_attribute_values(":devices", ss([device.device]))
            .send()
            .await;
        conditional(discarded)?;
        Ok(())
    }
}

fn record_key(recipient: &UserName, envelope: &EnvelopeHeader) -> key::ItemKey {
    key::envelope(recipient, &id::envelope_key(&envelope.author, &envelope.id.key()))
}

impl EnvelopeRecord {
    fn from_item(item: &Item) -> Result<Self> {
        let devices = |name: &str| {
            item.get_ss(name).iter().map(|id| DeviceId::parse(id).map_err(corrupt)).collect::<Result<_>>()
        };
        Ok(Self {
            accepted_ms: item.need_n(ACCEPTED)?,
            devices: devices(DEVICES)?,
            acknowledged: devices(ACKNOWLEDGED)?,
        })
    }
}
