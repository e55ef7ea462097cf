//! Pushes: when an absent device is woken (`docs/protocol.md`, section 8; [decision
//! 0031](../../../docs/decisions/0031-push.md)).
//!
//! The state of a device that has a subscription:
//!
//! ```text
//!           an entry that no socket took         the device fetches over HTTP
//!   Idle ──────────────────────────────▶ Sent ─────────────────────────────▶ Idle
//!    │                                   │  ▲
//!    │ a socket took      `Fetch`, or an │  │ an entry is there for a minute
//!    │ an entry          acknowledgement │  │
//!    └─────────▶ Watched ◀───────────────┘  │
//!                   └──────▶ Checked ───────┘
//!                  the check         nothing is left: as Idle
//! ```
//!
//! An order of a push names the state that was there after its entry was written, and claims the push
//! from that state only. Any other state is that of a fetch that has read the entry, of a check that
//! will, or of another push. The state `Sent` names the order that sends the push: an order that
//! comes back is the same push if the state names it, and has nothing to do otherwise. No clock says
//! whose push it is.
//!
//! A check begins by a write that ends the watch, and reads the mailbox then. So an entry that is
//! delivered meanwhile is either seen by it, or finds the device not watched and has a check of its
//! own. Entries that led to a push lead to no other one: a check begins after them. The exception is
//! a push that is answered by a `Fetch` on a socket, whose frames may go nowhere: the check sees the
//! entries once more.
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
use eko_store::mailbox::{AddressedEntry, EntryContent, MailboxPage};
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
    /// The device.
    device: DeviceAddress<'a>,
    /// The state of the device's pushes.
    state: &'a PushState,
    /// The key up to which entries have led to a push, if one of these entries is older.
    passed: Option<&'a EntryKey>,
    /// The indexes of the entries.
    entries: Vec<usize>,
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
    fn of(state: &PushState, was_taken: bool, now_ms: i64) -> Self {
        let may_order = match state {
            PushState::Idle { .. } | PushState::Checked { .. } => true,
            PushState::Sent { sent_ms, .. } => now_ms.saturating_sub(*sent_ms) > FORGOTTEN_MS,
            PushState::Watched { check_ms } if was_taken => now_ms.saturating_sub(*check_ms) > LOST_MS,
            PushState::Watched { .. } => true,
        };
        match (may_order, was_taken) {
            (false, _) => Self::None,
            (true, true) => Self::Check,
            (true, false) => Self::Push,
        }
    }
}

impl Messaging {
    /// Orders pushes and checks for entries that are in their mailboxes. `live` was read after
    /// that; `taken` has the indexes of the entries that a socket of their device took. Each device
    /// gets one order at most. A report wakes nobody. Returns the indexes of the entries for which
    /// that failed, and which have to be delivered again: those of a device whose order, or whose
    /// mark, could not be written.
    ///
    /// One SendMessageBatch for each ten orders, then one UpdateItem for each check, all at once.
    /// No call if nothing is due, and on a server without pushes. A check is ordered before it is
    /// marked, so that every mark has its check. One UpdateItem more for a device to which entries
    /// come in another order than that of their keys.
    pub(crate) async fn order_pushes(
        &self,
        written: &[&AddressedEntry],
        live: &BTreeMap<UserName, Live>,
        taken: &BTreeSet<usize>,
    ) -> Vec<usize> {
        if !self.store().has_pushes() {
            return Vec::new();
        }
        let now_ms = self.now_ms();
        let (mut orders, mut marks, mut untold) = (Vec::new(), Vec::new(), Vec::new());
        for arrival in arrivals(written, live, taken) {
            let duty = PushDuty::of(arrival.state, arrival.is_taken, now_ms);
            if duty != PushDuty::None || arrival.passed.is_some() {
                untold.extend(&arrival.entries);
            }
            let (user, device) = (arrival.device.user.clone(), arrival.device.device.clone());
            let mut watched = None;
            match duty {
                PushDuty::Push => {
                    let (seen, newest) = (arrival.state.clone(), arrival.newest.clone());
                    orders.push(PushOrder::Now { user, device, seen, ttl: arrival.ttl, newest });
                }
                PushDuty::Check => {
                    let (check, mark) = self.next_check(arrival.device, now_ms);
                    orders.push(check);
                    watched = Some(mark);
                }
                PushDuty::None => {}
            }
            if watched.is_some() || arrival.passed.is_some() {
                marks.push((arrival, watched));
            }
        }
        if let Err(error) = self.store().queue_pushes(&orders, now_ms).await {
            tracing::error!(%error, "devices are not woken");
            return untold;
        }
        let marked =
            join_all(marks.iter().map(|(arrival, watched)| self.mark(arrival, watched.as_ref()))).await;
        untold.clear();
        for ((arrival, _), marked) in marks.iter().zip(marked) {
            if let Err(error) = marked {
                tracing::error!(%error, "a device is not watched");
                untold.extend(&arrival.entries);
            }
        }
        untold
    }

    /// Marks a device as watched if a check is ordered, and notes that one of its entries is older
    /// than those that have led to a push. One UpdateItem for each.
    async fn mark(&self, arrival: &LoudArrival<'_>, watched: Option<&PushState>) -> Result<(), StoreError> {
        if let Some(passed) = arrival.passed {
            self.store().forget_pushed_for(arrival.device, passed).await?;
        }
        if let Some(watched) = watched {
            // A check without its mark does nothing: somebody else sees to the entry.
            self.store().change_push(arrival.device, arrival.state, watched).await?;
        }
        Ok(())
    }

    /// Charges a change of a subscription to the account's budget: its transaction is in the way of
    /// other writes of the user's item. One UpdateItem.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`](crate::Refusal::OverBudget); the store is broken or out of reach.
    pub async fn charge_subscription(&self, user: &UserName) -> crate::Result<()> {
        let charge = self.request_charge(user);
        self.spend(Some(charge), None).await.check()
    }

    /// Returns the order of a check in a minute, or of the one of an entry that came at another time,
    /// and the state that marks it.
    fn next_check(&self, device: DeviceAddress<'_>, from_ms: i64) -> (PushOrder, PushState) {
        let check_ms = from_ms.saturating_add(CHECK_MS);
        let (user, id) = (device.user.clone(), device.device.clone());
        (PushOrder::Check { user, device: id, check_ms }, PushState::Watched { check_ms })
    }

    /// Ends the push of a device that has acknowledged entries. There may be more entries, so that
    /// a check is ordered.
    ///
    /// One SendMessageBatch and one transaction. A failure is only logged: the next fetch or
    /// acknowledgement ends the push.
    pub(crate) async fn end_push_by_acknowledgement(&self, device: DeviceAddress<'_>, pushed_ms: i64) {
        let (now_ms, store) = (self.now_ms(), self.store());
        let (check, watched) = self.next_check(device, now_ms);
        let ended = async {
            store.queue_pushes(&[check], now_ms).await?;
            store.end_push(device, pushed_ms, &watched).await
        };
        if let Err(error) = ended.await {
            tracing::warn!(%error, "a push is not ended now");
        }
    }

    /// Ends the push of a device that has sent `Fetch`, which is answered by this page or a newer
    /// one. The frames may go nowhere, so that a check of them is ordered. Returns true if the push
    /// is over, and false if a failure was logged.
    ///
    /// One SendMessageBatch and one transaction; before them one Query if there is a second page.
    pub(crate) async fn end_push_by_frame(
        &self,
        device: DeviceAddress<'_>,
        pushed_ms: i64,
        page: &MailboxPage,
    ) -> bool {
        let (now_ms, store) = (self.now_ms(), self.store());
        let (check, watched) = self.next_check(device, now_ms);
        let ended = async {
            let newest = match page.next {
                None => page.entries.last().map(|entry| entry.key.clone()),
                Some(_) => store.newest_entry(device).await?,
            };
            store.queue_pushes(&[check], now_ms).await?;
            let before = page.device.push_fetched.as_ref();
            store.end_push_by_frame(device, pushed_ms, &watched, before, newest.as_ref()).await
        };
        let ended: Result<(), StoreError> = ended.await;
        if let Err(error) = &ended {
            tracing::warn!(%error, "a push is not ended now");
        }
        ended.is_ok()
    }
}

/// Returns the entries that want a notification, by their devices, as far as these have a
/// subscription.
fn arrivals<'a>(
    written: &[&'a AddressedEntry],
    live: &'a BTreeMap<UserName, Live>,
    taken: &BTreeSet<usize>,
) -> Vec<LoudArrival<'a>> {
    // An entry may be there twice, of which a socket takes one.
    let was_taken = |entry: &AddressedEntry| {
        let mut posted = taken.iter().filter_map(|index| written.get(*index));
        posted.any(|other| other.address() == entry.address() && other.entry.key == entry.entry.key)
    };
    let mut arrivals: BTreeMap<(&UserName, &DeviceId), LoudArrival<'a>> = BTreeMap::new();
    for (index, entry) in written.iter().enumerate() {
        let Some(live) = live.get(&entry.user).filter(|_| wants_notification(&entry.entry.content)) else {
            continue;
        };
        let Some(state) = live.pushes.get(&entry.device) else { continue };
        let (key, ttl) = (&entry.entry.key, entry.entry.ttl);
        let (device, entries) = (entry.address(), Vec::new());
        let arrival = LoudArrival { device, state, passed: None, entries, ttl, newest: key, is_taken: true };
        let arrival = arrivals.entry((&entry.user, &entry.device)).or_insert(arrival);
        arrival.passed =
            arrival.passed.or(live.pushed_for.get(&entry.device).filter(|passed| key <= *passed));
        arrival.entries.push(index);
        arrival.ttl = arrival.ttl.max(ttl);
        arrival.newest = arrival.newest.max(key);
        arrival.is_taken &= was_taken(entry);
    }
    arrivals.into_values().collect()
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
        let ago = |ms| PushState::Sent { sent_ms: now_ms - ms, order: "an id".to_owned() };
        let ahead = |ms| PushState::Watched { check_ms: now_ms + ms };
        for (state, not_taken, taken) in [
            (PushState::Idle { since_ms: now_ms }, PushDuty::Push, PushDuty::Check),
            (ago(FORGOTTEN_MS), PushDuty::None, PushDuty::None),
            (ago(FORGOTTEN_MS + 1), PushDuty::Push, PushDuty::Check),
            (ahead(1), PushDuty::Push, PushDuty::None),
            (ahead(-LOST_MS), PushDuty::Push, PushDuty::None),
            (ahead(-LOST_MS - 1), PushDuty::Push, PushDuty::Check),
            (PushState::Checked { check_ms: now_ms }, PushDuty::Push, PushDuty::Check),
        ] {
            assert_eq!(PushDuty::of(&state, false, now_ms), not_taken, "{state:?}");
            assert_eq!(PushDuty::of(&state, true, now_ms), taken, "{state:?}");
        }
    }
}
