//! The queue `pushes`: what becomes of an order.

use eko_protocol::id::EntryKey;
use eko_store::StoreError;
use eko_store::device::DeviceAddress;
use eko_store::live::PushState;
use eko_store::push::{LoudEntries, PushClaim, PushTarget};
use eko_store::pushes::{CHECK_MS, PushOrder};
use eko_web_push::{PushOutcome, PushService};
use futures_util::future::join_all;

use super::PushDuty;
use crate::context::CLOCKS_MS;
use crate::{Messaging, QueueMessage};

/// The age from which an entry that was not acknowledged leads to a push, in milliseconds. It is
/// less than the time to a check, so that the entry that was watched is old enough at its check.
const OLD_MS: i64 = CHECK_MS - 5_000;
/// The number of receives after which an order is given up: about four hours.
const MOST_RECEIVES: u32 = 20;
/// The shortest time before another attempt, in seconds. It doubles with each further one.
const FIRST_WAIT_SECONDS: i32 = 30;
/// The time after a push in which no other attempt of it begins, in milliseconds. An order that comes
/// sooner, and not for the first time, was sent twice.
const NO_RETRY_MS: i64 = 20_000;
/// The longest time before another attempt, in seconds. A push service may ask for as much.
const LONGEST_WAIT_SECONDS: i32 = 900;
/// The number of times that a claim is tried while the state changes.
const CLAIMS: usize = 3;

/// The end of one receive of an order.
enum OrderFate {
    /// The order is carried out, or there is nothing to do.
    Done,
    /// The order has failed for good, or too often. The next entry is tried anew.
    GivenUp,
    /// The order comes back in so many seconds.
    Wait(i32),
}

/// The entries for which a device is to be woken.
struct PushCause {
    /// A time at which they were in the mailbox, in epoch milliseconds.
    at_ms: i64,
    /// The time after which one of them is gone, in epoch seconds.
    ttl: i64,
    /// The key of the newest one.
    newest: EntryKey,
}

impl Messaging {
    /// Carries out a batch of orders, side by side. Returns the ids of the messages that stay in
    /// the queue.
    ///
    /// A push makes one BatchGetItem of subscription and state, one transaction that notes the
    /// push, and then the request to the push service. A check makes one BatchGetItem, one
    /// UpdateItem that ends the watch, and reads the mailbox then (one Query); if what is left is
    /// young, one SendMessageBatch and one UpdateItem, or else a push. Orders that wait are hidden
    /// by one ChangeMessageVisibilityBatch.
    ///
    /// A push service that fails is tried again up to 20 times. Then, or if the push fails for good,
    /// one UpdateItem lets the next entry try anew. If the process dies between a push and the end
    /// of the batch, the order comes back and sends the push again; the push service then replaces
    /// the first message, which has the same topic.
    pub async fn push(&self, service: &PushService, batch: &[QueueMessage]) -> Vec<String> {
        let fates = join_all(batch.iter().map(|message| self.push_one(service, message))).await;
        let mut stay = Vec::new();
        let mut hidden = Vec::new();
        for (message, fate) in batch.iter().zip(fates) {
            match fate {
                Ok(OrderFate::Done | OrderFate::GivenUp) => {}
                Ok(OrderFate::Wait(seconds)) => {
                    hidden.push((message.receipt_handle.clone(), seconds));
                    stay.push(message.id.clone());
                }
                Err(error) => {
                    tracing::error!(message = message.id, %error, "an order of a push is not carried out");
                    stay.push(message.id.clone());
                }
            }
        }
        if let Err(error) = self.store().hide_pushes(&hidden).await {
            tracing::warn!(%error, "orders of pushes come back at another time");
        }
        stay
    }

    /// Carries out one order.
    async fn push_one(&self, service: &PushService, message: &QueueMessage) -> Result<OrderFate, StoreError> {
        let order = PushOrder::parse(&message.body)?;
        let (device, now_ms) = (order.address(), self.now_ms());
        let cause = match &order {
            PushOrder::Now { at_ms, ttl, newest, .. } => {
                PushCause { at_ms: *at_ms, ttl: *ttl, newest: newest.clone() }
            }
            PushOrder::Check { check_ms, .. } if now_ms < *check_ms => {
                return Ok(OrderFate::Wait(seconds(check_ms.saturating_sub(now_ms))));
            }
            PushOrder::Check { check_ms, .. } => match self.check(device, *check_ms).await? {
                Some(cause) => cause,
                None => return Ok(OrderFate::Done),
            },
        };
        self.wake_device(service, device, &cause, message.receives).await
    }

    /// Looks whether a device has acknowledged what its sockets took. Returns the cause of a push if
    /// it has not.
    async fn check(&self, device: DeviceAddress<'_>, check_ms: i64) -> Result<Option<PushCause>, StoreError> {
        let (store, now_ms) = (self.store(), self.now_ms());
        let Some(PushTarget { state, pushed_for, .. }) = store.push_target(device).await? else {
            return Ok(None);
        };
        let (watched, checked) = (PushState::Watched { check_ms }, PushState::Checked { check_ms });
        match state {
            // The process that began the check has died if it is checked already.
            state if state == watched || state == checked => {
                if !store.change_push(device, watched, checked).await? {
                    return Ok(None);
                }
            }
            // The order has sent a push already, which may not have arrived.
            PushState::Sent { sent_ms } if sent_ms >= check_ms => {
                let left = store.loud_entries(device, None, now_ms).await?;
                let cause =
                    |LoudEntries { oldest, newest }| PushCause { at_ms: check_ms, ttl: oldest.ttl, newest };
                return Ok(left.map(cause));
            }
            _ => return Ok(None),
        }
        let Some(LoudEntries { oldest, newest }) =
            store.loud_entries(device, pushed_for.as_ref(), now_ms).await?
        else {
            return Ok(None);
        };
        if now_ms.saturating_sub(oldest.accepted_ms) >= OLD_MS {
            return Ok(Some(PushCause { at_ms: now_ms, ttl: oldest.ttl, newest }));
        }
        let check_ms = oldest.accepted_ms.saturating_add(CHECK_MS);
        let (user, device_id) = (device.user.clone(), device.device.clone());
        store.queue_pushes(&[PushOrder::Check { user, device: device_id, check_ms }], now_ms).await?;
        self.watch(device, check_ms).await?;
        Ok(None)
    }

    /// Sends a push, unless the device has fetched since or another push was sent.
    async fn wake_device(
        &self,
        service: &PushService,
        device: DeviceAddress<'_>,
        cause: &PushCause,
        receives: u32,
    ) -> Result<OrderFate, StoreError> {
        let (store, now_ms) = (self.store(), self.now_ms());
        for _ in 0..CLAIMS {
            let Some(PushTarget { subscription, state, pushed_for }) = store.push_target(device).await?
            else {
                return Ok(OrderFate::Done);
            };
            let is_own_retry = match state {
                PushState::Idle { fetched_ms } if fetched_ms > cause.at_ms.saturating_add(CLOCKS_MS) => {
                    return Ok(OrderFate::Done);
                }
                PushState::Sent { sent_ms } => {
                    receives > 1
                        && sent_ms >= cause.at_ms.saturating_sub(CLOCKS_MS)
                        && now_ms.saturating_sub(sent_ms) >= NO_RETRY_MS
                }
                PushState::Idle { .. } | PushState::Watched { .. } | PushState::Checked { .. } => false,
            };
            let mut sent_ms = now_ms;
            if let (true, PushState::Sent { sent_ms: noted_ms }) = (is_own_retry, state) {
                // It stands for the entries that came since, too, whatever became of the first one.
                sent_ms = noted_ms;
            } else {
                if cause.ttl <= now_ms.div_euclid(1000) {
                    return Ok(OrderFate::Done);
                }
                if PushDuty::of(state, false, now_ms) != PushDuty::Push {
                    return Ok(OrderFate::Done);
                }
                let newest = pushed_for.as_ref().map_or(&cause.newest, |key| key.max(&cause.newest));
                match store.claim_push(device, state, newest, now_ms).await? {
                    PushClaim::Claimed => {}
                    PushClaim::Changed => continue,
                    PushClaim::SignedOut => {
                        store.drop_subscription(device, &subscription.endpoint).await?;
                        return Ok(OrderFate::Done);
                    }
                }
            }
            let outcome = service.push(&subscription, now_ms).await;
            if outcome == PushOutcome::Gone {
                store.drop_subscription(device, &subscription.endpoint).await?;
            }
            let fate = fate(&outcome, receives);
            if matches!(fate, OrderFate::GivenUp) {
                // The next entry is tried anew.
                let (from, to) = (PushState::Sent { sent_ms }, PushState::Idle { fetched_ms: 0 });
                store.change_push(device, from, to).await?;
            }
            return Ok(fate);
        }
        Err(StoreError::GaveUp {
            operation: "TransactWriteItems",
            detail: "the state of a push changes".to_owned(),
        })
    }
}

/// Returns the end of a receive with this outcome, and logs what an operator should see.
fn fate(outcome: &PushOutcome, receives: u32) -> OrderFate {
    let (why, asked) = match outcome {
        PushOutcome::Sent | PushOutcome::Gone => return OrderFate::Done,
        PushOutcome::Refused(why) => {
            tracing::warn!(why, "a push service does not take a push");
            return OrderFate::GivenUp;
        }
        PushOutcome::Misconfigured(why) => {
            // An alarm of the template counts these lines.
            tracing::error!(why, "a push service refuses this server");
            (why, None)
        }
        PushOutcome::Later { why, retry_after } => (why, *retry_after),
    };
    if receives >= MOST_RECEIVES {
        tracing::warn!(why, "a push is given up");
        return OrderFate::GivenUp;
    }
    let doubled = FIRST_WAIT_SECONDS.saturating_mul(1 << receives.saturating_sub(1).min(8));
    let asked = asked.map_or(0, |seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
    OrderFate::Wait(doubled.max(asked).min(LONGEST_WAIT_SECONDS))
}

/// Returns milliseconds as whole seconds, rounded up.
fn seconds(ms: i64) -> i32 {
    i32::try_from(ms.saturating_add(999).div_euclid(1000))
        .unwrap_or(LONGEST_WAIT_SECONDS)
        .clamp(1, LONGEST_WAIT_SECONDS)
}
