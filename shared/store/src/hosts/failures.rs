//! Failures of another server: what trips its circuit breaker.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::ReturnValue;
use eko_protocol::excerpt::excerpt;
use eko_protocol::limits::MAX_REASON_BYTES;

use super::{HostRecord, KEPT_SECONDS, attr};
use crate::attribute::{n, s, short_hash, ss};
use crate::condition::{ConditionalWrite, conditional};
use crate::error::call;
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, key};

/// The pause after the first failure, in milliseconds. Each further failure doubles it.
const FIRST_PAUSE_MS: i64 = 5_000;
/// The longest pause of a server that cannot be connected to, in milliseconds: an hour.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// The longest pause of a server that accepts connections, in milliseconds: a minute. A wrong
/// judgement is then corrected soon.
const LONGEST_CONNECTED_PAUSE_MS: i64 = 60_000;
/// The number of senders, and of recipients, whose failures trip the breaker.
const WITNESSES: usize = 3;
/// The most witnesses that a record lists.
const MOST_WITNESSES: u32 = 16;
/// The time for which witnesses count, from the first of them, in milliseconds: ten minutes.
const WITNESSED_MS: i64 = 600_000;

/// A sender and a recipient between whom an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness<'a> {
    /// The sender, a local user's name.
    pub sender: &'a str,
    /// The recipient's actor id.
    pub recipient: &'a str,
}

impl Witness<'_> {
    /// Returns the text that the record lists.
    fn text(self) -> String {
        format!("{}{}", short_hash(self.sender), short_hash(self.recipient))
    }
}

/// The effect of a failure at one inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxFailure {
    /// The breaker has not tripped: others may try the server.
    Witnessed,
    /// The breaker has tripped: enough senders have met the failure.
    Closed {
        /// The end of the pause, epoch milliseconds.
        until_ms: i64,
    },
}

impl HostRecord {
    /// Returns the pause after one more failure, in milliseconds.
    fn pause_ms(&self, longest_ms: i64) -> i64 {
        FIRST_PAUSE_MS.saturating_mul(1 << self.failures.min(12)).min(longest_ms)
    }
}

/// True if these witnesses are enough senders and enough recipients to trip the breaker.
fn are_enough(witnesses: &BTreeSet<String>) -> bool {
    let halves = || witnesses.iter().filter_map(|text| text.split_at_checked(text.len() / 2));
    let senders: BTreeSet<&str> = halves().map(|(sender, _)| sender).collect();
    let recipients: BTreeSet<&str> = halves().map(|(_, recipient)| recipient).collect();
    senders.len() >= WITNESSES && recipients.len() >= WITNESSES
}

impl Store {
    /// Closes the breaker of a server that cannot be connected to; `host` is its record as it was
    /// read. Returns the time before which nobody tries it, epoch milliseconds.
    ///
    /// Failures that race count as one.
    ///
    /// One UpdateItem: 1 write unit. A repetition writes the same again, so that a lost answer does
    /// no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails.
    pub async fn host_unconnected(
        &self,
        authority: &str,
        host: &HostRecord,
        why: &str,
        now_ms: i64,
    ) -> Result<i64> {
        let until = now_ms.saturating_add(host.pause_ms(LONGEST_PAUSE_MS));
        self.dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("SET #n = :failures, #u = :until, #w = :why, #ttl = :ttl REMOVE #v, #f")
            .expression_attribute_names("#n", attr::FAILURES)
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_names("#w", attr::REASON)
            .expression_attribute_names("#v", attr::WITNESSES)
            .expression_attribute_names("#f", attr::WITNESSED_MS)
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

    /// Notes a failure at one inbox of a server that accepts connections; `host` is its record as
    /// it was read, or the record under the caller's claim. Ends that claim.
    ///
    /// A sender is one witness, whatever it sends. Evidence that races with other evidence or with
    /// an answer may be lost; the next failure brings it again.
    ///
    /// No call if the sender is a witness already, or if the recipient has three. Otherwise one UpdateItem: 1 write unit; and a
    /// second one if it trips the breaker. A lost answer loses the evidence.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if a call fails.
    pub async fn inbox_failed(
        &self,
        authority: &str,
        host: &HostRecord,
        witness: Witness<'_>,
        why: &str,
        now_ms: i64,
    ) -> Result<InboxFailure> {
        let (sender, recipient) = (short_hash(witness.sender), short_hash(witness.recipient));
        let count_still = now_ms.saturating_sub(host.witnessed_ms) < WITNESSED_MS;
        let is_witness = host.witnesses.iter().any(|text| text.starts_with(&sender));
        // More senders with the same recipient are no more evidence, and would fill the list.
        let at_recipient = host.witnesses.iter().filter(|text| text.ends_with(&recipient)).count();
        if count_still && (is_witness || at_recipient >= WITNESSES) {
            if host.until_ms > 0 {
                self.end_probe(authority, host).await?;
            }
            return Ok(InboxFailure::Witnessed);
        }
        let joins_others = count_still && !host.witnesses.is_empty();
        let (update, condition) = match joins_others {
            true => {
                ("SET #w = :why, #ttl = :ttl REMOVE #u ADD #v :witness", "#f = :read AND size(#v) < :most")
            }
            false => (
                "SET #v = :witness, #f = :now, #w = :why, #ttl = :ttl REMOVE #u",
                "attribute_not_exists(#f) OR #f = :read",
            ),
        };
        let request = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression(update)
            .expression_attribute_names("#v", attr::WITNESSES)
            .expression_attribute_names("#f", attr::WITNESSED_MS)
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_names("#w", attr::REASON)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":witness", ss([witness.text()]))
            .expression_attribute_values(":read", n(host.witnessed_ms))
            .expression_attribute_values(":why", s(excerpt(why, MAX_REASON_BYTES)))
            .expression_attribute_values(":ttl", n(now_ms.div_euclid(1000).saturating_add(KEPT_SECONDS)))
            .return_values(ReturnValue::AllNew);
        // DynamoDB refuses a value that no expression uses.
        let request = match joins_others {
            true => request.expression_attribute_values(":most", n(MOST_WITNESSES)),
            false => request.expression_attribute_values(":now", n(now_ms)),
        };
        // The breaker that others have tripped meanwhile stays tripped.
        let request = match host.until_ms {
            0 => request.condition_expression(format!("({condition}) AND attribute_not_exists(#u)")),
            claim => request
                .condition_expression(format!("({condition}) AND #u = :claim"))
                .expression_attribute_values(":claim", n(claim)),
        };
        let ConditionalWrite::Done(updated) = conditional(request.send().await)? else {
            return Ok(InboxFailure::Witnessed);
        };
        let now = HostRecord::from_item(&updated.attributes.unwrap_or_default());
        if !are_enough(&now.witnesses) {
            return Ok(InboxFailure::Witnessed);
        }
        self.close(authority, &now, now_ms).await
    }

    /// Closes the breaker because of the witnesses in `host`, unless they are gone meanwhile. One
    /// UpdateItem.
    async fn close(&self, authority: &str, host: &HostRecord, now_ms: i64) -> Result<InboxFailure> {
        let until_ms = now_ms.saturating_add(host.pause_ms(LONGEST_CONNECTED_PAUSE_MS));
        let closed = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::host(authority).item()))
            .update_expression("SET #n = :failures, #u = :until, #ttl = :ttl REMOVE #v, #f")
            .condition_expression("#f = :read")
            .expression_attribute_names("#n", attr::FAILURES)
            .expression_attribute_names("#u", attr::UNTIL_MS)
            .expression_attribute_names("#v", attr::WITNESSES)
            .expression_attribute_names("#f", attr::WITNESSED_MS)
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_values(":failures", n(host.failures.saturating_add(1)))
            .expression_attribute_values(":until", n(until_ms))
            .expression_attribute_values(":read", n(host.witnessed_ms))
            .expression_attribute_values(":ttl", n(until_ms.div_euclid(1000).saturating_add(KEPT_SECONDS)))
            .send()
            .await;
        Ok(match conditional(closed)? {
            ConditionalWrite::Done(_) => InboxFailure::Closed { until_ms },
            ConditionalWrite::Refused { .. } => InboxFailure::Witnessed,
        })
    }
}
