//! The device set: one small item a user, read by every send.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::UserName;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_protocol::key::RegistrationId;

use crate::attribute::{Item, ReadItem, corrupt, missing, n, s};
use crate::device::DeviceAddress;
use crate::{Result, Store, key};

/// A user's devices as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDevices {
    /// Length and head hash of the chain.
    pub set: DeviceSetRef,
    /// The active devices with their registration ids.
    pub active: BTreeMap<DeviceId, RegistrationId>,
    /// The devices that wait for approval.
    pub pending: BTreeSet<DeviceId>,
}

impl UserDevices {
    /// The ids of the active devices.
    pub fn active_ids(&self) -> BTreeSet<DeviceId> {
        self.active.keys().cloned().collect()
    }

    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        let active = item.get("a").and_then(|v| v.as_m().ok()).ok_or_else(|| missing("a"))?;
        let active = active
            .iter()
            .map(|(id, registration)| {
                let registration = registration.as_n().ok().and_then(|v| v.parse().ok());
                let registration = registration.ok_or_else(|| missing("a"))?;
                Ok((
                    DeviceId::parse(id).map_err(corrupt)?,
                    RegistrationId::new(registration).map_err(corrupt)?,
                ))
            })
            .collect::<Result<_>>()?;
        let pending =
            item.get_ss("p").iter().map(|id| DeviceId::parse(id).map_err(corrupt)).collect::<Result<_>>()?;
        let set = DeviceSetRef {
            length: item.need_n("len")?.unsigned_abs(),
            head: item.need_s("head")?.to_owned(),
        };
        Ok(Self { set, active, pending })
    }

    /// The active devices as they are stored, for a condition on the whole of them.
    pub(crate) fn active_attribute(&self) -> AttributeValue {
        let one = |(device, registration): (&DeviceId, &RegistrationId)| {
            (device.to_string(), n(registration.get()))
        };
        AttributeValue::M(self.active.iter().map(one).collect())
    }

    pub(crate) fn first_item(
        address: DeviceAddress<'_>,
        set: &DeviceSetRef,
        registration: RegistrationId,
    ) -> Item {
        let mut item = key::devices(address.user).item();
        item.insert("len".to_owned(), n(set.length));
        item.insert("head".to_owned(), s(&set.head));
        item.insert(
            "a".to_owned(),
            AttributeValue::M([(address.device.to_string(), n(registration.get()))].into()),
        );
        item
    }
}

impl Store {
    /// The device sets of one or two users in one BatchGetItem (strongly consistent; 1 read unit each).
    /// `None` for a user who does not exist.
    pub async fn device_sets<const N: usize>(
        &self,
        users: [&UserName; N],
    ) -> Result<[Option<UserDevices>; N]> {
        let mut keys: Vec<key::ItemKey> = users.iter().map(|user| key::devices(user)).collect();
        keys.dedup();
        let items = self.batch_get(keys).await?;
        let mut found: [Option<UserDevices>; N] = std::array::from_fn(|_| None);
        for (user, slot) in users.iter().zip(found.iter_mut()) {
            let pk = key::user_partition(user);
            let item = items.iter().find(|item| item.get_s("pk") == Some(pk.as_str()));
            *slot = item.map(UserDevices::from_item).transpose()?;
        }
        Ok(found)
    }

    /// The device set of one user: one GetItem (strongly consistent), what a report's delivery needs.
    pub async fn device_set(&self, user: &UserName) -> Result<Option<UserDevices>> {
        self.get_item(&key::devices(user)).await?.as_ref().map(UserDevices::from_item).transpose()
    }
}
