//! Accounts: the user name of an OIDC subject, and the registration of devices.
//!
//! # Item `O#{issuer}#{subject}` / `SUBJECT`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `u` | S | | the user name of the subject |
//!
//! # Item `U#{user}` / `PROFILE`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `iss` | S | | the OIDC issuer |
//! | `sub` | S | | the subject at that issuer |
//! | `at` | N | epoch ms | the time at which the account was created |
//! | `rs` | N | epoch s | the time of the sign-in that last reset the devices; missing before the first reset |
//! | `rd` | N | day | the day of the last reset, counted from the epoch |
//! | `rn` | N | resets | the number of resets on that day |
//!
//! # Item `N#server` / `STATISTICS`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `users` | N | users | the approximate number of accounts |

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::address::UserName;
use eko_protocol::chain::ChainNode;
use eko_protocol::id::DeviceId;
use eko_protocol::key_package::PublishedKeys;

use crate::attribute::{Item, ReadItem, WriteItem, corrupt, n, s, ss};
use crate::chain::{HEAD_AS_SEEN, name_head, node_item};
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::device_keys::LastingKeys;
use crate::devices::{self, UserDevices, active_attribute};
use crate::error::call;
use crate::key::EXISTS;
use crate::publication::FirstPools;
use crate::sessions::NewSession;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, fill, key};

/// The most devices of one user that may wait for approval at once.
pub const PENDING_DEVICES: u32 = 8;

/// The most resets of one user in a day (UTC). Every contact is warned of each.
pub const RESETS_A_DAY: u64 = 3;

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The names of the attributes of the three items.
mod attr {
    pub(super) const USER: &str = "u";
    pub(super) const ISSUER: &str = "iss";
    pub(super) const SUBJECT: &str = "sub";
    pub(super) const CREATED_MS: &str = "at";
    pub(super) const RESET_SIGN_IN_S: &str = "rs";
    pub(super) const RESET_DAY: &str = "rd";
    pub(super) const RESETS: &str = "rn";
    pub(super) const USERS: &str = "users";
}

/// A person as an OIDC issuer names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OidcSubject<'a> {
    /// The issuer, the claim `iss`.
    pub issuer: &'a str,
    /// The person's id at the issuer, the claim `sub`.
    pub subject: &'a str,
}

/// A device that is about to be registered. Everything in it is verified.
#[derive(Clone, Debug)]
pub struct DeviceRegistration<'a> {
    /// The device's user and id.
    pub address: DeviceAddress<'a>,
    /// The lasting keys.
    pub keys: LastingKeys,
    /// The one-time keys.
    pub one_time: &'a PublishedKeys,
    /// The first refresh token.
    pub session: NewSession,
}

/// The outcome of [`Store::create_account`]. Nothing is stored unless it is `Created`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountOutcome {
    /// The account, the chain and the device are stored.
    Created,
    /// The subject already has an account, created since it was looked up.
    SubjectTaken,
    /// The name belongs to another subject.
    NameTaken,
    /// The device id is or was in use.
    DeviceIdUsed,
}

/// The outcome of [`Store::add_pending`]. Nothing is stored unless it is `Added`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingOutcome {
    /// The device is stored and waits for approval.
    Added,
    /// The device id is or was in use.
    DeviceIdUsed,
    /// As many devices wait as may wait, [`PENDING_DEVICES`].
    TooMany,
}

/// The outcome of [`Store::reset_devices`]. Nothing is stored unless it is `Reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetOutcome {
    /// The chain is reset and the device is its only active one.
    Reset,
    /// The device id is or was in use.
    DeviceIdUsed,
    /// The sign-in, or a later one, has reset the devices before.
    SignInUsed,
    /// The devices were reset [`RESETS_A_DAY`] times today.
    TooManyToday {
        /// The time until the next day, in seconds.
        retry_after_s: u64,
    },
    /// The chain, the pending devices or the resets have changed since they were read.
    Lost,
}

/// What a reset depends on, as it was read.
#[derive(Clone, Debug)]
pub struct ResetState {
    /// The devices.
    pub devices: UserDevices,
    /// The last reset; `None` before the first one.
    last: Option<LastReset>,
}

impl ResetState {
    /// Returns the outcome of a reset that is refused by what was read, and `None` if nothing speaks
    /// against it. `device` is the new device, `sign_in_s` the time of the sign-in in epoch seconds.
    pub fn refusal(&self, device: &DeviceId, sign_in_s: i64, now_ms: i64) -> Option<ResetOutcome> {
        // A transaction cannot write one item twice: here to claim the id and to revoke its device.
        if self.devices.active.contains_key(device) || self.devices.pending.contains(device) {
            return Some(ResetOutcome::DeviceIdUsed);
        }
        if self.last.is_some_and(|last| sign_in_s <= last.sign_in_s) {
            return Some(ResetOutcome::SignInUsed);
        }
        if self.count_today(now_ms) >= RESETS_A_DAY {
            let left_ms = DAY_MS.saturating_sub(now_ms.rem_euclid(DAY_MS));
            return Some(ResetOutcome::TooManyToday { retry_after_s: left_ms.unsigned_abs().div_ceil(1000) });
        }
        None
    }

    fn count_today(&self, now_ms: i64) -> u64 {
        let today = now_ms.div_euclid(DAY_MS);
        self.last.filter(|last| last.day == today).map_or(0, |last| last.count)
    }
}

/// The last reset of a user.
#[derive(Clone, Copy, Debug)]
struct LastReset {
    /// The time of its sign-in, in epoch seconds.
    sign_in_s: i64,
    /// Its day, counted from the epoch.
    day: i64,
    /// The number of resets on that day.
    count: u64,
}

impl LastReset {
    fn from_profile(item: &Item) -> Option<Self> {
        Some(Self {
            sign_in_s: item.get_n(attr::RESET_SIGN_IN_S)?,
            day: item.get_n(attr::RESET_DAY)?,
            count: device::number_or_zero(item, attr::RESETS),
        })
    }
}

impl Store {
    /// Reads the user name of an OIDC subject, strongly consistent; `None` if the subject has no
    /// account.
    ///
    /// One GetItem: 1 read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the item is not readable.
    pub async fn account_of(&self, subject: OidcSubject<'_>) -> Result<Option<UserName>> {
        let found = self.get_item(&key::subject(subject.issuer, subject.subject)).await?;
        found.map(|item| UserName::parse(item.need_s(attr::USER)?).map_err(corrupt)).transpose()
    }

    /// Claims a name for a subject, and stores the account, its first device and the chain's first
    /// node.
    ///
    /// One transaction: twice the write units of account, subject, device record, device keys,
    /// refresh token, blocks of one-time keys, device set and node. If its answer is lost for good,
    /// the account may exist: a repetition then returns [`AccountOutcome::SubjectTaken`], and the
    /// device signs in.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn create_account(
        &self,
        subject: OidcSubject<'_>,
        device: &DeviceRegistration<'_>,
        node: &ChainNode,
    ) -> Result<AccountOutcome> {
        const SUBJECT: usize = 0;
        const PROFILE: usize = 1;
        let user = device.address.user;
        let mut binding = key::subject(subject.issuer, subject.subject).item();
        binding.set(attr::USER, s(user.as_str()));
        let mut profile = key::profile(user).item();
        profile.set(attr::ISSUER, s(subject.issuer));
        profile.set(attr::SUBJECT, s(subject.subject));
        profile.set(attr::CREATED_MS, n(device.keys.registered_ms));
        let set = UserDevices::first_item(device.address, &node.device_set(), device.keys.registration_id);
        let mut writes = vec![self.put_new(binding)?, self.put_new(profile)?];
        writes.extend(self.device_writes(device, DeviceStatus::Active)?);
        writes.push(self.put_new(set)?);
        writes.push(self.put_new(node_item(user, node))?);
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => AccountOutcome::Created,
            TransactionOutcome::Refused { index: SUBJECT } => AccountOutcome::SubjectTaken,
            TransactionOutcome::Refused { index: PROFILE } => AccountOutcome::NameTaken,
            // Under a new name the device's items are the first that can exist already.
            TransactionOutcome::Refused { .. } => AccountOutcome::DeviceIdUsed,
        })
    }

    /// Stores a device that waits for approval.
    ///
    /// One transaction: twice the write units of device record, device keys, refresh token, blocks
    /// of one-time keys and device set. If its answer is lost for good, the device may be stored: a
    /// repetition then returns [`PendingOutcome::DeviceIdUsed`], and the device signs in.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn add_pending(&self, device: &DeviceRegistration<'_>) -> Result<PendingOutcome> {
        let set = self.update(&key::devices(device.address.user), |update| {
            update
                .update_expression("ADD #p :device")
                .condition_expression(
                    "attribute_exists(pk) AND (attribute_not_exists(#p) OR size(#p) < :most)",
                )
                .expression_attribute_names("#p", devices::attr::PENDING)
                .expression_attribute_values(":device", ss([device.address.device]))
                .expression_attribute_values(":most", n(PENDING_DEVICES))
        })?;
        let mut writes = self.device_writes(device, DeviceStatus::Pending)?;
        writes.push(set);
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => PendingOutcome::Added,
            TransactionOutcome::Refused { index: DEVICE_RECORD } => PendingOutcome::DeviceIdUsed,
            TransactionOutcome::Refused { .. } => PendingOutcome::TooMany,
        })
    }

    /// Reads what a reset depends on, strongly consistent; `None` if the user does not exist.
    ///
    /// One BatchGetItem: 2 read units.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) and
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the reads;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if an item is not readable.
    pub async fn reset_state(&self, user: &UserName) -> Result<Option<ResetState>> {
        let [devices, profile] = [key::devices(user), key::profile(user)];
        let items = self.batch_get(vec![devices.clone(), profile.clone()]).await?;
        let Some(found) = devices.find_in(&items) else { return Ok(None) };
        let last = profile.find_in(&items).and_then(LastReset::from_profile);
        Ok(Some(ResetState { devices: UserDevices::from_item(found)?, last }))
    }

    /// Starts the chain anew with this device alone. All other devices, active and pending, are
    /// revoked. `sign_in_s` is the time of the sign-in, in epoch seconds; each sign-in resets once.
    ///
    /// One transaction: twice the write units of device record, device keys, refresh token, blocks
    /// of one-time keys, device set, node, profile and one small record for each revoked device. If
    /// its answer is lost for good, the reset may have happened: a repetition then returns
    /// [`ResetOutcome::DeviceIdUsed`], and the device signs in.
    ///
    /// The keys and mailboxes of the revoked devices stay until [`Store::erase_some`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn reset_devices(
        &self,
        seen: &ResetState,
        device: &DeviceRegistration<'_>,
        node: &ChainNode,
        sign_in_s: i64,
    ) -> Result<ResetOutcome> {
        let DeviceAddress { user, device: id } = device.address;
        let now_ms = device.keys.registered_ms;
        if let Some(refused) = seen.refusal(id, sign_in_s, now_ms) {
            return Ok(refused);
        }
        let count = seen.count_today(now_ms).saturating_add(1);
        let reset = LastReset { sign_in_s, day: now_ms.div_euclid(DAY_MS), count };
        let ResetState { devices: seen, last } = seen;
        let mut writes = self.device_writes(device, DeviceStatus::Active)?;
        writes.push(self.reset_set(seen, device, node)?);
        writes.push(self.put_new(node_item(user, node))?);
        writes.push(self.note_reset(user, *last, reset)?);
        for other in seen.active.keys().chain(&seen.pending) {
            writes.push(self.tombstone(DeviceAddress::new(user, other))?);
        }
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => ResetOutcome::Reset,
            TransactionOutcome::Refused { index: DEVICE_RECORD } => ResetOutcome::DeviceIdUsed,
            TransactionOutcome::Refused { .. } => ResetOutcome::Lost,
        })
    }

    /// Builds the update of the device set to this device alone, on condition that the chain and
    /// the pending devices are as they were seen. The active ones change with the chain only.
    fn reset_set(
        &self,
        seen: &UserDevices,
        device: &DeviceRegistration<'_>,
        node: &ChainNode,
    ) -> Result<TransactWriteItem> {
        let DeviceAddress { user, device: id } = device.address;
        self.update(&key::devices(user), |update| {
            let pending = if seen.pending.is_empty() { "attribute_not_exists(#p)" } else { "#p = :seenp" };
            let update = name_head(update, seen, node)
                .update_expression("SET #len = :len, #head = :head, #a = :a, #f = :f REMOVE #p")
                .expression_attribute_names("#f", devices::attr::FULL)
                .expression_attribute_values(":f", fill::no_marks())
                .condition_expression(format!("{HEAD_AS_SEEN} AND {pending}"))
                .expression_attribute_names("#a", devices::attr::ACTIVE)
                .expression_attribute_names("#p", devices::attr::PENDING)
                .expression_attribute_values(":a", active_attribute([(id, device.keys.registration_id)]));
            if seen.pending.is_empty() {
                update
            } else {
                update.expression_attribute_values(":seenp", ss(&seen.pending))
            }
        })
    }

    /// Builds the update of the profile by a reset, on condition that no reset happened since
    /// `last`.
    fn note_reset(
        &self,
        user: &UserName,
        last: Option<LastReset>,
        reset: LastReset,
    ) -> Result<TransactWriteItem> {
        self.update(&key::profile(user), |update| {
            let as_seen = if last.is_some() { "#rs = :seen" } else { "attribute_not_exists(#rs)" };
            let update = update
                .update_expression("SET #rs = :rs, #rd = :rd, #rn = :rn")
                .condition_expression(format!("{EXISTS} AND {as_seen}"))
                .expression_attribute_names("#rs", attr::RESET_SIGN_IN_S)
                .expression_attribute_names("#rd", attr::RESET_DAY)
                .expression_attribute_names("#rn", attr::RESETS)
                .expression_attribute_values(":rs", n(reset.sign_in_s))
                .expression_attribute_values(":rd", n(reset.day))
                .expression_attribute_values(":rn", n(reset.count));
            match last {
                Some(last) => update.expression_attribute_values(":seen", n(last.sign_in_s)),
                None => update,
            }
        })
    }

    /// Builds the writes of a new device. The first one, at [`DEVICE_RECORD`], claims the id by its
    /// condition.
    fn device_writes(
        &self,
        registration: &DeviceRegistration<'_>,
        status: DeviceStatus,
    ) -> Result<Vec<TransactWriteItem>> {
        let address = registration.address;
        let pools = FirstPools::new(address, registration.one_time);
        let mut record = key::device(address).item();
        record.set(device::attr::STATUS, s(status.code()));
        record.set(device::attr::FAMILY, s(&registration.session.family));
        record.extend(pools.record);
        let mut writes = vec![
            self.put_new(record)?,
            self.put_new(registration.keys.item(address))?,
            self.put_new(registration.session.item(address))?,
        ];
        for block in pools.blocks {
            writes.push(self.put(block)?);
        }
        Ok(writes)
    }
}

/// The index of the device record among [`Store::device_writes`].
const DEVICE_RECORD: usize = 0;

impl Store {
    /// Adds one to the number of users, which NodeInfo reports.
    ///
    /// One UpdateItem: 1 write unit. It is apart from the transaction of the registration, because
    /// an item that every registration writes would make registrations collide. If its answer is
    /// lost, the SDK's repetition may count the user twice; if it fails, the user is not counted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn count_user(&self) -> Result<()> {
        self.dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::statistics().item()))
            .update_expression("ADD #users :one")
            .expression_attribute_names("#users", attr::USERS)
            .expression_attribute_values(":one", n(1))
            .send()
            .await
            .map(drop)
            .map_err(call("UpdateItem"))
    }

    /// Reads the approximate number of users, eventually consistent; 0 before the first one is
    /// counted.
    ///
    /// One GetItem: half a read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn count_users(&self) -> Result<u64> {
        let key = Some(key::statistics().item());
        let found = self.dynamodb().get_item().table_name(self.table()).set_key(key).send().await;
        let item = found.map_err(call("GetItem"))?.item.unwrap_or_default();
        Ok(device::number_or_zero(&item, attr::USERS))
    }
}
