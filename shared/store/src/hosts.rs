//! Other servers: the circuit breaker, and the signature scheme that a server accepts.
//!
//! A failure of a server keeps everyone away from it for a pause, which doubles with each further
//! failure. After the pause one probe is allowed: whoever claims it tries, everyone else waits. A
//! server without failures that accepts RFC 9421 signatures has no item.
//!
//! # Item `H#{authority}` / `HOST`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | failures | the failures in a row |
//! | `u` | N | epoch ms | the time before which nobody tries the server |
//! | `w` | S | | the reason of the last failure, a text for people of at most 256 bytes |
//! | `c` | N | | 1 if the server wants draft-cavage signatures first |
//! | `ttl` | N | epoch s | the time after which all of it is forgotten |

use eko_protocol::excerpt::excerpt;
use eko_protocol::limits::MAX_REASON_BYTES;

use crate::attribute::{Item, ReadItem, n, s};
use crate::condition::{ConditionalWrite, conditional};
use crate::error::call;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, key};

/// The time that a record is kept without news, in seconds.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;
/// The pause after the first failure, in milliseconds. Each further failure doubles it.
const FIRST_PAUSE_MS: i64 = 5_000;
/// The longest pause, in milliseconds.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// The time that a claimed probe keeps everyone else away, in milliseconds.
const PROBE_MS: i64 = 30_000;

/// The names of the attributes.
mod attr {
    pub(super) const FAILURES: &str = "n";
    pub(super) const UNTIL_MS: &str = "u";
    pub(super) const REASON: &str = "w";
    pub(super) const WANTS_CAVAGE: &str = "c";
}

/// The record of another server. The default is a server without failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRecord {
    /// The failures in a row.
    pub failures: u32,
    /// The time before which nobody tries the server, epoch milliseconds.
    pub until_ms: i64,
    /// The reason of the last failure, a text for people; empty if there was none.
    pub why: String,
    /// True if the server refused an RFC 9421 signature and accepted a draft-cavage one.
    pub wants_cavage: bool,
}

/// The position of a server's circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostGate {
    /// The server has not failed: everyone may try it.
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
        match (self.until_ms > now_ms, self.failures) {
            (true, _) => HostGate::Closed { until_ms: self.until_ms },
            (false, 0) => HostGate::Open,
            (false, _) => HostGate::Probe,
        }
    }

    /// Returns the pause after one more failure, in milliseconds.
    fn pause_ms(&self) -> i64 {
        FIRST_PAUSE_MS.saturating_mul(1 << self.failures.min(12)).min(LONGEST_PAUSE_MS)
    }

    pub(crate) fn from_item(item: &Item) -> Self {
        Self {
            failures: item.get_n(attr::FAILURES).and_then(|n| n.try_into().ok()).unwrap_or_default(),
            until_ms: item.get_n(attr::UNTIL_MS).unwrap_or_default(),
            why: item.get_s(attr::REASON).unwrap_or_default().to_owned(),
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

    /// Reads the records of up to 100 different servers, strongly consistent, in the order of
    /// `authorities`.
    ///
    /// One BatchGetItem: 1 read unit a server. Makes no call without servers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if a call fails;
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) if DynamoDB leaves servers unread.
    pub async fn hosts(&self, authorities: &[&str]) -> Result<Vec<HostRecord>> {
        let keys: Vec<key::ItemKey> = authorities.iter().map(|authority| key::host(authority)).collect();
        let items = self.batch_get(keys.clone()).await?;
        Ok(keys
            .iter()
            .map(|key| key.find_in(&items).map(HostRecord::from_item).unwrap_or_default())
            .collect())
    }

    /// Claims the probe of a server whose pause is over; `host` is its record as it was read.
    /// Returns true for the one who may try.
    ///
    /// One UpdateItem: 1 write unit. If the answer is lost, the SDK's repetition meets its own
    /// claim and returns false: nobody tries the server until 30 seconds are over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn claim_probe(&self, authority: &str, host: &HostRecord, now_ms: i64) -> Result<bool> {
        let claimed = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("SET #u = :until")
            .condition_expression("#u = :read AND #n = :failures")
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_names("#n", attr::FAILURES)
            .expression_attribute_values(":until", n(now_ms.saturating_add(PROBE_MS)))
            .expression_attribute_values(":read", n(host.until_ms))
            .expression_attribute_values(":failures", n(host.failures))
            .send()
            .await;
        Ok(matches!(conditional(claimed)?, ConditionalWrite::Done(_)))
    }

    /// Notes a failure of a server; `host` is its record as it was read. Returns the time before
    /// which nobody tries it, epoch milliseconds.
    ///
    /// `ask_after_ms` is the pause that the server itself asked for, in milliseconds; it is bounded
    /// by the shortest and the longest pause. Failures that race count as one.
    ///
    /// One UpdateItem: 1 write unit. A repetition writes the same again, so that a lost answer does
    /// no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn host_failed(
        &self,
        authority: &str,
        host: &HostRecord,
        why: &str,
        ask_after_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<i64> {
        let pause = ask_after_ms.map_or(host.pause_ms(), |ms| ms.clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS));
        let until = now_ms.saturating_add(pause);
        self.dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("SET #n = :failures, #u = :until, #w = :why, #ttl = :ttl")
            .expression_attribute_names("#n", attr::FAILURES)
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_names("#w", attr::REASON)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":failures", n(host.failures.saturating_add(1)))
            .expression_attribute_values(":until", n(until))
            .expression_attribute_values(":why", s(excerpt(why, MAX_REASON_BYTES)))
            .expression_attribute_values(":ttl", n(until.div_euclid(1000).saturating_add(KEPT_SECONDS)))
            .send()
            .await
            .map_err(call("UpdateItem"))?;
        Ok(until)
    }

    /// Notes that a server answered: forgets its failures and remembers the signature scheme that
    /// it accepted. The caller skips it if the record says the same already.
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
            .update_expression("SET #c = :cavage, #ttl = :ttl REMOVE #n, #u, #w")
            .expression_attribute_names("#c", attr::WANTS_CAVAGE)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_names("#n", attr::FAILURES)
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_names("#w", attr::REASON)
            .expression_attribute_values(":cavage", n(i32::from(wants_cavage)))
            .expression_attribute_values(":ttl", n(ttl))
            .send()
            .await
            .map_err(call("UpdateItem"))?;
        Ok(())
    }
}
