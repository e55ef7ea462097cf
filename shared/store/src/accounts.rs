//! Accounts: who signed in first under a name, and how devices come to them.

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::address::UserName;
use eko_protocol::key_package::PublishedKeys;

use crate::attribute::{ReadItem, corrupt, n, s, ss};
use crate::chain::NewNode;
use crate::device::{DeviceAddress, DeviceStatus};
use crate::device_keys::DeviceKeys;
use crate::devices::UserDevices;
use crate::error::call;
use crate::publication::first_pools;
use crate::sessions::NewSession;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, key};

/// Devices of one user that may wait for approval at once.
pub const PENDING_DEVICES: usize = 8;

/// A person as the OIDC issuer names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OidcSubject<'a> {
    /// The issuer, the claim `iss`.
    pub issuer: &'a str,
    /// The person's id at the issuer, the claim `sub`.
    pub subject: &'a str,
}

/// A device about to be registered: everything of it, verified.
#[derive(Clone, Debug)]
pub struct DeviceRegistration<'a> {
    /// The device's user and id.
    pub address: DeviceAddress<'a>,
    /// Its lasting keys.
    pub keys: DeviceKeys,
    /// Its one-time keys.
    pub one_time: &'a PublishedKeys,
    /// Its first refresh token.
    pub session: NewSession,
}

/// How a registration ended. Nothing is stored but with `Done`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationOutcome {
    /// All of it is stored.
    Done,
    /// The name belongs to another subject.
    NameTaken,
    /// The subject has an account, made a moment ago.
    SubjectTaken,
    /// The device id is or was in use.
    DeviceIdUsed,
    /// The chain or the set of pending devices has changed: read again.
    Lost,
}

impl Store {
    /// The user name of an OIDC subject: one GetItem, strongly consistent.
    pub async fn account_of(&self, subject: OidcSubject<'_>) -> Result<Option<UserName>> {
        let found = self.get_item(&key::subject(subject.issuer, subject.subject)).await?;
        found.map(|item| UserName::parse(item.need_s("u")?).map_err(corrupt)).transpose()
    }

    /// Claims a name for a subject and makes its first device the first of the chain, in one transaction.
    pub async fn create_account(
        &self,
        subject: OidcSubject<'_>,
        device: &DeviceRegistration<'_>,
        node: &NewNode,
    ) -> Result<RegistrationOutcome> {
        let mut binding = key::subject(subject.issuer, subject.subject).item();
        binding.insert("u".to_owned(), s(device.address.user.as_str()));
        let mut profile = key::profile(device.address.user).item();
        profile.insert("iss".to_owned(), s(subject.issuer));
        profile.insert("sub".to_owned(), s(subject.subject));
        profile.insert("at".to_owned(), n(device.keys.registered_ms));
        let registration = device.keys.registration_id;
        let set = UserDevices::first_item(device.address, &node.set(), registration);
        let mut writes = vec![self.put_new(binding)?, self.put_new(profile)?];
        writes.extend(self.device_writes(device, DeviceStatus::Active)?);
        writes.push(self.put_new(set)?);
        writes.push(self.put_new(node.item(device.address.user))?);
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => RegistrationOutcome::Done,
            TransactionOutcome::Refused { index: 0, .. } => RegistrationOutcome::SubjectTaken,
            TransactionOutcome::Refused { index: 1, .. } => RegistrationOutcome::NameTaken,
            TransactionOutcome::Refused { index: 2, .. } => RegistrationOutcome::DeviceIdUsed,
            TransactionOutcome::Refused { .. } => RegistrationOutcome::Lost,
        })
    }

    /// Registers a device that waits for approval, in one transaction.
    pub async fn add_pending(&self, device: &DeviceRegistration<'_>) -> Result<RegistrationOutcome> {
        let set = self.update(&key::devices(device.address.user), |update| {
            update
                .update_expression("ADD #p :device")
                .condition_expression(
                    "attribute_exists(pk) AND (attribute_not_exists(#p) OR size(#p) < :most)",
                )
                .expression_attribute_names("#p", "p")
                .expression_attribute_values(":device", ss([device.address.device]))
                .expression_attribute_values(":most", n(u64::try_from(PENDING_DEVICES).unwrap_or(u64::MAX)))
        })?;
        let mut writes = self.device_writes(device, DeviceStatus::Pending)?;
        writes.push(set);
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => RegistrationOutcome::Done,
            TransactionOutcome::Refused { index: 0, .. } => RegistrationOutcome::DeviceIdUsed,
            TransactionOutcome::Refused { .. } => RegistrationOutcome::Lost,
        })
    }

    /// Starts the chain over with this device alone, in one transaction; all other devices, pending ones
    /// too, are revoked by it. What they leave is for [`Store::erase_device`].
    pub async fn reset_devices(
        &self,
        seen: &UserDevices,
        device: &DeviceRegistration<'_>,
        node: &NewNode,
    ) -> Result<RegistrationOutcome> {
        // No transaction writes one item twice: to claim the id and to revoke its device.
        if seen.active.contains_key(device.address.device) || seen.pending.contains(device.address.device) {
            return Ok(RegistrationOutcome::DeviceIdUsed);
        }
        let registration = device.keys.registration_id;
        let set = UserDevices::first_item(device.address, &node.set(), registration);
        let pending = if seen.pending.is_empty() { "attribute_not_exists(#p)" } else { "#p = :seenp" };
        let head = self.update(&key::devices(device.address.user), |update| {
            let update = update
                .update_expression("SET #len = :len, #head = :head, #a = :a REMOVE #p")
                .condition_expression(format!(
                    "#len = :seenlen AND #head = :seenhead AND #a = :seena AND {pending}"
                ))
                .expression_attribute_names("#len", "len")
                .expression_attribute_names("#head", "head")
                .expression_attribute_names("#a", "a")
                .expression_attribute_names("#p", "p")
                .expression_attribute_values(":seenlen", n(seen.set.length))
                .expression_attribute_values(":seenhead", s(&seen.set.head))
                .expression_attribute_values(":seena", seen.active_attribute())
                .expression_attribute_values(":len", n(node.set().length))
                .expression_attribute_values(":head", s(&node.hash));
            let update = match seen.pending.is_empty() {
                true => update,
                false => update.expression_attribute_values(":seenp", ss(&seen.pending)),
            };
            set.get("a").cloned().into_iter().fold(update, |u, a| u.expression_attribute_values(":a", a))
        })?;
        let mut writes = self.device_writes(device, DeviceStatus::Active)?;
        writes.push(head);
        writes.push(self.put_new(node.item(device.address.user))?);
        for other in seen.active.keys().chain(&seen.pending) {
            writes.push(self.tombstone(DeviceAddress::new(device.address.user, other))?);
        }
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => RegistrationOutcome::Done,
            TransactionOutcome::Refused { index: 0, .. } => RegistrationOutcome::DeviceIdUsed,
            TransactionOutcome::Refused { .. } => RegistrationOutcome::Lost,
        })
    }

    /// The writes of a new device, its own record first: its id is claimed by that one's condition.
    fn device_writes(
        &self,
        device: &DeviceRegistration<'_>,
        status: DeviceStatus,
    ) -> Result<Vec<TransactWriteItem>> {
        let (pools, blocks) = first_pools(device.address, device.one_time);
        let mut own = key::device(device.address).item();
        own.insert("st".to_owned(), s(status.code()));
        own.insert("fam".to_owned(), s(&device.session.family));
        own.extend(pools.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut writes = vec![
            self.put_new(own)?,
            self.put_new(device.keys.item(device.address))?,
            self.put_new(device.session.item(device.address))?,
        ];
        for block in blocks {
            writes.push(self.put(block)?);
        }
        Ok(writes)
    }
}

impl Store {
    /// Counts a new user, for NodeInfo. One UpdateItem, after the registration and outside its transaction:
    /// one item that every sign-up writes would make sign-ups collide.
    pub async fn count_user(&self) -> Result<()> {
        self.dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::statistics().item()))
            .update_expression("ADD #users :one")
            .expression_attribute_names("#users", "users")
            .expression_attribute_values(":one", n(1))
            .send()
            .await
            .map(drop)
            .map_err(call("UpdateItem"))
    }

    /// How many users there are, about. One GetItem, eventually consistent.
    pub async fn count_users(&self) -> Result<u64> {
        let key = Some(key::statistics().item());
        let found = self.dynamodb().get_item().table_name(self.table()).set_key(key).send().await;
        let item = found.map_err(call("GetItem"))?.item.unwrap_or_default();
        Ok(item.get_n("users").unwrap_or_default().unsigned_abs())
    }
}
