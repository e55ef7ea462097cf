//! The plan of a publication for one pool: where new keys go, and which blocks are removed.
//!
//! A block is spent when the head has passed its last place. It is not removed at once, since a
//! take owns its place before it reads the key there. A publication notes which blocks are spent
//! (`ob`, `kb`, `nt`); a publication that comes at least [`GRACE_MS`] later removes all blocks that
//! were noted. So no device makes the table grow by publishing.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::Invalid;
use eko_protocol::key::KeyId;
use eko_protocol::key_package::{PublicationKind, check_jump};

use super::POOL_KEYS;
use crate::attribute::{Item, ReadItem, corrupt, n};
use crate::device::{self, DeviceAddress, KeyPool, number_or_zero};
use crate::items::{Projection, SortKeys};
use crate::one_time_keys::block::{KeyBlock, OneTimeKey};
use crate::{Result, Store, key};

/// The most spent blocks of a pool that are removed in the transaction of the publication, so that
/// it fits one. Further ones are removed before it.
const REMOVED_BLOCKS: usize = 15;
/// The time that a spent block stays after it was noted, in milliseconds. No request lasts longer
/// than API Gateway's 30 seconds.
const GRACE_MS: i64 = 60_000;

/// The outcome of planning a publication for one pool.
pub(super) enum PlanOutcome<K> {
    /// The keys can be stored in this way.
    Planned(PoolPlan<K>),
    /// The keys break a rule. The pointer is relative to the list of keys.
    Refused(Invalid),
}

/// The effect of a publication on one pool.
pub(super) struct PoolPlan<K> {
    /// The pool after the publication.
    pub(super) pool: KeyPool,
    /// The number of keys that are added.
    pub(super) added: u64,
    /// The blocks that are written.
    pub(super) blocks: Vec<KeyBlock<K>>,
    /// The numbers of the spent blocks that are removed with the publication.
    pub(super) removed: Vec<u64>,
    /// The numbers of the spent blocks that are removed before the publication.
    pub(super) removed_before: Vec<u64>,
    /// The tail before the publication.
    old_tail: u64,
    /// The place of the first new key.
    start: u64,
    /// True if the head moves to `start`: it was beyond the tail, or all keys are replaced.
    moves_head: bool,
    /// True if no take may have passed `start` meanwhile.
    needs_start: bool,
    /// The stored blocks after the publication.
    stored: StoredBlocks,
}

/// The range of a pool's blocks that are stored.
#[derive(Clone, Copy, Debug, Default)]
struct StoredBlocks {
    /// The first block that is stored.
    first: u64,
    /// The first block that was not spent at the last publication that noted the spent blocks.
    unspent: u64,
}

impl StoredBlocks {
    /// Notes that the blocks before `unspent` are spent. Returns also the blocks to remove: those
    /// that were noted as spent the last time.
    fn advance(self, unspent: u64) -> (Self, Vec<u64>) {
        let first = self.unspent.max(self.first);
        (Self { first, unspent }, (self.first..first).collect())
    }
}

/// True if the spent blocks were last noted so long ago that nobody reads them any more.
pub(super) fn may_remove(record: &Item, now_ms: i64) -> bool {
    let noted_ms = record.get_n(device::attr::SPENT_NOTED_MS);
    noted_ms.is_none_or(|noted_ms| now_ms.saturating_sub(noted_ms) >= GRACE_MS)
}

impl Store {
    /// Plans a publication for one pool of the device with this `record`.
    ///
    /// One BatchGetItem if the new keys share a block with earlier ones, and one Query if some of
    /// the keys were published before.
    pub(super) async fn plan<K: OneTimeKey + PartialEq>(
        &self,
        address: DeviceAddress<'_>,
        record: &Item,
        keys: &[K],
        kind: PublicationKind,
        now_ms: i64,
    ) -> Result<PlanOutcome<K>> {
        let pool = KeyPool::from_item(record, &K::POOL);
        let stored = StoredBlocks {
            first: number_or_zero(record, K::POOL.first_block),
            unspent: number_or_zero(record, K::POOL.unspent_block),
        };
        if kind == PublicationKind::Replacement {
            return Ok(PlanOutcome::Planned(PoolPlan::replacement(pool, stored, keys)));
        }
        let is_old = |key: &K| pool.max_id.is_some_and(|max| key.id().get() <= max);
        let fresh: Vec<K> = keys.iter().filter(|key| !is_old(key)).cloned().collect();
        if fresh.len() < keys.len() {
            let stored = self.stored_keys::<K>(address).await?;
            let differs = |key: &K| is_old(key) && stored.get(&key.id().get()) != Some(key);
            if let Some(index) = keys.iter().position(differs) {
                let detail =
                    "this id was published before with other bytes, or is below one that was: ids grow";
                return Ok(PlanOutcome::Refused(Invalid::at(format!("/{index}/keyId"), detail)));
            }
        }
        let highest = pool.max_id.map(|id| KeyId::new(id.into())).transpose().map_err(corrupt)?;
        if let Err(invalid) = check_jump(keys.iter().map(K::id), highest) {
            return Ok(PlanOutcome::Refused(invalid));
        }
        let added = count(&fresh);
        if pool.left().saturating_add(added) > POOL_KEYS {
            let detail = format!("the pool would hold more than {POOL_KEYS} keys");
            return Ok(PlanOutcome::Refused(Invalid::whole(detail)));
        }
        // A head that ran past an empty pool continues in a new block: takes may still read the one
        // before.
        let ran_past = pool.head > pool.tail;
        let start = if ran_past { next_block::<K>(pool.head) } else { pool.tail };
        let shares_block = !ran_past && start.checked_rem(K::PLACES).unwrap_or(0) > 0 && added > 0;
        let last = if shares_block { self.block::<K>(address, K::block_of(start)).await? } else { None };
        // A publication without new keys removes nothing: it may repeat the last one, and its keys
        // have to be compared with the stored ones.
        let (stored, mut removed) = if added > 0 && may_remove(record, now_ms) {
            stored.advance(K::block_of(pool.head.min(pool.tail)))
        } else {
            (stored, Vec::new())
        };
        let after = if added == 0 {
            pool
        } else {
            KeyPool {
                head: if ran_past { start } else { pool.head },
                tail: start.saturating_add(added),
                max_id: highest_id(&fresh).or(pool.max_id),
            }
        };
        let removed_before = removed.split_off(REMOVED_BLOCKS.min(removed.len()));
        Ok(PlanOutcome::Planned(PoolPlan {
            pool: after,
            added,
            blocks: KeyBlock::divide(start, &fresh, last),
            removed,
            removed_before,
            old_tail: pool.tail,
            start,
            moves_head: ran_past && added > 0,
            needs_start: added > 0,
            stored,
        }))
    }

    async fn block<K: OneTimeKey>(
        &self,
        address: DeviceAddress<'_>,
        number: u64,
    ) -> Result<Option<KeyBlock<K>>> {
        let found = self.batch_get(vec![K::block_key(address, number)]).await?;
        found.first().map(KeyBlock::from_item).transpose()
    }

    /// Reads all stored keys of a pool, by their ids.
    async fn stored_keys<K: OneTimeKey>(&self, address: DeviceAddress<'_>) -> Result<BTreeMap<u32, K>> {
        let items = self
            .query_all(&key::device_partition(address), SortKeys::StartingWith(K::PREFIX), Projection::Whole)
            .await?;
        let mut keys = BTreeMap::new();
        for item in items {
            keys.extend(KeyBlock::<K>::from_item(&item)?.keys().iter().map(|k| (k.id().get(), k.clone())));
        }
        Ok(keys)
    }
}

/// Returns the first place of the block after the one that holds the place before `place`.
fn next_block<K: OneTimeKey>(place: u64) -> u64 {
    place.checked_next_multiple_of(K::PLACES).unwrap_or(place)
}

fn count<K>(keys: &[K]) -> u64 {
    u64::try_from(keys.len()).unwrap_or(u64::MAX)
}

fn highest_id<K: OneTimeKey>(keys: &[K]) -> Option<u32> {
    keys.iter().map(|key| key.id().get()).max()
}

impl<K: OneTimeKey> PoolPlan<K> {
    /// Plans the replacement of all keys of a pool. The new keys begin in a new block, behind all
    /// places that takes may own. The blocks that were noted as spent may be removed now.
    fn replacement(pool: KeyPool, stored: StoredBlocks, keys: &[K]) -> Self {
        let start = next_block::<K>(pool.head.max(pool.tail));
        let added = count(keys);
        let (stored, mut removed) = stored.advance(K::block_of(start));
        let removed_before = removed.split_off(REMOVED_BLOCKS.min(removed.len()));
        Self {
            pool: KeyPool { head: start, tail: start.saturating_add(added), max_id: highest_id(keys) },
            added,
            blocks: KeyBlock::divide(start, keys, None),
            removed,
            removed_before,
            old_tail: pool.tail,
            start,
            moves_head: true,
            needs_start: true,
            stored,
        }
    }

    /// Returns the attributes of the device record that the publication sets for this pool.
    pub(super) fn attributes(&self) -> Vec<(&'static str, AttributeValue)> {
        let mut attributes = vec![
            (K::POOL.tail, n(self.pool.tail)),
            (K::POOL.first_block, n(self.stored.first)),
            (K::POOL.unspent_block, n(self.stored.unspent)),
        ];
        // The head only moves forward, because of the condition: no place is used twice.
        if self.moves_head {
            attributes.push((K::POOL.head, n(self.start)));
        }
        attributes.extend(self.pool.max_id.map(|id| (K::POOL.max_id, n(id))));
        attributes
    }

    /// Returns the condition under which the plan is still right: no other publication moved the
    /// tail, and no take passed the place of the first new key. `#{head}` and `#{tail}` are the
    /// attributes' names.
    pub(super) fn condition(&self) -> String {
        let (head, tail) = (K::POOL.head, K::POOL.tail);
        format!("#{tail} = :old{tail} AND (#{head} <= :start{head} OR :needs{head} = :zero)")
    }

    /// Returns the values that [`PoolPlan::condition`] names, except `:zero`.
    pub(super) fn condition_values(&self) -> [(String, AttributeValue); 3] {
        let (head, tail) = (K::POOL.head, K::POOL.tail);
        [
            (format!(":old{tail}"), n(self.old_tail)),
            (format!(":start{head}"), n(self.start)),
            (format!(":needs{head}"), n(u8::from(self.needs_start))),
        ]
    }
}
