//! Lookups on other servers: what they answered about an actor or a handle, or that they did not.
//!
//! A lookup is kept so that another server is not asked for each message. An actor is kept if a
//! user here asked for it, or after a signature of it was verified. An actor that an unverified
//! request named is kept for ten minutes at most, and only if its fetch was planned
//! ([`crate::inbound`]).
//!
//! # Item `R#{actor id}` / `ACTOR`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `f` | N | epoch ms | the time of the lookup |
//! | `i` | S | | the URL of the actor's inbox |
//! | `k` | S | | the URL of the actor's collection of key packages |
//! | `h` | S | | the handle that the actor claims, as `acct:`; missing if it claims none |
//! | `p` | M | | the actor's public keys: PEM text by key id |
//! | `l` | SS | | the addresses of further keys; missing if there are none |
//! | `w` | S | | the kind of failure: `gone`, `deleted`, `unusable`, `unconnected` or `unreachable`; missing if the lookup succeeded |
//! | `x` | N | | 1 if no signature of the actor was verified yet |
//! | `d` | S | | the detail of the failure, a text for people of at most 256 bytes |
//! | `ttl` | N | epoch s | the time after which the lookup is forgotten |
//!
//! # Item `R#acct:{name}@{authority}` / `ACTOR`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `a` | S | | the actor id that WebFinger returned |
//! | `f`, `w`, `d`, `ttl` | | | as for an actor |

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::actor::RemoteActor;
use eko_protocol::address::{Handle, UserName};
use eko_protocol::excerpt::excerpt;
use eko_protocol::limits::MAX_REASON_BYTES;

use crate::attribute::{Item, ReadItem, WriteItem, missing, n, s, ss};
use crate::condition::conditional;
use crate::devices::{OfUser, UserDevices};
use crate::error::call;
use crate::hosts::HostRecord;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, StoreError, key};

/// The time that an answer is kept, in milliseconds: 24 hours. An old one still serves if the
/// server is out of reach.
pub const KEPT_MS: i64 = 24 * 3_600_000;
/// The time that a verified copy of an actor serves to verify signatures while it cannot be renewed,
/// in milliseconds: 7 days.
pub const SERVES_MS: i64 = 7 * 24 * 3_600_000;
/// The time that a failure is kept, or an actor of whom no signature was verified, in milliseconds:
/// 10 minutes.
pub const BRIEFLY_KEPT_MS: i64 = 600_000;

/// The names of the attributes of both items.
mod attr {
    pub(super) const FETCHED_MS: &str = "f";
    pub(super) const INBOX: &str = "i";
    pub(super) const KEY_PACKAGES: &str = "k";
    pub(super) const HANDLE: &str = "h";
    pub(super) const PUBLIC_KEYS: &str = "p";
    pub(super) const KEY_LINKS: &str = "l";
    pub(super) const ACTOR: &str = "a";
    pub(super) const UNVERIFIED: &str = "x";
    pub(super) const FAILURE: &str = "w";
    pub(super) const DETAIL: &str = "d";
}

/// A lookup on another server, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedLookup<T> {
    /// The time of the lookup, epoch milliseconds.
    pub fetched_ms: i64,
    /// The answer, or the reason that there is none.
    pub result: std::result::Result<T, LookupFailure>,
    /// True for an actor of whom no signature was verified yet and whom nobody here asked for.
    pub unverified: bool,
}

impl<T> CachedLookup<T> {
    /// Creates the record of a lookup that is kept for as long as its result allows.
    pub fn new(fetched_ms: i64, result: std::result::Result<T, LookupFailure>) -> Self {
        Self { fetched_ms, result, unverified: false }
    }

    /// Returns the time for which the lookup is used without a new one, in milliseconds.
    pub fn kept_ms(&self) -> i64 {
        if self.unverified || self.result.is_err() { BRIEFLY_KEPT_MS } else { KEPT_MS }
    }
}

impl CachedLookup<RemoteActor> {
    /// Returns the time for which the lookup is kept in the table, in milliseconds. A verified copy
    /// serves that long while it cannot be renewed.
    pub fn serves_ms(&self) -> i64 {
        if self.unverified || self.result.is_err() { BRIEFLY_KEPT_MS } else { SERVES_MS }
    }
}

/// The reason that a lookup has no usable answer. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupFailure {
    /// The actor does not exist.
    Gone,
    /// The actor was deleted.
    Deleted,
    /// The answer cannot be used.
    Unusable(String),
    /// No connection to the server could be opened.
    Unconnected(String),
    /// The server gave no answer, or said "later".
    Unreachable(String),
}

impl LookupFailure {
    fn write(&self, item: &mut Item) {
        let (kind, detail) = match self {
            Self::Gone => ("gone", None),
            Self::Deleted => ("deleted", None),
            Self::Unusable(why) => ("unusable", Some(why)),
            Self::Unconnected(why) => ("unconnected", Some(why)),
            Self::Unreachable(why) => ("unreachable", Some(why)),
        };
        item.set(attr::FAILURE, s(kind));
        if let Some(why) = detail {
            item.set(attr::DETAIL, s(excerpt(why, MAX_REASON_BYTES)));
        }
    }

    /// Reads the failure of a lookup; `None` if the lookup succeeded.
    fn read(item: &Item) -> Result<Option<Self>> {
        let Some(kind) = item.get_s(attr::FAILURE) else { return Ok(None) };
        let detail = || Ok::<_, StoreError>(item.need_s(attr::DETAIL)?.to_owned());
        Ok(Some(match kind {
            "gone" => Self::Gone,
            "deleted" => Self::Deleted,
            "unusable" => Self::Unusable(detail()?),
            "unconnected" => Self::Unconnected(detail()?),
            "unreachable" => Self::Unreachable(detail()?),
            other => return Err(StoreError::Corrupt(format!("lookup failure {other}"))),
        }))
    }
}

/// The facts that a device's server needs before it sends to a user of another server.
#[derive(Clone, Debug)]
pub struct SendContext {
    /// The author's devices.
    pub author: OfUser<UserDevices>,
    /// The last lookup of the recipient, if it is kept.
    pub recipient: Option<CachedLookup<RemoteActor>>,
    /// The record of the recipient's server.
    pub host: HostRecord,
}

impl Store {
    /// Reads the last lookup of an actor, strongly consistent; `None` if none is kept, or if the
    /// item is not readable.
    ///
    /// One GetItem: 1 read unit for each 4 KB.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails.
    pub async fn remote_actor(&self, id: &str) -> Result<Option<CachedLookup<RemoteActor>>> {
        Ok(self.get_item(&key::remote(id)).await?.and_then(|item| read_actor(id, &item)))
    }

    /// Reads the author's devices, the last lookup of the recipient and the record of its server,
    /// strongly consistent. `recipient` is an actor id, `authority` the authority of its server.
    ///
    /// One BatchGetItem: 1 read unit for each of the three items, more if the actor exceeds 4 KB.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] and [`StoreError::GaveUp`] of the reads; [`StoreError::Corrupt`] if the
    /// author's devices are not readable.
    pub async fn send_context(
        &self,
        author: &UserName,
        recipient: &str,
        authority: &str,
    ) -> Result<SendContext> {
        let keys = [key::devices(author), key::remote(recipient), key::host(authority)];
        let items = self.batch_get(keys.to_vec()).await?;
        let [devices, remote, host] = keys.map(|key| key.find_in(&items));
        Ok(SendContext {
            author: UserDevices::of(devices)?,
            recipient: remote.and_then(|item| read_actor(recipient, item)),
            host: host.map(HostRecord::from_item).unwrap_or_default(),
        })
    }

    /// Keeps a lookup of an actor in place of the last one.
    ///
    /// One PutItem: 1 write unit for each KB. A repetition writes the same again, so that a lost
    /// answer does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails.
    pub async fn keep_actor(&self, id: &str, lookup: &CachedLookup<RemoteActor>) -> Result<()> {
        self.put_lookup(actor_item(id, lookup)).await
    }

    /// Keeps a lookup of an actor that an unverified request named, unless an actor is kept that
    /// was verified or asked for in the last 7 days.
    ///
    /// One PutItem: 1 write unit for each KB. A repetition writes the same again, so that a lost
    /// answer does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails.
    pub async fn keep_unverified(&self, id: &str, lookup: &CachedLookup<RemoteActor>) -> Result<()> {
        let put = self.dynamodb().put_item().table_name(self.table());
        let put = put
            .set_item(Some(actor_item(id, lookup)))
            .condition_expression(
                "attribute_not_exists(#inbox) OR attribute_exists(#unverified) OR #fetched <= :expired",
            )
            .expression_attribute_names("#fetched", attr::FETCHED_MS)
            .expression_attribute_values(":expired", n(lookup.fetched_ms.saturating_sub(SERVES_MS)))
            .expression_attribute_names("#inbox", attr::INBOX)
            .expression_attribute_names("#unverified", attr::UNVERIFIED);
        conditional(put.send().await).map(|_| ())
    }

    /// Forgets the lookup of an actor and those of the actor's handles (`acct:…`), as far as they are kept.
    ///
    /// One BatchWriteItem: 1 write unit for each KB of them. The verb may be repeated; a lost answer does
    /// no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] or [`StoreError::GaveUp`] of the writes.
    pub async fn forget_actor(&self, id: &str, accts: &BTreeSet<String>) -> Result<()> {
        let names = std::iter::once(id).chain(accts.iter().map(String::as_str));
        self.batch_delete(names.map(|name| key::remote(name).item()).collect()).await
    }

    /// Reads the last lookup of a handle (`acct:…`), which answers an actor id, strongly
    /// consistent; `None` if none is kept, or if the item is not readable.
    ///
    /// One GetItem: 1 read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails.
    pub async fn remote_handle(&self, acct: &str) -> Result<Option<CachedLookup<String>>> {
        let Some(item) = self.get_item(&key::remote(acct)).await? else { return Ok(None) };
        Ok(read_lookup(&item, read_handle))
    }

    /// Keeps a lookup of a handle (`acct:…`) in place of the last one.
    ///
    /// One PutItem: 1 write unit for each KB. A repetition writes the same again, so that a lost
    /// answer does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails.
    pub async fn keep_handle(&self, acct: &str, lookup: &CachedLookup<String>) -> Result<()> {
        let mut item = key::remote(acct).item();
        write_lookup(&mut item, lookup, |item, actor| item.set(attr::ACTOR, s(actor)));
        self.put_lookup(item).await
    }

    async fn put_lookup(&self, item: Item) -> Result<()> {
        let put = self.dynamodb().put_item().table_name(self.table()).set_item(Some(item));
        put.send().await.map_err(call("PutItem"))?;
        Ok(())
    }
}

/// Returns the item of an actor's lookup.
fn actor_item(id: &str, lookup: &CachedLookup<RemoteActor>) -> Item {
    let mut item = key::remote(id).item();
    write_lookup(&mut item, lookup, |item, actor| {
        item.set(attr::INBOX, s(&actor.inbox));
        if let Some(address) = &actor.key_packages {
            item.set(attr::KEY_PACKAGES, s(address));
        }
        if let Some(handle) = &actor.handle {
            item.set(attr::HANDLE, s(handle.acct()));
        }
        let keys = actor.keys.iter().map(|(id, pem)| (id.clone(), s(pem)));
        item.set(attr::PUBLIC_KEYS, AttributeValue::M(keys.collect()));
        if !actor.key_links.is_empty() {
            item.set(attr::KEY_LINKS, ss(&actor.key_links));
        }
    });
    item.set(TTL_ATTRIBUTE, n(lookup.fetched_ms.saturating_add(lookup.serves_ms()).div_euclid(1000)));
    item
}

/// Writes a lookup; `write_answer` adds the attributes of an answer.
fn write_lookup<T>(item: &mut Item, lookup: &CachedLookup<T>, write_answer: impl FnOnce(&mut Item, &T)) {
    item.set(attr::FETCHED_MS, n(lookup.fetched_ms));
    item.set(TTL_ATTRIBUTE, n(lookup.fetched_ms.saturating_add(lookup.kept_ms()).div_euclid(1000)));
    if lookup.unverified {
        item.set(attr::UNVERIFIED, n(1));
    }
    match &lookup.result {
        Ok(answer) => write_answer(item, answer),
        Err(failure) => failure.write(item),
    }
}

/// Reads a lookup; `read_answer` reads the attributes of an answer.
///
/// Returns `None` for an item that is not readable, after a line in the log: the lookup is then
/// made again and overwrites the item.
fn read_lookup<T>(item: &Item, read_answer: impl FnOnce(&Item) -> Result<T>) -> Option<CachedLookup<T>> {
    let read = || {
        let result = match LookupFailure::read(item)? {
            Some(failure) => Err(failure),
            None => Ok(read_answer(item)?),
        };
        let unverified = item.get_n(attr::UNVERIFIED) == Some(1);
        Ok::<_, StoreError>(CachedLookup { fetched_ms: item.need_n(attr::FETCHED_MS)?, result, unverified })
    };
    read().inspect_err(|error| tracing::warn!(%error, "a kept lookup is made again")).ok()
}

fn read_handle(item: &Item) -> Result<String> {
    Ok(item.need_s(attr::ACTOR)?.to_owned())
}

pub(crate) fn read_actor(id: &str, item: &Item) -> Option<CachedLookup<RemoteActor>> {
    read_lookup(item, |item| {
        let mut keys = std::collections::BTreeMap::new();
        for (id, pem) in item.get(attr::PUBLIC_KEYS).and_then(|v| v.as_m().ok()).into_iter().flatten() {
            let pem = pem.as_s().map_err(|_| missing(attr::PUBLIC_KEYS))?;
            keys.insert(id.clone(), pem.clone());
        }
        Ok(RemoteActor {
            id: id.to_owned(),
            inbox: item.need_s(attr::INBOX)?.to_owned(),
            key_packages: item.get_s(attr::KEY_PACKAGES).map(str::to_owned),
            handle: item.get_s(attr::HANDLE).and_then(|handle| Handle::parse(handle).ok()),
            keys,
            key_links: item.get_ss(attr::KEY_LINKS).into_iter().collect(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_lookup_is_read_as_it_was_written() {
        let failures = [
            LookupFailure::Gone,
            LookupFailure::Deleted,
            LookupFailure::Unusable("unreachable, it says".to_owned()),
            LookupFailure::Unconnected("gone fishing".to_owned()),
            LookupFailure::Unreachable("gone fishing".to_owned()),
        ];
        for failure in failures {
            let lookup = CachedLookup::<String>::new(1_700_000_000_000, Err(failure));
            let mut item = Item::new();
            write_lookup(&mut item, &lookup, |_, _| {});
            assert_eq!(read_lookup(&item, read_handle), Some(lookup));
        }
    }

    #[test]
    fn a_lookup_that_is_not_readable_counts_as_none() {
        let answer = CachedLookup::new(1, Ok("https://b.example/user/bob".to_owned()));
        let mut good = Item::new();
        write_lookup(&mut good, &answer, |item, actor| item.set(attr::ACTOR, s(actor)));
        assert_eq!(read_lookup(&good, read_handle), Some(answer));
        for missing in [attr::ACTOR, attr::FETCHED_MS] {
            let mut item = good.clone();
            item.remove(missing);
            assert_eq!(read_lookup(&item, read_handle), None, "{missing}");
        }
        let mut unknown = good;
        unknown.set(attr::FAILURE, s("unreachable b.example"));
        assert_eq!(read_lookup(&unknown, read_handle), None);
    }
}
