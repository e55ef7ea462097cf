//! One-time prekeys: each handed out once, ever, lowest id first.
//!
//! A device has a pool for each kind. Keys have *places* that only grow; the device's own record holds head
//! and tail of each pool. A take moves both heads by one UpdateItem, decided by a condition: whoever moved
//! the head owns the place, whatever races and whoever crashes. The keys themselves lie in *blocks* of
//! neighbouring places, several to an item, since an item costs its size in kilobytes, rounded up:
//! `OPK#{block}` and `PQK#{block}`; `f` first place held, `b` the keys one after another, each its id
//! (4 bytes, big-endian), its key, and for Kyber its signature.
//!
//! The same condition holds the budgets: the record counts takes of the hour (`T{hour}`) and takes of each
//! taker (`B{hour}.{hash}`). Over budget nothing moves, and the keys without one-time ones are answered all
//! the same (`docs/protocol.md`, section 4). Counters of past hours go with the next publication.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_protocol::key::{CurveKey, KeyId, KyberKey, Signature};
use eko_protocol::key_package::{KyberPreKey, OneTimePreKey};
use sha2::{Digest, Sha256};

use crate::attribute::{Item, ReadItem, corrupt, n, s};
use crate::condition::{ConditionalWrite, conditional};
use crate::device::{DeviceAddress, DeviceStatus};
use crate::device_keys::DeviceKeys;
use crate::{Result, Store, StoreError, key};

/// Takes are budgeted by the hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// The hour that a counter of takes is for; `None` for any other attribute.
pub(crate) fn counter_hour(attribute: &str) -> Option<i64> {
    let rest = attribute.strip_prefix(['T', 'B'])?;
    rest.split('.').next()?.parse().ok()
}

/// Kinds of one-time keys.
pub(crate) trait OneTimeKey: Sized + Clone {
    /// Start of the blocks' sort keys.
    const PREFIX: &'static str;
    /// Places of one block.
    const BLOCK: u64;
    /// Bytes of one key with its id.
    const BYTES: usize;
    fn id(&self) -> KeyId;
    fn write(&self, bytes: &mut Vec<u8>);
    fn read(id: KeyId, bytes: &[u8]) -> Result<Self>;
}

impl OneTimeKey for OneTimePreKey {
    const PREFIX: &'static str = "OPK#";
    const BLOCK: u64 = 20;
    const BYTES: usize = 4 + 33;

    fn id(&self) -> KeyId {
        self.id
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.id.get().to_be_bytes());
        bytes.extend(self.key.as_bytes());
    }

    fn read(id: KeyId, bytes: &[u8]) -> Result<Self> {
        Ok(Self { id, key: CurveKey::from_bytes(bytes).map_err(corrupt)? })
    }
}

impl OneTimeKey for KyberPreKey {
    const PREFIX: &'static str = "PQK#";
    const BLOCK: u64 = 2;
    const BYTES: usize = 4 + 1569 + 64;

    fn id(&self) -> KeyId {
        self.id
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.id.get().to_be_bytes());
        bytes.extend(self.key.as_bytes());
        bytes.extend(self.signature.as_bytes());
    }

    fn read(id: KeyId, bytes: &[u8]) -> Result<Self> {
        let (key, signature) =
            bytes.split_at_checked(1569).ok_or_else(|| corrupt("a one-time key is cut short"))?;
        let key = KyberKey::from_bytes(key).map_err(corrupt)?;
        Ok(Self { id, key, signature: Signature::from_bytes(signature).map_err(corrupt)? })
    }
}

/// Neighbouring places of a pool, stored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyBlock<K> {
    pub(crate) number: u64,
    first: u64,
    keys: Vec<K>,
}

impl<K: OneTimeKey> KeyBlock<K> {
    /// Cuts keys that start at place `start` into blocks; `last` is the block that holds the places right
    /// before, if there are any in the same block.
    pub(crate) fn cut(start: u64, keys: &[K], last: Option<Self>) -> Vec<Self> {
        let mut blocks: Vec<Self> = last.into_iter().collect();
        for (place, key) in (start..).zip(keys) {
            let number = place.checked_div(K::BLOCK).unwrap_or(0);
            match blocks.last_mut() {
                Some(block) if block.number == number => block.keys.push(key.clone()),
                _ => blocks.push(Self { number, first: place, keys: vec![key.clone()] }),
            }
        }
        blocks
    }

    pub(crate) fn item(&self, address: DeviceAddress<'_>) -> Item {
        let mut bytes = Vec::with_capacity(self.keys.len().saturating_mul(K::BYTES));
        self.keys.iter().for_each(|key| key.write(&mut bytes));
        let mut item = key::one_time_block(address, K::PREFIX, self.number).item();
        item.insert("f".to_owned(), n(self.first));
        item.insert("b".to_owned(), crate::attribute::b(bytes));
        item
    }

    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        let number = item.need_s("sk")?.strip_prefix(K::PREFIX).and_then(|text| text.parse().ok());
        let keys = item.need_b("b")?.chunks(K::BYTES).map(|bytes| {
            let (id, rest) =
                bytes.split_first_chunk::<4>().ok_or_else(|| corrupt("a one-time key is cut short"))?;
            K::read(KeyId::new(u64::from(u32::from_be_bytes(*id))).map_err(corrupt)?, rest)
        });
        Ok(Self {
            number: number.ok_or_else(|| corrupt("not a block of one-time keys"))?,
            first: item.need_n("f")?.unsigned_abs(),
            keys: keys.collect::<Result<_>>()?,
        })
    }

    fn at(&self, place: u64) -> Option<&K> {
        self.keys.get(usize::try_from(place.checked_sub(self.first)?).ok()?)
    }

    pub(crate) fn keys(&self) -> &[K] {
        &self.keys
    }
}

/// How many one-time keys of a device may go in an hour.
#[derive(Clone, Debug)]
pub struct TakeBudget<'a> {
    /// To each of those that the taker counts as: itself, by its actor id; its server, where that is another.
    pub each: Vec<TakerLimit<'a>>,
    /// To all of them together.
    pub total: u64,
}

/// How many one-time keys of a device one taker may take in an hour.
#[derive(Clone, Debug)]
pub struct TakerLimit<'a> {
    /// The taker: an actor id or a server's origin.
    pub taker: &'a str,
    /// The most keys of each kind.
    pub most: u64,
}

/// A device's keys as a taker gets them.
#[derive(Clone, Debug)]
pub struct TakenPackage {
    /// The keys that are not consumed.
    pub keys: DeviceKeys,
    /// A one-time prekey, when the pool and the budget had one.
    pub pre_key: Option<OneTimePreKey>,
    /// A one-time Kyber key, likewise.
    pub kyber_pre_key: Option<KyberPreKey>,
}

/// Places that a take owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ClaimedPlaces {
    pre_key: Option<u64>,
    kyber: Option<u64>,
}

impl Store {
    /// Takes one-time keys of each device under a budget: an UpdateItem a device, all at once, then one
    /// BatchGetItem for all keys. A device that is not active is left out.
    pub async fn take_keys(
        &self,
        user: &UserName,
        devices: &[DeviceId],
        budget: &TakeBudget<'_>,
        now_ms: i64,
    ) -> Result<BTreeMap<DeviceId, TakenPackage>> {
        let claims =
            devices.iter().map(|device| self.claim_places(DeviceAddress::new(user, device), budget, now_ms));
        let claimed = futures_util::future::try_join_all(claims).await?;
        let mut places = BTreeMap::new();
        let mut wanted = Vec::new();
        for (device, claimed) in devices.iter().zip(claimed) {
            let Some(claimed) = claimed else { continue };
            let address = DeviceAddress::new(user, device);
            wanted.push(key::prekeys(address));
            wanted.extend(claimed.pre_key.map(|place| block_key::<OneTimePreKey>(address, place)));
            wanted.extend(claimed.kyber.map(|place| block_key::<KyberPreKey>(address, place)));
            places.insert(device.clone(), claimed);
        }
        let items = self.batch_get(wanted).await?;
        let find = |key: &key::ItemKey| {
            items
                .iter()
                .find(|i| i.get_s("pk") == Some(key.pk.as_str()) && i.get_s("sk") == Some(key.sk.as_str()))
        };
        let mut taken = BTreeMap::new();
        for (device, places) in places {
            let address = DeviceAddress::new(user, &device);
            // A device revoked since its claim has no keys any more.
            let Some(keys) = find(&key::prekeys(address)) else { continue };
            let keys = DeviceKeys::from_item(keys)?;
            let pre_key =
                places.pre_key.map(|place| read_place(&find, address, place)).transpose()?.flatten();
            let kyber_pre_key =
                places.kyber.map(|place| read_place(&find, address, place)).transpose()?.flatten();
            taken.insert(device, TakenPackage { keys, pre_key, kyber_pre_key });
        }
        Ok(taken)
    }

    /// Moves the heads; `None` where the device is not active.
    async fn claim_places(
        &self,
        address: DeviceAddress<'_>,
        budget: &TakeBudget<'_>,
        now_ms: i64,
    ) -> Result<Option<ClaimedPlaces>> {
        let hour = now_ms.div_euclid(HOUR_MS);
        let mut counters = vec![(format!("T{hour}"), budget.total)];
        counters.extend(budget.each.iter().map(|limit| {
            let hash = hex::encode(Sha256::digest(limit.taker).get(..6).unwrap_or_default());
            (format!("B{hour}.{hash}"), limit.most)
        }));
        let mut update = "ADD #oh :one, #kh :one".to_owned();
        let mut condition = "#st = :active AND (#oh < #ot OR #kh < #kt)".to_owned();
        for index in 0..counters.len() {
            update.push_str(&format!(", #c{index} :one"));
            condition.push_str(&format!(" AND (attribute_not_exists(#c{index}) OR #c{index} < :c{index})"));
        }
        for _ in 0..6 {
            let mut claim = self
                .dynamodb()
                .update_item()
                .table_name(self.table())
                .set_key(Some(key::device(address).item()))
                .update_expression(&update)
                .condition_expression(&condition)
                .expression_attribute_names("#st", "st")
                .expression_attribute_names("#oh", "oh")
                .expression_attribute_names("#ot", "ot")
                .expression_attribute_names("#kh", "kh")
                .expression_attribute_names("#kt", "kt")
                .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
                .expression_attribute_values(":one", n(1))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            for (index, (name, most)) in counters.iter().enumerate() {
                claim = claim
                    .expression_attribute_names(format!("#c{index}"), name)
                    .expression_attribute_values(format!(":c{index}"), n(*most));
            }
            let sent = claim.send().await;
            let service_error = sent.as_ref().err().and_then(SdkError::as_service_error);
            if service_error.is_some_and(UpdateItemError::is_transaction_conflict_exception) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            }
            return match conditional(sent)? {
                ConditionalWrite::Done(claimed) => {
                    ClaimedPlaces::after(&claimed.attributes.unwrap_or_default()).map(Some)
                }
                ConditionalWrite::Refused { stored } => {
                    let status = stored.as_ref().and_then(|item| item.get_s("st"));
                    Ok((status == Some(DeviceStatus::Active.code())).then(ClaimedPlaces::default))
                }
            };
        }
        Err(StoreError::GaveUp { operation: "UpdateItem", detail: "conflicts".to_owned() })
    }
}

impl ClaimedPlaces {
    /// What a take owns when the record looks like this after it.
    fn after(item: &Item) -> Result<Self> {
        let place = |head: &str, tail: &str| {
            let place = item.need_n(head)?.unsigned_abs().saturating_sub(1);
            Ok::<_, StoreError>((place < item.need_n(tail)?.unsigned_abs()).then_some(place))
        };
        Ok(Self { pre_key: place("oh", "ot")?, kyber: place("kh", "kt")? })
    }
}

fn block_key<K: OneTimeKey>(address: DeviceAddress<'_>, place: u64) -> key::ItemKey {
    key::one_time_block(address, K::PREFIX, place.checked_div(K::BLOCK).unwrap_or(0))
}

fn read_place<'a, K: OneTimeKey>(
    find: &impl Fn(&key::ItemKey) -> Option<&'a Item>,
    address: DeviceAddress<'_>,
    place: u64,
) -> Result<Option<K>> {
    let Some(item) = find(&block_key::<K>(address, place)) else { return Ok(None) };
    Ok(KeyBlock::<K>::from_item(item)?.at(place).cloned())
}
