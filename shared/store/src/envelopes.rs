//! What was accepted of an envelope: the record that makes retries and partial deliveries exact.
//!
//! `U#{recipient}` / `E#{hash of author and envelope id}`: `at` (when it was first accepted, epoch
//! milliseconds), `d` (string set of the devices that it was accepted for), `k` (those of them that have
//! acknowledged it), `rc` (the claim that its receipt is sent under), `ttl`.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::ReturnValue;
use eko_protocol::address::UserName;
use eko_protocol::id::{self, DeviceId};

use crate::attribute::{Item, ReadItem, b, corrupt, n, ss};
use crate::condition::{ConditionalWrite, conditional};
use crate::error::call;
use crate::{Result, Store, key};

/// What is known of an envelope after an acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// When any part of it was first accepted, epoch milliseconds. Part of every entry's key, so that a
    /// retry overwrites itself.
    pub accepted_ms: i64,
    /// Every device that it was accepted for, now or before.
    pub devices: BTreeSet<DeviceId>,
    /// Those that have acknowledged it with `Delivered`: a retry, or a replay, brings nothing back to them.
    pub acknowledged: BTreeSet<DeviceId>,
}

impl Store {
    /// Records that `devices` are covered by the envelope `id` of `author` (an actor id). One UpdateItem;
    /// a second one only where a record of the same id has expired but is still there.
    pub async fn accept_envelope(
        &self,
        user: &UserName,
        author: &str,
        id: &str,
        devices: &[DeviceId],
        now_ms: i64,
        ttl: i64,
    ) -> Result<Accepted> {
        let record = key::envelope(user, &id::envelope_key(author, id));
        let updated = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(record.item()))
            .update_expression(
                "SET #at = if_not_exists(#at, :now), #ttl = if_not_exists(#ttl, :ttl) ADD #d :devices",
            )
            .condition_expression("attribute_not_exists(#ttl) OR #ttl > :seconds")
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_names("#d", "d")
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":seconds", n(now_ms.div_euclid(1000)))
            .expression_attribute_values(":ttl", n(ttl))
            .expression_attribute_values(":devices", ss(devices))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match conditional(updated)? {
            ConditionalWrite::Done(updated) => Accepted::from_item(&updated.attributes.unwrap_or_default()),
            ConditionalWrite::Refused { .. } => self.restart_envelope(record, devices, now_ms, ttl).await,
        }
    }

    /// Replaces an expired record. Two that race here write the same devices' entries under two times at
    /// most: at-least-once, as promised.
    async fn restart_envelope(
        &self,
        record: key::ItemKey,
        devices: &[DeviceId],
        now_ms: i64,
        ttl: i64,
    ) -> Result<Accepted> {
        let mut item = record.item();
        item.insert("at".to_owned(), n(now_ms));
        item.insert("ttl".to_owned(), n(ttl));
        item.insert("d".to_owned(), ss(devices));
        let put = self.dynamodb().put_item().table_name(self.table()).set_item(Some(item));
        put.send().await.map_err(call("PutItem"))?;
        Ok(Accepted {
            accepted_ms: now_ms,
            devices: devices.iter().cloned().collect(),
            acknowledged: BTreeSet::new(),
        })
    }

    /// Notes that `device` has acknowledged an envelope, and claims its one receipt under a random `claim`:
    /// `true` for the first device that confirms, whatever races, and for the same claim again, should the SDK
    /// repeat a call whose answer was lost. `false` also where the record is gone. One UpdateItem.
    pub async fn claim_receipt(
        &self,
        (user, device): (&UserName, &DeviceId),
        author: &str,
        id: &str,
        claim: [u8; 8],
    ) -> Result<bool> {
        let claimed = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::envelope(user, &id::envelope_key(author, id)).item()))
            .update_expression("SET #rc = if_not_exists(#rc, :claim) ADD #k :device")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#rc", "rc")
            .expression_attribute_names("#k", "k")
            .expression_attribute_values(":claim", b(claim))
            .expression_attribute_values(":device", ss([device]))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match conditional(claimed)? {
            ConditionalWrite::Done(claimed) => {
                let record = claimed.attributes.unwrap_or_default();
                Ok(record.get_b("rc") == Some(&claim))
            }
            ConditionalWrite::Refused { .. } => Ok(false),
        }
    }

    /// Gives a claimed receipt back, when its report could not be queued, and takes back that `device` has
    /// acknowledged; one that was never claimed, or by another, stays as it is. One UpdateItem.
    pub async fn release_receipt(
        &self,
        (user, device): (&UserName, &DeviceId),
        author: &str,
        id: &str,
        claim: [u8; 8],
    ) -> Result<()> {
        let released = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::envelope(user, &id::envelope_key(author, id)).item()))
            .update_expression("REMOVE #rc DELETE #k :device")
            .condition_expression("#rc = :claim")
            .expression_attribute_names("#rc", "rc")
            .expression_attribute_names("#k", "k")
            .expression_attribute_values(":claim", b(claim))
            .expression_attribute_values(":device", ss([device]))
            .send()
            .await;
        conditional(released)?;
        Ok(())
    }
}

impl Accepted {
    fn from_item(item: &Item) -> Result<Self> {
        let devices = |name: &str| {
            item.get_ss(name).iter().map(|id| DeviceId::parse(id).map_err(corrupt)).collect::<Result<_>>()
        };
        Ok(Self { accepted_ms: item.need_n("at")?, devices: devices("d")?, acknowledged: devices("k")? })
    }
}
