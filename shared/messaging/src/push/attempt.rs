//! The queue `pushes`: what becomes of an order.

use eko_protocol::id::EntryKey;
use eko_protocol::push::PushSubscription;
use eko_store::StoreError;
use eko_store::device::DeviceAddress;
use eko_store::live::PushState;
use eko_store::push::{PushClaim, PushTarget};
use eko_store::pushes::{CHECK_MS, PushOrder};
use eko_web_push::{PushOutcome, PushService, service_host};
use futures_util::future::join_all;

use crate::{Messaging, QueueMessage};

/// The age from which an entry that was not acknowledged leads to a push, in milliseconds. It is
/// less than the time to a check, so that the entry that was watched is old enough at its check.
const OLD_MS: i64 = CHECK_MS - 5_000;
/// The number of receives after which an order is given up: about four hours.
const MOST_RECEIVES: u32 = 20;
/// The shortest time before another attempt, in seconds. It doubles with each further one.
const FIRST_WAIT_SECONDS: i32 = 30;
/// The longest time before another attempt, in seconds. A push service may ask for as much.
const LONGEST_WAIT_SECONDS: i32 = 900;

/// The end of one receive of an order.
enum OrderFate {
    /// The order is carried out, or there is nothing to do.
    Done,
    /// The order has failed for good, or too often. The next entry is tried anew.
    GivenUp,
    /// The order comes back in so many seconds.
    Wait(i32),
}

/// A push that is to be sent.
struct PushCause {
    /// The state from which it is claimed.
    seen: PushState,
    /// The state while it is sent. It is the one that was seen if the push is repeated.
    sent: PushState,
    /// The newest entry that it is for, unless it is repeated.
    newest: Option<EntryKey>,
}

impl Messaging {
    /// Carries out a batch of orders, side by side. Returns the ids of the messages that stay in
    /// the queue.
    ///
    /// A push makes one BatchGetItem of subscription and state, one transaction that notes the
    /// push, and then the request to the push service. A check makes one BatchGetItem, one
    /// UpdateItem that ends the watch, and reads the mailbox then (one Query, or two if it has more
    /// than 25 entries); if what is left is young, one SendMessageBatch and one UpdateItem, or else a
    /// transaction and a push. Orders that wait are hidden by one ChangeMessageVisibilityBatch.
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
        if let PushOrder::Check { check_ms, .. } = &order
            && now_ms < *check_ms
        {
            return Ok(OrderFate::Wait(seconds(check_ms.saturating_sub(now_ms))));
        }
        let Some(PushTarget { subscription, state, pushed_for }) = self.store().push_target(device).await?
        else {
            return Ok(OrderFate::Done);
        };
        let cause = self.push_cause(&order, &message.id, state, pushed_for).await?;
        let Some(PushCause { seen, sent, newest }) = cause else { return Ok(OrderFate::Done) };
        match self.store().claim_push(device, &seen, &sent, newest.as_ref()).await? {
            PushClaim::Claimed => {
                self.send_push(service, device, &subscription, &sent, message.receives).await
            }
            PushClaim::Changed => Ok(OrderFate::Done),
            PushClaim::SignedOut => {
                self.store().drop_subscription(device, &subscription.endpoint).await?;
                Ok(OrderFate::Done)
            }
        }
    }

    /// Returns the push that an order leads to, if there is one: the order's own push, which is
    /// repeated; a first one, if the state is still the one that the order names; or what a check
    /// comes to.
    async fn push_cause(
        &self,
        order: &PushOrder,
        id: &str,
        state: PushState,
        pushed_for: Option<EntryKey>,
    ) -> Result<Option<PushCause>, StoreError> {
        let now_ms = self.now_ms();
        let first = |seen, newest| {
            let sent = PushState::Sent { sent_ms: now_ms, order: id.to_owned() };
            PushCause { seen, sent, newest: pushed_for.clone().max(Some(newest)) }
        };
        Ok(match (state, order) {
            (PushState::Sent { sent_ms, order: own }, _) if own == id => {
                // It stands for the entries that came since, too, whatever became of the first one.
                let sent = PushState::Sent { sent_ms, order: own };
                Some(PushCause { seen: sent.clone(), sent, newest: None })
            }
            (state, PushOrder::Now { seen, ttl, newest, .. }) => {
                let is_due = state == *seen && *ttl > now_ms.div_euclid(1000);
                is_due.then(|| first(state, newest.clone()))
            }
            (state, PushOrder::Check { check_ms, .. }) => {
                let checked = PushState::Checked { check_ms: *check_ms };
                let left = self.check(order.address(), *check_ms, &state, pushed_for.as_ref()).await?;
                left.map(|newest| first(checked, newest))
            }
        })
    }

    /// Looks whether a device has acknowledged what its sockets took. Returns the newest entry if a
    /// push is due because it has not.
    async fn check(
        &self,
        device: DeviceAddress<'_>,
        check_ms: i64,
        state: &PushState,
        pushed_for: Option<&EntryKey>,
    ) -> Result<Option<EntryKey>, StoreError> {
        let (store, now_ms) = (self.store(), self.now_ms());
        let (watched, checked) = (PushState::Watched { check_ms }, PushState::Checked { check_ms });
        // The process that began the check has died if it is checked already.
        let is_due = *state == watched || *state == checked;
        if !is_due || !store.change_push(device, &watched, &checked).await? {
            return Ok(None);
        }
        let Some(left) = store.loud_entries(device, pushed_for, now_ms).await? else { return Ok(None) };
        let since_ms =
            left.oldest.map_or(0, |oldest| i64::try_from(oldest.accepted_ms()).unwrap_or(i64::MAX));
        if now_ms.saturating_sub(since_ms) >= OLD_MS {
            return Ok(Some(left.newest));
        }
        let (check, watched) = self.next_check(device, since_ms);
        store.queue_pushes(&[check], now_ms).await?;
        store.change_push(device, &checked, &watched).await?;
        Ok(None)
    }

    /// Sends a push that is claimed by the state `sent`.
    async fn send_push(
        &self,
        service: &PushService,
        device: DeviceAddress<'_>,
        subscription: &PushSubscription,
        sent: &PushState,
        receives: u32,
    ) -> Result<OrderFate, StoreError> {
        let (store, now_ms) = (self.store(), self.now_ms());
        let outcome = service.push(subscription, now_ms).await;
        if outcome == PushOutcome::Gone {
            store.drop_subscription(device, &subscription.endpoint).await?;
        }
        let fate = fate(&outcome, receives, &service_host(subscription));
        if matches!(fate, OrderFate::GivenUp) {
            // The next entry is tried anew.
            store.change_push(device, sent, &PushState::Idle { since_ms: now_ms }).await?;
        }
        Ok(fate)
    }
}

/// Returns the end of a receive with this outcome, and logs what an operator should see. A failure is
/// logged with the host of the push service. A push that is sent is logged without it, since one
/// person's own service would tell when that person was woken.
fn fate(outcome: &PushOutcome, receives: u32, host: &str) -> OrderFate {
    let (why, asked) = match outcome {
        PushOutcome::Sent => {
            // An alarm of the template counts these lines, and those of `Misconfigured`.
            tracing::info!("a push is sent");
            return OrderFate::Done;
        }
        PushOutcome::Gone => return OrderFate::Done,
        PushOutcome::Refused(why) => {
            tracing::warn!(host, why, "a push service does not take a push");
            return OrderFate::GivenUp;
        }
        PushOutcome::Misconfigured(why) => {
            tracing::error!(host, why, "a push service refuses this server");
            (why, None)
        }
        PushOutcome::Later { why, retry_after } => (why, *retry_after),
    };
    if receives >= MOST_RECEIVES {
        tracing::warn!(host, why, "a push is given up");
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
