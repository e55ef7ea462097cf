//! Push subscriptions, and the changes of a device's push state ([`PushState`]).
//!
//! A device has a state in its user's item `LIVE` ([`crate::live`]) exactly if it has a
//! subscription. A device to which a push was sent has the attribute `pu` in its record
//! ([`crate::device`]), so that its next fetch or acknowledgement sees that without a further read.
//! All writes that concern two of these items are transactions.
//!
//! # Item `D#{user}#{device}` / `PUSH`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `e` | S | | the endpoint |
//! | `k` | B | | the browser's public key, an uncompressed point of P-256 |
//! | `a` | B | | the browser's authentication secret |
//! | `c` | N | epoch ms | the time of the subscription |

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use eko_protocol::id::EntryKey;
use eko_protocol::push::PushSubscription;

use crate::attribute::{Item, ReadItem, WriteItem, b, corrupt, n, s};
use crate::condition::conditional;
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::error::call;
use crate::key::{ENTRY_END, ENTRY_PREFIX};
use crate::live::item::{push_attr, push_name, pushed_for_name};
use crate::live::{Live, PushState};
use crate::mailbox::{EntryTime, QUIET, REPORT, TTL, read_key};
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, key};

/// The names of the attributes of a subscription.
mod attr {
    pub(super) const ENDPOINT: &str = "e";
    pub(super) const PUBLIC_KEY: &str = "k";
    pub(super) const AUTH: &str = "a";
    pub(super) const CREATED_MS: &str = "c";
}

/// The most pages that [`Store::loud_entries`] reads.
const PAGES: usize = 8;
/// The condition that the device is signed in and active.
const SIGNED_IN: &str = "#st = :active AND attribute_exists(#fam)";

/// A device that a push can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// The subscription.
    pub subscription: PushSubscription,
    /// The state.
    pub state: PushState,
    /// The newest entry that led to a push to the device.
    pub pushed_for: Option<EntryKey>,
}

/// The entries of a mailbox that want a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoudEntries {
    /// The times of the oldest one.
    pub oldest: EntryTime,
    /// The key of the newest one among those that were read.
    pub newest: EntryKey,
}

/// The outcome of [`Store::claim_push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushClaim {
    /// The caller sends the push.
    Claimed,
    /// The state is another one than the caller has seen.
    Changed,
    /// The device was revoked or signed out.
    SignedOut,
}

impl Store {
    /// Stores the subscription of a device in the place of an earlier one. Returns false if the
    /// device is not active and signed in.
    ///
    /// One transaction of three writes: twice the write units of subscription, device record and
    /// the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn subscribe(
        &self,
        device: DeviceAddress<'_>,
        subscription: &PushSubscription,
        now_ms: i64,
    ) -> Result<bool> {
        let mut item = key::push(device).item();
        item.set(attr::ENDPOINT, s(&subscription.endpoint));
        item.set(attr::PUBLIC_KEY, b(subscription.public_key));
        item.set(attr::AUTH, b(subscription.auth));
        item.set(attr::CREATED_MS, n(now_ms));
        let record = self.update(&key::device(device), |update| {
            signed_in(update).update_expression("REMOVE #pu").condition_expression(SIGNED_IN)
        })?;
        let state = PushState::Idle { fetched_ms: now_ms };
        let state = self.update(&key::live(device.user), |update| set_state(update, device, state))?;
        Ok(self.transact(vec![record, state, self.put(item)?]).await?.is_done())
    }

    /// Removes the subscription of a device. Does nothing if it has none.
    ///
    /// One transaction of three writes: twice the write units of subscription, device record and
    /// the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn unsubscribe(&self, device: DeviceAddress<'_>) -> Result<()> {
        let removal = self.remove(&key::push(device))?;
        self.transact(self.forgetting(device, removal)?).await?;
        Ok(())
    }

    /// Removes a subscription that its push service does not know any more, unless the device has
    /// another one meanwhile. The calls are those of [`Store::unsubscribe`].
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn drop_subscription(&self, device: DeviceAddress<'_>, endpoint: &str) -> Result<()> {
        let removal = aws_sdk_dynamodb::types::Delete::builder()
            .table_name(self.table())
            .set_key(Some(key::push(device).item()))
            .condition_expression("#e = :e")
            .expression_attribute_names("#e", attr::ENDPOINT)
            .expression_attribute_values(":e", s(endpoint));
        let removal =
            TransactWriteItem::builder().delete(removal.build().map_err(call("TransactWriteItems"))?).build();
        self.transact(self.forgetting(device, removal)?).await?;
        Ok(())
    }

    /// Builds the writes that remove a subscription with the device's state, on condition that
    /// there is a state.
    fn forgetting(
        &self,
        device: DeviceAddress<'_>,
        removal: TransactWriteItem,
    ) -> Result<Vec<TransactWriteItem>> {
        let record = self.update(&key::device(device), |update| {
            update
                .update_expression("REMOVE #pu")
                .condition_expression(key::EXISTS)
                .expression_attribute_names("#pu", device::attr::PUSHED_MS)
        })?;
        let state = self.update(&key::live(device.user), |update| {
            update
                .update_expression("REMOVE #p, #a")
                .condition_expression("attribute_exists(#p)")
                .expression_attribute_names("#p", push_name(device.device))
                .expression_attribute_names("#a", pushed_for_name(device.device))
        })?;
        Ok(vec![removal, record, state])
    }

    /// Builds the writes that remove subscription and state of a device, whether or not there are any.
    pub(crate) fn without_push(&self, device: DeviceAddress<'_>) -> Result<[TransactWriteItem; 2]> {
        let state = self.update(&key::live(device.user), |update| {
            update
                .update_expression("REMOVE #p, #a")
                .expression_attribute_names("#p", push_name(device.device))
                .expression_attribute_names("#a", pushed_for_name(device.device))
        })?;
        Ok([self.remove(&key::push(device))?, state])
    }

    /// Removes the push state of a revoked device, whose subscription is erased with its other
    /// items. Does nothing if it has none.
    ///
    /// One UpdateItem: 1 write unit for each KB of the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn forget_push_state(&self, device: DeviceAddress<'_>) -> Result<()> {
        let update = self
            .update_live(device.user)
            .update_expression("REMOVE #p, #a")
            .condition_expression("attribute_exists(#p)")
            .expression_attribute_names("#p", push_name(device.device))
            .expression_attribute_names("#a", pushed_for_name(device.device));
        conditional(update.send().await)?;
        Ok(())
    }

    /// Reads the subscription and the state of a device, strongly consistent; `None` if it has no
    /// subscription.
    ///
    /// One BatchGetItem: 1 read unit for each 4 KB of the subscription and of the user's item.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn push_target(&self, device: DeviceAddress<'_>) -> Result<Option<PushTarget>> {
        let (push, live) = (key::push(device), key::live(device.user));
        let items = self.batch_get(vec![push.clone(), live.clone()]).await?;
        let (Some(push), Some(live)) = (push.find_in(&items), live.find_in(&items)) else { return Ok(None) };
        let mut live = Live::from_item(device.user, live)?;
        let Some(state) = live.pushes.remove(device.device) else { return Ok(None) };
        let pushed_for = live.pushed_for.remove(device.device);
        Ok(Some(PushTarget { subscription: read_subscription(push)?, state, pushed_for }))
    }

    /// Notes that a push is sent now, for the entries up to `newest`, on condition that the state is
    /// as it was seen and that the device is active and signed in. Call it before the push: a
    /// process that dies in between leaves a message of the queue, and the note.
    ///
    /// One transaction of two writes: twice the write units of device record and the user's item.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn claim_push(
        &self,
        device: DeviceAddress<'_>,
        seen: PushState,
        newest: &EntryKey,
        now_ms: i64,
    ) -> Result<PushClaim> {
        const RECORD: usize = 0;
        let record = self.update(&key::device(device), |update| {
            signed_in(update)
                .update_expression("SET #pu = :now")
                .condition_expression(SIGNED_IN)
                .expression_attribute_values(":now", n(now_ms))
        })?;
        let state = self.update(&key::live(device.user), |update| {
            update
                .update_expression("SET #p = :p, #a = :a")
                .condition_expression("#p = :seen")
                .expression_attribute_names("#p", push_name(device.device))
                .expression_attribute_names("#a", pushed_for_name(device.device))
                .expression_attribute_values(":p", PushState::Sent { sent_ms: now_ms }.attribute())
                .expression_attribute_values(":a", s(newest.as_str()))
                .expression_attribute_values(":seen", seen.attribute())
        })?;
        Ok(match self.transact(vec![record, state]).await? {
            TransactionOutcome::Done => PushClaim::Claimed,
            TransactionOutcome::Refused { index: RECORD } => PushClaim::SignedOut,
            TransactionOutcome::Refused { .. } => PushClaim::Changed,
        })
    }

    /// Notes that a device has been seen since the push of `pushed_ms`, and gives it this state. A
    /// device without a subscription gets none.
    ///
    /// One transaction of two writes: twice the write units of device record and the user's item.
    /// It may be repeated. Does nothing if another call has done it or another push was sent.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn end_push(&self, device: DeviceAddress<'_>, pushed_ms: i64, state: PushState) -> Result<()> {
        let record = self.update(&key::device(device), |update| {
            update
                .update_expression("REMOVE #pu")
                .condition_expression("#pu = :pu")
                .expression_attribute_names("#pu", device::attr::PUSHED_MS)
                .expression_attribute_values(":pu", n(pushed_ms))
        })?;
        let state = self.update(&key::live(device.user), |update| {
            set_state(update, device, state).condition_expression("attribute_exists(#p)")
        })?;
        self.transact(vec![record, state]).await?;
        Ok(())
    }

    /// Marks a device as watched until the check at `check_ms`, and no longer if it is watched: the
    /// earliest check sees all entries. Does nothing if a push was sent after `forgotten_ms`, or if
    /// the device has no subscription. A mark whose check is due since `lost_ms` is replaced.
    ///
    /// One UpdateItem: 1 write unit for each KB of the user's item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn watch(
        &self,
        device: DeviceAddress<'_>,
        check_ms: i64,
        lost_ms: i64,
        forgotten_ms: i64,
    ) -> Result<()> {
        let idle = "#p.#s = :idle OR #p.#s = :checked";
        let other = "(#p.#s = :watched AND (#p.#t > :t OR #p.#t < :lost))";
        let forgotten = "(#p.#s = :sent AND #p.#t < :forgotten)";
        let watched = PushState::Watched { check_ms };
        let update = self
            .update_live(device.user)
            .update_expression("SET #p = :p")
            .condition_expression(format!("{idle} OR {other} OR {forgotten}"))
            .expression_attribute_names("#p", push_name(device.device))
            .expression_attribute_names("#s", push_attr::STATE)
            .expression_attribute_names("#t", push_attr::TIME_MS)
            .expression_attribute_values(":p", watched.attribute())
            .expression_attribute_values(":idle", s(PushState::Idle { fetched_ms: 0 }.code()))
            .expression_attribute_values(":checked", s(PushState::Checked { check_ms }.code()))
            .expression_attribute_values(":watched", s(watched.code()))
            .expression_attribute_values(":sent", s(PushState::Sent { sent_ms: 0 }.code()))
            .expression_attribute_values(":t", n(check_ms))
            .expression_attribute_values(":lost", n(lost_ms))
            .expression_attribute_values(":forgotten", n(forgotten_ms));
        conditional(update.send().await)?;
        Ok(())
    }

    /// Returns the entries of a mailbox that want a notification and are newer than `after`. `None`
    /// means that there is none among the first eight megabytes. Of many entries, only the first
    /// ones are read.
    ///
    /// Up to eight Query, strongly consistent: 1 read unit for each 4 KB of the entries up to those
    /// that are found.
    ///
    /// # Errors
    /// The table is out of reach, or an entry is corrupt.
    pub async fn loud_entries(
        &self,
        device: DeviceAddress<'_>,
        after: Option<&EntryKey>,
        now_ms: i64,
    ) -> Result<Option<LoudEntries>> {
        /// The entries of one page. Most mailboxes have fewer.
        const LIMIT: i32 = 25;
        let from = match after {
            None => ENTRY_PREFIX.to_owned(),
            Some(entry) => format!("{ENTRY_PREFIX}{}!", entry.as_str()),
        };
        let mut start = None;
        for page in 0..PAGES {
            let query = self
                .dynamodb()
                .query()
                .table_name(self.table())
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .filter_expression("#ttl > :now AND attribute_not_exists(#q) AND attribute_not_exists(#j)")
                .projection_expression("sk, #ttl")
                .expression_attribute_names("#ttl", TTL)
                .expression_attribute_names("#q", QUIET)
                .expression_attribute_names("#j", REPORT)
                .expression_attribute_values(":pk", s(key::device_partition(device)))
                .expression_attribute_values(":from", s(&from))
                .expression_attribute_values(":to", s(ENTRY_END))
                .expression_attribute_values(":now", n(now_ms.div_euclid(1000)))
                .consistent_read(true)
                .set_limit((page == 0).then_some(LIMIT))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(call("Query"))?;
            let items = answer.items.unwrap_or_default();
            if let (Some(oldest), Some(newest)) = (items.first(), items.last()) {
                let oldest = EntryTime::from_item(oldest)?;
                return Ok(Some(LoudEntries { oldest, newest: read_key(newest)? }));
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(None)
    }
}

/// Adds the names and values of [`SIGNED_IN`], and the name `#pu`, to an update of a device record.
fn signed_in(update: UpdateBuilder) -> UpdateBuilder {
    update
        .expression_attribute_names("#pu", device::attr::PUSHED_MS)
        .expression_attribute_names("#st", device::attr::STATUS)
        .expression_attribute_names("#fam", device::attr::FAMILY)
        .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
}

/// Makes an update of the user's item set the state of a device, by the path `#p`.
fn set_state(update: UpdateBuilder, device: DeviceAddress<'_>, state: PushState) -> UpdateBuilder {
    update
        .update_expression("SET #p = :p")
        .expression_attribute_names("#p", push_name(device.device))
        .expression_attribute_values(":p", state.attribute())
}

fn read_subscription(item: &Item) -> Result<PushSubscription> {
    let fixed = |name| item.need_b(name);
    Ok(PushSubscription {
        endpoint: item.need_s(attr::ENDPOINT)?.to_owned(),
        public_key: fixed(attr::PUBLIC_KEY)?.try_into().map_err(corrupt)?,
        auth: fixed(attr::AUTH)?.try_into().map_err(corrupt)?,
    })
}
