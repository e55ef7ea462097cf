//! Publishing keys: rotating the signed and last-resort ones, filling the pools.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use eko_protocol::Invalid;
use eko_protocol::key_package::{KyberPreKey, OneTimePreKey, PublishedKeys};

use crate::attribute::{Item, ReadItem, n, s};
use crate::device::{DeviceAddress, DeviceRecord, DeviceStatus, KeyPool};
use crate::device_keys::{DeviceKeys, replaceable};
use crate::one_time_keys::{HOUR_MS, KeyBlock, OneTimeKey, counter_hour};
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, StoreError, key};

/// One-time keys of a kind that a device may keep here at once.
pub const POOL_KEYS: u64 = 400;
/// Spent blocks of a kind that one publication clears away at most, so that it fits one transaction.
const CLEARED_BLOCKS: u64 = 15;
/// How long blocks stay after they were seen to be spent: a take owns its place before it reads the key there,
/// and no request lasts longer than API Gateway's 30 seconds.
const GRACE_MS: i64 = 60_000;

/// How a publication ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicationOutcome {
    /// All of it is stored, or was before. What the pools hold now.
    Done {
        /// One-time prekeys left.
        pre_keys: u64,
        /// One-time Kyber keys left.
        kyber_pre_keys: u64,
    },
    /// Against a rule; nothing is stored.
    Refused(Invalid),
    /// The device is not active.
    NotActive(DeviceStatus),
}

/// What a publication does to one pool.
struct PoolPlan<K> {
    pool: KeyPool,
    start: u64,
    /// Whether the head was beyond the tail, and has to be moved to the start.
    ran_past: bool,
    blocks: Vec<KeyBlock<K>>,
    added: u64,
    cleared: Vec<u64>,
    kept: KeptBlocks,
}

/// Which blocks of a pool are still there.
#[derive(Clone, Copy, Debug, Default)]
struct KeptBlocks {
    /// The first of them.
    first: u64,
    /// The first that was not spent when that was last noted.
    unspent: u64,
}

impl KeptBlocks {
    fn read(own: &Item, first: &str, unspent: &str) -> Self {
        let number = |name: &str| own.get_n(name).unwrap_or_default().unsigned_abs();
        Self { first: number(first), unspent: number(unspent) }
    }

    /// Notes which blocks are spent now, and clears those that were when it was last noted.
    fn advance(self, unspent: u64) -> (Self, Vec<u64>) {
        let first = self.unspent.min(self.first.saturating_add(CLEARED_BLOCKS)).max(self.first);
        (Self { first, unspent }, (self.first..first).collect())
    }
}

/// When the spent blocks were last noted, if that is long enough ago to note them anew.
fn settled(own: &Item, now_ms: i64) -> bool {
    own.get_n("nt").is_none_or(|noted_ms| now_ms.saturating_sub(noted_ms) >= GRACE_MS)
}

impl Store {
    /// Stores keys that have been verified with [`PublishedKeys::validate`], all or none: one BatchGetItem, a
    /// GetItem or Query where a block is shared with earlier keys or an id comes again, one transaction.
    pub async fn publish_keys(
        &self,
        address: DeviceAddress<'_>,
        keys: &PublishedKeys,
        now_ms: i64,
    ) -> Result<PublicationOutcome> {
        for _ in 0..6 {
            let found = self.batch_get(vec![key::device(address), key::prekeys(address)]).await?;
            let find = |sk: &str| found.iter().find(|item| item.get_s("sk") == Some(sk));
            let Some(own) = find(key::DEVICE) else {
                return Ok(PublicationOutcome::NotActive(DeviceStatus::Revoked));
            };
            let record = DeviceRecord::from_item(own)?;
            if record.status != DeviceStatus::Active {
                return Ok(PublicationOutcome::NotActive(record.status));
            }
            let Some(kept) = find("PREKEYS") else {
                return Ok(PublicationOutcome::NotActive(DeviceStatus::Revoked));
            };
            if let Some(invalid) = reused_id(&DeviceKeys::from_item(kept)?, keys) {
                return Ok(PublicationOutcome::Refused(invalid));
            }
            let settled = settled(own, now_ms);
            let kept = (KeptBlocks::read(own, "of", "ob"), settled);
            let pre_keys = self.plan(address, record.pre_keys, kept, &keys.pre_keys).await?;
            let kept = (KeptBlocks::read(own, "kf", "kb"), settled);
            let kyber = self.plan(address, record.kyber_pre_keys, kept, &keys.kyber_pre_keys).await?;
            let (pre_keys, kyber) = match (pre_keys, kyber) {
                (Ok(pre_keys), Ok(kyber)) => (pre_keys, kyber),
                (Err(invalid), _) => return Ok(PublicationOutcome::Refused(invalid.under("/preKeys"))),
                (_, Err(invalid)) => return Ok(PublicationOutcome::Refused(invalid.under("/kyberPreKeys"))),
            };
            let done = PublicationOutcome::Done { pre_keys: pre_keys.left(), kyber_pre_keys: kyber.left() };
            let writes = self.publication(address, own, keys, (&pre_keys, &kyber), now_ms)?;
            if writes.is_empty() {
                return Ok(done);
            }
            if matches!(self.transact(writes).await?, TransactionOutcome::Done) {
                return Ok(done);
            }
            // Takes overtook the pool, or another publication came first: look again.
        }
        Err(StoreError::GaveUp {
            operation: "TransactWriteItems",
            detail: "the pool keeps moving".to_owned(),
        })
    }

    async fn plan<K: OneTimeKey + PartialEq>(
        &self,
        address: DeviceAddress<'_>,
        pool: KeyPool,
        (kept, settled): (KeptBlocks, bool),
        keys: &[K],
    ) -> Result<std::result::Result<PoolPlan<K>, Invalid>> {
        let known = |key: &K| pool.max_id.is_some_and(|max| key.id().get() <= max);
        let fresh: Vec<K> = keys.iter().filter(|key| !known(key)).cloned().collect();
        if fresh.len() < keys.len() {
            let stored = self.stored_keys::<K>(address).await?;
            let differs = |key: &K| known(key) && stored.get(&key.id().get()) != Some(key);
            if let Some(index) = keys.iter().position(differs) {
                let detail =
                    "this id was published before with other bytes, or is below one that was: ids grow";
                return Ok(Err(Invalid::at(format!("/{index}/id"), detail)));
            }
        }
        let added = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        if pool.left().saturating_add(added) > POOL_KEYS {
            return Ok(Err(Invalid::whole(format!("the pool would hold more than {POOL_KEYS} keys"))));
        }
        // A head that ran past an empty pool goes on in a block of its own: in the one before it takes may
        // still be reading.
        let ran_past = pool.head > pool.tail;
        let start = if ran_past { pool.head.checked_next_multiple_of(K::BLOCK) } else { Some(pool.tail) }
            .unwrap_or(pool.head);
        let shared = !ran_past && start.checked_rem(K::BLOCK).unwrap_or(0) > 0 && !fresh.is_empty();
        let number = start.checked_div(K::BLOCK).unwrap_or(0);
        let last = if shared { self.block::<K>(address, number).await? } else { None };
        let spent = pool.head.min(pool.tail).checked_div(K::BLOCK).unwrap_or(0);
        // A publication that repeats the last one may still have to be compared with what it stored.
        let (kept, cleared) = if added > 0 && settled { kept.advance(spent) } else { (kept, Vec::new()) };
        let highest = fresh.iter().map(|key| key.id().get()).max();
        let pool = if added == 0 {
            pool
        } else {
            let head = if ran_past { start } else { pool.head };
            KeyPool { head, tail: start.saturating_add(added), max_id: highest.or(pool.max_id) }
        };
        Ok(Ok(PoolPlan {
            pool,
            start,
            ran_past,
            blocks: KeyBlock::cut(start, &fresh, last.filter(|_| added > 0)),
            added,
            cleared,
            kept,
        }))
    }

    async fn block<K: OneTimeKey>(
        &self,
        address: DeviceAddress<'_>,
        number: u64,
    ) -> Result<Option<KeyBlock<K>>> {
        let found = self.batch_get(vec![key::one_time_block(address, K::PREFIX, number)]).await?;
        found.first().map(KeyBlock::from_item).transpose()
    }

    async fn stored_keys<K: OneTimeKey>(&self, address: DeviceAddress<'_>) -> Result<BTreeMap<u32, K>> {
        let items = self.query_all(&key::device_partition(address), K::PREFIX, false).await?;
        let mut keys = BTreeMap::new();
        for item in items {
            keys.extend(
                KeyBlock::<K>::from_item(&item)?.keys().iter().map(|key| (key.id().get(), key.clone())),
            );
        }
        Ok(keys)
    }

    fn publication(
        &self,
        address: DeviceAddress<'_>,
        own: &Item,
        keys: &PublishedKeys,
        (pre_keys, kyber): (&PoolPlan<OneTimePreKey>, &PoolPlan<KyberPreKey>),
        now_ms: i64,
    ) -> Result<Vec<TransactWriteItem>> {
        let mut writes = Vec::new();
        if pre_keys.added > 0 || kyber.added > 0 {
            writes.push(self.move_tails(address, own, (pre_keys, kyber), now_ms)?);
        }
        for block in &pre_keys.blocks {
            writes.push(self.put(block.item(address))?);
        }
        for block in &kyber.blocks {
            writes.push(self.put(block.item(address))?);
        }
        for number in &pre_keys.cleared {
            writes.push(self.remove(&key::one_time_block(address, OneTimePreKey::PREFIX, *number))?);
        }
        for number in &kyber.cleared {
            writes.push(self.remove(&key::one_time_block(address, KyberPreKey::PREFIX, *number))?);
        }
        let replaced: Vec<(&str, AttributeValue)> =
            replaceable(keys.signed_pre_key.as_ref(), keys.last_resort.as_ref()).collect();
        if !replaced.is_empty() {
            writes.push(self.update(&key::prekeys(address), |update| {
                let sets: Vec<String> =
                    replaced.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
                let update = update
                    .update_expression(format!("SET {}", sets.join(", ")))
                    .condition_expression("attribute_exists(pk)");
                replaced.into_iter().fold(update, |update, (name, value)| {
                    update
                        .expression_attribute_names(format!("#{name}"), name)
                        .expression_attribute_values(format!(":{name}"), value)
                })
            })?);
        }
        Ok(writes)
    }

    /// Moves the tails, on condition that no other publication moved them and that no take went past the
    /// place where the new keys start.
    fn move_tails(
        &self,
        address: DeviceAddress<'_>,
        own: &Item,
        (pre_keys, kyber): (&PoolPlan<OneTimePreKey>, &PoolPlan<KyberPreKey>),
        now_ms: i64,
    ) -> Result<TransactWriteItem> {
        let old = |name: &str| n(own.get_n(name).unwrap_or_default());
        let mut sets = vec![
            ("ot", n(pre_keys.pool.tail)),
            ("kt", n(kyber.pool.tail)),
            ("of", n(pre_keys.kept.first)),
            ("kf", n(kyber.kept.first)),
            ("ob", n(pre_keys.kept.unspent)),
            ("kb", n(kyber.kept.unspent)),
        ];
        if settled(own, now_ms) {
            sets.push(("nt", n(now_ms)));
        }
        // Forward only, under the condition below: places are never used twice.
        if pre_keys.ran_past && pre_keys.added > 0 {
            sets.push(("oh", n(pre_keys.start)));
        }
        if kyber.ran_past && kyber.added > 0 {
            sets.push(("kh", n(kyber.start)));
        }
        sets.extend(pre_keys.pool.max_id.map(|id| ("om", n(id))));
        sets.extend(kyber.pool.max_id.map(|id| ("km", n(id))));
        let past = |name: &&String| counter_hour(name).is_some_and(|hour| hour < now_ms.div_euclid(HOUR_MS));
        let counters: Vec<&String> = own.keys().filter(past).collect();
        self.update(&key::device(address), |update| {
            let list: Vec<String> = sets.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
            let mut expression = format!("SET {}", list.join(", "));
            let mut update = update;
            for (index, name) in counters.iter().enumerate() {
                expression.push_str(if index == 0 { " REMOVE " } else { ", " });
                expression.push_str(&format!("#c{index}"));
                update = update.expression_attribute_names(format!("#c{index}"), name.as_str());
            }
            let update = sets.into_iter().fold(update, |update, (name, value)| {
                update
                    .expression_attribute_names(format!("#{name}"), name)
                    .expression_attribute_values(format!(":{name}"), value)
            });
            update
                .update_expression(expression)
                .condition_expression(
                    "#st = :active AND #ot = :oldot AND #kt = :oldkt \
                     AND (#oh <= :ostart OR :oadded = :zero) AND (#kh <= :kstart OR :kadded = :zero)",
                )
                .expression_attribute_names("#st", "st")
                .expression_attribute_names("#oh", "oh")
                .expression_attribute_names("#kh", "kh")
                .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
                .expression_attribute_values(":oldot", old("ot"))
                .expression_attribute_values(":oldkt", old("kt"))
                .expression_attribute_values(":ostart", n(pre_keys.start))
                .expression_attribute_values(":kstart", n(kyber.start))
                .expression_attribute_values(":oadded", n(pre_keys.added))
                .expression_attribute_values(":kadded", n(kyber.added))
                .expression_attribute_values(":zero", n(0))
        })
    }
}

impl<K> PoolPlan<K> {
    fn left(&self) -> u64 {
        self.pool.left()
    }
}

/// A signed or last-resort key that comes under the id of the current one with other bytes.
fn reused_id(kept: &DeviceKeys, keys: &PublishedKeys) -> Option<Invalid> {
    let signed = keys.signed_pre_key.as_ref().filter(|new| new.id == kept.signed_pre_key.id);
    if signed.is_some_and(|new| new.key != kept.signed_pre_key.key) {
        return Some(Invalid::at("/signedPreKey/id", "this id belongs to another key"));
    }
    let (last, new) = (kept.last_resort.as_ref()?, keys.last_resort.as_ref()?);
    (new.id == last.id && new.key != last.key)
        .then(|| Invalid::at("/lastResortKyberPreKey/id", "this id belongs to another key"))
}

/// The attributes of a new device's record with its first pools, and the blocks that go with it.
pub(crate) fn first_pools(
    address: DeviceAddress<'_>,
    keys: &PublishedKeys,
) -> (Vec<(&'static str, AttributeValue)>, Vec<Item>) {
    let count = |length: usize| n(u64::try_from(length).unwrap_or(u64::MAX));
    let mut attributes = vec![
        ("oh", n(0)),
        ("ot", count(keys.pre_keys.len())),
        ("kh", n(0)),
        ("kt", count(keys.kyber_pre_keys.len())),
    ];
    attributes.extend(keys.pre_keys.iter().map(|key| key.id.get()).max().map(|id| ("om", n(id))));
    attributes.extend(keys.kyber_pre_keys.iter().map(|key| key.id.get()).max().map(|id| ("km", n(id))));
    let blocks = KeyBlock::cut(0, &keys.pre_keys, None).into_iter().map(|block| block.item(address));
    let kyber = KeyBlock::cut(0, &keys.kyber_pre_keys, None).into_iter().map(|block| block.item(address));
    (attributes, blocks.chain(kyber).collect())
}
