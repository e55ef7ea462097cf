//! Deletion of accounts: the tombstone, and the erasure of everything else step by step ([decision
//! 0037](../../../docs/decisions/0037-deletion.md)).
//!
//! An erasure is a message of the queue `deliveries` that is queued before the account is deleted, with
//! a delay that outlives the request. Whoever receives it looks whether there is a tombstone. The items
//! of the partition `C#{user}` list every device that the user has or had; they are erased last. An
//! account may be older than this list: its deletion lists the devices that it has, and the erasure
//! those that its chain names.
//!
//! # Item `U#{user}` / `DEVICES`
//!
//! Of a deleted account it has the attribute `x` only ([`crate::devices`]): the tombstone. It stays for
//! ever, so that nobody else gets the name.

mod order;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::ChainNode;
use eko_protocol::id::DeviceId;

use crate::attribute::{Item, ReadItem, WriteItem, corrupt, n, s, ss};
use crate::chain::{HEAD_AS_SEEN, NODE};
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::devices;
use crate::erasure::STEP_ITEMS;
use crate::error::call;
use crate::items::{BATCH_WRITES, PROJECTED_KEYS};
use crate::key::{CHAIN_PREFIX, DEVICE, EXISTS};
use crate::live::ConnectionId;
use crate::resets::{ResetState, SIGN_IN_S};
use crate::resources::{PARTITION_KEY, SORT_KEY};
use crate::{Result, Store, key};

pub use order::{AccountErasure, ContactBy, DeletionPass};

/// The name of the attribute by which an envelope's record names the origin of the other server.
pub(crate) const CONTACT: &str = "o";

/// The beginnings of the sort keys of items that name a server with which envelopes were exchanged. A
/// known actor is no such item: whoever wrote the name may have made it up, and the server that it names
/// may never have heard of the user.
const CONTACTS: [(&str, ContactBy); 2] = [("E#", ContactBy::Others), ("X#", ContactBy::User)];

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

/// Some items of a user that are about to be erased.
#[derive(Clone, Debug)]
pub struct DoomedItems {
    keys: Vec<Item>,
    /// The servers to which the user has written, as these items name them.
    pub written_to: BTreeSet<Origin>,
    /// The servers of those who have written to the user or taken the user's keys, as these items name them.
    pub heard_from: BTreeSet<Origin>,
    /// The devices that nodes of the chain among these items name.
    pub devices: BTreeSet<DeviceId>,
    /// True if there may be more items.
    pub has_more: bool,
}

/// Some of the devices that a user has or had.
#[derive(Clone, Debug)]
pub struct OwnedDevices {
    /// The devices, in the order of their ids.
    pub devices: Vec<DeviceId>,
    /// True if there may be more.
    pub has_more: bool,
}

/// Some items of one partition.
struct PartitionPage {
    items: Vec<Item>,
    has_more: bool,
}

impl Store {
    /// Deletes an account: leaves a tombstone of the device set, takes the status of each device, and
    /// removes the profile and the subject's binding, so that the subject can register another name. The
    /// devices are listed for the erasure, since an account that is older than the list has them nowhere
    /// else then. Ask [`ResetState::deletion_refusal`] before. Returns false, and stores nothing, if the
    /// devices or the profile have changed since they were read.
    ///
    /// One transaction: twice the write units of device set, profile and subject, and for each device of
    /// its record and one small item. At most 24 devices are active or pending, so it has at most 51 of
    /// 100 writes. If its answer is lost for good, the account may be deleted, which the next request
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
            let address = DeviceAddress::new(user, device);
            writes.push(self.end_device(address)?);
            writes.push(self.put(key::owned(address).item())?);
        }
        Ok(self.transact(writes).await?.is_done())
    }

    /// Builds the write that ends a device with its account: it has no session and gets no pushes from
    /// then on. The record goes on to name the servers that took keys, which the erasure tells.
    fn end_device(&self, address: DeviceAddress<'_>) -> Result<TransactWriteItem> {
        self.update(&key::device(address), |update| {
            update
                .update_expression("SET #st = :deleted REMOVE #fam, #pu, #pf")
                .expression_attribute_names("#st", device::attr::STATUS)
                .expression_attribute_names("#fam", device::attr::FAMILY)
                .expression_attribute_names("#pu", device::attr::PUSHED_MS)
                .expression_attribute_names("#pf", device::attr::PUSH_FETCHED)
                .expression_attribute_values(":deleted", s(DeviceStatus::Deleted.code()))
        })
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

    /// Reads up to `most` devices that a user has or had, in the order of their ids and after the one
    /// that is named, strongly consistent.
    ///
    /// One Query: 1 read unit.
    ///
    /// # Errors
    /// The table is out of reach, or an item is corrupt.
    pub async fn owned_devices(
        &self,
        user: &UserName,
        after: Option<&DeviceId>,
        most: i32,
    ) -> Result<OwnedDevices> {
        let partition = key::owned_partition(user);
        let page = self.page(&partition, after.map(DeviceId::as_str), &[], most).await?;
        let id = |item: &Item| DeviceId::parse(item.need_s(SORT_KEY)?).map_err(corrupt);
        let devices = page.items.iter().map(id).collect::<Result<_>>()?;
        Ok(OwnedDevices { devices, has_more: page.has_more })
    }

    /// Lists devices that a user has or had. Those that are listed stay so.
    ///
    /// One BatchWriteItem for each 25: 1 write unit each. The verb may be repeated.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn list_devices(&self, user: &UserName, devices: &BTreeSet<DeviceId>) -> Result<()> {
        let items: Vec<Item> =
            devices.iter().map(|device| key::owned(DeviceAddress::new(user, device)).item()).collect();
        for some in items.chunks(BATCH_WRITES) {
            self.batch_put(some.to_vec()).await?;
        }
        Ok(())
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
        self.erase_page(&key::group_state_partition(user)).await
    }

    /// Deletes up to [`STEP_ITEMS`] counters and lists of a user. Returns true if there may be more. The
    /// calls are those of [`erase_items`](Self::erase_items) and a Query.
    ///
    /// # Errors
    /// The table is out of reach; some of the items may be deleted then.
    pub async fn erase_counters(&self, user: &UserName) -> Result<bool> {
        self.erase_page(&key::counters_partition(user)).await
    }

    async fn erase_page(&self, partition: &str) -> Result<bool> {
        let page = self.page(partition, None, &[], STEP_ITEMS).await?;
        let doomed = DoomedItems::of(page, |_, _| true);
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
        let page = self.page(&key::user_partition(user), None, &[CONTACT, NODE], STEP_ITEMS).await?;
        Ok(DoomedItems::of(page, |doomed, item| {
            let sort = item.get_s(SORT_KEY).unwrap_or_default();
            if let Some((_, by)) = CONTACTS.iter().find(|(prefix, _)| sort.starts_with(prefix)) {
                let contacts = match by {
                    ContactBy::User => &mut doomed.written_to,
                    ContactBy::Others => &mut doomed.heard_from,
                };
                contacts.extend(item.get_s(CONTACT).and_then(|origin| Origin::parse(origin).ok()));
            }
            if sort.starts_with(CHAIN_PREFIX) {
                doomed.devices.extend(item.need_b(NODE).ok().and_then(device_of_node));
            }
            sort != key::DEVICES
        }))
    }

    /// Reads up to [`STEP_ITEMS`] items of a device of a deleted account that are erased: all but the
    /// device record, which names the servers that took keys. An erasure of a device that was revoked is
    /// [`erase_some`](Self::erase_some).
    ///
    /// One Query: 1 read unit for each 4 KB.
    ///
    /// # Errors
    /// The table is out of reach.
    pub async fn doomed_of_device(&self, device: DeviceAddress<'_>) -> Result<DoomedItems> {
        let takers: Vec<String> = device::taker_attributes().collect();
        let takers: Vec<&str> = takers.iter().map(String::as_str).collect();
        let page = self.page(&key::device_partition(device), None, &takers, STEP_ITEMS).await?;
        Ok(DoomedItems::of(page, |doomed, item| {
            if item.get_s(SORT_KEY) != Some(DEVICE) {
                return true;
            }
            let named = takers.iter().filter_map(|name| Origin::parse(item.get_s(name)?).ok());
            doomed.heard_from.extend(named);
            false
        }))
    }

    /// Reads the keys of up to `most` items of a partition, and these attributes, strongly consistent.
    /// They are in the order of their sort keys, and after the one that is named. One Query.
    async fn page(
        &self,
        partition: &str,
        after: Option<&str>,
        attributes: &[&str],
        most: i32,
    ) -> Result<PartitionPage> {
        let query = self.dynamodb().query().table_name(self.table());
        let mut query = match after {
            None => query.key_condition_expression("pk = :pk"),
            Some(after) => query
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":after", s(after)),
        };
        let mut projection = PROJECTED_KEYS.to_owned();
        for (index, name) in attributes.iter().enumerate() {
            projection.push_str(&format!(", #n{index}"));
            query = query.expression_attribute_names(format!("#n{index}"), *name);
        }
        let page = query
            .expression_attribute_values(":pk", s(partition))
            .projection_expression(projection)
            .consistent_read(true)
            .limit(most)
            .send()
            .await
            .map_err(call("Query"))?;
        let has_more = page.last_evaluated_key.is_some();
        Ok(PartitionPage { items: page.items.unwrap_or_default(), has_more })
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

impl DoomedItems {
    /// Notes what the items of a page say. `note` returns true for one that is to be erased.
    fn of(page: PartitionPage, note: impl Fn(&mut Self, &Item) -> bool) -> Self {
        let mut doomed = Self {
            keys: Vec::new(),
            written_to: BTreeSet::new(),
            heard_from: BTreeSet::new(),
            devices: BTreeSet::new(),
            has_more: page.has_more,
        };
        for mut item in page.items {
            if note(&mut doomed, &item) {
                item.retain(|name, _| name == PARTITION_KEY || name == SORT_KEY);
                doomed.keys.push(item);
            }
        }
        doomed
    }
}

/// Returns the device that a stored node of the chain names. A node that cannot be read names none, and
/// is erased all the same.
fn device_of_node(stored: &[u8]) -> Option<DeviceId> {
    let node = ChainNode::from_stored(stored).ok()?;
    let (_, device) = Origin::of(node.device())?.parse_device(node.device())?;
    Some(device)
}
