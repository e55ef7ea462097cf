//! Rate budgets: the envelopes and the bytes that go to one recipient in a minute.
//!
//! One item for each recipient and minute counts the envelopes of every sender and the bytes of all
//! of them, so that one write answers both questions of `docs/protocol.md`, section 6. The write
//! runs beside the read of the device sets.
//!
//! # Item `L#{recipient}` / `{window}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `n` | N | envelopes | the envelopes of all senders |
//! | `b` | N | bytes | the bytes of all senders |
//! | `{hash}` | N | envelopes | the envelopes of one sender |
//! | `ttl` | N | epoch s | one minute after the end of the window |
//!
//! `{hash}` is the first 6 bytes of the SHA-256 of the sender's actor id, in hex.

use aws_sdk_dynamodb::types::ReturnValue;
use sha2::{Digest, Sha256};

use crate::attribute::{ReadItem, n};
use crate::condition::{ConditionalWrite, conditional};
use crate::resources::TTL_ATTRIBUTE;
use crate::{Result, Store, key};

/// The length of a window, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// The time that a window's item is kept after its end, in seconds.
const KEPT_SECONDS: i64 = 60;

/// The names of the attributes, except those of the senders.
mod attr {
    pub(super) const ENVELOPES: &str = "n";
    pub(super) const BYTES: &str = "b";
}

/// The charge of one request to the budgets: one envelope with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetCharge<'a> {
    /// The actor id of the sender.
    pub sender: &'a str,
    /// The recipient: a user name, or an actor id, a handle or an origin of another server.
    pub recipient: &'a str,
    /// The bytes of content.
    pub bytes: u64,
}

/// The state of a recipient's budgets after a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetState {
    /// The sums of the current window.
    pub window: WindowSums,
    /// The time until the window ends, in milliseconds.
    pub resets_in_ms: i64,
}

/// The sums of a recipient's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSums {
    /// The charge is counted. The sums include it.
    Counted {
        /// The envelopes of this sender to this recipient.
        envelopes: u64,
        /// The bytes of all senders to this recipient.
        bytes: u64,
    },
    /// The window is full: the charge is not counted.
    Full,
}

impl Store {
    /// Charges one envelope to the budgets of its recipient and returns their state.
    ///
    /// At `most` envelopes of all senders the window is full. This bounds the item: a server has as
    /// many actors as it likes, and each of them is an attribute.
    ///
    /// One UpdateItem: 1 write unit as long as fewer than about fifty senders share the window. If
    /// the answer is lost, the SDK's repetition may count the envelope twice.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if DynamoDB does not return the sums.
    pub async fn spend(&self, charge: BudgetCharge<'_>, most: u64, now_ms: i64) -> Result<BudgetState> {
        let window = now_ms.div_euclid(WINDOW_MS);
        let ends_ms = window.saturating_add(1).saturating_mul(WINDOW_MS);
        let sender = hex::encode(Sha256::digest(charge.sender).get(..6).unwrap_or_default());
        let updated = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::rate(charge.recipient, window.unsigned_abs()).item()))
            .update_expression("SET #ttl = :ttl ADD #bytes :bytes, #all :one, #sender :one")
            .condition_expression("attribute_not_exists(#all) OR #all < :most")
            .expression_attribute_names("#all", attr::ENVELOPES)
            .expression_attribute_values(":most", n(most))
            .expression_attribute_names("#ttl", TTL_ATTRIBUTE)
            .expression_attribute_names("#bytes", attr::BYTES)
            .expression_attribute_names("#sender", &sender)
            .expression_attribute_values(":ttl", n(ends_ms.div_euclid(1000).saturating_add(KEPT_SECONDS)))
            .expression_attribute_values(":bytes", n(charge.bytes))
            .expression_attribute_values(":one", n(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await;
        let window = match conditional(updated)? {
            ConditionalWrite::Done(updated) => {
                let sums = updated.attributes.unwrap_or_default();
                WindowSums::Counted { envelopes: sums.need_u(&sender)?, bytes: sums.need_u(attr::BYTES)? }
            }
            ConditionalWrite::Refused { .. } => WindowSums::Full,
        };
        Ok(BudgetState { window, resets_in_ms: ends_ms.saturating_sub(now_ms) })
    }
}
