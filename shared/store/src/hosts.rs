//! Other servers: the circuit breaker, and the signature scheme that a server accepts.
//!
//! The breaker of a server lets everyone try it, or has tripped and keeps everyone away for a pause. After the
//! pause one probe is allowed: whoever claims it tries, everyone else waits. A server without
//! failures that accepts RFC 9421 signatures has no item. Two kinds of failures trip the breaker
//! (`docs/decisions/0017-budgets-and-breaker.md`):
//!
//! * No connection to the server can be opened. One such failure trips it.
//! * An inbox gives no answer. The address of an inbox is chosen by its owner, so that this trips
//!   the breaker only after several senders have met it at several recipients. Until then the
//!   record lists them as witnesses.
//!
//! # Item `H#{authority}` / `HOST`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | failures | the times that the breaker has tripped since the last answer |
//! | `u` | N | epoch ms | the time before which nobody tries the server; missing if everyone may |
//! | `w` | S | | the reason of the last failure, a text for people of at most 256 bytes |
//! | `v` | SS | | the witnesses, `{hash of the sender}{hash of the recipient}`; missing if there are none |
//! | `f` | N | epoch ms | the time of the first witness |
//! | `o` | N | | the times that requests of the server have opened the breaker since the last answer |
//! | `t` | N | epoch ms | the time of the last of them |
//! | `c` | N | | 1 if the server wants draft-cavage signatures first |
//! | `ttl` | N | epoch s | the time after which all of it is forgotten |
//!
//! Both are short hashes ([`crate::attribute`]), of a user name and of an actor id.

mod failures;

use std::collections::BTreeSet;

pub use failures::{InboxFailure, Witness};

use eko_protocol::address::UserName;

use crate::attribute::{Item, ReadItem, n};
use crate::condition::{ConditionalWrite, conditional};
use crate::devices::set_item;
use crate::error::call;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, key};

/// The time that a record is kept without news, in seconds.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;
/// The time that a claimed probe keeps everyone else away, in milliseconds.
const PROBE_MS: i64 = 30_000;
/// The shortest time between two requests that open the breaker, in milliseconds: half a minute. It
/// doubles with each of them.
const FIRST_HEARD_MS: i64 = 30_000;
/// The longest time between two of them, in milliseconds: 3 hours.
const LONGEST_HEARD_MS: i64 = 3 * 3_600_000;
/// The names of the attributes.
mod attr {
    pub(super) const FAILURES: &str = "n";
    pub(super) const UNTIL_MS: &str = "u";
    pub(super) const REASON: &str = "w";
    pub(super) const WITNESSES: &str = "v";
    pub(super) const WITNESSED_MS: &str = "f";
    pub(super) const HEARD: &str = "o";
    pub(super) const HEARD_MS: &str = "t";
    pub(super) const WANTS_CAVAGE: &str = "c";
}

/// The record of another server. The default is a server without failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRecord {
    /// The times that the breaker has tripped since the last answer.
    pub failures: u32,
    /// The time before which nobody tries the server, epoch milliseconds; zero if everyone may. For
    /// the caller that claimed the probe, the end of its claim.
    pub until_ms: i64,
    /// The reason of the last failure, a text for people; empty if there was none.
    pub why: String,
    /// The witnesses of failures at single inboxes.
    pub witnesses: BTreeSet<String>,
    /// The time of the first witness, epoch milliseconds; zero if there is none.
    pub witnessed_ms: i64,
    /// The times that requests of the server have opened the breaker since the last answer.
    pub heard: u32,
    /// The time of the last of them, epoch milliseconds; zero if there is none.
    pub heard_ms: i64,
    /// True if the server refused an RFC 9421 signature and accepted a draft-cavage one.
    pub wants_cavage: bool,
}

/// The position of a server's circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostGate {
    /// Everyone may try the server.
    Open,
    /// The server has failed and its pause is over: whoever gets [`Store::claim_probe`] may try it.
    Probe,
    /// The server has failed: nobody tries it.
    Closed {
        /// The end of the pause, epoch milliseconds.
        until_ms: i64,
    },
}

impl HostRecord {
    /// Returns the position of the circuit breaker at `now_ms`.
    pub fn gate(&self, now_ms: i64) -> HostGate {
        match self.until_ms {
            0 => HostGate::Open,
            until_ms if until_ms > now_ms => HostGate::Closed { until_ms },
            _ => HostGate::Probe,
        }
    }

    /// True if a verified request of the server opens its breaker at `now_ms`. The first one after a
    /// failure does; then one a minute later, and one after twice as long each time. So a server
    /// that sends and does not answer is not tried all the time.
    pub fn opens_on_request(&self, now_ms: i64) -> bool {
        let pause_ms = FIRST_HEARD_MS.saturating_mul(1 << self.heard.min(12)).min(LONGEST_HEARD_MS);
        self.has_failures() && (self.heard == 0 || now_ms.saturating_sub(self.heard_ms) >= pause_ms)
    }

    /// True if an answer of the server would change the record.
    pub fn has_failures(&self) -> bool {
        self.failures > 0 || self.until_ms > 0 || !self.witnesses.is_empty()
    }

    pub(crate) fn from_item(item: &Item) -> Self {
        Self {
            failures: item.get_n(attr::FAILURES).and_then(|n| n.try_into().ok()).unwrap_or_default(),
            until_ms: item.get_n(attr::UNTIL_MS).unwrap_or_default(),
            why: item.get_s(attr::REASON).unwrap_or_default().to_owned(),
            witnesses: item.get_ss(attr::WITNESSES),
            witnessed_ms: item.get_n(attr::WITNESSED_MS).unwrap_or_default(),
            heard: item.get_n(attr::HEARD).and_then(|n| n.try_into().ok()).unwrap_or_default(),
            heard_ms: item.get_n(attr::HEARD_MS).unwrap_or_default(),
            wants_cavage: item.get_n(attr::WANTS_CAVAGE) == Some(1),
        }
    }
}

impl Store {
    /// Reads the record of a server, strongly consistent.
    ///
    /// One GetItem: 1 read unit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn host(&self, authority: &str) -> Result<HostRecord> {
        Ok(self
            .get_item(&key::host(authority))
            .await?
            .as_ref()
            .map(HostRecord::from_item)
            .unwrap_or_default())
    }

    /// Reads the records of different servers, strongly consistent, in the order of `authorities`, and
    /// finds out which of some users have deleted their accounts. 100 servers and users at most.
    ///
    /// One BatchGetItem: 1 read unit a server, and 1 for each 4 KB of a user's device set. Makes no call
    /// without servers and users.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if a call fails;
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) if DynamoDB leaves servers unread.
    pub async fn hosts(
        &self,
        authorities: &[&str],
        users: &BTreeSet<UserName>,
    ) -> Result<(Vec<HostRecord>, BTreeSet<UserName>)> {
        let keys: Vec<key::ItemKey> = authorities.iter().map(|authority| key::host(authority)).collect();
        let sets = users.iter().map(key::devices);
        let items = self.batch_get(keys.iter().cloned().chain(sets).collect()).await?;
        let record = |key: &key::ItemKey| key.find_in(&items).map(HostRecord::from_item).unwrap_or_default();
        let is_deleted = |user: &&UserName| set_item(key::devices(user).find_in(&items)).is_deleted();
        Ok((keys.iter().map(record).collect(), users.iter().filter(is_deleted).cloned().collect()))
    }

    /// Claims the probe of a server whose pause is over; `host` is its record as it was read.
    /// Returns the record under the claim for the one who may try, and `None` for everyone else.
    ///
    /// One UpdateItem: 1 write unit. If the answer is lost, the SDK's repetition meets its own
    /// claim and returns `None`: nobody tries the server until 30 seconds are over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn claim_probe(
        &self,
        authority: &str,
        host: &HostRecord,
        now_ms: i64,
    ) -> Result<Option<HostRecord>> {
        let until_ms = now_ms.saturating_add(PROBE_MS);
        let claimed = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("SET #u = :until")
            .condition_expression("#u = :read")
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_values(":until", n(until_ms))
            .expression_attribute_values(":read", n(host.until_ms))
            .send()
            .await;
        Ok(match conditional(claimed)? {
            ConditionalWrite::Done(_) => Some(HostRecord { until_ms, ..host.clone() }),
            ConditionalWrite::Refused { .. } => None,
        })
    }

    /// Opens the breaker for everyone after a probe that found nothing out about the inboxes of the
    /// server, except that it accepts connections; `host` is the record under the claim.
    ///
    /// One UpdateItem: 1 write unit. Has no effect if the claim is over. A repetition after a lost
    /// answer has no effect either.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn end_probe(&self, authority: &str, host: &HostRecord) -> Result<()> {
        let opened = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("REMOVE #u")
            .condition_expression("#u = :claim")
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_values(":claim", n(host.until_ms))
            .send()
            .await;
        conditional(opened)?;
        Ok(())
    }

    /// Lets the next caller probe a server at once, because it has sent a verified request; `host` is
    /// its record as it was read. Returns true for one of several callers, and for those of the same
    /// millisecond.
    ///
    /// One UpdateItem: 1 write unit. The SDK's repetition after a lost answer succeeds again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn host_heard(&self, authority: &str, host: &HostRecord, now_ms: i64) -> Result<bool> {
        let is_closed = host.until_ms > now_ms;
        let update = match is_closed {
            true => "SET #o = :count, #t = :now, #u = :now",
            false => "SET #o = :count, #t = :now",
        };
        let request = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression(update)
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(#t) OR #t = :seen OR #t = :now)",
            )
            .expression_attribute_names("#o", attr::HEARD)
            .expression_attribute_names("#t", attr::HEARD_MS)
            .expression_attribute_values(":count", n(host.heard.saturating_add(1)))
            .expression_attribute_values(":seen", n(host.heard_ms))
            .expression_attribute_values(":now", n(now_ms));
        let request = match is_closed {
            true => request.expression_attribute_names("#u", attr::UNTIL_MS),
            false => request,
        };
        Ok(conditional(request.send().await)?.is_done())
    }

    /// Notes that a server answered: forgets its failures and witnesses, and remembers the
    /// signature scheme that it accepted. The caller skips it if the record says the same already.
    ///
    /// One UpdateItem: 1 write unit. A repetition writes the same again, so that a lost answer does
    /// no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn host_answered(&self, authority: &str, wants_cavage: bool, now_ms: i64) -> Result<()> {
        let ttl = now_ms.div_euclid(1000).saturating_add(KEPT_SECONDS);
        self.dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("SET #c = :cavage, #ttl = :ttl REMOVE #n, #u, #w, #v, #f, #o, #t")
            .expression_attribute_names("#o", attr::HEARD)
            .expression_attribute_names("#t", attr::HEARD_MS)
            .expression_attribute_names("#c", attr::WANTS_CAVAGE)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_names("#n", attr::FAILURES)
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_names("#w", attr::REASON)
            .expression_attribute_names("#v", attr::WITNESSES)
            .expression_attribute_names("#f", attr::WITNESSED_MS)
            .expression_attribute_values(":cavage", n(i32::from(wants_cavage)))
            .expression_attribute_values(":ttl", n(ttl))
            .send()
            .await
            .map_err(call("UpdateItem"))?;
        Ok(())
    }
}
