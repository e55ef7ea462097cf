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

use eko_protocol::frame::{self, TerminationReason};
use eko_store::live::{ConnectionId, LiveOrder, Socket};
use eko_store::sockets::PostOutcome;
use futures_util::future::join_all;

use crate::Messaging;

pub use connect::SocketUse;
pub use entry::entry_activity;
pub(crate) use notify::Notified;

/// The time before a device is told to fetch because a frame could not be posted, in seconds. It is
/// four times as long after each failure.
const ANNOUNCE_SECONDS: i32 = 5;

/// The time after which a connection is established, in milliseconds, if it ever is. Lambda ends
/// the function sooner.
const ESTABLISHED_MS: i64 = 15_000;

impl Messaging {
    /// Posts frames to a socket, one after another. Returns the number of those that were taken.
    ///
    /// One PostToConnection for each. After the first one that fails, no other is posted. A socket
    /// that is gone is removed, unless it is new: one UpdateItem and one BatchWriteItem. Otherwise
    /// one SendMessageBatch orders that the device is told to fetch. Failures of these are only
    /// logged, because the mailbox has everything.
    pub async fn post(&self, socket: &Socket, frames: &[String]) -> usize {
        let Some(sockets) = self.store().sockets() else { return 0 };
        for (taken, frame) in frames.iter().enumerate() {
            match sockets.post(&socket.connection, frame).await {
                PostOutcome::Sent => {}
                PostOutcome::Gone => {
                    // A connection that is being established answers as one that is gone. Its
                    // device fetches then, and finds what is in the mailbox by now.
                    if self.now_ms().saturating_sub(socket.opened_ms) >= ESTABLISHED_MS {
                        self.forget(std::slice::from_ref(socket)).await;
                    }
                    return taken;
                }
                PostOutcome::Busy | PostOutcome::Failed => {
                    self.order_announcement(socket, 0).await;
                    return taken;
                }
            }
        }
        frames.len()
    }

    /// Posts one frame to a connection, whether or not it is known whose it is.
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
        join_all(ended.iter().map(|socket| self.hang_up_on(&socket.connection, reason))).await;
        self.forget(ended).await;
    }

    /// Tells a connection why it ends, and closes it.
    pub async fn hang_up_on(&self, connection: &ConnectionId, reason: TerminationReason) {
        let Some(sockets) = self.store().sockets() else { return };
        if sockets.post(connection, &frame::terminated(reason).to_string()).await != PostOutcome::Gone {
            sockets.close(connection).await;
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

    /// Orders that a device is told to fetch.
    async fn order_announcement(&self, socket: &Socket, failures: u32) {
        let (user, connection) = (socket.user.clone(), socket.connection.clone());
        let delay_seconds = ANNOUNCE_SECONDS.saturating_mul(4_i32.saturating_pow(failures)).min(900);
        let order = LiveOrder::Announce { user, connection, failures };
        if let Err(error) = self.store().queue_live(order, delay_seconds).await {
            tracing::warn!(%error, "a device is not told to fetch");
        }
    }
}
