//! Rate budgets: counters in windows of a minute.
//!
//! One item a recipient and minute counts every sender's envelopes and all bytes, so that one write answers
//! both questions of `docs/protocol.md`, section 6. It is written beside the read of the device sets and
//! costs one write unit as long as fewer than some fifty senders share the minute.

use aws_sdk_dynamodb::types::ReturnValue;
use sha2::{Digest, Sha256};

use crate::attribute::{Read, n};
use crate::condition::{ConditionalWrite, conditional};
use crate::{Result, Store, key};

/// Length of a window, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;

/// What has been spent in this window, this request included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Envelopes of this sender to this recipient.
    pub envelopes: u64,
    /// Bytes to this recipient from anyone.
    pub bytes: u64,
    /// Milliseconds until the window ends.
    pub resets_in_ms: i64,
}

impl Store {
    /// Counts one envelope of `sender` (an actor id) with `bytes` of content to `recipient` (a user name or
    /// an actor id) and answers the sums. One UpdateItem. At `most` envelopes from everyone nothing is counted
    /// any more, and the sums are as large as can be: a server has as many actors as it likes, and each is an
    /// attribute here.
    pub async fn spend(
        &self,
        sender: &str,
        recipient: &str,
        bytes: u64,
        most: u64,
        now_ms: i64,
    ) -> Result<Spent> {
        let window = now_ms.div_euclid(WINDOW_MS);
        let ends_ms = window.saturating_add(1).saturating_mul(WINDOW_MS);
        let counter = hex::encode(Sha256::digest(sender).get(..6).unwrap_or_default());
        let updated = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::rate(recipient, window.unsigned_abs()).item()))
            .update_expression("SET #ttl = :ttl ADD #bytes :bytes, #all :one, #sender :one")
            .condition_expression("attribute_not_exists(#all) OR #all < :most")
            .expression_attribute_names("#all", "n")
            .expression_attribute_values(":most", n(most))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_names("#bytes", "b")
            .expression_attribute_names("#sender", &counter)
            .expression_attribute_values(":ttl", n(ends_ms.div_euclid(1000).saturating_add(60)))
            .expression_attribute_values(":bytes", n(bytes))
            .expression_attribute_values(":one", n(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await;
        let resets_in_ms = ends_ms.saturating_sub(now_ms);
        let updated = match conditional(updated)? {
            ConditionalWrite::Done(updated) => updated.attributes.unwrap_or_default(),
            ConditionalWrite::Refused { .. } => {
                return Ok(Spent { envelopes: u64::MAX, bytes: u64::MAX, resets_in_ms });
            }
        };
        Ok(Spent {
            envelopes: updated.need_n(&counter)?.unsigned_abs(),
            bytes: updated.need_n("b")?.unsigned_abs(),
            resets_in_ms,
        })
    }
}
