//! The device chain: append-only nodes, `U#{user}` / `CHAIN#{seq}`; `j` holds the node as canonical JSON.

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::address::UserName;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_protocol::key::RegistrationId;

use crate::attribute::{Item, ReadItem, b, n, s};
use crate::device::{DeviceAddress, DeviceStatus};
use crate::devices::UserDevices;
use crate::items::BATCH_WRITES;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, key};

/// A verified node, ready to be stored.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// Its place in the chain.
    pub seq: u64,
    /// SHA-256 of its canonical form, lower-case hex: the chain's head once it is stored.
    pub hash: String,
    /// Its canonical form.
    pub canonical: Vec<u8>,
}

/// What a node does to the device set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceSetChange {
    /// A pending device becomes active.
    Approve {
        /// The device.
        device: DeviceId,
        /// Its registration id.
        registration_id: RegistrationId,
    },
    /// An active device leaves for ever.
    Revoke {
        /// The device.
        device: DeviceId,
    },
}

/// How an append ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The node is stored, the set changed.
    Done,
    /// The chain has grown, or the device has not the status that the change needs: read again.
    Lost,
}

impl NewNode {
    pub(crate) fn item(&self, user: &UserName) -> Item {
        let mut item = key::chain_node(user, self.seq).item();
        item.insert("j".to_owned(), b(self.canonical.clone()));
        item
    }

    /// The set once the node is stored.
    pub fn set(&self) -> DeviceSetRef {
        DeviceSetRef { length: self.seq.saturating_add(1), head: self.hash.clone() }
    }
}

impl Store {
    /// The whole chain, oldest first, as canonical JSON; empty where there is no such user. One Query a
    /// megabyte, strongly consistent.
    pub async fn chain(&self, user: &UserName) -> Result<Vec<Vec<u8>>> {
        let items = self.query_all(&key::user_partition(user), key::CHAIN_PREFIX, false).await?;
        items.iter().map(|item| Ok(item.need_b("j")?.to_vec())).collect()
    }

    /// Appends a verified node and changes the set with it, on condition that the chain's head is still
    /// `seen`: one transaction of three writes. Of two that race on a head one wins.
    pub async fn append(
        &self,
        user: &UserName,
        seen: &UserDevices,
        node: &NewNode,
        change: &DeviceSetChange,
    ) -> Result<AppendOutcome> {
        let put = self.put_new(node.item(user))?;
        let writes = match change {
            DeviceSetChange::Approve { device, registration_id } => {
                let set = self.update(&key::devices(user), |update| {
                    let update = move_head(update, seen, node)
                        .update_expression(
                            "SET #len = :len, #head = :head, #a.#device = :registration DELETE #p :pending",
                        )
                        .expression_attribute_names("#p", "p")
                        .expression_attribute_values(":pending", crate::attribute::ss([device]))
                        .expression_attribute_values(":registration", n(registration_id.get()));
                    with_device(update, device)
                })?;
                let own = self.update(&key::device(DeviceAddress::new(user, device)), |update| {
                    update
                        .update_expression("SET #st = :active")
                        .condition_expression("#st = :pending")
                        .expression_attribute_names("#st", "st")
                        .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
                        .expression_attribute_values(":pending", s(DeviceStatus::Pending.code()))
                })?;
                vec![put, set, own]
            }
            DeviceSetChange::Revoke { device } => {
                let set = self.update(&key::devices(user), |update| {
                    with_device(move_head(update, seen, node), device)
                        .update_expression("SET #len = :len, #head = :head REMOVE #a.#device")
                })?;
                vec![put, set, self.tombstone(DeviceAddress::new(user, device))?]
            }
        };
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => AppendOutcome::Done,
            TransactionOutcome::Refused { .. } => AppendOutcome::Lost,
        })
    }

    /// Turns a pending device away; `false` where it is not pending any more. One transaction of two writes. What
    /// it leaves is for [`Store::erase_device`].
    pub async fn turn_away(&self, address: DeviceAddress<'_>) -> Result<bool> {
        let set = self.update(&key::devices(address.user), |update| {
            update
                .update_expression("DELETE #p :devices")
                .condition_expression("contains(#p, :device)")
                .expression_attribute_names("#p", "p")
                .expression_attribute_values(":devices", crate::attribute::ss([address.device]))
                .expression_attribute_values(":device", s(address.device.as_str()))
        })?;
        Ok(matches!(self.transact(vec![set, self.tombstone(address)?]).await?, TransactionOutcome::Done))
    }

    /// Leaves of a device's record only that its id was used. The same transaction that takes it out of the
    /// set writes this, so that from then on no fetch, no take and no refresh finds the device.
    pub(crate) fn tombstone(&self, address: DeviceAddress<'_>) -> Result<TransactWriteItem> {
        let mut item = key::device(address).item();
        item.insert("st".to_owned(), s(DeviceStatus::Revoked.code()));
        self.put(item)
    }

    /// Deletes what is left of a revoked device: its keys and its mailbox. A Query a megabyte and a
    /// BatchWriteItem for each 25 items. May be run again.
    pub async fn erase_device(&self, address: DeviceAddress<'_>) -> Result<()> {
        let items = self.query_all(&key::device_partition(address), "", true).await?;
        let doomed: Vec<Item> =
            items.into_iter().filter(|item| item.get_s("sk") != Some(key::DEVICE)).collect();
        for batch in doomed.chunks(BATCH_WRITES) {
            self.batch_delete(batch.to_vec()).await?;
        }
        Ok(())
    }
}

type Update = aws_sdk_dynamodb::types::builders::UpdateBuilder;

fn move_head(update: Update, seen: &UserDevices, node: &NewNode) -> Update {
    update
        .condition_expression("#len = :seenlen AND #head = :seenhead")
        .expression_attribute_names("#len", "len")
        .expression_attribute_names("#head", "head")
        .expression_attribute_values(":seenlen", n(seen.set.length))
        .expression_attribute_values(":seenhead", s(&seen.set.head))
        .expression_attribute_values(":len", n(node.set().length))
        .expression_attribute_values(":head", s(&node.hash))
}

fn with_device(update: Update, device: &DeviceId) -> Update {
    update.expression_attribute_names("#a", "a").expression_attribute_names("#device", device.as_str())
}
