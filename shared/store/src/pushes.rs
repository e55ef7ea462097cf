//! The queue `pushes`: orders to wake a device by a push.
//!
//! A message is the JSON form of [`PushOrder`]:
//!
//! ```text
//! {"kind": "now", "user": "bob", "device": "0f3…", "seen": "I 1769715000000", "ttl": …, "newest": "019…"}
//! {"kind": "check", "user": "bob", "device": "0f3…", "check_ms": …}
//! ```

use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};
use serde::{Deserialize, Serialize};

use crate::attribute::corrupt;
use crate::device::DeviceAddress;
use crate::live::PushState;
use crate::queue::OutgoingMessage;
use crate::{Result, Store};

/// The time from a mark to its check, in milliseconds: a minute.
pub const CHECK_MS: i64 = 60_000;

/// One message of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum PushOrder {
    /// An entry is in the mailbox, and no socket took it.
    Now {
        /// The user.
        user: UserName,
        /// The device.
        device: DeviceId,
        /// The state of the device's pushes after the entry was written. Any other state is that of
        /// a fetch that has read the entry, of a check that will, or of another push.
        seen: PushState,
        /// The time after which the entry is gone, in epoch seconds.
        ttl: i64,
        /// The key of the entry; of several, of the newest.
        newest: EntryKey,
    },
    /// A socket took an entry. The order is to look whether the device has acknowledged it.
    Check {
        /// The user.
        user: UserName,
        /// The device.
        device: DeviceId,
        /// The time of the check, in epoch milliseconds, as the device's state has it too.
        check_ms: i64,
    },
}

impl PushOrder {
    /// Reads the body of a queue message.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the body is not what this server
    /// queues.
    pub fn parse(body: &str) -> Result<Self> {
        serde_json::from_str(body).map_err(corrupt)
    }

    /// Returns the device that the order is about.
    pub fn address(&self) -> DeviceAddress<'_> {
        let (Self::Now { user, device, .. } | Self::Check { user, device, .. }) = self;
        DeviceAddress::new(user, device)
    }
}

impl Store {
    /// True if this server sends pushes, and this function may order them.
    pub fn has_pushes(&self) -> bool {
        !self.pushes_url().is_empty()
    }

    /// Queues orders. A check can be received at its time.
    ///
    /// One SendMessageBatch for each ten; no call without orders. An order that is queued twice
    /// leads to one push.
    ///
    /// # Errors
    /// The queue is out of reach. Some of the orders may be queued then.
    pub async fn queue_pushes(&self, orders: &[PushOrder], now_ms: i64) -> Result<()> {
        let message = |order: &PushOrder| {
            let delay_ms = match order {
                PushOrder::Now { .. } => 0,
                PushOrder::Check { check_ms, .. } => check_ms.saturating_sub(now_ms).clamp(0, 900_000),
            };
            let delay_seconds = i32::try_from(delay_ms.saturating_add(999).div_euclid(1000)).unwrap_or(0);
            serde_json::to_string(order).map(|body| OutgoingMessage { body, delay_seconds })
        };
        let messages = orders.iter().map(message).collect::<std::result::Result<Vec<_>, _>>();
        self.send(self.pushes_url(), messages.map_err(corrupt)?).await
    }

    /// Hides received orders, each named by its receipt handle, for a number of seconds each. One
    /// ChangeMessageVisibilityBatch for each ten.
    ///
    /// # Errors
    /// SQS is out of reach. The orders then become visible after the queue's own visibility
    /// timeout.
    pub async fn hide_pushes(&self, receipts: &[(String, i32)]) -> Result<()> {
        self.hide(self.pushes_url(), receipts).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_were_written() {
        let user = UserName::parse("bob").unwrap();
        let device = DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap();
        let newest = EntryKey::new(1, "https://a.example/user/alice", "urn:uuid:x");
        let states = [
            PushState::Idle { since_ms: 1 },
            PushState::Watched { check_ms: 2 },
            PushState::Checked { check_ms: 3 },
            PushState::Sent { sent_ms: 4, order: "an id".to_owned() },
        ];
        let now = |seen| {
            let (user, device, newest) = (user.clone(), device.clone(), newest.clone());
            PushOrder::Now { user, device, seen, ttl: 5, newest }
        };
        let check = PushOrder::Check { user: user.clone(), device: device.clone(), check_ms: 6 };
        for order in states.map(now).into_iter().chain([check]) {
            let body = serde_json::to_string(&order).unwrap();
            assert_eq!(PushOrder::parse(&body).unwrap(), order);
            assert!(PushOrder::parse(&body.replace("bob", "b o b")).is_err());
        }
        assert!(PushOrder::parse("{}").is_err());
    }
}
