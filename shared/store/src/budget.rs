//! Rate budgets: counters in windows of a minute.
//!
//! One item a recipient and minute counts every sender's envelopes and all bytes, so that one write answers
//! both questions of `docs/protocol.md`, section 6. It is written beside the read of the device sets and
//! costs one write unit as long as fewer than some fifty senders share the minute.

use aws_sdk_dynamodb::types::ReturnValue;
use sha2::{Digest, Sha256};

use crate::attribute::{ReadItem, n};
use crate::condition::{ConditionalWrite, conditional};
use crate::{Result, Store, key};

/// Length of a window, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;

/// What one request takes from the budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetCharge<'a> {
    /// Actor id of the sender.
    pub sender: &'a str,
    /// The recipient: a user name or an actor id.
    pub recipient: &'a str,
    /// Bytes of content.
    pub bytes: u64,
}

/// The outcome of [`Store::spend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetState {
    /// The sums of the window.
    pub window: WindowSums,
    /// Milliseconds until the window ends.
    pub resets_in_ms: i64,
}

/// The sums of one recipient's window, this request included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSums {
    /// The request is counted.
    Counted {
        /// Envelopes of this sender to this recipient.
        envelopes: u64,
        /// Bytes to this recipient from anyone.
        bytes: u64,
    },
    /// The window has as many envelopes as it may have; the request is not counted.
    Full,
}

impl Store {
    /// Counts one envelope of `sender` (an actor id) with `bytes` of content to `recipient` (a user name or
    /// an actor id) and answers the sums. One UpdateItem. At `most` envelopes from everyone nothing is counted
    /// any more, and the sums are as large as can be: a server has as many actors as it likes, and each is an
    /// attribute here.
    pub async fn spend(&self, charge: BudgetCharge<'_>, most: u64, now_ms: i64) -> Result<BudgetState> {
        let window = now_ms.div_euclid(WINDOW_MS);
        let ends_ms = window.saturating_add(1).saturating_mul(WINDOW_MS);
        let counter = hex::encode(Sha256::digest(charge.sender).get(..6).unwrap_or_default());
        let updated = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::rate(charge.recipient, window.unsigned_abs()).item()))
            .update_expression("SET #ttl = :ttl ADD #bytes :bytes, #all :one, #sender :one")
            .condition_expression("attribute_not_exists(#all) OR #all < :most")
            .expression_attribute_names("#all", "n")
            .expression_attribute_values(":most", n(most))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_names("#bytes", "b")
            .expression_attribute_names("#sender", &counter)
            .expression_attribute_values(":ttl", n(ends_ms.div_euclid(1000).saturating_add(60)))
            .expression_attribute_values(":bytes", n(charge.bytes))
            .expression_attribute_values(":one", n(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await;
        let resets_in_ms = ends_ms.saturating_sub(now_ms);
        let updated = match conditional(updated)? {
            ConditionalWrite::Done(updated) => updated.attributes.unwrap_or_default(),
            ConditionalWrite::Refused { .. } => {
                return Ok(BudgetState { window: WindowSums::Full, resets_in_ms });
            }
        };
        let window = WindowSums::Counted {
            envelopes: updated.need_n(&counter)?.unsigned_abs(),
            bytes: updated.need_n("b")?.unsigned_abs(),
        };
        Ok(BudgetState { window, resets_in_ms })
    }
}
