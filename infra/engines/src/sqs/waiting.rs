//! Wakes the long polls of a queue when a message arrives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A bell for each queue that was ever polled, by the queue's row.
#[derive(Default)]
pub(super) struct QueueBells {
    bells: Mutex<HashMap<i64, Arc<Notify>>>,
}

impl QueueBells {
    /// Returns the bell of a queue, to wait for.
    pub(super) fn bell(&self, queue: i64) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(queue).or_default())
    }

    /// Wakes all polls of a queue. The database decides which of them gets the message.
    pub(super) fn ring(&self, queue: i64) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&queue) {
            bell.notify_waiters();
        }
    }
}
