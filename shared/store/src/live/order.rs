//! Orders about sockets: messages of the queue `deliveries`, since few functions may post to
//! sockets.

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use super::ConnectionId;
use crate::deliveries::Delivery;
use crate::{Result, Store};

/// The order to do something about sockets of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum LiveOrder {
    /// To end the sockets of devices that were revoked.
    HangUp {
        /// The user.
        user: UserName,
        /// The devices.
        devices: Vec<DeviceId>,
    },
    /// To end the sockets of a device that belong to another session than it has now.
    EndSession {
        /// The user.
        user: UserName,
        /// The device.
        device: DeviceId,
    },
    /// To tell a device that it was approved.
    Approve {
        /// The user.
        user: UserName,
        /// The device.
        device: DeviceId,
        /// The node of the chain by which it was approved.
        node: serde_json::Value,
    },
    /// To tell a device to fetch, because a frame could not be posted to it.
    Announce {
        /// The user.
        user: UserName,
        /// The connection.
        connection: ConnectionId,
        /// The time of the announcement, in epoch milliseconds.
        due_ms: i64,
        /// The number of tries that have failed.
        failures: u32,
    },
}

impl Store {
    /// Queues an order that nobody can receive for the first `delay_seconds`, 900 at most. One
    /// SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach or refuses the message.
    pub async fn queue_live(&self, order: LiveOrder, delay_seconds: i32) -> Result<()> {
        self.queue(vec![Delivery::Live(order)], delay_seconds).await
    }

    /// Queues an order twice: for now, and for `again_seconds` later, 900 at most. One
    /// SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach or refuses a message. The other one may be queued then.
    pub async fn queue_live_twice(&self, order: LiveOrder, again_seconds: i32) -> Result<()> {
        let order = Delivery::Live(order);
        self.queue_at([(&order, 0), (&order, again_seconds)]).await
    }
}
