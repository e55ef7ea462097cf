//! Blocks: the parties whose envelopes a user does not get.
//!
//! The device set holds a digest of each, because every send and every take reads it anyway: a
//! block costs them no call. The text and the time are in an item each, which only the list of the
//! owner reads.
//!
//! # Item `U#{user}` / `B#{hash}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `o` | S | | the actor id, or the origin |
//! | `c` | N | epoch ms | the time of the first `Block` |
//!
//! `{hash}` is the short hash of the party's name
//! ([`BlockedParty::name`](eko_protocol::block::BlockedParty::name)), and the digest in the device
//! set is what it encodes.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use eko_protocol::address::UserName;
use eko_protocol::block::{BlockedParty, ListedBlock, names_of};
use eko_protocol::limits::MAX_BLOCKS;

use crate::attribute::{Item, ReadItem, b, bs, corrupt, digests, n, s, short_digest, short_hash};
use crate::device::DeviceAddress;
use crate::items::{Projection, SortKeys};
use crate::{Result, Store, devices, key};

/// The names of the attributes.
mod attr {
    pub(super) const PARTY: &str = "o";
    pub(super) const SINCE_MS: &str = "c";
}

/// The parties that a user blocks, as the device set holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    digests: BTreeSet<[u8; 16]>,
}

impl Blocks {
    /// True if the user blocks this actor or a domain that its server is under.
    pub fn cover(&self, actor: &str) -> bool {
        !self.digests.is_empty()
            && names_of(actor).into_iter().any(|name| self.digests.contains(&short_digest(name)))
    }

    /// Reads the attribute of a device set.
    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        Ok(Self { digests: digests(item, devices::attr::BLOCKS)? })
    }
}

/// The outcome of a change to what a user blocks, knows or lets in, which a device of the user makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnChangeOutcome {
    /// The change is made, by this call or before.
    Done,
    /// The change was made before, and the calling device may be active or not. The device set says which.
    DoneIfActive,
    /// The calling device is not active, or the list has no room. The device set says which.
    Refused,
}

impl OwnChangeOutcome {
    /// Returns the outcome of a write whose only condition was the one on the device set.
    pub(crate) fn of(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::Refused }
    }
}

impl Store {
    /// Records that the user of the calling device blocks a party, on condition that the device is
    /// active and that the user blocks fewer than [`MAX_BLOCKS`] others.
    ///
    /// One transaction of two writes: 2 write units of the block, and 2 for each KB of the device
    /// set. It may be repeated; the first time stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn add_block(
        &self,
        caller: DeviceAddress<'_>,
        party: &BlockedParty,
        now_ms: i64,
    ) -> Result<OwnChangeOutcome> {
        let name = party.name();
        let set = self.update(&key::devices(caller.user), |update| {
            name_block(update, caller, name)
                .update_expression("ADD #b :digests")
                .condition_expression(format!(
                    "{CALLER_IS_ACTIVE} AND (attribute_not_exists(#b) OR size(#b) < :most OR contains(#b, :digest))"
                ))
                .expression_attribute_values(":most", n(MAX_BLOCKS))
                .expression_attribute_values(":digest", b(short_digest(name)))
        })?;
        let block = self.update(&key::block(caller.user, &short_hash(name)), |update| {
            update
                .update_expression("SET #o = :o, #c = if_not_exists(#c, :c)")
                .expression_attribute_names("#o", attr::PARTY)
                .expression_attribute_names("#c", attr::SINCE_MS)
                .expression_attribute_values(":o", s(party.as_str()))
                .expression_attribute_values(":c", n(now_ms))
        })?;
        Ok(OwnChangeOutcome::of(self.transact(vec![set, block]).await?.is_done()))
    }

    /// Records that the user of the calling device blocks a party no longer, on condition that the
    /// device is active. Does nothing if the user does not block it.
    ///
    /// One transaction of two writes: 2 write units of the block, and 2 for each KB of the device
    /// set. It may be repeated.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn remove_block(
        &self,
        caller: DeviceAddress<'_>,
        party: &BlockedParty,
    ) -> Result<OwnChangeOutcome> {
        let name = party.name();
        let set = self.update(&key::devices(caller.user), |update| {
            name_block(update, caller, name)
                .update_expression("DELETE #b :digests")
                .condition_expression(CALLER_IS_ACTIVE)
        })?;
        let block = self.remove(&key::block(caller.user, &short_hash(name)))?;
        Ok(OwnChangeOutcome::of(self.transact(vec![set, block]).await?.is_done()))
    }

    /// Returns what a user blocks, in no particular order.
    ///
    /// One Query: 1 read unit for each 4 KB of all blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if an item is not readable.
    pub async fn blocks(&self, user: &UserName) -> Result<Vec<ListedBlock>> {
        let sort_keys = SortKeys::StartingWith(key::BLOCK_PREFIX);
        let items = self.query_all(&key::user_partition(user), sort_keys, Projection::Whole).await?;
        let block = |item: &Item| {
            let party = BlockedParty::parse(item.need_s(attr::PARTY)?).map_err(corrupt)?;
            Ok(ListedBlock { party, since_ms: item.need_n(attr::SINCE_MS)? })
        };
        items.iter().map(block).collect()
    }
}

/// The condition, in an update of the device set, that the calling device is active. Its names come
/// from [`name_caller`].
pub(crate) const CALLER_IS_ACTIVE: &str = "attribute_exists(#a.#device)";

/// Adds the names and values of both updates of the device set.
fn name_block(update: UpdateBuilder, caller: DeviceAddress<'_>, name: &str) -> UpdateBuilder {
    name_caller(update, caller)
        .expression_attribute_names("#b", devices::attr::BLOCKS)
        .expression_attribute_values(":digests", bs([short_digest(name).to_vec()]))
}

/// Adds the names for [`CALLER_IS_ACTIVE`].
pub(crate) fn name_caller(update: UpdateBuilder, caller: DeviceAddress<'_>) -> UpdateBuilder {
    update
        .expression_attribute_names("#a", devices::attr::ACTIVE)
        .expression_attribute_names("#device", caller.device.as_str())
}
