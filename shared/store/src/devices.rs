//! Device sets: one small item for each user, which every send reads.
//!
//! # Item `U#{user}` / `DEVICES`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `len` | N | nodes | the length of the device chain |
//! | `head` | S | | the hash of the chain's last node, lower-case hex |
//! | `at` | N | epoch ms | the time that the chain's last node states |
//! | `root` | N | | the place of the last node that reset the devices; 0 before the first reset |
//! | `ad` | N | day | the day of the last approval of a device, counted from the epoch |
//! | `an` | N | devices | the number of approvals on that day |
//! | `a` | M | | the active devices: registration id by device id |
//! | `p` | SS | | the ids of the pending devices; missing if there are none |
//! | `f` | M | | the marks of full mailboxes, by device id ([`crate::fill`]) |
//! | `b` | BS | 16 bytes | the digests of what the user blocks ([`crate::blocks`]); missing if there is nothing |
//! | `w` | S | | who may write ([`crate::known`]); missing for everyone |
//! | `kn` | N | actors | the number of actors whom the user knows |
//! | `mt` | S | | the actor to whom the user has moved; the chain ends with a `Move` then |
//! | `mf` | S | | the actor that this account takes over from, as the chain's first node says |
//! | `nm`, `iu`, `im` | S | | the display name, the address of the avatar and its media type ([`crate::profile`]); missing if there is none |
//! | `x` | N | epoch ms | the time at which the account was deleted; then there is no other attribute |

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::UserName;
use eko_protocol::chain::{ChainNode, ChainPosition};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_protocol::key::RegistrationId;
use eko_protocol::profile::PublicProfile;
use eko_protocol::settings::WhoMayWrite;

use crate::attribute::{Item, ReadItem, WriteItem, corrupt, missing, n, s};
use crate::blocks::Blocks;
use crate::device::{DeviceAddress, DeviceStatus, number_or_zero};
use crate::fill::{self, FullMark, MailboxSender};
use crate::{Result, Store, key, known, profile};

/// The most devices of one user that are added in a day (UTC), besides the first one and those of
/// resets. Revocations are not counted: each needs an addition before it.
pub const ADDITIONS_A_DAY: u64 = 16;

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The names of the attributes.
pub(crate) mod attr {
    pub(crate) const LENGTH: &str = "len";
    pub(crate) const HEAD: &str = "head";
    pub(crate) const PUBLISHED: &str = "at";
    pub(crate) const ROOT: &str = "root";
    pub(crate) const ADDITIONS_DAY: &str = "ad";
    pub(crate) const ADDITIONS: &str = "an";
    pub(crate) const ACTIVE: &str = "a";
    pub(crate) const PENDING: &str = "p";
    pub(crate) const FULL: &str = "f";
    pub(crate) const BLOCKS: &str = "b";
    pub(crate) const WHO_MAY_WRITE: &str = "w";
    pub(crate) const KNOWN: &str = "kn";
    pub(crate) const MOVED_TO: &str = "mt";
    pub(crate) const MOVED_FROM: &str = "mf";
    pub(crate) const NAME: &str = "nm";
    pub(crate) const ICON_URL: &str = "iu";
    pub(crate) const ICON_TYPE: &str = "im";
    pub(crate) const DELETED_MS: &str = "x";
}

/// Something that is stored of a user, or the reason why nothing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfUser<T> {
    /// Something is stored.
    Stored(T),
    /// There is no such account.
    Absent(Absence),
}

/// The reason why there is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// No user has had this name.
    Unknown,
    /// The account was deleted. Nobody else gets the name.
    Deleted {
        /// The time of the deletion, in epoch milliseconds.
        at_ms: i64,
    },
}

impl<T> OfUser<T> {
    /// True if the account was deleted.
    pub fn is_deleted(&self) -> bool {
        matches!(self, Self::Absent(Absence::Deleted { .. }))
    }

    /// Returns what is stored.
    ///
    /// # Errors
    /// The reason why nothing is.
    pub fn stored(self) -> std::result::Result<T, Absence> {
        match self {
            Self::Stored(stored) => Ok(stored),
            Self::Absent(absence) => Err(absence),
        }
    }

    /// Returns what is stored, as `read` reads it.
    pub(crate) fn read<U>(self, read: impl FnOnce(T) -> Result<U>) -> Result<OfUser<U>> {
        Ok(match self {
            Self::Stored(stored) => OfUser::Stored(read(stored)?),
            Self::Absent(absence) => OfUser::Absent(absence),
        })
    }
}

/// Returns the item of a device set, unless it is the tombstone of a deleted account.
pub(crate) fn set_item(item: Option<&Item>) -> OfUser<&Item> {
    match item.map(|item| (item, item.get_n(attr::DELETED_MS))) {
        None => OfUser::Absent(Absence::Unknown),
        Some((_, Some(at_ms))) => OfUser::Absent(Absence::Deleted { at_ms }),
        Some((item, None)) => OfUser::Stored(item),
    }
}

/// A user's devices: the device set and the pending devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDevices {
    /// The length and the head of the device chain.
    pub set: DeviceSetRef,
    /// The time that the chain's last node states, in epoch milliseconds.
    pub published_ms: i64,
    /// The place of the chain's last `ResetDevices`, and 0 before the first one.
    pub root: u64,
    /// The devices that were added last.
    pub additions: DayCount,
    /// The active devices with their registration ids.
    pub active: BTreeMap<DeviceId, RegistrationId>,
    /// The devices that wait for approval.
    pub pending: BTreeSet<DeviceId>,
    /// The marks of the active devices whose mailboxes were full when they were counted.
    pub full: BTreeMap<DeviceId, FullMark>,
    /// The parties that the user blocks.
    pub blocks: Blocks,
    /// Who may write to the user.
    pub who_may_write: WhoMayWrite,
    /// The actor to whom the user has moved, if the chain ends with a `Move`.
    pub moved_to: Option<String>,
    /// The actor that this account takes over from, as the chain's first node says.
    pub moved_from: Option<String>,
    /// The name and avatar that the user shows.
    pub profile: PublicProfile,
}

/// The number of devices that were added on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// The day in UTC, counted from the epoch.
    pub day: i64,
    /// The number of devices.
    pub count: u64,
}

impl DayCount {
    /// True if no further device may be added on the day of `now_ms`.
    pub fn is_used_up(self, now_ms: i64) -> bool {
        self.plus_one(now_ms).count > ADDITIONS_A_DAY
    }

    /// Returns the number after one more addition at `now_ms`.
    pub(crate) fn plus_one(self, now_ms: i64) -> Self {
        let day = now_ms.div_euclid(DAY_MS);
        let count = if day == self.day { self.count } else { 0 };
        Self { day, count: count.saturating_add(1) }
    }
}

/// Returns the time until the next day (UTC), in seconds.
pub fn until_tomorrow_s(now_ms: i64) -> u64 {
    DAY_MS.saturating_sub(now_ms.rem_euclid(DAY_MS)).unsigned_abs().div_ceil(1000)
}

impl UserDevices {
    /// Returns the end of the device chain.
    pub fn position(&self) -> ChainPosition {
        let DeviceSetRef { length, head } = self.set.clone();
        let published_ms = Some(self.published_ms);
        ChainPosition { length, head: Some(head), published_ms, has_moved: self.moved_to.is_some() }
    }

    /// Returns the number of nodes from the last `ResetDevices` on, or of all nodes if there is none.
    pub fn since_reset(&self) -> u64 {
        self.set.length.saturating_sub(self.root)
    }

    /// Returns the ids of the active devices.
    pub fn active_ids(&self) -> BTreeSet<DeviceId> {
        self.active.keys().cloned().collect()
    }

    /// Returns the status of a device of this user: revoked if the set does not list it.
    pub fn status_of(&self, device: &DeviceId) -> DeviceStatus {
        if self.active.contains_key(device) {
            DeviceStatus::Active
        } else if self.pending.contains(device) {
            DeviceStatus::Pending
        } else {
            DeviceStatus::Revoked
        }
    }

    /// True if the mailbox of a device takes nothing of this sender at `now_ms`.
    pub fn is_full_for(&self, device: &DeviceId, sender: MailboxSender<'_>, now_ms: i64) -> bool {
        self.full.get(device).is_some_and(|mark| mark.holds_for(sender, now_ms))
    }

    /// Reads the item of a device set.
    pub(crate) fn of(item: Option<&Item>) -> Result<OfUser<Self>> {
        set_item(item).read(Self::from_item)
    }

    fn from_item(item: &Item) -> Result<Self> {
        let stored =
            item.get(attr::ACTIVE).and_then(|v| v.as_m().ok()).ok_or_else(|| missing(attr::ACTIVE))?;
        let mut active = BTreeMap::new();
        for (device, registration) in stored {
            let number = registration.as_n().ok().and_then(|text| text.parse().ok());
            let number = number.ok_or_else(|| missing(attr::ACTIVE))?;
            active.insert(
                DeviceId::parse(device).map_err(corrupt)?,
                RegistrationId::new(number).map_err(corrupt)?,
            );
        }
        let set =
            DeviceSetRef { length: item.need_u(attr::LENGTH)?, head: item.need_s(attr::HEAD)?.to_owned() };
        let additions = DayCount {
            day: item.get_n(attr::ADDITIONS_DAY).unwrap_or_default(),
            count: number_or_zero(item, attr::ADDITIONS),
        };
        Ok(Self {
            set,
            published_ms: item.get_n(attr::PUBLISHED).ok_or_else(|| missing(attr::PUBLISHED))?,
            root: item.need_u(attr::ROOT)?,
            additions,
            active,
            pending: item.device_ids(attr::PENDING)?,
            full: fill::marks(item)?,
            blocks: Blocks::from_item(item)?,
            who_may_write: known::who_may_write(item)?,
            moved_to: item.get_s(attr::MOVED_TO).map(str::to_owned),
            moved_from: item.get_s(attr::MOVED_FROM).map(str::to_owned),
            profile: profile::of_item(item)?,
        })
    }

    /// Builds the item of a set in which `address` is the only active device, by the first node of
    /// its chain.
    pub(crate) fn first_item(
        address: DeviceAddress<'_>,
        node: &ChainNode,
        registration: RegistrationId,
    ) -> Item {
        let set = node.device_set();
        let mut item = key::devices(address.user).item();
        item.set(attr::LENGTH, n(set.length));
        item.set(attr::HEAD, s(&set.head));
        item.set(attr::PUBLISHED, n(node.published_ms()));
        item.set(attr::ROOT, n(0));
        item.set(attr::ACTIVE, active_attribute([(address.device, registration)]));
        item.set(attr::FULL, fill::no_marks());
        if let Some(moved_from) = node.moved_from() {
            item.set(attr::MOVED_FROM, s(moved_from));
        }
        item
    }
}

/// Builds the attribute `a`.
pub(crate) fn active_attribute<'a>(
    devices: impl IntoIterator<Item = (&'a DeviceId, RegistrationId)>,
) -> AttributeValue {
    let entry =
        |(device, registration): (&DeviceId, RegistrationId)| (device.to_string(), n(registration.get()));
    AttributeValue::M(devices.into_iter().map(entry).collect())
}

impl Store {
    /// Reads the devices of several users, strongly consistent.
    ///
    /// One BatchGetItem: 1 read unit a user, and more for a user with 60 blocks or more: the set has
    /// at most 3 KB without blocks, and 16 bytes for each. The same user may stand twice, one after the other,
    /// and is read once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) and
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the reads;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if an item is not readable.
    pub async fn device_sets<const N: usize>(
        &self,
        users: [&UserName; N],
    ) -> Result<[OfUser<UserDevices>; N]> {
        let mut keys: Vec<key::ItemKey> = users.iter().map(|user| key::devices(user)).collect();
        keys.dedup();
        let items = self.batch_get(keys).await?;
        let mut found: [OfUser<UserDevices>; N] = std::array::from_fn(|_| OfUser::Absent(Absence::Unknown));
        for (user, slot) in users.iter().zip(found.iter_mut()) {
            *slot = UserDevices::of(key::devices(user).find_in(&items))?;
        }
        Ok(found)
    }

    /// Reads the devices of up to 100 users, strongly consistent.
    ///
    /// One BatchGetItem as [`device_sets`](Self::device_sets); none without users.
    ///
    /// # Errors
    ///
    /// Those of [`device_sets`](Self::device_sets).
    pub async fn device_sets_of(
        &self,
        users: BTreeSet<UserName>,
    ) -> Result<BTreeMap<UserName, OfUser<UserDevices>>> {
        let items = self.batch_get(users.iter().map(key::devices).collect()).await?;
        let of = |user| {
            let set = UserDevices::of(key::devices(&user).find_in(&items))?;
            Ok((user, set))
        };
        users.into_iter().map(of).collect()
    }

    /// Reads the devices of one user, strongly consistent.
    ///
    /// One GetItem: 1 read unit, and more for a user with many blocks as above.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the item is not readable.
    pub async fn device_set(&self, user: &UserName) -> Result<OfUser<UserDevices>> {
        UserDevices::of(self.get_item(&key::devices(user)).await?.as_ref())
    }
}
