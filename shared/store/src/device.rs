//! A device's own record: small, right before its mailbox, written by every take.

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;

use crate::attribute::{Item, ReadItem};
use crate::{Result, Store, StoreError, key};

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

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceStatus {
    /// In the device set.
    Active,
    /// Registered, waiting for an active device's approval.
    Pending,
    /// Out of the set for ever; its id is never used again.
    Revoked,
}

impl DeviceStatus {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Active => "A",
            Self::Pending => "P",
            Self::Revoked => "R",
        }
    }

    fn parse(code: &str) -> Result<Self> {
        match code {
            "A" => Ok(Self::Active),
            "P" => Ok(Self::Pending),
            "R" => Ok(Self::Revoked),
            other => Err(StoreError::Corrupt(format!("device status {other}"))),
        }
    }
}

/// A device's own record: `D#{user}#{device}` / `DEVICE`.
///
/// `st` status, `fam` session family, `oh`/`ot` and `kh`/`kt` head and tail of its pools of one-time
/// prekeys, `om`/`km` the highest key ids published, `of`/`kf` their first blocks kept, `ob`/`kb` their first
/// blocks that were not spent at `nt` ([`crate::publication`]), `B…`/`T…` the counters of takes
/// ([`crate::one_time_keys`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Where the device stands.
    pub status: DeviceStatus,
    /// The family of its refresh tokens, while it is signed in.
    pub family: Option<String>,
    /// Its pool of one-time prekeys.
    pub pre_keys: KeyPool,
    /// Its pool of one-time Kyber prekeys.
    pub kyber_pre_keys: KeyPool,
}

/// A pool of one-time keys: they have places that only grow; `head` is the next to be handed out, `tail`
/// the place behind the last. A head beyond the tail is an empty pool that was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyPool {
    /// The next place to be handed out.
    pub head: u64,
    /// The place behind the last key.
    pub tail: u64,
    /// The highest key id ever published.
    pub max_id: Option<u32>,
}

impl KeyPool {
    /// Keys left.
    pub fn left(self) -> u64 {
        self.tail.saturating_sub(self.head)
    }
}

impl DeviceRecord {
    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        let pool = |head: &str, tail: &str, max: &str| {
            let number = |name: &str| item.get_n(name).unwrap_or_default().unsigned_abs();
            let max_id = item.get_n(max).and_then(|id| u32::try_from(id).ok());
            KeyPool { head: number(head), tail: number(tail), max_id }
        };
        Ok(Self {
            status: DeviceStatus::parse(item.need_s("st")?)?,
            family: item.get_s("fam").map(str::to_owned),
            pre_keys: pool("oh", "ot", "om"),
            kyber_pre_keys: pool("kh", "kt", "km"),
        })
    }
}

impl Store {
    /// A device's own record: one GetItem, strongly consistent.
    pub async fn device_record(&self, address: DeviceAddress<'_>) -> Result<Option<DeviceRecord>> {
        self.get_item(&key::device(address)).await?.as_ref().map(DeviceRecord::from_item).transpose()
    }
}
