//! One-time keys: taking them. Each is handed out at most once, in the order of their ids.
//!
//! A device has two pools: one-time prekeys and one-time Kyber prekeys. The keys of a pool have
//! places that only grow; the device record ([`crate::device`]) holds the head and the tail of each
//! pool. A take moves both heads with one UpdateItem. Whoever moves a head owns the place before
//! it, also if takes race or a process dies. The keys themselves are in blocks (module `block`).
//!
//! The condition of that UpdateItem also enforces the budgets. The device record counts the takes
//! of each hour (`T{hour}`) and the takes of each taker (`B{hour}.{hash}`, where `hash` is the
//! first 6 bytes of the SHA-256 of the taker in hex). Over a budget no head moves, and the package
//! has no one-time keys (`docs/protocol.md`, section 4). The next publication removes the counters
//! of past hours. A taker who gets no one-time keys, as one whom the user blocks, gets the answer of an
//! empty pool. All takes of such takers have one counter of their own, so that they use up nothing that
//! others could get.

pub(crate) mod block;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use eko_protocol::key_package::{KyberPreKey, OneTimePreKey};

use crate::attribute::{Item, ReadItem, n, s, short_hash};
use crate::condition::{ConditionalWrite, conditional};
use crate::device::{self, DeviceAddress, DeviceStatus, KYBER_PRE_KEY_POOL, PRE_KEY_POOL};
use crate::device_keys::LastingKeys;
use crate::{Result, Store, StoreError, key};
use block::{KeyBlock, OneTimeKey};

/// The length of the budgets' hour, in milliseconds.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// The first letter of the counters of all takes.
const TOTAL_COUNTER: char = 'T';
/// The first letter of the counters of one taker's takes.
const TAKER_COUNTER: char = 'B';
/// The name of all takers who get no one-time keys together. No actor id and no site is so named.
const WITHHELD: &str = "-";
/// The most times that places are claimed while a transaction writes the device record.
const CLAIM_TRIES: u32 = 6;
/// The pause after a conflict with a transaction.
const CLAIM_PAUSE: Duration = Duration::from_millis(20);

/// Returns the hour of a counter of takes; `None` for any other attribute of the device record.
pub(crate) fn counter_hour(attribute: &str) -> Option<i64> {
    let rest = attribute.strip_prefix([TOTAL_COUNTER, TAKER_COUNTER])?;
    rest.split('.').next()?.parse().ok()
}

/// The most takes from a device in one hour.
#[derive(Clone, Debug)]
pub struct TakeBudget<'a> {
    /// The limits of the taker itself and, for a taker on another server, of that server.
    pub each: Vec<TakerLimit<'a>>,
    /// The limit of all takers together.
    pub total: u64,
    /// True for a taker who gets no one-time keys, as one whom the user blocks. The take is counted among
    /// those of such takers only, up to `total`.
    pub withholds: bool,
    /// The taker's server, if it is another one. It is told if the account is deleted
    /// ([`crate::deletion`]).
    pub server: Option<&'a Origin>,
}

/// The most takes of one taker from a device in one hour.
#[derive(Clone, Debug)]
pub struct TakerLimit<'a> {
    /// The taker: an actor id, the site of a server, or a name for several takers together.
    pub taker: &'a str,
    /// The most takes.
    pub most: u64,
}

/// The keys that a taker gets of one device.
#[derive(Clone, Debug)]
pub struct TakenPackage {
    /// The lasting keys.
    pub keys: LastingKeys,
    /// A one-time prekey, unless the pool or the budget is exhausted.
    pub pre_key: Option<OneTimePreKey>,
    /// A one-time Kyber prekey, unless the pool or the budget is exhausted.
    pub kyber_pre_key: Option<KyberPreKey>,
}

/// The places that one take owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ClaimedPlaces {
    pre_key: Option<u64>,
    kyber_pre_key: Option<u64>,
}

impl Store {
    /// Takes a key package of each device under a budget. A device that is not active is left out. Each
    /// device record notes the taker's server, by the write that counts the take.
    ///
    /// One UpdateItem a device, all side by side: 1 write unit for each KB of the record. Then one
    /// BatchGetItem: 1 read unit for each device's lasting keys and for each 4 KB of a block. If an
    /// answer is lost, the places that were claimed stay claimed and their keys are never handed out;
    /// the SDK's repetition claims the next ones and counts as another take.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if a transaction writes a
    /// device record each time, or keys stay unread; [`StoreError::Corrupt`] if an item is not
    /// readable.
    pub async fn take_keys(
        &self,
        user: &UserName,
        devices: &[DeviceId],
        budget: &TakeBudget<'_>,
        now_ms: i64,
    ) -> Result<BTreeMap<DeviceId, TakenPackage>> {
        let address = |device| DeviceAddress::new(user, device);
        let claims = devices.iter().map(|device| self.claim_places(address(device), budget, now_ms));
        let claimed = futures_util::future::try_join_all(claims).await?;
        let mut places = BTreeMap::new();
        let mut wanted = Vec::new();
        for (device, claimed) in devices.iter().zip(claimed) {
            let Some(claimed) = claimed else { continue };
            wanted.push(key::prekeys(address(device)));
            wanted.extend(claimed.pre_key.map(|place| key_of_place::<OneTimePreKey>(address(device), place)));
            wanted.extend(
                claimed.kyber_pre_key.map(|place| key_of_place::<KyberPreKey>(address(device), place)),
            );
            places.insert(device, claimed);
        }
        let items = self.batch_get(wanted).await?;
        let mut taken = BTreeMap::new();
        for (device, places) in places {
            let address = address(device);
            // A device that was revoked after its places were claimed may have no keys any more.
            let Some(keys) = key::prekeys(address).find_in(&items) else { continue };
            let package = TakenPackage {
                keys: LastingKeys::from_item(keys)?,
                pre_key: key_at(&items, address, places.pre_key)?,
                kyber_pre_key: key_at(&items, address, places.kyber_pre_key)?,
            };
            taken.insert(device.clone(), package);
        }
        Ok(taken)
    }

    /// Moves the heads of a device's pools. Returns `None` if the device is not active, and no
    /// places if both pools are empty, the budget is exhausted, or the taker is blocked.
    ///
    /// One UpdateItem. If it is refused by an engine that does not return the record, one
    /// BatchGetItem.
    async fn claim_places(
        &self,
        address: DeviceAddress<'_>,
        budget: &TakeBudget<'_>,
        now_ms: i64,
    ) -> Result<Option<ClaimedPlaces>> {
        let hour = now_ms.div_euclid(HOUR_MS);
        let of_taker = |taker: &str| format!("{TAKER_COUNTER}{hour}.{}", short_hash(taker));
        let mut counters = Vec::new();
        if budget.withholds {
            counters.push((of_taker(WITHHELD), budget.total));
        } else {
            counters.push((format!("{TOTAL_COUNTER}{hour}"), budget.total));
            counters.extend(budget.each.iter().map(|limit| (of_taker(limit.taker), limit.most)));
        }
        let heads: &[&str] = if budget.withholds { &[] } else { &["#oh :one", "#kh :one"] };
        let mut added: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
        let mut condition = "#st = :active AND (#oh < #ot OR #kh < #kt)".to_owned();
        for index in 0..counters.len() {
            added.push(format!("#c{index} :one"));
            condition.push_str(&format!(" AND (attribute_not_exists(#c{index}) OR #c{index} < :c{index})"));
        }
        let mut update = format!("ADD {}", added.join(", "));
        let noted = budget.server.and_then(|server| Some((device::taker_attribute(server)?, server)));
        if noted.is_some() {
            update.push_str(" SET #server = :server");
        }
        for _ in 0..CLAIM_TRIES {
            let mut claim = self
                .dynamodb()
                .update_item()
                .table_name(self.table())
                .set_key(Some(key::device(address).item()))
                .update_expression(&update)
                .condition_expression(&condition)
                .expression_attribute_names("#st", device::attr::STATUS)
                .expression_attribute_names("#oh", PRE_KEY_POOL.head)
                .expression_attribute_names("#ot", PRE_KEY_POOL.tail)
                .expression_attribute_names("#kh", KYBER_PRE_KEY_POOL.head)
                .expression_attribute_names("#kt", KYBER_PRE_KEY_POOL.tail)
                .expression_attribute_values(":active", s(DeviceStatus::Active.code()))
                .expression_attribute_values(":one", n(1))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            if let Some((slot, server)) = &noted {
                claim = claim
                    .expression_attribute_names("#server", slot)
                    .expression_attribute_values(":server", s(server.as_str()));
            }
            for (index, (name, most)) in counters.iter().enumerate() {
                claim = claim
                    .expression_attribute_names(format!("#c{index}"), name)
                    .expression_attribute_values(format!(":c{index}"), n(*most));
            }
            let sent = claim.send().await;
            let service_error = sent.as_ref().err().and_then(SdkError::as_service_error);
            if service_error.is_some_and(UpdateItemError::is_transaction_conflict_exception) {
                tokio::time::sleep(CLAIM_PAUSE).await;
                continue;
            }
            return match conditional(sent)? {
                ConditionalWrite::Done(_) if budget.withholds => Ok(Some(ClaimedPlaces::default())),
                ConditionalWrite::Done(claimed) => {
                    ClaimedPlaces::after(&claimed.attributes.unwrap_or_default()).map(Some)
                }
                ConditionalWrite::Refused { stored } => {
                    let stored = match stored {
                        Some(record) => Some(record),
                        None => self.batch_get(vec![key::device(address)]).await?.pop(),
                    };
                    let status = stored.as_ref().and_then(|item| item.get_s(device::attr::STATUS));
                    Ok((status == Some(DeviceStatus::Active.code())).then(ClaimedPlaces::default))
                }
            };
        }
        Err(StoreError::GaveUp { operation: "UpdateItem", detail: "conflicts".to_owned() })
    }
}

impl ClaimedPlaces {
    /// Returns the places that a take owns; `record` is the device record right after it.
    fn after(record: &Item) -> Result<Self> {
        let place = |pool: device::PoolAttributes| {
            let place = record.need_u(pool.head)?.saturating_sub(1);
            Ok::<_, StoreError>((place < record.need_u(pool.tail)?).then_some(place))
        };
        Ok(Self { pre_key: place(PRE_KEY_POOL)?, kyber_pre_key: place(KYBER_PRE_KEY_POOL)? })
    }
}

/// Returns the key of the block that holds a place.
fn key_of_place<K: OneTimeKey>(address: DeviceAddress<'_>, place: u64) -> key::ItemKey {
    K::block_key(address, K::block_of(place))
}

/// Returns the one-time key at a claimed place, if its block is among `items`.
fn key_at<K: OneTimeKey>(
    items: &[Item],
    address: DeviceAddress<'_>,
    place: Option<u64>,
) -> Result<Option<K>> {
    let Some(place) = place else { return Ok(None) };
    let Some(item) = key_of_place::<K>(address, place).find_in(items) else { return Ok(None) };
    Ok(KeyBlock::<K>::from_item(item)?.at(place).cloned())
}
