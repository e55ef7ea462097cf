//! Orders about sockets: functions that post to none queue them, and `deliver` carries them out.

use eko_protocol::address::UserName;
use eko_protocol::frame::{self, TerminationReason};
use eko_protocol::id::DeviceId;
use eko_store::StoreError;
use eko_store::live::{LiveOrder, Socket};
use eko_store::sockets::PostOutcome;
use serde_json::Value;
use tokio::time::Instant;

use super::in_time;
use crate::context::CLOCKS_MS;
use crate::{Messaging, Result};

impl Messaging {
    /// Orders that the sockets end that devices have open now. Call it after the change that takes
    /// the sockets from the devices.
    ///
    /// One SendMessageBatch; none on a server without sockets.
    ///
    /// # Errors
    /// The queue is out of reach.
    pub async fn order_hang_up(
        &self,
        user: &UserName,
        devices: Vec<DeviceId>,
        reason: TerminationReason,
    ) -> Result<()> {
        let opened_until_ms = self.now_ms();
        let order = LiveOrder::HangUp { user: user.clone(), devices, opened_until_ms, reason };
        self.order(order).await
    }

    /// Does as [`order_hang_up`](Self::order_hang_up) for devices that were revoked. A failure is
    /// only logged: their erasure, which was ordered before, ends the sockets as well.
    pub async fn end_revoked(&self, user: &UserName, devices: Vec<DeviceId>) {
        let reason = TerminationReason::DeviceRevoked;
        if let Err(error) = self.order_hang_up(user, devices, reason).await {
            tracing::warn!(%error, "sockets of revoked devices end with the erasure");
        }
    }

    /// Orders that a device is told of the node by which it was approved. A failure is only logged,
    /// because a device that waits asks as well.
    ///
    /// One SendMessageBatch; none on a server without sockets.
    pub async fn tell_approved(&self, user: &UserName, device: DeviceId, node: Value) {
        if let Err(error) = self.order(LiveOrder::Approve { user: user.clone(), device, node }).await {
            tracing::warn!(%error, "a device is not told of its approval");
        }
    }

    async fn order(&self, order: LiveOrder) -> Result<()> {
        if self.has_sockets() {
            self.store().queue_live(order, 0).await?;
        }
        Ok(())
    }

    /// Carries out an order until a deadline.
    ///
    /// One BatchGetItem; then the calls of [`end_sockets`](Self::end_sockets) or
    /// [`post`](Self::post). None on a server without sockets. An order that is carried out twice
    /// does the same again.
    ///
    /// # Errors
    /// The sockets cannot be read, or the deadline has passed.
    pub(crate) async fn carry_out(
        &self,
        order: LiveOrder,
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        match order {
            LiveOrder::HangUp { user, devices, opened_until_ms, reason } => {
                self.hang_up(&user, &devices, opened_until_ms, reason, deadline).await
            }
            LiveOrder::Approve { user, device, node } => {
                let is_waiting = |socket: &Socket| socket.device == device && socket.is_pending;
                for socket in self.sockets_of(&user).await?.iter().filter(|socket| is_waiting(socket)) {
                    self.post_until(socket, &[node.to_string()], deadline).await;
                }
                Ok(())
            }
            LiveOrder::Announce { user, connection, due_ms, failures } => {
                let sockets = self.sockets_of(&user).await?;
                // Of several announcements, the latest one is made.
                let is_last = |socket: &Socket| socket.behind.is_none_or(|behind| behind.until_ms <= due_ms);
                let found = sockets.iter().find(|socket| socket.connection == connection);
                if let Some(socket) = found.filter(|socket| is_last(socket)) {
                    self.announce(socket, failures, deadline).await;
                }
                Ok(())
            }
        }
    }

    /// Ends the sockets of devices that were opened until this time, as far as clocks agree.
    ///
    /// # Errors
    /// The sockets cannot be read, or some are not ended by the deadline.
    pub(crate) async fn hang_up(
        &self,
        user: &UserName,
        devices: &[DeviceId],
        opened_until_ms: i64,
        reason: TerminationReason,
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        let until_ms = opened_until_ms.saturating_add(CLOCKS_MS);
        let mut ended = self.sockets_of(user).await?;
        ended.retain(|socket| devices.contains(&socket.device) && socket.opened_ms <= until_ms);
        match self.end_until(&ended, reason, deadline).await {
            true => Ok(()),
            false => {
                let detail = "sockets are not ended in time".to_owned();
                Err(StoreError::GaveUp { operation: "DeleteConnection", detail })
            }
        }
    }

    /// Tells a socket to fetch. If that fails, it is told later.
    async fn announce(&self, socket: &Socket, failures: u32, deadline: Instant) {
        let Some(sockets) = self.store().sockets() else { return };
        let announce = frame::announce(self.origin(), &socket.user).to_string();
        let posted = in_time(deadline, sockets.post(&socket.connection, &announce)).await;
        match posted.unwrap_or(PostOutcome::Failed) {
            PostOutcome::Sent => {}
            PostOutcome::Gone => self.end_gone(socket, deadline).await,
            PostOutcome::Busy | PostOutcome::Failed => {
                self.announce_later(socket, failures.saturating_add(1), deadline).await;
            }
        }
    }

    /// Returns the sockets of a user; none on a server without sockets.
    async fn sockets_of(&self, user: &UserName) -> std::result::Result<Vec<Socket>, StoreError> {
        if self.store().sockets().is_none() {
            return Ok(Vec::new());
        }
        let live = self.store().live(&[user]).await?.remove(user);
        Ok(live.unwrap_or_default().sockets)
    }
}
