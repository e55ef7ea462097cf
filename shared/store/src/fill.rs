//! Full mailboxes: the count of one mailbox, and the mark of a full one.
//!
//! Nothing counts the entries of a mailbox as they come and go. A sample of the deliveries orders a
//! count, which reads the mailbox. If it is full, the count leaves a mark in the user's device set,
//! which every send reads, and notes the time in the device's record, which every fetch reads.
//!
//! An entry is charged by its size, and by the limit's share of one entry at least. So one sum
//! holds for both limits.
//!
//! # Attribute `f` of the item `U#{user}` / `DEVICES`
//!
//! A map from the ids of devices to their marks. It is always there. A mark is a map:
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `u` | N | epoch ms | the mark has an effect until then |
//! | `s` | SS | | the hashes of the senders whose share is used up; missing if the mailbox is full for everyone |
//!
//! # Attribute `mf` of the item `D#{user}#{device}` / `DEVICE`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `mf` | N | epoch ms | the time of the last count, if it left a mark |

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::attribute::{Item, ReadItem, corrupt, missing, n, s, ss};
use crate::condition::conditional;
use crate::deliveries::Delivery;
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::error::call;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, devices, key, mailbox};

/// The names of the attributes of a mark.
mod mark_attr {
    pub(super) const UNTIL_MS: &str = "u";
    pub(super) const SENDERS: &str = "s";
}

/// The most senders that a count remembers. The largest ones stay.
const REMEMBERED_SENDERS: usize = 16;

/// The limits of one device's mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxLimits {
    /// The most bytes of all entries.
    pub bytes: u64,
    /// The most entries.
    pub entries: u64,
}

impl MailboxLimits {
    /// Returns the bytes that an entry of this size is charged.
    pub fn charge(self, size: u64) -> u64 {
        size.max(self.bytes.checked_div(self.entries).unwrap_or(self.bytes)).max(1)
    }

    /// Returns the bytes that the entries of one sender may be charged: a quarter.
    pub fn sender_share(self) -> u64 {
        self.bytes.div_ceil(4)
    }
}

/// The mark of a mailbox that was full when it was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullMark {
    /// The time until which the mark has an effect, in epoch milliseconds.
    pub until_ms: i64,
    /// The senders for whom the mailbox is full.
    pub whom: FullFor,
}

/// The senders for whom a mailbox is full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FullFor {
    /// Everyone: the mailbox has reached a limit.
    Everyone,
    /// Senders with these hashes: each has used up its share.
    Senders(BTreeSet<String>),
}

impl FullMark {
    /// True if the mailbox is full for this sender, an actor id, at `now_ms`.
    pub fn holds_for(&self, sender: &str, now_ms: i64) -> bool {
        let concerned = match &self.whom {
            FullFor::Everyone => true,
            FullFor::Senders(senders) => senders.contains(&sender_hash(sender)),
        };
        concerned && now_ms < self.until_ms
    }

    fn attribute(&self) -> AttributeValue {
        let mut mark = HashMap::from([(mark_attr::UNTIL_MS.to_owned(), n(self.until_ms))]);
        if let FullFor::Senders(senders) = &self.whom {
            mark.insert(mark_attr::SENDERS.to_owned(), ss(senders));
        }
        AttributeValue::M(mark)
    }
}

/// Reads the marks of a user's devices from the device set's item.
pub(crate) fn marks(item: &Item) -> Result<BTreeMap<DeviceId, FullMark>> {
    let stored = item
        .get(devices::attr::FULL)
        .and_then(|v| v.as_m().ok())
        .ok_or_else(|| missing(devices::attr::FULL))?;
    let mark = |(device, mark): (&String, &AttributeValue)| {
        let mark = mark.as_m().map_err(|_| missing(devices::attr::FULL))?;
        let senders = mark.get_ss(mark_attr::SENDERS);
        let whom = if senders.is_empty() { FullFor::Everyone } else { FullFor::Senders(senders) };
        let mark = FullMark { until_ms: mark.need_n(mark_attr::UNTIL_MS)?, whom };
        Ok((DeviceId::parse(device).map_err(corrupt)?, mark))
    };
    stored.iter().map(mark).collect()
}

/// Returns the attribute `f` of a set without marks.
pub(crate) fn no_marks() -> AttributeValue {
    AttributeValue::M(HashMap::new())
}

/// Returns the hash of a sender: the first 6 bytes of the SHA-256 of the actor id, in hex.
fn sender_hash(sender: &str) -> String {
    hex::encode(Sha256::digest(sender).get(..6).unwrap_or_default())
}

/// The count of a mailbox on its way, with the sums so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxCount {
    /// The user.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
    /// The last entry that is counted; `None` at the start.
    pub after: Option<EntryKey>,
    /// The bytes that all entries are charged.
    pub charged: u64,
    /// The bytes that entries are charged to their senders, by the senders' hashes.
    ///
    /// At most sixteen senders are remembered, by the algorithm of Misra and Gries: a sum may be
    /// too small by a seventeenth of the mailbox, and is never too large.
    pub senders: BTreeMap<String, u64>,
}

impl MailboxCount {
    /// Starts the count of a device's mailbox.
    pub fn new(device: DeviceAddress<'_>) -> Self {
        let (user, device) = (device.user.clone(), device.device.clone());
        Self { user, device, after: None, charged: 0, senders: BTreeMap::new() }
    }

    /// Returns the device.
    pub fn address(&self) -> DeviceAddress<'_> {
        DeviceAddress::new(&self.user, &self.device)
    }

    /// Returns for whom a mailbox with these sums is full, if it is.
    pub fn full_for(&self, limits: MailboxLimits) -> Option<FullFor> {
        if self.charged >= limits.bytes {
            return Some(FullFor::Everyone);
        }
        let share = limits.sender_share();
        let over = self.senders.iter().filter(|(_, charged)| **charged >= share);
        let over: BTreeSet<String> = over.map(|(sender, _)| sender.clone()).collect();
        (!over.is_empty()).then_some(FullFor::Senders(over))
    }

    fn add(&mut self, sender: Option<&str>, charge: u64) {
        self.charged = self.charged.saturating_add(charge);
        let Some(sender) = sender else { return };
        let sum = self.senders.entry(sender_hash(sender)).or_default();
        *sum = sum.saturating_add(charge);
        if self.senders.len() > REMEMBERED_SENDERS {
            let least = self.senders.values().copied().min().unwrap_or_default();
            self.senders.retain(|_, sum| {
                *sum = sum.saturating_sub(least);
                *sum > 0
            });
        }
    }
}

impl Store {
    /// Queues counts, or their next steps: one SendMessageBatch for each ten. No call if there are
    /// none.
    ///
    /// # Errors
    /// The queue is out of reach or refuses a message.
    pub async fn queue_counts(&self, counts: Vec<MailboxCount>) -> Result<()> {
        self.queue(counts.into_iter().map(Delivery::Count).collect(), 0).await
    }

    /// Counts the next megabyte of a mailbox. Returns true if there is more.
    ///
    /// One Query, eventually consistent: half a read unit for each 4 KB. Ciphertexts are not
    /// transferred.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn count_some(
        &self,
        count: &mut MailboxCount,
        limits: MailboxLimits,
        now_ms: i64,
    ) -> Result<bool> {
        let from = match &count.after {
            None => key::ENTRY_PREFIX.to_owned(),
            Some(entry) => format!("{}{}!", key::ENTRY_PREFIX, entry.as_str()),
        };
        let page = self
            .dynamodb()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", s(key::device_partition(count.address())))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(key::ENTRY_END))
            .projection_expression("#author, #size, #ttl")
            .expression_attribute_names("#author", mailbox::AUTHOR)
            .expression_attribute_names("#size", mailbox::SIZE)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .send()
            .await
            .map_err(call("Query"))?;
        for item in page.items.unwrap_or_default() {
            if item.need_n(TTL_ATTRIBUTE)? > now_ms.div_euclid(1000) {
                count.add(item.get_s(mailbox::AUTHOR), limits.charge(item.need_u(mailbox::SIZE)?));
            }
        }
        let last = page.last_evaluated_key.as_ref().and_then(|item| item.get_s("sk"));
        let last = last.and_then(|sk| sk.strip_prefix(key::ENTRY_PREFIX)).map(EntryKey::parse);
        count.after = last.transpose().map_err(corrupt)?;
        Ok(count.after.is_some())
    }

    /// Sets the mark of an active device's mailbox, or removes it. Has no effect if the device is
    /// not active.
    ///
    /// One transaction of two updates: twice the write units of device set and device record.
    ///
    /// # Errors
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn mark_mailbox(
        &self,
        device: DeviceAddress<'_>,
        mark: Option<&FullMark>,
        now_ms: i64,
    ) -> Result<()> {
        let set = self.update(&key::devices(device.user), |update| {
            let update = update
                .condition_expression("attribute_exists(#a.#device)")
                .expression_attribute_names("#a", devices::attr::ACTIVE)
                .expression_attribute_names("#f", devices::attr::FULL)
                .expression_attribute_names("#device", device.device.as_str());
            match mark {
                None => update.update_expression("REMOVE #f.#device"),
                Some(mark) => update
                    .update_expression("SET #f.#device = :mark")
                    .expression_attribute_values(":mark", mark.attribute()),
            }
        })?;
        let record = self.update(&key::device(device), |update| {
            let update = update
                .condition_expression("#st = :active")
                .expression_attribute_names("#st", device::attr::STATUS)
                .expression_attribute_names("#mf", device::attr::FULL_COUNTED_MS)
                .expression_attribute_values(":active", s(DeviceStatus::Active.code()));
            match mark {
                None => update.update_expression("REMOVE #mf"),
                Some(_) => {
                    update.update_expression("SET #mf = :now").expression_attribute_values(":now", n(now_ms))
                }
            }
        })?;
        self.transact(vec![set, record]).await?;
        Ok(())
    }

    /// Claims the next count of a mailbox that was full at `counted_ms`. Returns true for one of
    /// several callers. One UpdateItem.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn claim_count(&self, device: DeviceAddress<'_>, counted_ms: i64, now_ms: i64) -> Result<bool> {
        let claimed = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::device(device).item()))
            .update_expression("SET #mf = :now")
            .condition_expression("#mf = :counted")
            .expression_attribute_names("#mf", device::attr::FULL_COUNTED_MS)
            .expression_attribute_values(":now", n(now_ms))
            .expression_attribute_values(":counted", n(counted_ms))
            .send()
            .await;
        Ok(conditional(claimed)?.is_done())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MailboxLimits = MailboxLimits { bytes: 1_000, entries: 10 };

    fn count() -> MailboxCount {
        let user = UserName::parse("bob").unwrap();
        let device = DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap();
        MailboxCount::new(DeviceAddress::new(&user, &device))
    }

    #[test]
    fn an_entry_is_charged_its_size_and_its_place() {
        assert_eq!([0, 100, 101].map(|size| LIMITS.charge(size)), [100, 100, 101]);
        let mut count = count();
        for number in 0..9 {
            count.add(Some(&number.to_string()), LIMITS.charge(1));
        }
        assert_eq!(count.full_for(LIMITS), None);
        count.add(None, LIMITS.charge(1));
        assert_eq!(count.full_for(LIMITS), Some(FullFor::Everyone));
    }

    #[test]
    fn a_sender_is_full_at_a_quarter() {
        let mut count = count();
        count.add(Some("eve"), 249);
        count.add(Some("alice"), 249);
        assert_eq!(count.full_for(LIMITS), None);
        count.add(Some("eve"), 1);
        let mark = FullMark { until_ms: 5, whom: count.full_for(LIMITS).unwrap() };
        assert!(mark.holds_for("eve", 4));
        assert!(!mark.holds_for("eve", 5));
        assert!(!mark.holds_for("alice", 4));
    }

    /// However many senders there are, the large one is found, and no small one is taken for one.
    #[test]
    fn a_large_sender_is_found_among_many() {
        let limits = MailboxLimits { bytes: 100_000, entries: 100_000 };
        let mut count = count();
        for number in 0..50_000 {
            count.add(Some(&number.to_string()), 1);
            if number % 5 < 4 {
                count.add(Some("eve"), 1);
            }
        }
        assert!(count.senders.len() <= REMEMBERED_SENDERS);
        let Some(FullFor::Senders(senders)) = count.full_for(limits) else { panic!("{count:?}") };
        assert_eq!(senders, BTreeSet::from([sender_hash("eve")]));
    }
}
