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
//! | `a` | N | | 1 if the mailbox is full for everyone except the user's own devices |
//! | `s` | SS | | the short hashes of the parties whose share is used up; missing if there are none |
//!
//! # Attribute `mf` of the item `D#{user}#{device}` / `DEVICE`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `mf` | N | epoch ms | the time of the last count, if it left a mark |

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::{DeviceId, EntryKey};
use serde::{Deserialize, Serialize};

use crate::attribute::{Item, ReadItem, corrupt, missing, n, s, short_hash, ss};
use crate::condition::conditional;
use crate::deliveries::Delivery;
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::error::call;
use crate::inbound::site;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, devices, key, mailbox};

/// The names of the attributes of a mark.
mod mark_attr {
    pub(super) const UNTIL_MS: &str = "u";
    pub(super) const ALL: &str = "a";
    pub(super) const PARTIES: &str = "s";
}

/// The most parties that a count remembers. The largest ones stay.
const REMEMBERED_PARTIES: usize = 16;

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

    /// Returns the bytes that the entries of one party may be charged: a quarter.
    pub fn party_share(self) -> u64 {
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

/// The senders for whom a mailbox is full. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FullFor {
    /// True if the mailbox has reached a limit: it is full for everyone except the user's own
    /// devices.
    pub all_others: bool,
    /// The hashes of the parties that have used up their share, the user's own devices possibly
    /// among them.
    pub parties: BTreeSet<String>,
}

impl FullFor {
    /// True if the mailbox is full for nobody.
    pub fn is_nobody(&self) -> bool {
        !self.all_others && self.parties.is_empty()
    }
}

/// The sender of an entry, as mailboxes are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxSender<'a> {
    /// The owner's own devices. Holds the owner's actor id.
    Own(&'a str),
    /// Somebody else. Holds the party whose share it uses: the actor id of a user here, or the site
    /// of another server.
    Party(&'a str),
}

impl<'a> MailboxSender<'a> {
    /// Returns the sender of an entry with this author, an actor id, in a mailbox of `owner` on the
    /// server at `here`.
    pub fn of(author: &'a str, here: &Origin, owner: &UserName) -> Self {
        match (author.strip_prefix(here.as_str()), here.parse_actor(author)) {
            (_, Some(user)) if user == *owner => Self::Own(author),
            // An activity of the server itself, or of a user here.
            (Some(rest), _) if rest.is_empty() || rest.starts_with('/') => Self::Party(author),
            _ => Self::Party(authority_of(author).map_or(author, site)),
        }
    }

    fn hash(self) -> String {
        let (Self::Own(name) | Self::Party(name)) = self;
        short_hash(name)
    }
}

/// Returns the authority in an actor id.
fn authority_of(actor: &str) -> Option<&str> {
    let (_, rest) = actor.split_once("://")?;
    rest.split('/').next()
}

impl FullMark {
    /// True if the mailbox is full for this sender at `now_ms`.
    pub fn holds_for(&self, sender: MailboxSender<'_>, now_ms: i64) -> bool {
        let FullFor { all_others, parties } = &self.whom;
        let is_own = matches!(sender, MailboxSender::Own(_));
        now_ms < self.until_ms && ((*all_others && !is_own) || parties.contains(&sender.hash()))
    }

    fn attribute(&self) -> AttributeValue {
        let mut mark = HashMap::from([(mark_attr::UNTIL_MS.to_owned(), n(self.until_ms))]);
        if self.whom.all_others {
            mark.insert(mark_attr::ALL.to_owned(), n(1));
        }
        if !self.whom.parties.is_empty() {
            mark.insert(mark_attr::PARTIES.to_owned(), ss(&self.whom.parties));
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
        let all_others = mark.get_n(mark_attr::ALL).is_some();
        let whom = FullFor { all_others, parties: mark.get_ss(mark_attr::PARTIES) };
        let mark = FullMark { until_ms: mark.need_n(mark_attr::UNTIL_MS)?, whom };
        Ok((DeviceId::parse(device).map_err(corrupt)?, mark))
    };
    stored.iter().map(mark).collect()
}

/// Returns the attribute `f` of a set without marks.
pub(crate) fn no_marks() -> AttributeValue {
    AttributeValue::M(HashMap::new())
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
    /// The bytes that entries are charged to their parties ([`MailboxSender`]), by the parties'
    /// hashes.
    ///
    /// At most sixteen parties are remembered, by the algorithm of Misra and Gries: a sum may be
    /// too small by a seventeenth of the mailbox, and is never too large.
    pub parties: BTreeMap<String, u64>,
}

impl MailboxCount {
    /// Starts the count of a device's mailbox.
    pub fn new(device: DeviceAddress<'_>) -> Self {
        let (user, device) = (device.user.clone(), device.device.clone());
        Self { user, device, after: None, charged: 0, parties: BTreeMap::new() }
    }

    /// Returns the device.
    pub fn address(&self) -> DeviceAddress<'_> {
        DeviceAddress::new(&self.user, &self.device)
    }

    /// Returns for whom a mailbox with these sums is full.
    pub fn full_for(&self, limits: MailboxLimits) -> FullFor {
        let share = limits.party_share();
        let over = self.parties.iter().filter(|(_, charged)| **charged >= share);
        let parties = over.map(|(party, _)| party.clone()).collect();
        FullFor { all_others: self.charged >= limits.bytes, parties }
    }

    fn add(&mut self, sender: MailboxSender<'_>, charge: u64) {
        self.charged = self.charged.saturating_add(charge);
        let sum = self.parties.entry(sender.hash()).or_default();
        *sum = sum.saturating_add(charge);
        if self.parties.len() > REMEMBERED_PARTIES {
            let least = self.parties.values().copied().min().unwrap_or_default();
            self.parties.retain(|_, sum| {
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

    /// Counts the next megabyte of a mailbox on the server at `here`. Returns true if there is more.
    ///
    /// One Query, eventually consistent: half a read unit for each 4 KB. Ciphertexts are not
    /// transferred.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn count_some(
        &self,
        count: &mut MailboxCount,
        here: &Origin,
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
                let charge = limits.charge(item.need_u(mailbox::SIZE)?);
                let owner = count.user.clone();
                count.add(MailboxSender::of(item.need_s(mailbox::AUTHOR)?, here, &owner), charge);
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
    /// several callers, and for those that claim in the same millisecond. One UpdateItem. If the
    /// answer is lost, the SDK's repetition finds its own claim and succeeds.
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
            .condition_expression("#mf = :counted OR #mf = :now")
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

    const EVE: MailboxSender<'_> = MailboxSender::Party("eve");
    const ALICE: MailboxSender<'_> = MailboxSender::Party("alice");
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
            count.add(MailboxSender::Party(&number.to_string()), LIMITS.charge(1));
        }
        assert!(count.full_for(LIMITS).is_nobody());
        count.add(EVE, LIMITS.charge(1));
        assert!(count.full_for(LIMITS).all_others);
    }

    #[test]
    fn a_sender_is_full_at_a_quarter() {
        let mut count = count();
        count.add(EVE, 249);
        count.add(ALICE, 249);
        assert!(count.full_for(LIMITS).is_nobody());
        count.add(EVE, 1);
        let mark = FullMark { until_ms: 5, whom: count.full_for(LIMITS) };
        assert!(mark.holds_for(EVE, 4));
        assert!(!mark.holds_for(EVE, 5));
        assert!(!mark.holds_for(ALICE, 4));
    }

    #[test]
    fn a_domain_is_one_party_and_a_user_here_another() {
        let here = Origin::parse("https://eko.example").unwrap();
        let bob = UserName::parse("bob").unwrap();
        for (author, expected) in [
            ("https://eko.example/user/bob", MailboxSender::Own("https://eko.example/user/bob")),
            ("https://eko.example/user/alice", MailboxSender::Party("https://eko.example/user/alice")),
            ("https://eko.example/actor", MailboxSender::Party("https://eko.example/actor")),
            ("https://eko.example.org/user/bob", MailboxSender::Party("example.org")),
            ("https://s1.evil.example/users/eve", MailboxSender::Party("evil.example")),
            ("https://s2.evil.example:8443/u/eve", MailboxSender::Party("evil.example")),
        ] {
            assert_eq!(MailboxSender::of(author, &here, &bob), expected);
        }
    }

    /// A mailbox that is full for everyone takes a quarter of the limit of the user's own devices.
    #[test]
    fn own_devices_have_a_quarter_of_a_full_mailbox() {
        let own = MailboxSender::Own("bob");
        let mut count = count();
        count.add(EVE, 1_000);
        count.add(own, 249);
        let mark = |count: &MailboxCount| FullMark { until_ms: 5, whom: count.full_for(LIMITS) };
        assert!(mark(&count).holds_for(ALICE, 4));
        assert!(!mark(&count).holds_for(own, 4));
        count.add(own, 1);
        assert!(mark(&count).holds_for(own, 4));
    }

    /// However many senders there are, the large one is found, and no small one is taken for one.
    #[test]
    fn a_large_sender_is_found_among_many() {
        let limits = MailboxLimits { bytes: 100_000, entries: 100_000 };
        let mut count = count();
        for number in 0..50_000 {
            count.add(MailboxSender::Party(&number.to_string()), 1);
            if number % 5 < 4 {
                count.add(EVE, 1);
            }
        }
        assert!(count.parties.len() <= REMEMBERED_PARTIES);
        let FullFor { all_others, parties } = count.full_for(limits);
        assert!(!all_others || count.charged >= limits.bytes);
        assert_eq!(parties, BTreeSet::from([EVE.hash()]));
    }
}
