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
//! | `rs`, `ra`, `rn` | N | | the last reset ([`crate::resets`]) |
//!
//! # Item `C#{user}` / `{device}`
//!
//! The item has no attributes. It is written with the device's record and stays when the device is
//! revoked or turned away, so that a deletion finds everything of every device ([`crate::deletion`]).
//!
//! # Item `N#server` / `STATISTICS`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `users` | N | users | the approximate number of accounts |

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::address::UserName;
use eko_protocol::chain::ChainNode;
use eko_protocol::key_package::PublishedKeys;

use crate::attribute::{Item, ReadItem, WriteItem, corrupt, n, s, ss};
use crate::chain::node_item;
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::device_keys::LastingKeys;
use crate::devices::{self, UserDevices};
use crate::error::call;
use crate::publication::FirstPools;
use crate::sessions::NewSession;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, key};

/// The most devices of one user that may wait for approval at once.
pub const PENDING_DEVICES: u32 = 8;

/// The names of the attributes of the three items.
mod attr {
    pub(super) const USER: &str = "u";
    pub(super) const ISSUER: &str = "iss";
    pub(super) const SUBJECT: &str = "sub";
    pub(super) const CREATED_MS: &str = "at";
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

/// An account's item `PROFILE`, as far as a deletion reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The OIDC issuer.
    pub issuer: String,
    /// The subject at that issuer.
    pub subject: String,
    /// The time at which the account was created, in epoch milliseconds.
    pub created_ms: i64,
}

impl Profile {
    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        Ok(Self {
            issuer: item.need_s(attr::ISSUER)?.to_owned(),
            subject: item.need_s(attr::SUBJECT)?.to_owned(),
            created_ms: item.need_n(attr::CREATED_MS)?,
        })
    }

    /// Returns the person whose account it is.
    pub fn as_oidc(&self) -> OidcSubject<'_> {
        OidcSubject { issuer: &self.issuer, subject: &self.subject }
    }
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
    /// The name belongs to another subject, or to an account that was deleted.
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
        const SET: usize = 1;
        const PROFILE: usize = 2;
        let user = device.address.user;
        let mut binding = key::subject(subject.issuer, subject.subject).item();
        binding.set(attr::USER, s(user.as_str()));
        let mut profile = key::profile(user).item();
        profile.set(attr::ISSUER, s(subject.issuer));
        profile.set(attr::SUBJECT, s(subject.subject));
        profile.set(attr::CREATED_MS, n(device.keys.registered_ms));
        let set = UserDevices::first_item(device.address, node, device.keys.registration_id);
        let mut writes = vec![self.put_new(binding)?, self.put_new(set)?, self.put_new(profile)?];
        writes.extend(self.device_writes(device, DeviceStatus::Active)?);
        writes.push(self.put_new(node_item(user, node))?);
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => AccountOutcome::Created,
            TransactionOutcome::Refused { index: SUBJECT, .. } => AccountOutcome::SubjectTaken,
            TransactionOutcome::Refused { index: SET | PROFILE, .. } => AccountOutcome::NameTaken,
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
                    "attribute_exists(#a) AND (attribute_not_exists(#p) OR size(#p) < :most)",
                )
                .expression_attribute_names("#a", devices::attr::ACTIVE)
                .expression_attribute_names("#p", devices::attr::PENDING)
                .expression_attribute_values(":device", ss([device.address.device]))
                .expression_attribute_values(":most", n(PENDING_DEVICES))
        })?;
        let mut writes = self.device_writes(device, DeviceStatus::Pending)?;
        writes.push(set);
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => PendingOutcome::Added,
            TransactionOutcome::Refused { index: DEVICE_RECORD, .. } => PendingOutcome::DeviceIdUsed,
            TransactionOutcome::Refused { .. } => PendingOutcome::TooMany,
        })
    }

    /// Builds the writes of a new device. The first one, at [`DEVICE_RECORD`], claims the id by its
    /// condition.
    pub(crate) fn device_writes(
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
            self.put(key::owned(address).item())?,
        ];
        for block in pools.blocks {
            writes.push(self.put(block)?);
        }
        Ok(writes)
    }
}

/// The index of the device record among [`Store::device_writes`].
pub(crate) const DEVICE_RECORD: usize = 0;

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
        self.change_user_count(1).await
    }

    /// Subtracts one from the number of users, after a deletion. One UpdateItem, as
    /// [`count_user`](Self::count_user).
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn uncount_user(&self) -> Result<()> {
        self.change_user_count(-1).await
    }

    async fn change_user_count(&self, change: i64) -> Result<()> {
        self.dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::statistics().item()))
            .update_expression("ADD #users :change")
            .expression_attribute_names("#users", attr::USERS)
            .expression_attribute_values(":change", n(change))
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
        Ok(item.get_n(attr::USERS).unwrap_or_default().max(0).unsigned_abs())
    }
}
