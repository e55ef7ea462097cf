//! Live delivery: the sockets of devices (`docs/protocol.md`, section 8; [decision
//! 0030](../../../docs/decisions/0030-live-delivery.md)).
//!
//! **Invariant:** a device connects first and fetches then, and a delivery writes entries first and
//! reads the sockets then. So an entry is found by the fetch, or its delivery finds the socket.
//!
//! The mailbox decides. A frame that is posted may never arrive, and one that could not be posted
//! is announced later. A socket whose token has expired, or whose device waits for approval, gets
//! no entry.

mod backlog;
mod connect;
mod entry;
mod notify;
mod orders;

use std::time::Duration;

use eko_protocol::frame::{self, TerminationReason};
use eko_store::StoreError;
use eko_store::live::{Behind, ConnectionId, LiveOrder, MarkedItems, Socket};
use eko_store::sockets::PostOutcome;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::Messaging;
use crate::context::CLOCKS_MS;

pub use connect::SocketUse;
pub use entry::entry_activity;
pub(crate) use notify::Notified;

/// The time before a device is told to fetch because a frame could not be posted, in milliseconds. It
/// is four times as long after each further failure.
const ANNOUNCE_MS: i64 = 5_000;

/// The number of failures in a row after which a device is not told to fetch any more, but its
/// connection is closed: after about seven minutes.
const MOST_FAILURES: u32 = 4;

/// The time after an announcement in which another failure belongs to the same row, in milliseconds.
const SAME_ROW_MS: i64 = 60_000;

/// The time after which a connection is established, in milliseconds, if it ever is. Lambda ends
/// the function sooner.
const ESTABLISHED_MS: i64 = 15_000;

/// The longest time for the posts that answer one event of a socket.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// The longest time for closing a connection that takes no frames.
const CLOSE_TIME: Duration = Duration::from_millis(1_500);

/// The longest time for telling a connection why it ends.
const REASON_TIME: Duration = Duration::from_millis(500);

/// Returns what a call to a connection comes to before a deadline. `None` if it does not, or if the
/// deadline has passed.
async fn in_time<T>(deadline: Instant, call: impl Future<Output = T>) -> Option<T> {
    if Instant::now() >= deadline {
        return None;
    }
    tokio::time::timeout_at(deadline, call).await.ok()
}

/// Returns the error of an order, or of a step of one, for which there was no time.
pub(crate) fn not_in_time(operation: &'static str) -> StoreError {
    StoreError::GaveUp { operation, detail: "there was no time for it".to_owned() }
}

impl Messaging {
    /// Posts frames to a socket, one after another. Returns the number of those that were taken.
    ///
    /// One PostToConnection for each. After the first one that fails, no other is posted. A socket
    /// that is gone ends, unless it is new: one DeleteConnection, one UpdateItem and one
    /// BatchWriteItem. Otherwise one SendMessageBatch orders that the device is told to fetch, and
    /// two UpdateItem note that, unless it is ordered: in the user's item for deliveries, and in
    /// the socket's own for the next answers, which would put off the announcement otherwise.
    /// Failures of these are only logged, because the mailbox has everything.
    pub async fn post(&self, socket: &Socket, frames: &[String]) -> usize {
        self.post_marking(socket, frames, MarkedItems::Both, Instant::now() + ANSWER_TIME).await
    }

    /// Does as [`post`](Self::post) until a deadline, for deliveries and orders: only the user's item
    /// notes what is ordered. A frame that is not taken by then has failed.
    async fn post_until(&self, socket: &Socket, frames: &[String], deadline: Instant) -> usize {
        self.post_marking(socket, frames, MarkedItems::Listed, deadline).await
    }

    async fn post_marking(
        &self,
        socket: &Socket,
        frames: &[String],
        marked: MarkedItems,
        deadline: Instant,
    ) -> usize {
        let Some(sockets) = self.store().sockets() else { return 0 };
        for (taken, frame) in frames.iter().enumerate() {
            let posted = in_time(deadline, sockets.post(&socket.connection, frame)).await;
            match posted.unwrap_or(PostOutcome::Failed) {
                PostOutcome::Sent => {}
                PostOutcome::Gone => {
                    self.end_gone(socket, deadline).await;
                    return taken;
                }
                PostOutcome::Busy | PostOutcome::Failed => {
                    self.fall_behind(socket, marked).await;
                    return taken;
                }
            }
        }
        frames.len()
    }

    /// Posts one frame to a connection of which it is not known whose it is.
    pub async fn post_to(&self, connection: &ConnectionId, frame: &str) {
        if let Some(sockets) = self.store().sockets() {
            sockets.post(connection, frame).await;
        }
    }

    /// Ends sockets of one user: tells each the reason, closes its connection, and removes them.
    ///
    /// One PostToConnection and one DeleteConnection for each, all sockets at once; then one
    /// UpdateItem and one BatchWriteItem. Failures are only logged: a connection that stays gets
    /// nothing any more.
    pub async fn end_sockets(&self, ended: &[Socket], reason: TerminationReason) {
        self.end_until(ended, reason, Instant::now() + ANSWER_TIME).await;
    }

    /// Does as [`end_sockets`](Self::end_sockets) until a deadline. A socket whose connection could
    /// not be closed by then stays registered. Returns true if there is none.
    async fn end_until(&self, ended: &[Socket], reason: TerminationReason, deadline: Instant) -> bool {
        let end = async |socket: &Socket| {
            let told = in_time(deadline, self.hang_up_on(&socket.connection, reason)).await;
            told.map(|()| socket.clone())
        };
        let closed: Vec<Socket> = join_all(ended.iter().map(end)).await.into_iter().flatten().collect();
        self.forget(&closed).await;
        closed.len() == ended.len()
    }

    /// Ends a socket that gets nothing any more: its token has expired, or no connection of API Gateway
    /// is as old. Returns true if it is one. The calls are those of
    /// [`end_sockets`](Self::end_sockets).
    async fn end_if_due(&self, socket: &Socket, deadline: Instant) -> bool {
        let now_ms = self.now_ms();
        let reason = if socket.is_expired(now_ms) {
            TerminationReason::TokenExpired
        } else if socket.is_over(now_ms) {
            TerminationReason::GoingAway
        } else {
            return false;
        };
        self.end_until(std::slice::from_ref(socket), reason, deadline).await;
        true
    }

    /// Tells a connection why it ends, and closes it. One that answers as if it were gone is closed
    /// all the same: it may be there. So is one that does not take the reason soon.
    pub async fn hang_up_on(&self, connection: &ConnectionId, reason: TerminationReason) {
        let Some(sockets) = self.store().sockets() else { return };
        let reason = frame::terminated(reason).to_string();
        let _ = tokio::time::timeout(REASON_TIME, sockets.post(connection, &reason)).await;
        sockets.close(connection).await;
    }

    /// Ends a socket whose connection has answered as one that is gone. One that is being established
    /// answers so too. It stays: its device fetches when it is connected, and finds what is in the
    /// mailbox by now. An older one is closed, so that its client notices if it is there.
    async fn end_gone(&self, socket: &Socket, deadline: Instant) {
        let Some(sockets) = self.store().sockets() else { return };
        if self.now_ms().saturating_sub(socket.opened_ms) >= ESTABLISHED_MS
            && in_time(deadline, sockets.close(&socket.connection)).await.is_some()
        {
            self.forget(std::slice::from_ref(socket)).await;
        }
    }

    /// Removes sockets of one user.
    async fn forget(&self, sockets: &[Socket]) {
        let Some(first) = sockets.first() else { return };
        let connections: Vec<ConnectionId> = sockets.iter().map(|socket| socket.connection.clone()).collect();
        if let Err(error) = self.store().remove_sockets(&first.user, &connections).await {
            tracing::warn!(%error, "sockets are not removed");
        }
    }

    /// Notes that a frame could not be posted. Its device is told to fetch later. Does nothing if
    /// that is ordered already.
    async fn fall_behind(&self, socket: &Socket, marked: MarkedItems) {
        let now_ms = self.now_ms();
        let failures = match socket.behind {
            Some(Behind { until_ms, .. }) if until_ms > now_ms.saturating_add(CLOCKS_MS) => return,
            Some(Behind { until_ms, failures }) if until_ms.saturating_add(SAME_ROW_MS) > now_ms => failures,
            _ => 0,
        };
        if let Err(error) = self.announce_later(socket, failures.saturating_add(1), marked).await {
            tracing::warn!(%error, "a device is not told to fetch");
        }
    }

    /// Orders that a device is told to fetch, after so many failures in a row. After too many, its
    /// connection is closed: the device connects again, and fetches.
    ///
    /// The order is queued before it is noted, so that nobody relies on one that is not there.
    ///
    /// # Errors
    /// The queue or the table is out of reach, or the connection was not closed in time.
    async fn announce_later(
        &self,
        socket: &Socket,
        failures: u32,
        marked: MarkedItems,
    ) -> std::result::Result<(), StoreError> {
        if failures > MOST_FAILURES {
            let ended = std::slice::from_ref(socket);
            // The post that has failed may have used up its time.
            let deadline = Instant::now() + CLOSE_TIME;
            return match self.end_until(ended, TerminationReason::GoingAway, deadline).await {
                true => Ok(()),
                false => Err(not_in_time("DeleteConnection")),
            };
        }
        let delay_ms = ANNOUNCE_MS.saturating_mul(4_i64.saturating_pow(failures.saturating_sub(1)));
        let until_ms = self.now_ms().saturating_add(delay_ms);
        let (user, connection) = (socket.user.clone(), socket.connection.clone());
        let order = LiveOrder::Announce { user, connection, due_ms: until_ms, failures };
        let delay_seconds = i32::try_from(delay_ms.div_euclid(1000)).unwrap_or(i32::MAX).min(900);
        self.store().queue_live(order, delay_seconds).await?;
        self.store().mark_behind(socket, Behind { until_ms, failures }, marked).await
    }
}
