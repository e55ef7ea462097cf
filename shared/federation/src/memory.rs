//! Actors that this process has read a moment ago: a warm function verifies without a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eko_protocol::actor::RemoteActor;

/// How long an actor is kept in memory, in milliseconds: as long as a key that another instance saw deleted
/// goes on to be taken here.
const KEPT_MS: i64 = 300_000;
/// Actors kept at most: some 3 KB each.
const MOST: usize = 1_000;

/// An actor, and when its server was last asked for it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The actor.
    pub actor: Arc<RemoteActor>,
    /// When it was fetched, epoch milliseconds.
    pub fetched_ms: i64,
}

/// The actors in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<String, (i64, Known)>>);

impl Memory {
    fn all(&self) -> MutexGuard<'_, HashMap<String, (i64, Known)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: &str, now_ms: i64) -> Option<Known> {
        let all = self.all();
        let (read_ms, known) = all.get(id)?;
        (now_ms.saturating_sub(*read_ms) < KEPT_MS).then(|| known.clone())
    }

    pub(crate) fn put(&self, id: &str, known: Known, now_ms: i64) {
        let mut all = self.all();
        if all.len() >= MOST {
            all.retain(|_, (read_ms, _)| now_ms.saturating_sub(*read_ms) < KEPT_MS);
            if all.len() >= MOST {
                all.clear();
            }
        }
        all.insert(id.to_owned(), (now_ms, known));
    }

    pub(crate) fn forget(&self, id: &str) {
        self.all().remove(id);
    }
}
