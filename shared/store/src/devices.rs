//! The device set: one small item a user, read by every send.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use eko_protocol::address::UserName;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;

use crate::attribute::{Item, Read, corrupt, missing, n, s};
use crate::error::call;
use crate::{Result, Store, StoreError, key};

/// A user's devices as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// Length and head hash of the chain.
    pub set: DeviceSetRef,
    /// The active devices with their registration ids.
    pub active: BTreeMap<DeviceId, u16>,
    /// Devices that wait for approval.
    pub pending: BTreeSet<DeviceId>,
}

impl Devices {
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
                Ok((DeviceId::parse(id).map_err(corrupt)?, registration.ok_or_else(|| missing("a"))?))
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
        let one = |(device, registration): (&DeviceId, &u16)| (device.to_string(), n(*registration));
        AttributeValue::M(self.active.iter().map(one).collect())
    }

    pub(crate) fn first_item(
        user: &UserName,
        set: &DeviceSetRef,
        device: &DeviceId,
        registration: u16,
    ) -> Item {
        let mut item = key::devices(user).item();
        item.insert("len".to_owned(), n(set.length));
        item.insert("head".to_owned(), s(&set.head));
        item.insert("a".to_owned(), AttributeValue::M([(device.to_string(), n(registration))].into()));
        item
    }
}

impl Store {
    /// The device sets of one or two users in one BatchGetItem (strongly consistent; 1 read unit each).
    /// `None` for a user who does not exist.
    pub async fn device_sets<const N: usize>(&self, users: [&UserName; N]) -> Result<[Option<Devices>; N]> {
        let mut keys: Vec<key::Key> = users.iter().map(|user| key::devices(user)).collect();
        keys.dedup();
        let items = self.batch_get(keys).await?;
        let mut found: [Option<Devices>; N] = std::array::from_fn(|_| None);
        for (user, slot) in users.iter().zip(found.iter_mut()) {
            let pk = key::user_partition(user);
            let item = items.iter().find(|item| item.get_s("pk") == Some(pk.as_str()));
            *slot = item.map(Devices::from_item).transpose()?;
        }
        Ok(found)
    }

    /// The device set of one user: one GetItem (strongly consistent), what a report's delivery needs.
    pub async fn device_set(&self, user: &UserName) -> Result<Option<Devices>> {
        let found = self
            .dynamodb()
            .get_item()
            .table_name(self.table())
            .set_key(Some(key::devices(user).item()))
            .consistent_read(true)
            .send()
            .await
            .map_err(call("GetItem"))?;
        found.item.as_ref().map(Devices::from_item).transpose()
    }

    /// Reads up to 100 items, strongly consistent, in one BatchGetItem; what DynamoDB leaves unprocessed is
    /// asked for again.
    pub(crate) async fn batch_get(&self, keys: Vec<key::Key>) -> Result<Vec<Item>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(key::Key::item).collect()))
            .consistent_read(true)
            .build()
            .map_err(corrupt)?;
        let mut found = Vec::with_capacity(keys.len());
        for _ in 0..8 {
            let answer = self
                .dynamodb()
                .batch_get_item()
                .request_items(self.table(), wanted)
                .send()
                .await
                .map_err(call("BatchGetItem"))?;
            found.extend(
                answer.responses.into_iter().flat_map(|mut tables| tables.remove(self.table())).flatten(),
            );
            match answer.unprocessed_keys.and_then(|mut tables| tables.remove(self.table())) {
                Some(left) if !left.keys.is_empty() => wanted = left,
                _ => return Ok(found),
            }
        }
        Err(StoreError::GaveUp { operation: "BatchGetItem", detail: "unprocessed keys".to_owned() })
    }
}

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// In the device set.
    Active,
    /// Registered, waiting for an active device's approval.
    Pending,
    /// Out of the set for ever; its id is never used again.
    Revoked,
}

impl Status {
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
pub struct Record {
    /// Where the device stands.
    pub status: Status,
    /// The family of its refresh tokens, while it is signed in.
    pub family: Option<String>,
    /// Its pool of one-time prekeys.
    pub prekeys: Pool,
    /// Its pool of one-time Kyber prekeys.
    pub kyber_prekeys: Pool,
}

/// A pool of one-time keys: they have places that only grow; `head` is the next to be handed out, `tail`
/// the place behind the last. A head beyond the tail is an empty pool that was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// The next place to be handed out.
    pub head: u64,
    /// The place behind the last key.
    pub tail: u64,
    /// The highest key id ever published.
    pub max_id: Option<u32>,
}

impl Pool {
    /// Keys left.
    pub fn left(self) -> u64 {
        self.tail.saturating_sub(self.head)
    }
}

impl Record {
    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        let pool = |head: &str, tail: &str, max: &str| {
            let number = |name: &str| item.get_n(name).unwrap_or_default().unsigned_abs();
            let max_id = item.get_n(max).and_then(|id| u32::try_from(id).ok());
            Pool { head: number(head), tail: number(tail), max_id }
        };
        Ok(Self {
            status: Status::parse(item.need_s("st")?)?,
            family: item.get_s("fam").map(str::to_owned),
            prekeys: pool("oh", "ot", "om"),
            kyber_prekeys: pool("kh", "kt", "km"),
        })
    }
}

impl Store {
    /// A device's own record: one GetItem, strongly consistent.
    pub async fn device_record(&self, user: &UserName, device: &DeviceId) -> Result<Option<Record>> {
        self.device_item(user, device).await?.as_ref().map(Record::from_item).transpose()
    }

    pub(crate) async fn device_item(&self, user: &UserName, device: &DeviceId) -> Result<Option<Item>> {
        let found = self
            .dynamodb()
            .get_item()
            .table_name(self.table())
            .set_key(Some(key::device(user, device).item()))
            .consistent_read(true)
            .send()
            .await
            .map_err(call("GetItem"))?;
        Ok(found.item)
    }
}
