//! Device records: a device's status, its pools of one-time keys and its session family.
//!
//! The record is small, because every take writes it. It sorts right before the device's mailbox,
//! so that a fetch reads both with one Query. The device's lasting keys are another item
//! ([`crate::device_keys`]).
//!
//! # Item `D#{user}#{device}` / `DEVICE`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `st` | S | | [`DeviceStatus`]: `A` active, `P` pending, `R` revoked, `X` of a deleted account |
//! | `fam` | S | | the family of the device's refresh tokens, while it is signed in ([`crate::sessions`]) |
//! | `oh`, `kh` | N | place | head: the next place to hand out, of one-time prekeys and of Kyber prekeys |
//! | `ot`, `kt` | N | place | tail: the place after the last key |
//! | `om`, `km` | N | key id | the highest key id that was published since `rp` |
//! | `of`, `kf` | N | block | the first block that is still stored ([`crate::publication`]) |
//! | `ob`, `kb` | N | block | the first block that was not spent at `nt` |
//! | `nt` | N | epoch ms | the time at which `ob` and `kb` were noted |
//! | `mf` | N | epoch ms | the last count of a mailbox that was full ([`crate::fill`]) |
//! | `pu` | N | epoch ms | the last push, if the device has not been seen since ([`crate::push`]) |
//! | `pf` | S | | the newest entry of the mailbox at the last `Fetch` on a socket that ended a push; missing before |
//! | `rp` | N | epoch ms | the time that the last publication which replaced all keys states |
//! | `T{hour}` | N | takes | takes by everyone in that hour since the epoch ([`crate::one_time_keys`]) |
//! | `B{hour}.{hash}` | N | takes | takes by one taker in that hour |
//! | `c{slot}` | S | | the origin of another server that took keys; there are [`TAKER_SLOTS`] slots |
//!
//! The record of a revoked device has `st` only. It stays as long as the account, so that the id is never
//! used again. That of a device whose account was deleted has no session, and stays until it is erased
//! ([`crate::deletion`]).
//!
//! A site has one slot, by its hash, and the last server that took keys has the slot. So a take notes
//! its server without a condition or another call, and whoever takes under many names makes the record
//! no larger. Two sites may have the same slot: then the earlier one is forgotten.

use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::{DeviceId, EntryKey};

use crate::attribute::{Item, ReadItem, corrupt, short_digest};
use crate::site::site;
use crate::{Result, Store, StoreError, key};

/// The names of a device record's attributes. Those of its pools are in [`PoolAttributes`], those
/// of its counters in [`crate::one_time_keys`].
pub(crate) mod attr {
    pub(crate) const STATUS: &str = "st";
    pub(crate) const FAMILY: &str = "fam";
    pub(crate) const SPENT_NOTED_MS: &str = "nt";
    pub(crate) const FULL_COUNTED_MS: &str = "mf";
    pub(crate) const REPLACED_MS: &str = "rp";
    pub(crate) const PUSHED_MS: &str = "pu";
    pub(crate) const PUSH_FETCHED: &str = "pf";
}

/// The number of other servers that a device record names as those that took keys. Every take writes the
/// record, and a write costs a unit for each kilobyte.
pub(crate) const TAKER_SLOTS: u8 = 8;
/// The longest origin that is noted, in bytes. Together the slots have less than a kilobyte.
const MAX_TAKER_BYTES: usize = 100;

/// Returns the names of the attributes that name the servers which took keys.
pub(crate) fn taker_attributes() -> impl Iterator<Item = String> {
    (0..TAKER_SLOTS).map(|slot| format!("c{slot}"))
}

/// Returns the name of the attribute that names a server which takes keys; `None` for one whose origin is
/// too long.
pub(crate) fn taker_attribute(origin: &Origin) -> Option<String> {
    let [first, ..] = short_digest(site(origin.authority()));
    (origin.as_str().len() <= MAX_TAKER_BYTES).then(|| format!("c{}", first.rem_euclid(TAKER_SLOTS)))
}

/// The names of one pool's attributes in a device record. Each field describes the attribute's
/// value.
#[derive(Debug)]
pub(crate) struct PoolAttributes {
    /// The next place that a take hands out.
    pub(crate) head: &'static str,
    /// The place after the last key.
    pub(crate) tail: &'static str,
    /// The highest key id that was published since all keys were last replaced.
    pub(crate) max_id: &'static str,
    /// The first block that is still stored.
    pub(crate) first_block: &'static str,
    /// The first block that was not spent at the last publication that noted the spent blocks.
    pub(crate) unspent_block: &'static str,
}

/// The attributes of the pool of one-time prekeys.
pub(crate) const PRE_KEY_POOL: PoolAttributes =
    PoolAttributes { head: "oh", tail: "ot", max_id: "om", first_block: "of", unspent_block: "ob" };

/// The attributes of the pool of one-time Kyber prekeys.
pub(crate) const KYBER_PRE_KEY_POOL: PoolAttributes =
    PoolAttributes { head: "kh", tail: "kt", max_id: "km", first_block: "kf", unspent_block: "kb" };

/// The address of a device: its user and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAddress<'a> {
    /// The user that the device belongs to.
    pub user: &'a UserName,
    /// The device's id.
    pub device: &'a DeviceId,
}

impl<'a> DeviceAddress<'a> {
    /// Creates the address of a user's device.
    pub fn new(user: &'a UserName, device: &'a DeviceId) -> Self {
        Self { user, device }
    }
}

/// The status of a device that has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceStatus {
    /// The device belongs to the device set.
    Active,
    /// The device is registered and waits for the approval of an active one.
    Pending,
    /// The device was revoked, reset or turned away. Its id is never used again.
    Revoked,
    /// The account of the device was deleted.
    Deleted,
}

impl DeviceStatus {
    /// Returns the text that is stored in `st`.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Active => "A",
            Self::Pending => "P",
            Self::Revoked => "R",
            Self::Deleted => "X",
        }
    }

    pub(crate) fn parse(code: &str) -> Result<Self> {
        match code {
            "A" => Ok(Self::Active),
            "P" => Ok(Self::Pending),
            "R" => Ok(Self::Revoked),
            "X" => Ok(Self::Deleted),
            other => Err(StoreError::Corrupt(format!("device status {other}"))),
        }
    }
}

/// A device record, as read from the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The status of the device.
    pub status: DeviceStatus,
    /// The family of the device's refresh tokens, while it is signed in.
    pub family: Option<String>,
    /// The pool of one-time prekeys.
    pub pre_keys: KeyPool,
    /// The pool of one-time Kyber prekeys.
    pub kyber_pre_keys: KeyPool,
    /// The time of the last count of the device's mailbox, in epoch milliseconds, if the mailbox was
    /// full for somebody then.
    pub full_counted_ms: Option<i64>,
    /// The time of the last push, in epoch milliseconds, if the device has not been seen since.
    pub pushed_ms: Option<i64>,
    /// The newest entry of the mailbox at the last `Fetch` on a socket that ended a push.
    pub push_fetched: Option<EntryKey>,
}

/// The positions of a pool of one-time keys. Each key has a place; places only grow.
///
/// A head beyond the tail is an empty pool from which keys were asked for all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyPool {
    /// The next place that a take hands out.
    pub head: u64,
    /// The place after the last key.
    pub tail: u64,
    /// The highest key id that was published since all keys were last replaced.
    pub max_id: Option<u32>,
}

impl KeyPool {
    /// Returns the number of keys that are left.
    pub fn left(self) -> u64 {
        self.tail.saturating_sub(self.head)
    }

    /// Reads a pool from a device record. A record without the attributes, for example of a revoked
    /// device, has an empty pool.
    pub(crate) fn from_item(item: &Item, attributes: &PoolAttributes) -> Self {
        Self {
            head: number_or_zero(item, attributes.head),
            tail: number_or_zero(item, attributes.tail),
            max_id: item.get_n(attributes.max_id).and_then(|id| u32::try_from(id).ok()),
        }
    }
}

/// Returns a place or block number, or 0 if the record does not have it yet.
pub(crate) fn number_or_zero(item: &Item, name: &str) -> u64 {
    item.get_n(name).unwrap_or_default().unsigned_abs()
}

impl DeviceRecord {
    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        Ok(Self {
            status: DeviceStatus::parse(item.need_s(attr::STATUS)?)?,
            family: item.get_s(attr::FAMILY).map(str::to_owned),
            pre_keys: KeyPool::from_item(item, &PRE_KEY_POOL),
            kyber_pre_keys: KeyPool::from_item(item, &KYBER_PRE_KEY_POOL),
            full_counted_ms: item.get_n(attr::FULL_COUNTED_MS),
            pushed_ms: item.get_n(attr::PUSHED_MS),
            push_fetched: item.get_s(attr::PUSH_FETCHED).map(EntryKey::parse).transpose().map_err(corrupt)?,
        })
    }
}

impl Store {
    /// Reads a device record, strongly consistent; `None` if no device ever had this id.
    ///
    /// One GetItem: 1 read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails; [`StoreError::Corrupt`] if the record is not
    /// readable.
    pub async fn device_record(&self, address: DeviceAddress<'_>) -> Result<Option<DeviceRecord>> {
        self.get_item(&key::device(address)).await?.as_ref().map(DeviceRecord::from_item).transpose()
    }
}
