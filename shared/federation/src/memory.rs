//! What this process has seen a moment ago: actors, so that a warm function verifies without a call, and servers
//! that nobody can connect to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::Origin;

/// How long an actor is kept in memory, in milliseconds: as long as a key that another instance saw deleted
/// goes on to be taken here.
const KEPT_MS: i64 = 300_000;
/// Of each kept at most; an actor is some 3 KB.
const MOST: usize = 1_000;

/// An actor, and when its server was last asked for it.
#[derive(Clone, Debug)]
pub struct CachedActor {
    /// The actor.
    pub actor: Arc<RemoteActor>,
    /// When it was fetched, epoch milliseconds.
    pub fetched_ms: i64,
}

/// What is in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The actors by their ids.
    actors: Mutex<HashMap<String, MemoryEntry>>,
    /// Servers out of reach, and until when that is believed.
    silent: Mutex<HashMap<Origin, i64>>,
}

/// An actor in memory.
#[derive(Debug)]
struct MemoryEntry {
    /// The time at which the actor was put into memory, in epoch milliseconds.
    read_ms: i64,
    actor: CachedActor,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    pub(crate) fn get(&self, id: &str, now_ms: i64) -> Option<CachedActor> {
        let actors = lock(&self.actors);
        let entry = actors.get(id)?;
        (now_ms.saturating_sub(entry.read_ms) < KEPT_MS).then(|| entry.actor.clone())
    }

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

    pub(crate) fn forget(&self, id: &str) {
        lock(&self.actors).remove(id);
    }

    /// Remembers that nobody can connect to a server.
    pub(crate) fn silence(&self, origin: Origin, until_ms: i64, now_ms: i64) {
        let mut silent = lock(&self.silent);
        silent.retain(|_, until| *until > now_ms);
        if silent.len() < MOST {
            silent.insert(origin, until_ms);
        }
    }

    pub(crate) fn is_silent(&self, origin: &Origin, now_ms: i64) -> bool {
        lock(&self.silent).get(origin).is_some_and(|until| *until > now_ms)
    }
}
