//! Publishing keys: replacing the signed prekey and the last-resort key, and filling the pools.

mod lasting;
mod plan;

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::Invalid;
use eko_protocol::key_package::{KyberPreKey, OneTimePreKey, Publication, PublicationKind, PublishedKeys};

use crate::attribute::{Item, ReadItem, WriteItem, n, s};
use crate::device::{self, DeviceAddress, DeviceRecord, DeviceStatus};
use crate::one_time_keys::block::{KeyBlock, OneTimeKey};
use crate::one_time_keys::{HOUR_MS, counter_hour};
use crate::{Result, Store, StoreError, key};
use lasting::LastingPlan;
use plan::{PlanOutcome, PoolPlan, may_remove};

/// The most one-time keys of a kind that a device may have in its pool.
pub const POOL_KEYS: u64 = 400;
/// The time that has to pass between two replacements of all keys of a device, by the times that
/// they state, in milliseconds.
pub const REPLACEMENT_PAUSE_MS: i64 = HOUR_MS;
/// The most writes of one transaction.
const TRANSACTION_WRITES: usize = 100;
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
    /// The publication breaks a rule; nothing is stored. The pointer is relative to the activity.
    Refused(Invalid),
    /// A replacement comes less than [`REPLACEMENT_PAUSE_MS`] after another one, or within the
    /// minute after a publication; nothing is stored.
    ReplacedTooSoon,
    /// The device waits for approval; nothing is stored.
    DevicePending,
    /// The device is revoked or unknown; nothing is stored.
    DeviceRevoked,
    /// The account of the device was deleted.
    AccountDeleted,
}

/// The plans of a publication for both pools and for the lasting keys.
struct PublicationPlan {
    kind: PublicationKind,
    /// The time that the publication states, in epoch milliseconds.
    published_ms: i64,
    pre_keys: PoolPlan<OneTimePreKey>,
    kyber_pre_keys: PoolPlan<KyberPreKey>,
    lasting: LastingPlan,
}

impl PublicationPlan {
    /// True if the publication writes the device record.
    fn moves_pools(&self) -> bool {
        self.kind == PublicationKind::Replacement || self.pre_keys.added > 0 || self.kyber_pre_keys.added > 0
    }
}

impl Store {
    /// Stores the keys of a publication that was verified with [`Publication::verify`], all or
    /// none.
    ///
    /// One BatchGetItem of device record and lasting keys: 2 read units. For each pool one
    /// BatchGetItem if the new keys share a block with earlier ones, and one Query of the pool's
    /// blocks if some keys were published before. Then one transaction: twice the write units of
    /// the device record, of each block that is written or removed, and of the lasting keys if they
    /// change. If takes or another publication change the pools meanwhile, all of it is tried
    /// again. Without any change there is no transaction.
    ///
    /// Spent blocks are removed with the next publication. If there are more than 15 of a kind, one
    /// more transaction for each 100 of the further ones comes first.
    ///
    /// A replacement gives the new keys places after all former ones, so that it needs no more
    /// calls than an addition and the former blocks are spent.
    ///
    /// The verb may be repeated with the same publication: if the answer was lost, the repetition
    /// finds the keys stored and returns [`PublicationOutcome::Done`]. A publication that is older
    /// than the last replacement is refused, and so is one whose signed keys are older than the
    /// stored ones: a captured publication brings nothing back.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if the pools changed 6 times,
    /// or by the reads or the transaction; [`StoreError::Corrupt`] if an item is not readable.
    pub async fn publish_keys(
        &self,
        address: DeviceAddress<'_>,
        publication: &Publication,
        now_ms: i64,
    ) -> Result<PublicationOutcome> {
        let keys = &publication.keys;
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
                DeviceStatus::Deleted => return Ok(PublicationOutcome::AccountDeleted),
            }
            let kind = match kind_now(record, publication, now_ms) {
                Ok(kind) => kind,
                Err(outcome) => return Ok(outcome),
            };
            let lasting = match LastingPlan::new(lasting, publication, kind)? {
                Ok(plan) => plan,
                Err(invalid) => return Ok(PublicationOutcome::Refused(invalid)),
            };
            let pre_keys = self.plan(address, record, &keys.pre_keys, kind, now_ms).await?;
            let kyber_pre_keys = self.plan(address, record, &keys.kyber_pre_keys, kind, now_ms).await?;
            let published_ms = publication.published_ms;
            let plan = match (pre_keys, kyber_pre_keys) {
                (PlanOutcome::Planned(pre_keys), PlanOutcome::Planned(kyber_pre_keys)) => {
                    PublicationPlan { kind, published_ms, pre_keys, kyber_pre_keys, lasting }
                }
                (PlanOutcome::Refused(invalid), _) => {
                    return Ok(PublicationOutcome::Refused(invalid.under("/object/preKeys")));
                }
                (_, PlanOutcome::Refused(invalid)) => {
                    return Ok(PublicationOutcome::Refused(invalid.under("/object/kyberPreKeys")));
                }
            };
            self.remove_spent(address, &plan).await?;
            let writes = self.publication_writes(address, record, &plan, now_ms)?;
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

    /// Removes the spent blocks that do not fit the transaction of the publication. Nobody reads
    /// them any more, whether the publication happens or not.
    async fn remove_spent(&self, address: DeviceAddress<'_>, plan: &PublicationPlan) -> Result<()> {
        let pre_keys = plan.pre_keys.removed_before.iter().map(|n| OneTimePreKey::block_key(address, *n));
        let kyber = plan.kyber_pre_keys.removed_before.iter().map(|n| KyberPreKey::block_key(address, *n));
        let blocks: Vec<key::ItemKey> = pre_keys.chain(kyber).collect();
        for some in blocks.chunks(TRANSACTION_WRITES) {
            let writes = some.iter().map(|block| self.remove(block)).collect::<Result<Vec<_>>>()?;
            self.transact(writes).await?;
        }
        Ok(())
    }

    fn publication_writes(
        &self,
        address: DeviceAddress<'_>,
        record: &Item,
        plan: &PublicationPlan,
        now_ms: i64,
    ) -> Result<Vec<TransactWriteItem>> {
        let mut writes = Vec::new();
        if plan.moves_pools() {
            writes.push(self.move_tails(address, record, plan, now_ms)?);
        }
        writes.extend(self.block_writes(address, &plan.pre_keys)?);
        writes.extend(self.block_writes(address, &plan.kyber_pre_keys)?);
        writes.extend(self.lasting_write(address, &plan.lasting, plan.published_ms)?);
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
    /// removes the counters of past hours, on condition that both plans are still right and that
    /// the keys were not replaced meanwhile.
    fn move_tails(
        &self,
        address: DeviceAddress<'_>,
        record: &Item,
        plan: &PublicationPlan,
        now_ms: i64,
    ) -> Result<TransactWriteItem> {
        let (pre_keys, kyber_pre_keys) = (&plan.pre_keys, &plan.kyber_pre_keys);
        let is_replacement = plan.kind == PublicationKind::Replacement;
        let mut sets = pre_keys.attributes();
        sets.extend(kyber_pre_keys.attributes());
        if may_remove(record, now_ms) {
            sets.push((device::attr::SPENT_NOTED_MS, n(now_ms)));
        }
        let is_past = |name: &&str| counter_hour(name).is_some_and(|hour| hour < now_ms.div_euclid(HOUR_MS));
        let mut removed: Vec<&str> = record.keys().map(String::as_str).filter(is_past).collect();
        if is_replacement {
            let pools = [
                (OneTimePreKey::POOL.max_id, pre_keys.pool.max_id),
                (KyberPreKey::POOL.max_id, kyber_pre_keys.pool.max_id),
            ];
            removed.extend(pools.into_iter().filter(|(_, id)| id.is_none()).map(|(name, _)| name));
        }
        let replaced_ms = record.get_n(device::attr::REPLACED_MS);
        let as_seen = if replaced_ms.is_some() { "#rp = :seenrp" } else { "attribute_not_exists(#rp)" };
        let condition = format!(
            "#st = :active AND {as_seen} AND {} AND {}",
            pre_keys.condition(),
            kyber_pre_keys.condition()
        );
        let values = pre_keys.condition_values().into_iter().chain(kyber_pre_keys.condition_values());
        self.update(&key::device(address), |update| {
            let mut list: Vec<String> = sets.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
            let mut update = update;
            if is_replacement {
                list.push("#rp = :rp".to_owned());
                update = update.expression_attribute_values(":rp", n(plan.published_ms));
            }
            if let Some(replaced_ms) = replaced_ms {
                update = update.expression_attribute_values(":seenrp", n(replaced_ms));
            }
            let mut expression = format!("SET {}", list.join(", "));
            for (index, name) in removed.iter().enumerate() {
                expression.push_str(if index == 0 { " REMOVE " } else { ", " });
                expression.push_str(&format!("#c{index}"));
                update = update.expression_attribute_names(format!("#c{index}"), *name);
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
                .expression_attribute_names("#rp", device::attr::REPLACED_MS)
                .expression_attribute_names("#st", device::attr::STATUS)
                .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
                .expression_attribute_values(":zero", n(0))
        })
    }
}

/// Returns the kind that a publication has for the device with this record, by the time that the
/// publication states.
///
/// The repetition of the last replacement is an addition that adds nothing, because its keys are
/// stored.
///
/// # Errors
/// The outcome of a publication that is older than the last replacement, or that replaces keys too
/// soon after it or after a publication. The blocks of the replaced pools may only be noted as
/// spent if those that were noted before may be removed.
fn kind_now(
    record: &Item,
    publication: &Publication,
    now_ms: i64,
) -> std::result::Result<PublicationKind, PublicationOutcome> {
    let (kind, published_ms) = (publication.kind, publication.published_ms);
    let replaced_ms = record.get_n(device::attr::REPLACED_MS);
    if replaced_ms.is_some_and(|replaced_ms| published_ms < replaced_ms) {
        let detail = "is before the time of the publication that last replaced all keys";
        return Err(PublicationOutcome::Refused(Invalid::at("/published", detail)));
    }
    if kind == PublicationKind::Addition || replaced_ms == Some(published_ms) {
        return Ok(PublicationKind::Addition);
    }
    let is_soon = |replaced_ms: i64| published_ms.saturating_sub(replaced_ms) < REPLACEMENT_PAUSE_MS;
    if replaced_ms.is_some_and(is_soon) || !may_remove(record, now_ms) {
        return Err(PublicationOutcome::ReplacedTooSoon);
    }
    Ok(PublicationKind::Replacement)
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
