//! Who waits for which queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// One bell a queue, by the queue's row.
#[derive(Default)]
pub(super) struct Waiting {
    bells: Mutex<HashMap<i64, Arc<Notify>>>,
}

impl Waiting {
    /// The bell of a queue, to wait at.
    pub(super) fn bell(&self, queue: i64) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(queue).or_default())
    }

    /// Wakes all who wait: which of them gets the message is decided in the database.
    pub(super) fn ring(&self, queue: i64) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&queue) {
            bell.notify_waiters();
        }
    }
}
