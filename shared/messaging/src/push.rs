//! Pushes: when an absent device is woken (`docs/protocol.md`, section 8; [decision
//! 0031](../../../docs/decisions/0031-push.md)).
//!
//! The state of a device that has a subscription:
//!
//! ```text
//!          an entry that no socket took        the device fetches
//!   Idle ────────────────────────────────▶ Sent ───────────────▶ Idle
//!    │                                      ▲
//!    │ a socket took an entry               │ an entry is there for a minute
//!    ▼                                      │
//! Watched ───────▶ Checked ─────────────────┘
//!         the check        nothing is left: as Idle
//! ```
//!
//! A check begins by a write that ends the watch, and reads the mailbox then. So an entry that is
//! delivered meanwhile is either seen by it, or finds the device not watched and has a check of its
//! own. Entries that led to a push lead to no other one: a check begins after them.
//!
//! [`Messaging::deliver`] writes an entry first, reads the state afterwards, and orders a push or a
//! check by the queue `pushes`. The function `push` carries the orders out.

mod attempt;

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};
use eko_store::StoreError;
use eko_store::device::DeviceAddress;
use eko_store::live::{Live, PushState};
use eko_store::mailbox::{AddressedEntry, EntryContent};
use eko_store::pushes::{CHECK_MS, PushOrder};
use futures_util::future::join_all;

use crate::Messaging;

/// The time after which a push that the device did not react to is forgotten, in milliseconds: a
/// day. The push service may have lost it.
const FORGOTTEN_MS: i64 = 24 * 3_600_000;
/// The time after which a check that was due has been lost, in milliseconds: an hour. Its order is in
/// the dead-letter queue by then.
const LOST_MS: i64 = 3_600_000;

/// The entries that came for one device in a batch and want a notification.
struct LoudArrival<'a> {
    /// The state of the device's pushes.
    state: PushState,
    /// The time after which the last one is gone, in epoch seconds.
    ttl: i64,
    /// The key of the newest one.
    newest: &'a EntryKey,
    /// True if a socket took all of them.
    is_taken: bool,
}

/// The order that an entry leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PushDuty {
    /// A push.
    Push,
    /// A check in a minute.
    Check,
    /// Nothing: the push was sent, or the check is ordered.
    None,
}

impl PushDuty {
    /// Decides on an entry that is in the mailbox.
    fn of(state: PushState, was_taken: bool, now_ms: i64) -> Self {
        let is_forgotten = match state {
            PushState::Idle { .. } | PushState::Checked { .. } => true,
            PushState::Sent { sent_ms } => now_ms.saturating_sub(sent_ms) > FORGOTTEN_MS,
            PushState::Watched { check_ms } if was_taken => now_ms.saturating_sub(check_ms) > LOST_MS,
            PushState::Watched { .. } => true,
        };
        match (is_forgotten, was_taken) {
            (false, _) => Self::None,
            (true, true) => Self::Check,
            (true, false) => Self::Push,
        }
    }
}

impl Messaging {
    /// Orders pushes and checks for entries that are in their mailboxes. `live` was read after
    /// that; `taken` has the indexes of the entries that a socket of their device took. Each device
    /// gets one order at most. A report wakes nobody.
    ///
    /// One SendMessageBatch for each ten orders, then one UpdateItem for each check, all at once.
    /// No call if nothing is due, and on a server without pushes. A check is ordered before it is
    /// marked, so that every mark has its check.
    ///
    /// # Errors
    /// The queue is out of reach. The entries have to be delivered again then.
    pub(crate) async fn order_pushes(
        &self,
        written: &[&AddressedEntry],
        live: &BTreeMap<UserName, Live>,
        taken: &BTreeSet<usize>,
    ) -> Result<(), StoreError> {
        if !self.store().has_pushes() {
            return Ok(());
        }
        let now_ms = self.now_ms();
        // An entry may be there twice, of which a socket takes one.
        let was_taken = |entry: &AddressedEntry| {
            let mut posted = taken.iter().filter_map(|index| written.get(*index));
            posted.any(|other| other.address() == entry.address() && other.entry.key == entry.entry.key)
        };
        let mut due: BTreeMap<(&UserName, &DeviceId), LoudArrival> = BTreeMap::new();
        for entry in written.iter().filter(|entry| wants_notification(&entry.entry.content)) {
            let states = live.get(&entry.user).map(|live| &live.pushes);
            let Some(state) = states.and_then(|states| states.get(&entry.device)) else { continue };
            let key = &entry.entry.key;
            let arrival = LoudArrival { state: *state, ttl: 0, newest: key, is_taken: true };
            let arrival = due.entry((&entry.user, &entry.device)).or_insert(arrival);
            arrival.ttl = arrival.ttl.max(entry.entry.ttl);
            arrival.newest = arrival.newest.max(key);
            arrival.is_taken &= was_taken(entry);
        }
        let mut orders = Vec::new();
        for ((user, device), arrival) in due {
            let (user, device) = (user.clone(), device.clone());
            match PushDuty::of(arrival.state, arrival.is_taken, now_ms) {
                PushDuty::Push => {
                    let (ttl, newest) = (arrival.ttl, arrival.newest.clone());
                    orders.push(PushOrder::Now { user, device, at_ms: now_ms, ttl, newest });
                }
                PushDuty::Check => {
                    let check_ms = now_ms.saturating_add(CHECK_MS);
                    orders.push(PushOrder::Check { user, device, check_ms });
                }
                PushDuty::None => {}
            }
        }
        self.store().queue_pushes(&orders, now_ms).await?;
        let marks = orders.iter().filter_map(|order| match order {
            PushOrder::Check { check_ms, .. } => Some(self.watch(order.address(), *check_ms)),
            PushOrder::Now { .. } => None,
        });
        // A check without its mark does nothing.
        join_all(marks).await.into_iter().collect()
    }

    /// Marks a device as watched until a check that is ordered. One UpdateItem.
    async fn watch(&self, device: DeviceAddress<'_>, check_ms: i64) -> Result<(), StoreError> {
        let before = |ms| self.now_ms().saturating_sub(ms);
        self.store().watch(device, check_ms, before(LOST_MS), before(FORGOTTEN_MS)).await
    }

    /// Ends the push of a device that has acknowledged entries. There may be more entries, so that
    /// a check is ordered.
    ///
    /// One SendMessageBatch and one transaction. A failure is only logged: the next fetch or
    /// acknowledgement ends the push.
    pub(crate) async fn end_push_by_acknowledgement(&self, device: DeviceAddress<'_>, pushed_ms: i64) {
        let (now_ms, store) = (self.now_ms(), self.store());
        let check_ms = now_ms.saturating_add(CHECK_MS);
        let check = PushOrder::Check { user: device.user.clone(), device: device.device.clone(), check_ms };
        let ended = async {
            store.queue_pushes(&[check], now_ms).await?;
            store.end_push(device, pushed_ms, PushState::Watched { check_ms }).await
        };
        if let Err(error) = ended.await {
            tracing::warn!(%error, "a push is not ended now");
        }
    }
}

/// True if a device is woken for an entry.
fn wants_notification(content: &EntryContent) -> bool {
    match content {
        EntryContent::Letter { letter, .. } => letter.header.notify,
        EntryContent::Report { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_duty() {
        let now_ms = 1_769_715_000_000;
        let ago = |ms| PushState::Sent { sent_ms: now_ms - ms };
        let ahead = |ms| PushState::Watched { check_ms: now_ms + ms };
        for (state, not_taken, taken) in [
            (PushState::Idle { fetched_ms: now_ms }, PushDuty::Push, PushDuty::Check),
            (ago(FORGOTTEN_MS), PushDuty::None, PushDuty::None),
            (ago(FORGOTTEN_MS + 1), PushDuty::Push, PushDuty::Check),
            (ahead(1), PushDuty::Push, PushDuty::None),
            (ahead(-LOST_MS), PushDuty::Push, PushDuty::None),
            (ahead(-LOST_MS - 1), PushDuty::Push, PushDuty::Check),
            (PushState::Checked { check_ms: now_ms }, PushDuty::Push, PushDuty::Check),
        ] {
            assert_eq!(PushDuty::of(state, false, now_ms), not_taken, "{state:?}");
            assert_eq!(PushDuty::of(state, true, now_ms), taken, "{state:?}");
        }
    }
}
