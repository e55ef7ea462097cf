//! Erasure: the keys and mailboxes of revoked devices are deleted, step by step
//! (`docs/protocol.md`, section 3; [decision
//! 0020](../../../docs/decisions/0020-erasure-and-quota.md)).
//!
//! A revoked device reads nothing from the moment of its revocation. What it left is erased by the
//! queue `deliveries`, because a mailbox may be larger than one request can delete.

use std::time::Duration;

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_store::StoreError;
use eko_store::device::DeviceAddress;
use eko_store::erasure::{Erasure, ErasurePass};
use tokio::time::Instant;

use crate::live::not_in_time;
use crate::{Messaging, Result};

/// The time between an order and the first step, in seconds. No request that revokes a device lasts
/// as long, so the device is revoked then or never by that request.
pub(crate) const ORDER_SECONDS: i32 = 60;
/// The time between two steps, in seconds.
pub(crate) const STEP_SECONDS: i32 = 1;
/// The time between the passes, in seconds: the longest delay of SQS. A ciphertext that was
/// accepted before the revocation is in the mailbox by then, unless the queue has a backlog.
pub(crate) const PASS_SECONDS: i32 = 900;
/// The shortest time after a step that failed, in seconds. It doubles with each further failure.
const RETRY_SECONDS: i32 = 15;
/// The number of failures in a row after which an erasure goes to the dead-letter queue: about a
/// day.
pub(crate) const MOST_FAILURES: u32 = 100;

/// Returns the time after a step that failed, in seconds. So many failed before it, one after another.
pub(crate) fn retry_seconds(failures: u32) -> i32 {
    RETRY_SECONDS.saturating_mul(1 << failures.min(6)).min(PASS_SECONDS)
}

/// The longest time for what a batch brings, such as a step of an erasure, from when it was received. It
/// ends well before the time of the function `deliver` does, so that there is time to queue the next
/// step. A step that died with the function would be no failure that is counted here, and SQS gives a
/// message five tries.
pub const STEP_TIME: Duration = Duration::from_millis(3_500);

/// Does a step until `ends`. What it has done by then stays done.
///
/// # Errors
/// That of the step, or that there was no time for it.
pub(crate) async fn in_step_time<T>(
    ends: Instant,
    step: impl Future<Output = std::result::Result<T, StoreError>>,
) -> std::result::Result<T, StoreError> {
    let late = |_| Err(not_in_time("a step of the queue deliveries"));
    tokio::time::timeout_at(ends, step).await.unwrap_or_else(late)
}

impl Messaging {
    /// Orders the erasure of devices that are about to be revoked. Call it before the revocation:
    /// a process that dies between the two leaves an order that erases nothing.
    ///
    /// One SendMessageBatch, or none without devices.
    ///
    /// # Errors
    /// The queue is out of reach. The devices must not be revoked then.
    pub async fn order_erasure(&self, user: &UserName, devices: Vec<DeviceId>) -> Result<()> {
        if devices.is_empty() {
            return Ok(());
        }
        let erasure = Erasure {
            user: user.clone(),
            devices,
            erased: Vec::new(),
            pass: ErasurePass::Ordered,
            failures: 0,
        };
        Ok(self.store().queue_erasure(erasure, ORDER_SECONDS).await?)
    }

    /// Does the next step of an erasure until `ends`, and queues the one after it. Sockets end until
    /// `deadline`.
    ///
    /// The first step finds out by [`revoked_among`](eko_store::Store::revoked_among) which
    /// devices were revoked, and drops the others: a revocation stays for ever, so no later step
    /// asks again. It ends the sockets of those that were revoked ([`hang_up`](Self::hang_up)).
    /// Each step makes the calls of [`erase_some`](eko_store::Store::erase_some), if a device is
    /// left, and the last one of a device that of
    /// [`forget_push_state`](eko_store::Store::forget_push_state). Then one SendMessageBatch,
    /// unless the erasure is complete. A step that fails is queued again as well, so that the
    /// dead-letter queue gets no erasure that only needs time. A step that is done twice does the
    /// same again.
    ///
    /// # Errors
    /// The next step could not be queued, or too many steps have failed.
    pub(crate) async fn erase(
        &self,
        erasure: Erasure,
        deadline: Instant,
        ends: Instant,
    ) -> std::result::Result<(), StoreError> {
        match in_step_time(ends, self.erase_step(erasure.clone(), deadline)).await {
            Ok(None) => Ok(()),
            Ok(Some((next, delay_seconds))) => self.store().queue_erasure(next, delay_seconds).await,
            Err(error) if erasure.failures >= MOST_FAILURES => Err(error),
            Err(error) => {
                tracing::warn!(%error, failures = erasure.failures, "a revoked device is not erased yet");
                let delay_seconds = retry_seconds(erasure.failures);
                let failures = erasure.failures.saturating_add(1);
                self.store().queue_erasure(Erasure { failures, ..erasure }, delay_seconds).await
            }
        }
    }

    /// Erases some items of the first device that is left. Returns what remains to be done, and the
    /// time until then in seconds.
    async fn erase_step(
        &self,
        mut erasure: Erasure,
        deadline: Instant,
    ) -> std::result::Result<Option<(Erasure, i32)>, StoreError> {
        erasure.failures = 0;
        if erasure.pass == ErasurePass::Ordered {
            erasure.devices = self.store().revoked_among(&erasure.user, erasure.devices).await?;
            // A socket may have been registered since the revocation ended the others.
            self.hang_up(&erasure.user, &erasure.devices, deadline).await?;
            erasure.pass = ErasurePass::First;
        }
        if let Some(device) = erasure.devices.first() {
            let address = DeviceAddress::new(&erasure.user, device);
            if self.store().erase_some(address).await? {
                return Ok(Some((erasure, STEP_SECONDS)));
            }
            self.store().forget_push_state(address).await?;
            let device = erasure.devices.remove(0);
            erasure.erased.push(device);
        }
        if !erasure.devices.is_empty() {
            return Ok(Some((erasure, STEP_SECONDS)));
        }
        Ok(match erasure.pass {
            ErasurePass::First if !erasure.erased.is_empty() => {
                let devices = std::mem::take(&mut erasure.erased);
                Some((Erasure { devices, pass: ErasurePass::Second, ..erasure }, PASS_SECONDS))
            }
            ErasurePass::Ordered | ErasurePass::First | ErasurePass::Second => None,
        })
    }
}
