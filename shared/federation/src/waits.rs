//! The unverified requests of this process that wait for another server.
//!
//! Requests that name the same actor take turns: the first fetches the actor, and the others find
//! the result. In Lambda a process serves one request at a time, and none waits for its turn. In
//! local mode one process serves all, and the number of those that wait is bounded. The fetches of
//! all processes together are bounded by the table ([`eko_store::inbound`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eko_protocol::address::Origin;
use tokio::sync::OwnedMutexGuard;

/// The maximum number of requests that wait for one server.
const MOST_EACH: usize = 32;
/// The maximum number of requests that wait for all servers together.
const MOST_TOGETHER: usize = 256;

/// The requests that wait. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits {
    current: Arc<Mutex<CurrentWaits>>,
}

#[derive(Debug, Default)]
struct CurrentWaits {
    /// The number of requests for each server. A server without one is not in the map.
    servers: HashMap<Origin, usize>,
    /// The lock of each actor, with the number of requests that have it or wait for it.
    actors: HashMap<String, (usize, Arc<tokio::sync::Mutex<()>>)>,
}

/// The turn of a request to ask for an actor. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _lock: OwnedMutexGuard<()>,
    _place: WaitingPlace,
}

/// The place of a request among those that wait. It is left when this is dropped, also if the
/// request is abandoned.
#[derive(Debug)]
struct WaitingPlace {
    waits: Waits,
    origin: Origin,
    actor: String,
}

impl Waits {
    /// Waits for the turn to ask for an actor of the server at `origin`. Returns `None` at once if
    /// too many requests wait.
    pub(crate) async fn turn(&self, origin: &Origin, actor: &str) -> Option<Turn> {
        let (place, lock) = self.place(origin, actor)?;
        Some(Turn { _lock: lock.lock_owned().await, _place: place })
    }

    /// Takes a place among those that wait. Returns it with the actor's lock.
    fn place(&self, origin: &Origin, actor: &str) -> Option<(WaitingPlace, Arc<tokio::sync::Mutex<()>>)> {
        let mut current = self.lock();
        let together: usize = current.servers.values().sum();
        let each = current.servers.get(origin).copied().unwrap_or_default();
        if together >= MOST_TOGETHER || each >= MOST_EACH {
            return None;
        }
        current.servers.insert(origin.clone(), each.saturating_add(1));
        let (count, lock) = current.actors.entry(actor.to_owned()).or_default();
        *count = count.saturating_add(1);
        let lock = Arc::clone(lock);
        Some((WaitingPlace { waits: self.clone(), origin: origin.clone(), actor: actor.to_owned() }, lock))
    }

    fn lock(&self) -> MutexGuard<'_, CurrentWaits> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut current = self.waits.lock();
        if let Some(count) = current.servers.get_mut(&self.origin) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                current.servers.remove(&self.origin);
            }
        }
        if let Some((count, _)) = current.actors.get_mut(&self.actor) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                current.actors.remove(&self.actor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn origin(host: &str) -> Origin {
        Origin::parse(&format!("https://{host}")).unwrap()
    }

    #[tokio::test]
    async fn requests_for_one_actor_take_turns() {
        let waits = Waits::default();
        let here = origin("a.example");
        let first = waits.turn(&here, "x").await.unwrap();
        let second = waits.turn(&here, "x");
        tokio::pin!(second);
        assert!((&mut second).now_or_never().is_none());
        assert!(waits.turn(&here, "y").await.is_some(), "another actor's turn is another");
        drop(first);
        assert!(second.await.is_some());
        let current = waits.lock();
        assert!(current.servers.is_empty() && current.actors.is_empty(), "nothing is left over");
    }

    #[tokio::test]
    async fn a_server_and_all_together_have_their_share() {
        let waits = Waits::default();
        let mut held = Vec::new();
        for server in 0..MOST_TOGETHER / MOST_EACH {
            for number in 0..MOST_EACH {
                let here = origin(&format!("a{server}.example"));
                held.push(waits.turn(&here, &format!("{here}/{number}")).await.unwrap());
            }
            let here = origin(&format!("a{server}.example"));
            assert!(waits.turn(&here, "one more").await.is_none());
        }
        assert!(waits.turn(&origin("b.example"), "one more").await.is_none());
        held.clear();
        assert!(waits.turn(&origin("b.example"), "one more").await.is_some());
    }
}
