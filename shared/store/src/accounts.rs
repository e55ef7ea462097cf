//! Accounts: who signed in first under a name, and how devices come to them.

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_protocol::key_package::PublishKeys;

use crate::attribute::{Read, corrupt, n, s, ss};
use crate::chain::NewNode;
use crate::device::Status;
use crate::device_keys::DeviceKeys;
use crate::devices::Devices;
use crate::error::call;
use crate::publication::first_pools;
use crate::sessions::NewSession;
use crate::transaction::Outcome;
use crate::{Result, Store, key};

/// Devices of one user that may wait for approval at once.
pub const PENDING_DEVICES: usize = 8;

/// A device about to be registered: everything of it, verified.
#[derive(Clone, Debug)]
pub struct NewDevice<'a> {
    /// The user that it belongs to.
    pub user: &'a UserName,
    /// Its id.
    pub device: &'a DeviceId,
    /// Its lasting keys.
    pub keys: DeviceKeys,
    /// Its one-time keys.
    pub one_time: &'a PublishKeys,
    /// Its first refresh token.
    pub session: NewSession,
}

/// How a registration ended. Nothing is stored but with `Done`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
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
    pub async fn account_of(&self, issuer: &str, subject: &str) -> Result<Option<UserName>> {
        let found = self.get_item(&key::subject(issuer, subject)).await?;
        found.map(|item| UserName::parse(item.need_s("u")?).map_err(corrupt)).transpose()
    }

    /// Claims a name for a subject and makes its first device the first of the chain, in one transaction.
    pub async fn create_account(
        &self,
        (issuer, subject): (&str, &str),
        device: &NewDevice<'_>,
        node: &NewNode,
    ) -> Result<Registered> {
        let mut binding = key::subject(issuer, subject).item();
        binding.insert("u".to_owned(), s(device.user.as_str()));
        let mut profile = key::profile(device.user).item();
        profile.insert("iss".to_owned(), s(issuer));
        profile.insert("sub".to_owned(), s(subject));
        profile.insert("at".to_owned(), n(device.keys.registered_ms));
        let registration = device.keys.registration_id.get();
        let set = Devices::first_item(device.user, &node.set(), device.device, registration);
        let mut writes = vec![self.put_new(binding)?, self.put_new(profile)?];
        writes.extend(self.device_writes(device, Status::Active)?);
        writes.push(self.put_new(set)?);
        writes.push(self.put_new(node.item(device.user))?);
        Ok(match self.transact(writes).await? {
            Outcome::Done => Registered::Done,
            Outcome::Refused { index: 0, .. } => Registered::SubjectTaken,
            Outcome::Refused { index: 1, .. } => Registered::NameTaken,
            Outcome::Refused { index: 2, .. } => Registered::DeviceIdUsed,
            Outcome::Refused { .. } => Registered::Lost,
        })
    }

    /// Registers a device that waits for approval, in one transaction.
    pub async fn add_pending(&self, device: &NewDevice<'_>) -> Result<Registered> {
        let set = self.update(&key::devices(device.user), |update| {
            update
                .update_expression("ADD #p :device")
                .condition_expression(
                    "attribute_exists(pk) AND (attribute_not_exists(#p) OR size(#p) < :most)",
                )
                .expression_attribute_names("#p", "p")
                .expression_attribute_values(":device", ss([device.device]))
                .expression_attribute_values(":most", n(u64::try_from(PENDING_DEVICES).unwrap_or(u64::MAX)))
        })?;
        let mut writes = self.device_writes(device, Status::Pending)?;
        writes.push(set);
        Ok(match self.transact(writes).await? {
            Outcome::Done => Registered::Done,
            Outcome::Refused { index: 0, .. } => Registered::DeviceIdUsed,
            Outcome::Refused { .. } => Registered::Lost,
        })
    }

    /// Starts the chain over with this device alone, in one transaction; all other devices, pending ones
    /// too, are revoked by it. What they leave is for [`Store::erase_device`].
    pub async fn reset_devices(
        &self,
        seen: &Devices,
        device: &NewDevice<'_>,
        node: &NewNode,
    ) -> Result<Registered> {
        // No transaction writes one item twice: to claim the id and to revoke its device.
        if seen.active.contains_key(device.device) || seen.pending.contains(device.device) {
            return Ok(Registered::DeviceIdUsed);
        }
        let registration = device.keys.registration_id.get();
        let set = Devices::first_item(device.user, &node.set(), device.device, registration);
        let pending = if seen.pending.is_empty() { "attribute_not_exists(#p)" } else { "#p = :seenp" };
        let head = self.update(&key::devices(device.user), |update| {
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
        let mut writes = self.device_writes(device, Status::Active)?;
        writes.push(head);
        writes.push(self.put_new(node.item(device.user))?);
        for other in seen.active.keys().chain(&seen.pending) {
            writes.push(self.tombstone(device.user, other)?);
        }
        Ok(match self.transact(writes).await? {
            Outcome::Done => Registered::Done,
            Outcome::Refused { index: 0, .. } => Registered::DeviceIdUsed,
            Outcome::Refused { .. } => Registered::Lost,
        })
    }

    /// The writes of a new device, its own record first: its id is claimed by that one's condition.
    fn device_writes(&self, device: &NewDevice<'_>, status: Status) -> Result<Vec<TransactWriteItem>> {
        let (pools, blocks) = first_pools(device.user, device.device, device.one_time);
        let mut own = key::device(device.user, device.device).item();
        own.insert("st".to_owned(), s(status.code()));
        own.insert("fam".to_owned(), s(&device.session.family));
        own.extend(pools.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut writes = vec![
            self.put_new(own)?,
            self.put_new(device.keys.item(device.user, device.device))?,
            self.put_new(device.session.item(device.user, device.device))?,
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
