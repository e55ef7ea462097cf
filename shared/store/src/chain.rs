//! The device chain: nodes are appended, never changed. A change of the chain changes the device
//! set too.
//!
//! # Item `U#{user}` / `CHAIN#{seq}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `j` | B | | the node as JSON, without its context |

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use eko_protocol::address::UserName;
use eko_protocol::chain::{ChainNode, DeviceSetChange};
use eko_protocol::id::DeviceId;

use crate::attribute::{Item, ReadItem, WriteItem, b, corrupt, n, s, ss};
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::devices::{self, OfUser, UserDevices};
use crate::items::{Projection, SortKeys};
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, key};

/// The name of the attribute that holds a node.
pub(crate) const NODE: &str = "j";

/// The outcome of [`Store::append`] and of [`Store::turn_away`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The device set changed, and a node is stored.
    Done,
    /// The chain has grown since it was read, or the device does not have the status that the
    /// change needs. Nothing is stored.
    Lost,
}

/// Builds the item of a verified node.
pub(crate) fn node_item(user: &UserName, node: &ChainNode) -> Item {
    let mut item = key::chain_node(user, node.seq()).item();
    item.set(NODE, b(node.to_stored()));
    item
}

impl Store {
    /// Reads the whole chain, strongly consistent, oldest node first.
    ///
    /// One Query for each megabyte: 1 read unit for each 4 KB. It reads the device set too, which sorts
    /// right after the chain and says whether the account was deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if a call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if a node is not readable.
    pub async fn chain(&self, user: &UserName) -> Result<OfUser<Vec<ChainNode>>> {
        let range = SortKeys::Between(key::CHAIN_PREFIX, key::DEVICES);
        let mut items = self.query_all(&key::user_partition(user), range, Projection::Whole).await?;
        let set = items.pop_if(|item| key::devices(user).is_of(item));
        devices::set_item(set.as_ref()).read(|_| {
            items.iter().map(|item| ChainNode::from_stored(item.need_b(NODE)?).map_err(corrupt)).collect()
        })
    }

    /// Appends a verified node and changes the device set and the device's record with it, on
    /// condition that the chain's head is still the one of `seen`. Of two appends that race on a
    /// head one wins. An approval is counted in [`UserDevices::additions`]; the caller has looked
    /// whether they are used up.
    ///
    /// One transaction of three writes: twice the write units of node, device set and device
    /// record. A `Move` changes no device record, and has two writes. If its answer is lost for good, the node may be stored: a repetition then returns
    /// [`AppendOutcome::Lost`], and the chain shows the node.
    ///
    /// A revoked device's keys and mailbox stay until [`Store::erase_some`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn append(
        &self,
        user: &UserName,
        seen: &UserDevices,
        node: &ChainNode,
        change: &DeviceSetChange,
        now_ms: i64,
    ) -> Result<AppendOutcome> {
        let put = self.put_new(node_item(user, node))?;
        let writes = match change {
            DeviceSetChange::Approve { device, registration_id } => {
                // The number of additions changes with the chain only, so it is the one that was seen.
                let additions = seen.additions.plus_one(now_ms);
                let set = self.update(&key::devices(user), |update| {
                    let update = name_head(update, seen, node)
                        .condition_expression(HEAD_AS_SEEN)
                        .update_expression(
                            "SET #len = :len, #head = :head, #at = :at, #ad = :ad, #an = :an, #a.#device = :registration \
                             DELETE #p :pending",
                        )
                        .expression_attribute_names("#ad", devices::attr::ADDITIONS_DAY)
                        .expression_attribute_names("#an", devices::attr::ADDITIONS)
                        .expression_attribute_values(":ad", n(additions.day))
                        .expression_attribute_values(":an", n(additions.count))
                        .expression_attribute_names("#p", devices::attr::PENDING)
                        .expression_attribute_values(":pending", ss([device]))
                        .expression_attribute_values(":registration", n(registration_id.get()));
                    name_active_device(update, device)
                })?;
                let record = self.update(&key::device(DeviceAddress::new(user, device)), |update| {
                    update
                        .update_expression("SET #st = :active")
                        .condition_expression("#st = :pending")
                        .expression_attribute_names("#st", device::attr::STATUS)
                        .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
                        .expression_attribute_values(":pending", s(DeviceStatus::Pending.code()))
                })?;
                vec![put, set, record]
            }
            DeviceSetChange::Revoke { device } => {
                let set = self.update(&key::devices(user), |update| {
                    name_active_device(name_head(update, seen, node), device)
                        .condition_expression(HEAD_AS_SEEN)
                        .update_expression(
                            "SET #len = :len, #head = :head, #at = :at REMOVE #a.#device, #f.#device",
                        )
                        .expression_attribute_names("#f", devices::attr::FULL)
                })?;
                vec![put, set, self.tombstone(DeviceAddress::new(user, device))?]
            }
            DeviceSetChange::Move(target) => {
                let set = self.update(&key::devices(user), |update| {
                    name_head(update, seen, node)
                        .condition_expression(HEAD_AS_SEEN)
                        .update_expression("SET #len = :len, #head = :head, #at = :at, #mt = :mt")
                        .expression_attribute_names("#mt", devices::attr::MOVED_TO)
                        .expression_attribute_values(":mt", s(&target.actor))
                })?;
                vec![put, set]
            }
        };
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => AppendOutcome::Done,
            TransactionOutcome::Refused { .. } => AppendOutcome::Lost,
        })
    }

    /// Turns a pending device away and revokes its id, on condition that the chain's head is still
    /// the one of `seen`. Returns [`AppendOutcome::Lost`] if the chain has grown or the device was
    /// not pending, or no longer.
    ///
    /// One transaction of two writes: twice the write units of device set and device record. If its
    /// answer is lost for good, a repetition may be lost because of the first call.
    ///
    /// The device's keys and mailbox stay until [`Store::erase_some`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn turn_away(&self, address: DeviceAddress<'_>, seen: &UserDevices) -> Result<AppendOutcome> {
        let set = self.update(&key::devices(address.user), |update| {
            update
                .update_expression("DELETE #p :devices")
                .condition_expression(format!("{HEAD_AS_SEEN} AND contains(#p, :device)"))
                .expression_attribute_names("#len", devices::attr::LENGTH)
                .expression_attribute_names("#head", devices::attr::HEAD)
                .expression_attribute_names("#p", devices::attr::PENDING)
                .expression_attribute_values(":seenlen", n(seen.set.length))
                .expression_attribute_values(":seenhead", s(&seen.set.head))
                .expression_attribute_values(":devices", ss([address.device]))
                .expression_attribute_values(":device", s(address.device.as_str()))
        })?;
        Ok(match self.transact(vec![set, self.tombstone(address)?]).await? {
            TransactionOutcome::Done => AppendOutcome::Done,
            TransactionOutcome::Refused { .. } => AppendOutcome::Lost,
        })
    }

    /// Builds the write that leaves of a device record only the status [`DeviceStatus::Revoked`].
    ///
    /// The transaction that takes the device out of the set contains it, so that from then on no
    /// fetch, no take and no refresh finds the device.
    pub(crate) fn tombstone(&self, address: DeviceAddress<'_>) -> Result<TransactWriteItem> {
        let mut item = key::device(address).item();
        item.set(device::attr::STATUS, s(DeviceStatus::Revoked.code()));
        self.put(item)
    }
}

/// The condition, in an update of the device set, that the chain is as it was seen. For an append
/// its names and values come from [`name_head`].
pub(crate) const HEAD_AS_SEEN: &str = "#len = :seenlen AND #head = :seenhead";

/// Adds the names and values of the seen and the new `len` and `head`, and of the new `at`, to an
/// update of the device set.
pub(crate) fn name_head(update: UpdateBuilder, seen: &UserDevices, node: &ChainNode) -> UpdateBuilder {
    let new = node.device_set();
    update
        .expression_attribute_names("#len", devices::attr::LENGTH)
        .expression_attribute_names("#head", devices::attr::HEAD)
        .expression_attribute_values(":seenlen", n(seen.set.length))
        .expression_attribute_values(":seenhead", s(&seen.set.head))
        .expression_attribute_values(":len", n(new.length))
        .expression_attribute_values(":head", s(&new.head))
        .expression_attribute_names("#at", devices::attr::PUBLISHED)
        .expression_attribute_values(":at", n(node.published_ms()))
}

/// Adds the names for the path `#a.#device` to an update of the device set.
fn name_active_device(update: UpdateBuilder, device: &DeviceId) -> UpdateBuilder {
    update
        .expression_attribute_names("#a", devices::attr::ACTIVE)
        .expression_attribute_names("#device", device.as_str())
}
