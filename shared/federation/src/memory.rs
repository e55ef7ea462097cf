//! The memory of one process: actors, so that a warm function verifies without a call, and servers
//! that were out of reach a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::Origin;

/// The time for which an actor stays in memory, in milliseconds. For this time a key counts here
/// after another process has seen that it was deleted.
const KEPT_MS: i64 = 300_000;
/// The maximum number of actors, and of servers, in memory. An actor takes about 3 KB.
const MOST: usize = 1_000;

/// An actor on another server, as it was last fetched.
#[derive(Clone, Debug)]
pub struct CachedActor {
    /// The actor.
    pub actor: Arc<RemoteActor>,
    /// The time at which the actor's server was last asked for it, in epoch milliseconds.
    pub fetched_ms: i64,
}

/// The actors and servers in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The actors by their ids.
    actors: Mutex<HashMap<String, MemoryEntry>>,
    /// The servers out of reach. Each counts as such until a time in epoch milliseconds.
    silent: Mutex<HashMap<Origin, i64>>,
}

/// An actor in memory.
#[derive(Debug)]
struct MemoryEntry {
    /// The time at which the actor was put into memory, in epoch milliseconds.
    read_ms: i64,
    actor: CachedActor,
}

/// Locks a mutex, also after a panic of another holder: no operation leaves the maps half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Returns an actor that was put into memory less than [`KEPT_MS`] ago.
    pub(crate) fn get(&self, id: &str, now_ms: i64) -> Option<CachedActor> {
        let actors = lock(&self.actors);
        let entry = actors.get(id)?;
        (now_ms.saturating_sub(entry.read_ms) < KEPT_MS).then(|| entry.actor.clone())
    }

    /// Puts an actor into memory. If memory is full of recent actors, it is emptied first.
    pub(crate) fn put(&self, id: &str, actor: CachedActor, now_ms: i64) {
        let mut actors = lock(&self.actors);
        if actors.len() >= MOST {
            actors.retain(|_, entry| now_ms.saturating_sub(entry.read_ms) < KEPT_MS);
            if actors.len() >= MOST {
                actors.clear();
            }
        }
        actors.insert(id.to_owned(), MemoryEntry { read_ms: now_ms, actor });
    }

    /// Removes an actor.
    pub(crate) fn forget(&self, id: &str) {
        lock(&self.actors).remove(id);
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
