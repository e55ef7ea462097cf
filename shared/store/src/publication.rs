//! Publishing keys: replacing the signed prekey and the last-resort key, and filling the pools.

mod plan;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use eko_protocol::Invalid;
use eko_protocol::key_package::{KyberPreKey, OneTimePreKey, PublishedKeys};

use crate::attribute::{Item, WriteItem, n, s};
use crate::device::{self, DeviceAddress, DeviceRecord, DeviceStatus};
use crate::device_keys::{LastingKeys, replaceable};
use crate::key::EXISTS;
use crate::one_time_keys::block::{KeyBlock, OneTimeKey};
use crate::one_time_keys::{HOUR_MS, counter_hour};
use crate::{Result, Store, StoreError, key};
use plan::{PlanOutcome, PoolPlan, may_remove};

/// The most one-time keys of a kind that a device may have in its pool.
pub const POOL_KEYS: u64 = 400;
/// The most times that a publication is planned anew because the pools have changed.
const TRIES: u32 = 6;

/// The outcome of [`Store::publish_keys`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicationOutcome {
    /// All keys are stored, now or before.
    Done {
        /// The number of one-time prekeys that the pool holds now.
        pre_keys: u64,
        /// The number of one-time Kyber prekeys that the pool holds now.
        kyber_pre_keys: u64,
    },
    /// The keys break a rule; nothing is stored. The pointer is relative to the published object.
    Refused(Invalid),
    /// The device waits for approval; nothing is stored.
    DevicePending,
    /// The device is revoked or unknown; nothing is stored.
    DeviceRevoked,
}

/// The plans of a publication for both pools.
struct PublicationPlan {
    pre_keys: PoolPlan<OneTimePreKey>,
    kyber_pre_keys: PoolPlan<KyberPreKey>,
}

impl Store {
    /// Stores keys that were verified with [`PublishedKeys::validate`], all or none.
    ///
    /// One BatchGetItem of device record and lasting keys: 2 read units. For each pool one
    /// BatchGetItem if the new keys share a block with earlier ones, and one Query of the pool's
    /// blocks if some keys were published before. Then one transaction: twice the write units of
    /// the device record, of each block that is written or removed, and of the lasting keys if they
    /// are replaced. If takes or another publication change the pools meanwhile, all of it is tried
    /// again. Without any change there is no transaction.
    ///
    /// The verb may be repeated with the same keys: if the answer was lost, the repetition finds
    /// the keys stored and returns [`PublicationOutcome::Done`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if the pools changed 6 times,
    /// or by the reads or the transaction; [`StoreError::Corrupt`] if an item is not readable.
    pub async fn publish_keys(
        &self,
        address: DeviceAddress<'_>,
        keys: &PublishedKeys,
        now_ms: i64,
    ) -> Result<PublicationOutcome> {
        for _ in 0..TRIES {
            let [record_key, lasting_key] = [key::device(address), key::prekeys(address)];
            let found = self.batch_get(vec![record_key.clone(), lasting_key.clone()]).await?;
            let (Some(record), Some(lasting)) = (record_key.find_in(&found), lasting_key.find_in(&found))
            else {
                return Ok(PublicationOutcome::DeviceRevoked);
            };
            match DeviceRecord::from_item(record)?.status {
                DeviceStatus::Active => {}
                DeviceStatus::Pending => return Ok(PublicationOutcome::DevicePending),
                DeviceStatus::Revoked => return Ok(PublicationOutcome::DeviceRevoked),
            }
            if let Some(invalid) = reused_id(&LastingKeys::from_item(lasting)?, keys) {
                return Ok(PublicationOutcome::Refused(invalid));
            }
            let pre_keys = self.plan(address, record, &keys.pre_keys, now_ms).await?;
            let kyber_pre_keys = self.plan(address, record, &keys.kyber_pre_keys, now_ms).await?;
            let plan = match (pre_keys, kyber_pre_keys) {
                (PlanOutcome::Planned(pre_keys), PlanOutcome::Planned(kyber_pre_keys)) => {
                    PublicationPlan { pre_keys, kyber_pre_keys }
                }
                (PlanOutcome::Refused(invalid), _) => {
                    return Ok(PublicationOutcome::Refused(invalid.under("/preKeys")));
                }
                (_, PlanOutcome::Refused(invalid)) => {
                    return Ok(PublicationOutcome::Refused(invalid.under("/kyberPreKeys")));
                }
            };
            let writes = self.publication_writes(address, record, keys, &plan, now_ms)?;
            if writes.is_empty() || self.transact(writes).await?.is_done() {
                return Ok(PublicationOutcome::Done {
                    pre_keys: plan.pre_keys.pool.left(),
                    kyber_pre_keys: plan.kyber_pre_keys.pool.left(),
                });
            }
        }
        Err(StoreError::GaveUp {
            operation: "TransactWriteItems",
            detail: "the pool keeps moving".to_owned(),
        })
    }

    fn publication_writes(
        &self,
        address: DeviceAddress<'_>,
        record: &Item,
        keys: &PublishedKeys,
        plan: &PublicationPlan,
        now_ms: i64,
    ) -> Result<Vec<TransactWriteItem>> {
        let mut writes = Vec::new();
        if plan.pre_keys.added > 0 || plan.kyber_pre_keys.added > 0 {
            writes.push(self.move_tails(address, record, plan, now_ms)?);
        }
        writes.extend(self.block_writes(address, &plan.pre_keys)?);
        writes.extend(self.block_writes(address, &plan.kyber_pre_keys)?);
        let replaced: Vec<(&str, AttributeValue)> =
            replaceable(keys.signed_pre_key.as_ref(), keys.last_resort.as_ref()).collect();
        if !replaced.is_empty() {
            writes.push(self.update(&key::prekeys(address), |update| {
                let sets: Vec<String> =
                    replaced.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
                let update =
                    update.update_expression(format!("SET {}", sets.join(", "))).condition_expression(EXISTS);
                replaced.into_iter().fold(update, |update, (name, value)| {
                    update
                        .expression_attribute_names(format!("#{name}"), name)
                        .expression_attribute_values(format!(":{name}"), value)
                })
            })?);
        }
        Ok(writes)
    }

    /// Builds the writes of the new blocks of a pool and the removals of its spent ones.
    fn block_writes<K: OneTimeKey>(
        &self,
        address: DeviceAddress<'_>,
        plan: &PoolPlan<K>,
    ) -> Result<Vec<TransactWriteItem>> {
        let put = plan.blocks.iter().map(|block| self.put(block.item(address)));
        let remove = plan.removed.iter().map(|number| self.remove(&K::block_key(address, *number)));
        put.chain(remove).collect()
    }

    /// Builds the update of the device record: it moves the tails, notes the spent blocks and
    /// removes the counters of past hours, on condition that both plans are still right.
    fn move_tails(
        &self,
        address: DeviceAddress<'_>,
        record: &Item,
        plan: &PublicationPlan,
        now_ms: i64,
    ) -> Result<TransactWriteItem> {
        let (pre_keys, kyber_pre_keys) = (&plan.pre_keys, &plan.kyber_pre_keys);
        let mut sets = pre_keys.attributes();
        sets.extend(kyber_pre_keys.attributes());
        if may_remove(record, now_ms) {
            sets.push((device::attr::SPENT_NOTED_MS, n(now_ms)));
        }
        let is_past =
            |name: &&String| counter_hour(name).is_some_and(|hour| hour < now_ms.div_euclid(HOUR_MS));
        let counters: Vec<&String> = record.keys().filter(is_past).collect();
        let condition =
            format!("#st = :active AND {} AND {}", pre_keys.condition(), kyber_pre_keys.condition());
        let values = pre_keys.condition_values().into_iter().chain(kyber_pre_keys.condition_values());
        self.update(&key::device(address), |update| {
            let list: Vec<String> = sets.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
            let mut expression = format!("SET {}", list.join(", "));
            let mut update = update;
            for (index, name) in counters.iter().enumerate() {
                expression.push_str(if index == 0 { " REMOVE " } else { ", " });
                expression.push_str(&format!("#c{index}"));
                update = update.expression_attribute_names(format!("#c{index}"), name.as_str());
            }
            for (name, value) in sets {
                update = update
                    .expression_attribute_names(format!("#{name}"), name)
                    .expression_attribute_values(format!(":{name}"), value);
            }
            for head in [OneTimePreKey::POOL.head, KyberPreKey::POOL.head] {
                update = update.expression_attribute_names(format!("#{head}"), head);
            }
            for (name, value) in values {
                update = update.expression_attribute_values(name, value);
            }
            update
                .update_expression(expression)
                .condition_expression(condition)
                .expression_attribute_names("#st", device::attr::STATUS)
                .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
                .expression_attribute_values(":zero", n(0))
        })
    }
}

/// Returns the refusal of a signed prekey or last-resort key that has the id of the current one and
/// other bytes.
fn reused_id(current: &LastingKeys, new: &PublishedKeys) -> Option<Invalid> {
    let signed = new.signed_pre_key.as_ref().filter(|new| new.id == current.signed_pre_key.id);
    if signed.is_some_and(|new| new.key != current.signed_pre_key.key) {
        return Some(Invalid::at("/signedPreKey/id", "this id belongs to another key"));
    }
    let (current, new) = (current.last_resort.as_ref()?, new.last_resort.as_ref()?);
    (new.id == current.id && new.key != current.key)
        .then(|| Invalid::at("/lastResortKyberPreKey/id", "this id belongs to another key"))
}

/// The pools of a new device.
pub(crate) struct FirstPools {
    /// The attributes of both pools in the device record.
    pub(crate) record: Item,
    /// The blocks of both pools.
    pub(crate) blocks: Vec<Item>,
}

impl FirstPools {
    /// Builds the pools of a device that registers with these keys.
    pub(crate) fn new(address: DeviceAddress<'_>, keys: &PublishedKeys) -> Self {
        let mut pools = Self { record: Item::new(), blocks: Vec::new() };
        pools.add(address, &keys.pre_keys);
        pools.add(address, &keys.kyber_pre_keys);
        pools
    }

    fn add<K: OneTimeKey>(&mut self, address: DeviceAddress<'_>, keys: &[K]) {
        self.record.set(K::POOL.head, n(0));
        self.record.set(K::POOL.tail, n(u64::try_from(keys.len()).unwrap_or(u64::MAX)));
        if let Some(id) = keys.iter().map(|key| key.id().get()).max() {
            self.record.set(K::POOL.max_id, n(id));
        }
        self.blocks.extend(KeyBlock::divide(0, keys, None).iter().map(|block| block.item(address)));
    }
}
