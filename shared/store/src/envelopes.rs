//! The record of an accepted envelope, which makes retries and partial deliveries exact.
//!
//! Items `U#{recipient}` / `E#{hash of author and envelope id}`:
//!
//! | attribute | type | meaning |
//! |---|---|---|
//! | `at` | number | time of the first acceptance, epoch milliseconds |
//! | `d` | string set | devices for which the envelope was accepted |
//! | `k` | string set | those of them that have acknowledged it; absent if none has |
//! | `rc` | binary | the claim under which the receipt is sent; absent before the first acknowledgement |
//! | `ttl` | number | epoch seconds after which the record counts as absent |

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::ReturnValue;
use eko_protocol::address::UserName;
use eko_protocol::envelope::EnvelopeHeader;
use eko_protocol::id::{self, DeviceId};

use crate::attribute::{Item, ReadItem, b, corrupt, n, ss};
use crate::condition::{ConditionalWrite, conditional};
use crate::device::DeviceAddress;
use crate::error::call;
use crate::{Result, Store, key};

const ACCEPTED: &str = "at";
const DEVICES: &str = "d";
const ACKNOWLEDGED: &str = "k";
const CLAIM: &str = "rc";
const TTL: &str = "ttl";

/// The record of an envelope after an acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeRecord {
    /// The time of the first acceptance of any part, in epoch milliseconds. It is part of every
    /// entry's key, so a retry overwrites the entries of the first attempt.
    pub accepted_ms: i64,
    /// The devices for which the envelope was accepted, now or before.
    pub devices: BTreeSet<DeviceId>,
    /// The devices that have acknowledged it with `Delivered`. Neither a retry nor a replay brings
    /// an entry back to them.
    pub acknowledged: BTreeSet<DeviceId>,
}

/// A random number under which one call claims an envelope's receipt.
///
/// The SDK repeats a call whose answer was lost. The repetition finds its own claim and wins again.
pub type ReceiptClaim = [u8; 8];

impl Store {
    /// Records that an envelope is accepted for `devices` of `user`. Returns the record.
    ///
    /// One UpdateItem. A second write follows only if a record of the same envelope has expired and
    /// is not removed yet. Repeating the call changes nothing.
    ///
    /// # Errors
    /// The table is out of reach, or the record is corrupt.
    pub async fn accept_envelope(
        &self,
        user: &UserName,
        envelope: &EnvelopeHeader,
        devices: &BTreeSet<DeviceId>,
        now_ms: i64,
        ttl: i64,
    ) -> Result<EnvelopeRecord> {
        let record = record_key(user, envelope);
        let updated = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(record.item()))
            .update_expression(
                "SET #at = if_not_exists(#at, :now), #ttl = if_not_exists(#ttl, :ttl) ADD #d :devices",
            )
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
                EnvelopeRecord::from_item(&updated.attributes.unwrap_or_default())
            }
            ConditionalWrite::Refused { .. } => self.restart_envelope(record, devices, now_ms, ttl).await,
        }
    }

    /// Replaces an expired record: one PutItem.
    ///
    /// Two calls that race here write the entries of the same devices under two times at most. That
    /// is at-least-once delivery, as promised.
    async fn restart_envelope(
        &self,
        record: key::ItemKey,
        devices: &BTreeSet<DeviceId>,
        now_ms: i64,
        ttl: i64,
    ) -> Result<EnvelopeRecord> {
        let mut item = record.item();
        item.insert(ACCEPTED.to_owned(), n(now_ms));
        item.insert(TTL.to_owned(), n(ttl));
        item.insert(DEVICES.to_owned(), ss(devices));
        let put = self.dynamodb().put_item().table_name(self.table()).set_item(Some(item));
        put.send().await.map_err(call("PutItem"))?;
        Ok(EnvelopeRecord { accepted_ms: now_ms, devices: devices.clone(), acknowledged: BTreeSet::new() })
    }

    /// Records that a device has acknowledged an envelope, and claims the envelope's one receipt
    /// for it.
    ///
    /// Returns true for the first device that acknowledges, whatever races, and for the same
    /// `claim` again. Returns false for every other device, and if the record is gone. One
    /// UpdateItem.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn claim_receipt(
        &self,
        device: DeviceAddress<'_>,
        envelope: &EnvelopeHeader,
        claim: ReceiptClaim,
    ) -> Result<bool> {
        let claimed = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(record_key(device.user, envelope).item()))
            .update_expression("SET #rc = if_not_exists(#rc, :claim) ADD #k :device")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#rc", CLAIM)
            .expression_attribute_names("#k", ACKNOWLEDGED)
            .expression_attribute_values(":claim", b(claim))
            .expression_attribute_values(":device", ss([device.device]))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match conditional(claimed)? {
            ConditionalWrite::Done(claimed) => {
                Ok(claimed.attributes.unwrap_or_default().get_b(CLAIM) == Some(&claim))
            }
            ConditionalWrite::Refused { .. } => Ok(false),
        }
    }

    /// Gives a claimed receipt back because it could not be queued, and removes the device's
    /// acknowledgement.
    ///
    /// A receipt that was not claimed, or under another claim, stays as it is. One UpdateItem.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn release_receipt(
        &self,
        device: DeviceAddress<'_>,
        envelope: &EnvelopeHeader,
        claim: ReceiptClaim,
    ) -> Result<()> {
        let released = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(record_key(device.user, envelope).item()))
            .update_expression("REMOVE #rc DELETE #k :device")
            .condition_expression("#rc = :claim")
            .expression_attribute_names("#rc", CLAIM)
            .expression_attribute_names("#k", ACKNOWLEDGED)
            .expression_attribute_values(":claim", b(claim))
            .expression_attribute_values(":device", ss([device.device]))
            .send()
            .await;
        conditional(released)?;
        Ok(())
    }
}

fn record_key(recipient: &UserName, envelope: &EnvelopeHeader) -> key::ItemKey {
    key::envelope(recipient, &id::envelope_key(&envelope.author, envelope.id.as_str()))
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
