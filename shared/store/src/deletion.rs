//! Deletion of accounts: the tombstone, and the erasure of everything else step by step ([decision
//! 0037](../../../docs/decisions/0037-deletion.md)).
//!
//! An erasure is a message of the queue `deliveries` that is queued before the account is deleted, with
//! a delay that outlives the request. Whoever receives it looks whether there is a tombstone. The items
//! of the partition `C#{user}` list every device that the user has or had; they are erased last.
//!
//! # Item `U#{user}` / `DEVICES`
//!
//! Of a deleted account it has the attribute `x` only ([`crate::devices`]): the tombstone. It stays for
//! ever, so that nobody else gets the name.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use crate::attribute::{Item, ReadItem, WriteItem, corrupt, n, s, ss};
use crate::chain::HEAD_AS_SEEN;
use crate::deliveries::Delivery;
use crate::device::{DeviceAddress, DeviceStatus};
use crate::devices;
use crate::erasure::STEP_ITEMS;
use crate::error::call;
use crate::items::{BATCH_WRITES, PROJECTED_KEYS, Projection, SortKeys};
use crate::key::EXISTS;
use crate::live::ConnectionId;
use crate::resets::{ResetState, SIGN_IN_S};
use crate::resources::{PARTITION_KEY, SORT_KEY};
use crate::{Result, Store, key};

/// The name of the attribute by which an envelope's record or an acquaintance names the other server: an
/// origin, or an actor id on it.
pub(crate) const CONTACT: &str = "o";

/// The beginnings of the sort keys of items that name a server with which the user had contact.
const CONTACTS: [&str; 3] = ["A#", "E#", "X#"];

/// The reason why an account is not deleted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionRefusal {
    /// The sign-in, or a later one, has reset the devices before.
    SignInUsed,
    /// The account is too young.
    TooYoung {
        /// The time until it is old enough, in seconds.
        retry_after_s: u64,
    },
}

/// The order to erase what a deleted account left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountErasure {
    /// The user.
    pub user: UserName,
    /// The devices that are left in this pass.
    pub devices: Vec<DeviceId>,
    /// The origins of the other servers that are told.
    pub told: BTreeSet<String>,
    /// The pass over everything.
    pub pass: DeletionPass,
    /// The number of steps that failed one after another.
    pub failures: u32,
}

/// A pass of the erasure of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletionPass {
    /// Only the sockets are ended, at once. Another order has the rest.
    Sockets,
    /// The erasure was ordered. It is not known yet whether the account was deleted.
    Ordered,
    /// The first pass erases everything but the device records and their list.
    First,
    /// The first pass is over. The second one begins some time later.
    Waiting,
    /// The second pass erases what was under way in the first one, and then these.
    Second,
}

/// Some items of a user that are about to be erased.
#[derive(Clone, Debug)]
pub struct DoomedItems {
    keys: Vec<Item>,
    /// The servers with which the user had contact, as these items name them.
    pub contacts: BTreeSet<Origin>,
    /// True if there may be more items.
    pub has_more: bool,
}

impl Store {
    /// Deletes an account: leaves a tombstone of the device set, takes the status of each device, and
    /// removes the profile and the subject's binding, so that the subject can register another name. Ask
    /// [`ResetState::deletion_refusal`] before. Returns false, and stores nothing, if the devices or the
    /// profile have changed since they were read.
    ///
    /// One transaction: twice the write units of device set, profile, subject and one small record for
    /// each device. If its answer is lost for good, the account may be deleted, which the next request
    /// sees.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn delete_account(&self, user: &UserName, seen: &ResetState, now_ms: i64) -> Result<bool> {
        let mut writes = vec![
            self.put_tombstone(user, seen, now_ms)?,
            self.remove_profile(user, seen)?,
            self.remove(&key::subject(&seen.profile.issuer, &seen.profile.subject))?,
        ];
        for device in seen.devices.active.keys().chain(&seen.devices.pending) {
            writes.push(self.leave_status(DeviceAddress::new(user, device), DeviceStatus::Deleted)?);
        }
        Ok(self.transact(writes).await?.is_done())
    }

    /// Builds the write of the tombstone, on condition that the devices are as they were seen.
    fn put_tombstone(&self, user: &UserName, seen: &ResetState, now_ms: i64) -> Result<TransactWriteItem> {
        let mut item = key::devices(user).item();
        item.set(devices::attr::DELETED_MS, n(now_ms));
        let pending = &seen.devices.pending;
        let as_seen = if pending.is_empty() { "attribute_not_exists(#p)" } else { "#p = :seenp" };
        self.put_if(item, |put| {
            let put = put
                .condition_expression(format!("{HEAD_AS_SEEN} AND {as_seen}"))
                .expression_attribute_names("#len", devices::attr::LENGTH)
                .expression_attribute_names("#head", devices::attr::HEAD)
                .expression_attribute_names("#p", devices::attr::PENDING)
                .expression_attribute_values(":seenlen", n(seen.devices.set.length))
                .expression_attribute_values(":seenhead", s(&seen.devices.set.head));
            match pending.is_empty() {
                true => put,
                false => put.expression_attribute_values(":seenp", ss(pending)),
            }
        })
    }

    /// Builds the removal of the profile, on condition that no reset happened since it was seen.
    fn remove_profile(&self, user: &UserName, seen: &ResetState) -> Result<TransactWriteItem> {
        self.remove_if(&key::profile(user), |delete| match seen.last_sign_in_s() {
            Some(last_s) => delete
                .condition_expression("#rs = :seen")
                .expression_attribute_names("#rs", SIGN_IN_S)
                .expression_attribute_values(":seen", n(last_s)),
            None => delete
                .condition_expression(format!("{EXISTS} AND attribute_not_exists(#rs)"))
                .expression_attribute_names("#rs", SIGN_IN_S),
        })
    }

    /// Queues the erasure of an account, or its next step, for `delay_seconds` later, 900 at most. One
    /// SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach or refuses the message.
    pub async fn queue_account_erasure(&self, erasure: AccountErasure, delay_seconds: i32) -> Result<()> {
        self.queue(vec![Delivery::Delete(erasure)], delay_seconds).await
    }

    /// Reads the devices that a user has or had, strongly consistent.
    ///
    /// One Query for each megabyte: 1 read unit for each 4 KB.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn owned_devices(&self, user: &UserName) -> Result<Vec<DeviceId>> {
        let listed = self.query_all(&key::owned_partition(user), SortKeys::All, Projection::Keys).await?;
        listed.iter().map(|item| DeviceId::parse(item.need_s(SORT_KEY)?).map_err(corrupt)).collect()
    }

    /// Deletes the records of devices of a deleted account, and then their places in the list of its
    /// devices. Everything else of them is erased.
    ///
    /// Two BatchWriteItem for each 25 devices: 1 write unit for each item. The verb may be repeated.
    ///
    /// # Errors
    /// The table is out of reach; some of the items may be deleted then.
    pub async fn erase_devices(&self, user: &UserName, erased: &[DeviceId]) -> Result<()> {
        for some in erased.chunks(BATCH_WRITES) {
            let addresses = || some.iter().map(|device| DeviceAddress::new(user, device));
            self.batch_delete(addresses().map(|address| key::device(address).item()).collect()).await?;
            self.batch_delete(addresses().map(|address| key::owned(address).item()).collect()).await?;
        }
        Ok(())
    }

    /// Deletes the items of sockets. Those of the user's item `LIVE` stay.
    ///
    /// One BatchWriteItem for each 25: 1 write unit each. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn erase_sockets(&self, connections: &[ConnectionId]) -> Result<()> {
        for some in connections.chunks(BATCH_WRITES) {
            self.batch_delete(some.iter().map(|connection| key::socket(connection).item()).collect()).await?;
        }
        Ok(())
    }

    /// Deletes up to [`STEP_ITEMS`] group states of a user. Returns true if there may be more. The
    /// calls are those of [`erase_items`](Self::erase_items) and a Query.
    ///
    /// # Errors
    /// The table is out of reach; some of the items may be deleted then.
    pub async fn erase_group_states(&self, user: &UserName) -> Result<bool> {
        let doomed = self.doomed(&key::group_state_partition(user)).await?;
        self.erase_items(&doomed).await?;
        Ok(doomed.has_more)
    }

    /// Deletes up to [`STEP_ITEMS`] counters and lists of a user. Returns true if there may be more. The
    /// calls are those of [`erase_items`](Self::erase_items) and a Query.
    ///
    /// # Errors
    /// The table is out of reach; some of the items may be deleted then.
    pub async fn erase_counters(&self, user: &UserName) -> Result<bool> {
        let doomed = self.doomed(&key::counters_partition(user)).await?;
        self.erase_items(&doomed).await?;
        Ok(doomed.has_more)
    }

    /// Reads up to [`STEP_ITEMS`] items of a deleted account that are erased: all but the tombstone.
    ///
    /// One Query: 1 read unit for each 4 KB.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn doomed_items(&self, user: &UserName) -> Result<DoomedItems> {
        let mut doomed = self.doomed(&key::user_partition(user)).await?;
        doomed.keys.retain(|item| item.get_s(SORT_KEY) != Some(key::DEVICES));
        Ok(doomed)
    }

    async fn doomed(&self, partition: &str) -> Result<DoomedItems> {
        let mut doomed = DoomedItems { keys: Vec::new(), contacts: BTreeSet::new(), has_more: false };
        let page = self
            .dynamodb()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(partition))
            .projection_expression(format!("{PROJECTED_KEYS}, #o"))
            .expression_attribute_names("#o", CONTACT)
            .consistent_read(true)
            .limit(STEP_ITEMS)
            .send()
            .await
            .map_err(call("Query"))?;
        doomed.has_more = page.last_evaluated_key.is_some();
        for mut item in page.items.unwrap_or_default() {
            let sort = item.get_s(SORT_KEY).unwrap_or_default();
            if CONTACTS.iter().any(|prefix| sort.starts_with(prefix))
                && let Some(origin) = item.get_s(CONTACT).and_then(origin_of)
            {
                doomed.contacts.insert(origin);
            }
            item.retain(|name, _| name == PARTITION_KEY || name == SORT_KEY);
            doomed.keys.push(item);
        }
        Ok(doomed)
    }

    /// Deletes items that were read.
    ///
    /// At most four BatchWriteItem: 1 write unit for each KB of each item. It may be repeated.
    ///
    /// # Errors
    /// The table is out of reach; some of the items may be deleted then.
    pub async fn erase_items(&self, doomed: &DoomedItems) -> Result<()> {
        for batch in doomed.keys.chunks(BATCH_WRITES) {
            self.batch_delete(batch.to_vec()).await?;
        }
        Ok(())
    }
}

/// Returns the origin that a [`CONTACT`] names.
fn origin_of(contact: &str) -> Option<Origin> {
    Origin::parse(contact).ok().or_else(|| Origin::of(contact))
}
