//! The memory of one process: actors, so that a warm function verifies without a call; the lookups
//! that unverified requests caused, which are stored nowhere else; and servers that were out of
//! reach, or had their share of planned fetches, a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::Origin;
use eko_store::inbound::ServerGroup;
use eko_store::remote::{BRIEFLY_KEPT_MS, LookupFailure};

use crate::directory::remembered_ms;

/// The time for which an actor stays in memory, in milliseconds. For this time a key counts here
/// after another process has seen that it was deleted.
const KEPT_MS: i64 = 300_000;
/// The maximum number of actors, and of servers, in memory. An actor takes about 3 KB, and at most
/// 14 KB.
const MOST: usize = 1_000;
/// The maximum number of lookups in memory that unverified requests caused. They have a place of
/// their own, so that strangers do not push out actors.
const MOST_UNVERIFIED: usize = 200;

/// The time after a verified request in which further ones of the same server say nothing new, in
/// milliseconds.
const HEARD_MS: i64 = 10_000;

/// An actor on another server, as it was last fetched.
#[derive(Clone, Debug)]
pub struct CachedActor {
    /// The actor.
    pub actor: Arc<RemoteActor>,
    /// The time at which the actor's server was last asked for it, in epoch milliseconds.
    pub fetched_ms: i64,
}

/// A lookup that an unverified request caused: an actor of whom no signature was verified, or the
/// reason that there is none.
pub(crate) type UnverifiedLookup = Result<CachedActor, LookupFailure>;

/// The actors and servers in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The actors by their ids.
    actors: Mutex<HashMap<String, MemoryEntry<CachedActor>>>,
    /// The lookups that unverified requests caused, by the actors' ids.
    unverified: Mutex<HashMap<String, MemoryEntry<UnverifiedLookup>>>,
    /// The servers out of reach. Each counts as such until a time in epoch milliseconds.
    silent: Mutex<HashMap<Origin, i64>>,
    /// The servers that sent a verified request. Each counts until a time in epoch milliseconds.
    heard: Mutex<HashMap<Origin, i64>>,
    /// The actors that are gone and of whom the table keeps nothing. Each counts until a time in epoch
    /// milliseconds.
    forgotten: Mutex<HashMap<String, i64>>,
    /// The servers and groups that have had their share, each until a time in epoch milliseconds.
    full: Mutex<HashMap<Share, i64>>,
}

/// The share of a server, or of a whole group, in the fetches that strangers may cause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Share {
    /// The group.
    pub(crate) group: ServerGroup,
    /// The server, or `None` for the whole group.
    pub(crate) server: Option<Origin>,
}

/// Something in memory.
#[derive(Debug)]
struct MemoryEntry<T> {
    /// The time at which it was put into memory, in epoch milliseconds.
    read_ms: i64,
    value: T,
}

/// Puts something into memory. If `most` recent entries are there, all are removed first.
fn insert<T>(
    map: &Mutex<HashMap<String, MemoryEntry<T>>>,
    id: &str,
    value: T,
    most: usize,
    kept_ms: i64,
    now_ms: i64,
) {
    let mut map = lock(map);
    if map.len() >= most {
        map.retain(|_, entry| now_ms.saturating_sub(entry.read_ms) < kept_ms);
        if map.len() >= most {
            map.clear();
        }
    }
    map.insert(id.to_owned(), MemoryEntry { read_ms: now_ms, value });
}

/// Locks a mutex, also after a panic of another holder: no operation leaves the maps half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Returns an actor that was put into memory less than [`KEPT_MS`] ago.
    pub(crate) fn get(&self, id: &str, now_ms: i64) -> Option<CachedActor> {
        let map = lock(&self.actors);
        let entry = map.get(id)?;
        (now_ms.saturating_sub(entry.read_ms) < KEPT_MS).then(|| entry.value.clone())
    }

    /// Puts an actor into memory.
    pub(crate) fn put(&self, id: &str, actor: CachedActor, now_ms: i64) {
        lock(&self.unverified).remove(id);
        insert(&self.actors, id, actor, MOST, KEPT_MS, now_ms);
    }

    /// Returns the lookup that an unverified request caused, for as long as it counts.
    pub(crate) fn unverified(&self, id: &str, now_ms: i64) -> Option<UnverifiedLookup> {
        let map = lock(&self.unverified);
        let entry = map.get(id)?;
        let counts_ms = entry.value.as_ref().err().map_or(BRIEFLY_KEPT_MS, remembered_ms);
        (now_ms.saturating_sub(entry.read_ms) < counts_ms).then(|| entry.value.clone())
    }

    /// Notes a lookup that an unverified request caused.
    pub(crate) fn put_unverified(&self, id: &str, lookup: UnverifiedLookup, now_ms: i64) {
        insert(&self.unverified, id, lookup, MOST_UNVERIFIED, BRIEFLY_KEPT_MS, now_ms);
    }

    /// Removes an actor, and returns what was known of it.
    pub(crate) fn forget(&self, id: &str) -> Option<CachedActor> {
        lock(&self.unverified).remove(id);
        lock(&self.actors).remove(id).map(|entry| entry.value)
    }

    /// True if an actor was noted as forgotten in the last ten minutes.
    pub(crate) fn is_forgotten(&self, id: &str, now_ms: i64) -> bool {
        lock(&self.forgotten).get(id).is_some_and(|until| *until > now_ms)
    }

    /// Notes that the table keeps nothing of an actor that is gone.
    pub(crate) fn note_forgotten(&self, id: &str, now_ms: i64) {
        let mut forgotten = lock(&self.forgotten);
        forgotten.retain(|_, until| *until > now_ms);
        if forgotten.len() >= MOST_UNVERIFIED {
            forgotten.clear();
        }
        forgotten.insert(id.to_owned(), now_ms.saturating_add(BRIEFLY_KEPT_MS));
    }

    /// Notes that a share is used up until `until_ms`.
    pub(crate) fn fill(&self, share: Share, until_ms: i64, now_ms: i64) {
        let mut full = lock(&self.full);
        full.retain(|_, until| *until > now_ms);
        if full.len() < MOST {
            full.insert(share, until_ms);
        }
    }

    /// True if a server or its group were noted to have used up their share.
    pub(crate) fn is_full(&self, group: ServerGroup, server: &Origin, now_ms: i64) -> bool {
        let full = lock(&self.full);
        let is_full = |server| full.get(&Share { group, server }).is_some_and(|until| *until > now_ms);
        is_full(None) || is_full(Some(server.clone()))
    }

    /// Notes a verified request of a server. Returns true for the first one in [`HEARD_MS`].
    pub(crate) fn hear(&self, origin: &Origin, now_ms: i64) -> bool {
        let mut heard = lock(&self.heard);
        heard.retain(|_, until| *until > now_ms);
        if heard.len() >= MOST {
            heard.clear();
        }
        heard.insert(origin.clone(), now_ms.saturating_add(HEARD_MS)).is_none()
    }

    /// Notes that a server is out of reach until `until_ms`.
    pub(crate) fn silence(&self, origin: Origin, until_ms: i64, now_ms: i64) {
        let mut silent = lock(&self.silent);
        silent.retain(|_, until| *until > now_ms);
        if silent.len() < MOST {
            silent.insert(origin, until_ms);
        }
    }

    /// True if a server was noted as out of reach and the time has not passed.
    pub(crate) fn is_silent(&self, origin: &Origin, now_ms: i64) -> bool {
        lock(&self.silent).get(origin).is_some_and(|until| *until > now_ms)
    }
}
