//! Orders about sockets: functions that post to none queue them, and `deliver` carries them out.

use eko_protocol::address::UserName;
use eko_protocol::frame::{self, TerminationReason};
use eko_protocol::id::DeviceId;
use eko_store::StoreError;
use eko_store::device::DeviceAddress;
use eko_store::live::{ConnectionId, LiveOrder, MarkedItems, Socket};
use eko_store::sockets::PostOutcome;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use super::{in_time, not_in_time};
use crate::{Messaging, Result};

/// The time after which sockets of a former session are ended again, in seconds. It is longer than a
/// connect takes.
const SESSION_AGAIN_SECONDS: i32 = 30;

impl Messaging {
    /// Orders that the sockets of revoked devices end. Call it after the revocation. A failure is
    /// only logged: their erasure, which was ordered before, ends the sockets as well.
    ///
    /// One SendMessageBatch; none on a server without sockets.
    pub async fn end_revoked(&self, user: &UserName, devices: Vec<DeviceId>) {
        if let Err(error) = self.order(LiveOrder::HangUp { user: user.clone(), devices }).await {
            tracing::warn!(%error, "sockets of revoked devices end with the erasure");
        }
    }

    /// Orders that the sockets of a device end that were opened in another session than it has now.
    /// Call it after the change of the session.
    ///
    /// The order comes twice. A connect that was under way during the change registers its socket
    /// after the first one, and before the second one. One SendMessageBatch; none on a server without
    /// sockets.
    ///
    /// # Errors
    /// The queue is out of reach.
    pub async fn end_former_session(&self, device: DeviceAddress<'_>) -> Result<()> {
        if self.has_sockets() {
            let (user, device) = (device.user.clone(), device.device.clone());
            let order = LiveOrder::EndSession { user, device };
            self.store().queue_live_twice(order, SESSION_AGAIN_SECONDS).await?;
        }
        Ok(())
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
    /// [`post`](Self::post). None on a server without sockets. A socket whose token has expired is
    /// told nothing else. An order that is carried out twice does the same again.
    ///
    /// # Errors
    /// The sockets cannot be read, or something is not done in time.
    pub(crate) async fn carry_out(
        &self,
        order: LiveOrder,
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        match order {
            LiveOrder::HangUp { user, devices } => self.hang_up(&user, &devices, deadline).await,
            LiveOrder::EndSession { user, device } => {
                if self.store().sockets().is_none() {
                    return Ok(());
                }
                let former = self.store().former_sockets(DeviceAddress::new(&user, &device)).await?;
                self.end_in_time(&former, TerminationReason::TokenExpired, deadline).await
            }
            LiveOrder::Approve { user, device, node } => {
                let is_waiting = |socket: &Socket| socket.device == device && socket.is_pending;
                for socket in self.sockets_of(&user).await?.iter().filter(|socket| is_waiting(socket)) {
                    if !self.end_if_due(socket, deadline).await {
                        self.post_until(socket, &[node.to_string()], deadline).await;
                    }
                }
                Ok(())
            }
            LiveOrder::Announce { user, connection, due_ms, failures } => {
                let sockets = self.sockets_of(&user).await?;
                // Of several announcements, the latest one is made.
                let is_last = |socket: &Socket| socket.behind.is_none_or(|behind| behind.until_ms <= due_ms);
                let found = sockets.iter().find(|socket| socket.connection == connection);
                if let Some(socket) = found.filter(|socket| is_last(socket))
                    && !self.end_if_due(socket, deadline).await
                {
                    return self.announce(socket, failures, deadline).await;
                }
                Ok(())
            }
        }
    }

    /// Ends all sockets of revoked devices.
    ///
    /// # Errors
    /// The sockets cannot be read, or some are not ended by the deadline.
    pub(crate) async fn hang_up(
        &self,
        user: &UserName,
        devices: &[DeviceId],
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        let mut ended = self.sockets_of(user).await?;
        ended.retain(|socket| devices.contains(&socket.device));
        self.end_in_time(&ended, TerminationReason::DeviceRevoked, deadline).await
    }

    /// Ends all sockets of a deleted account. Their own items are deleted; the list of them is erased
    /// later, so that they are found again if the process dies.
    ///
    /// # Errors
    /// The sockets cannot be read, or some are not ended by the deadline.
    pub(crate) async fn end_all_sockets(
        &self,
        user: &UserName,
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        let ended = self.sockets_of(user).await?;
        let end = |socket: &Socket| {
            let connection = socket.connection.clone();
            async move {
                let told = self.hang_up_on(&connection, TerminationReason::DeviceRevoked);
                in_time(deadline, told).await.map(|()| connection)
            }
        };
        let closed = join_all(ended.iter().map(end)).await;
        let connections: Vec<ConnectionId> = closed.into_iter().flatten().collect();
        self.store().erase_sockets(&connections).await?;
        match connections.len() == ended.len() {
            true => Ok(()),
            false => Err(not_in_time("DeleteConnection")),
        }
    }

    /// Ends sockets of one user. [`StoreError::GaveUp`] if some are not ended by the deadline.
    async fn end_in_time(
        &self,
        ended: &[Socket],
        reason: TerminationReason,
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        match self.end_until(ended, reason, deadline).await {
            true => Ok(()),
            false => Err(not_in_time("DeleteConnection")),
        }
    }

    /// Tells a socket to fetch. If that fails, it is told later.
    ///
    /// # Errors
    /// The time was over before the post, or the socket could be neither told, nor ended, nor told later.
    /// Nothing else would tell its device.
    async fn announce(
        &self,
        socket: &Socket,
        failures: u32,
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        let Some(sockets) = self.store().sockets() else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(not_in_time("PostToConnection"));
        }
        let announce = frame::announce(self.origin(), &socket.user).to_string();
        let posted = in_time(deadline, sockets.post(&socket.connection, &announce)).await;
        match posted.unwrap_or(PostOutcome::Failed) {
            PostOutcome::Sent => Ok(()),
            PostOutcome::Gone => {
                self.end_gone(socket, deadline).await;
                Ok(())
            }
            PostOutcome::Busy | PostOutcome::Failed => {
                self.announce_later(socket, failures.saturating_add(1), MarkedItems::Listed).await
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
