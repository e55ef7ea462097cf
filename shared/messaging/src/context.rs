//! The context of every verb: this server's origin, store, limits, time and randomness.

use std::sync::Arc;
use std::time::Duration;

use eko_protocol::address::Origin;
use eko_store::Store;

/// A source of time. Returns epoch milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A source of cryptographically secure random bytes. Fills the buffer.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// The most by which the clocks of two functions differ, in milliseconds.
pub(crate) const CLOCKS_MS: i64 = 1_000;

/// The limits that an operator may set. The environment variables are those of
/// `eko_service::config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `MESSAGE_TTL_DAYS`: the time for which an unacknowledged entry is kept, in days. Default 30.
    pub message_ttl_days: u16,
    /// `SENDER_BUDGET`: envelopes per minute from one sender to one recipient. Default 60.
    pub sender_budget: u64,
    /// `SENDER_BYTES_BUDGET`: bytes of content per minute from one sender to one recipient. Default
    /// 2 MiB.
    pub sender_bytes_budget: u64,
    /// `SERVER_BUDGET`: envelopes per minute from all actors of one other site to one recipient, and
    /// as many reports. Default 1,500.
    pub server_budget: u64,
    /// `SERVER_BYTES_BUDGET`: bytes of content per minute from all actors of one other site to one
    /// recipient, and as many bytes of reports. Default 8 MiB.
    pub server_bytes_budget: u64,
    /// `SERVER_SENDERS`: actors of one other site that write to one recipient in a minute. Default
    /// 100.
    pub server_senders: u64,
    /// `RECIPIENT_BUDGET`: envelopes per minute to one recipient, from everyone. All other servers
    /// together get three quarters of this limit and of the next. Default 6,000.
    pub recipient_budget: u64,
    /// `RECIPIENT_BYTES_BUDGET`: bytes of content per minute to one recipient, from everyone.
    /// Default 32 MiB.
    pub recipient_bytes_budget: u64,
    /// `ACCOUNT_BUDGET`: envelopes per minute from one account to all recipients, and requests to
    /// other servers that it causes. Default 1,200.
    pub account_budget: u64,
    /// `ACCOUNT_BYTES_BUDGET`: bytes of content per minute from one account to all recipients.
    /// Default 32 MiB.
    pub account_bytes_budget: u64,
    /// `ACCOUNT_PARCELS`: the envelopes of one account that may wait for other servers at a time.
    /// Default 500.
    pub account_parcels: u64,
    /// `SERVER_RECEIPTS`: the receipts that may wait for one other site at a time. Default 1,000.
    pub server_receipts: u64,
    /// `ACCOUNT_RECEIPTS`: the receipts of one account that may wait for other servers at a time.
    /// Default 1,000.
    pub account_receipts: u64,
    /// `MAILBOX_ENTRIES`: the most entries of a device's mailbox. Default 20,000. A user here, or all
    /// actors of another site, get a quarter of this limit and of the next.
    pub mailbox_entries: u64,
    /// `MAILBOX_BYTES`: the most bytes of a device's mailbox. Default 256 MiB.
    pub mailbox_bytes: u64,
    /// `TAKE_BUDGET`: one-time keys per hour that one taker gets of one device. Default 5.
    pub take_budget: u64,
    /// `TAKE_TOTAL_BUDGET`: one-time keys per hour that all takers get of one device. All other
    /// servers together get three quarters. Default 100.
    pub take_total_budget: u64,
    /// The age from which on an account can be deleted, in milliseconds. A deleted name is used up, so that
    /// whoever signs in could use up many otherwise. No variable changes it.
    pub deletable_after_ms: i64,
    /// `TAKE_SERVER_BUDGET`: one-time keys per hour that all takers of one other site get of one
    /// device. Default 20.
    pub take_server_budget: u64,
    /// `REMOTE_SEND_MS`: the time for which a send waits for the recipient's server before the
    /// envelope is queued. Default 3 seconds.
    pub remote_send_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_ttl_days: 30,
            sender_budget: 60,
            sender_bytes_budget: 2 << 20,
            server_budget: 1_500,
            server_bytes_budget: 8 << 20,
            server_senders: 100,
            recipient_budget: 6_000,
            recipient_bytes_budget: 32 << 20,
            account_budget: 1_200,
            account_bytes_budget: 32 << 20,
            account_parcels: 500,
            server_receipts: 1_000,
            account_receipts: 1_000,
            mailbox_entries: 20_000,
            mailbox_bytes: 256 << 20,
            take_budget: 5,
            take_total_budget: 100,
            deletable_after_ms: 3_600_000,
            take_server_budget: 20,
            remote_send_time: Duration::from_secs(3),
        }
    }
}

/// A server's messaging: the verbs of this crate, over what all of them need. Cheap to clone.
#[derive(Clone)]
pub struct Messaging {
    origin: Origin,
    store: Store,
    limits: Arc<Limits>,
    clock: Clock,
    random: Random,
    has_sockets: bool,
}

impl Messaging {
    /// Creates the messaging of the server at `origin`. Makes no call.
    pub fn new(origin: Origin, store: Store, limits: Limits, clock: Clock, random: Random) -> Self {
        Self { origin, store, limits: Arc::new(limits), clock, random, has_sockets: false }
    }

    /// Returns the messaging of a server whose devices have sockets. What ends a socket is ordered
    /// then.
    pub fn with_sockets(self) -> Self {
        Self { has_sockets: true, ..self }
    }

    /// True if devices of the server have sockets.
    pub(crate) fn has_sockets(&self) -> bool {
        self.has_sockets
    }

    /// Returns the server's public base URL.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the table and the queues.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the operator's limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the time now, in epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Returns the time until which a message accepted at `now_ms` (epoch milliseconds) is kept, in
    /// epoch seconds.
    pub fn keep_until(&self, now_ms: i64) -> i64 {
        let days = i64::from(self.limits.message_ttl_days);
        now_ms.div_euclid(1000).saturating_add(days.saturating_mul(24 * 3600))
    }

    /// Draws a random UUID (version 4) and returns it as text.
    pub fn random_uuid(&self) -> String {
        uuid::Builder::from_random_bytes(self.random()).into_uuid().to_string()
    }

    /// Draws `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }
}
