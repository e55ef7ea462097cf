//! Lanes: what goes to one recipient goes one after the other, in the order in which it was begun.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The lanes of a process, by the recipient's actor id.
#[derive(Default)]
pub(super) struct SendingLanes {
    lanes: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl SendingLanes {
    /// Waits for everything that was begun for this recipient before. The lane is taken until the guard is
    /// dropped.
    pub(super) async fn enter(&self, recipient: &str) -> OwnedMutexGuard<()> {
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
            Arc::clone(lanes.entry(recipient.to_owned()).or_default())
        };
        // The mutex is fair: whoever waits first is first.
        lane.lock_owned().await
    }
}
