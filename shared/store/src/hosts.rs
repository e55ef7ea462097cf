//! How another server fares: the circuit breaker, decided by conditions, and what signatures it wants.
//!
//! `H#{authority}` / `HOST`: `n` failures in a row, `u` not to be tried before (epoch milliseconds), `w` why,
//! `c` 1 where it wants draft-cavage signatures first, `ttl`. A server that fares well has no item.

use crate::attribute::{Item, ReadItem, n, s};
use crate::condition::{ConditionalWrite, conditional};
use crate::error::call;
use crate::{Result, Store, key};

/// How long what is known of a host is kept without news, in seconds.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;
/// How long the first failure keeps everyone away, in milliseconds; each further one doubles it.
const FIRST_PAUSE_MS: i64 = 5_000;
/// The longest pause, in milliseconds.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// How long whoever tries a failing host first keeps the others away, in milliseconds.
const PROBE_MS: i64 = 30_000;

/// What is known of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRecord {
    /// Failures in a row.
    pub failures: u32,
    /// Not to be tried before, epoch milliseconds.
    pub until_ms: i64,
    /// Why, for a person.
    pub why: String,
    /// Whether it refused an RFC 9421 signature and took a draft-cavage one.
    pub wants_cavage: bool,
}

/// Whether a host may be tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostGate {
    /// It fares well.
    Open,
    /// It failed, and the pause is over: one may try, by [`Store::claim_probe`].
    Probe,
    /// Not before, epoch milliseconds.
    Closed {
        /// Epoch milliseconds.
        until_ms: i64,
    },
}

impl HostRecord {
    /// Whether it may be tried at `now_ms`.
    pub fn gate(&self, now_ms: i64) -> HostGate {
        match (self.until_ms > now_ms, self.failures) {
            (true, _) => HostGate::Closed { until_ms: self.until_ms },
            (false, 0) => HostGate::Open,
            (false, _) => HostGate::Probe,
        }
    }

    /// The pause after one more failure, in milliseconds.
    fn pause_ms(&self) -> i64 {
        FIRST_PAUSE_MS.saturating_mul(1 << self.failures.min(12)).min(LONGEST_PAUSE_MS)
    }

    pub(crate) fn from_item(item: &Item) -> Self {
        Self {
            failures: item.get_n("n").and_then(|n| n.try_into().ok()).unwrap_or_default(),
            until_ms: item.get_n("u").unwrap_or_default(),
            why: item.get_s("w").unwrap_or_default().to_owned(),
            wants_cavage: item.get_n("c") == Some(1),
        }
    }
}

impl Store {
    /// What is known of a host: one GetItem.
    pub async fn host(&self, authority: &str) -> Result<HostRecord> {
        Ok(self
            .get_item(&key::host(authority))
            .await?
            .as_ref()
            .map(HostRecord::from_item)
            .unwrap_or_default())
    }

    /// What is known of hosts: one BatchGetItem for up to 100.
    pub async fn hosts(&self, authorities: &[&str]) -> Result<Vec<HostRecord>> {
        let keys: Vec<key::ItemKey> = authorities.iter().map(|authority| key::host(authority)).collect();
        let items = self.batch_get(keys.clone()).await?;
        let find = |key: &key::ItemKey| items.iter().find(|item| item.get_s("pk") == Some(key.pk.as_str()));
        Ok(keys.iter().map(|key| find(key).map(HostRecord::from_item).unwrap_or_default()).collect())
    }

    /// Claims the one try of a failing host whose pause is over, as it was read: `false` where somebody else
    /// has it. One UpdateItem.
    pub async fn claim_probe(&self, authority: &str, host: &HostRecord, now_ms: i64) -> Result<bool> {
        let claimed = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("SET #u = :until")
            .condition_expression("#u = :read AND #n = :failures")
            .expression_attribute_names("#u", "u")
            .expression_attribute_names("#n", "n")
            .expression_attribute_values(":until", n(now_ms.saturating_add(PROBE_MS)))
            .expression_attribute_values(":read", n(host.until_ms))
            .expression_attribute_values(":failures", n(host.failures))
            .send()
            .await;
        Ok(matches!(conditional(claimed)?, ConditionalWrite::Done(_)))
    }

    /// Notes a failure of a host that was read as `host`; answers until when nobody tries it, epoch
    /// milliseconds. `ask_after_ms` is what the host itself asks for. Failures that race count as one. One
    /// UpdateItem.
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
            .expression_attribute_names("#n", "n")
            .expression_attribute_names("#u", "u")
            .expression_attribute_names("#w", "w")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":failures", n(host.failures.saturating_add(1)))
            .expression_attribute_values(":until", n(until))
            .expression_attribute_values(":why", s(why))
            .expression_attribute_values(":ttl", n(until.div_euclid(1000).saturating_add(KEPT_SECONDS)))
            .send()
            .await
            .map_err(call("UpdateItem"))?;
        Ok(until)
    }

    /// Notes that a host answered: forgets its failures and remembers what signature it took. One UpdateItem;
    /// not for a host of which that is known already.
    pub async fn host_answered(&self, authority: &str, wants_cavage: bool, now_ms: i64) -> Result<()> {
        let ttl = now_ms.div_euclid(1000).saturating_add(KEPT_SECONDS);
        self.dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("SET #c = :cavage, #ttl = :ttl REMOVE #n, #u, #w")
            .expression_attribute_names("#c", "c")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_names("#n", "n")
            .expression_attribute_names("#u", "u")
            .expression_attribute_names("#w", "w")
            .expression_attribute_values(":cavage", n(i32::from(wants_cavage)))
            .expression_attribute_values(":ttl", n(ttl))
            .send()
            .await
            .map_err(call("UpdateItem"))?;
        Ok(())
    }
}
