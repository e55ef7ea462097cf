//! Transactions (TransactWriteItems) and the writes that they are made of.
//!
//! A transaction can fail to happen in two ways. If a condition does not hold, that is a value. If
//! another transaction touches the same items, it is tried again.
//!
//! The SDK gives every transaction a `ClientRequestToken`. If an answer is lost and the SDK repeats
//! the call, DynamoDB recognizes the token and answers as it did the first time. If all repetitions
//! fail, the verb returns [`StoreError::Call`] and the transaction may have happened.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::builders::{ConditionCheckBuilder, DeleteBuilder, PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update};

use crate::attribute::Item;
use crate::condition::{ConditionalWrite, conditional};
use crate::error::call;
use crate::key::{IS_NEW, ItemKey};
use crate::{Result, Store, StoreError};

/// The name of the AWS operation.
const OPERATION: &str = "TransactWriteItems";
/// The most times that a write is tried while it meets conflicts.
const TRIES: u32 = 7;
/// The mean pause after the first conflict. It doubles after each further one.
const PAUSE: Duration = Duration::from_millis(10);

/// The outcome of a transaction.
#[derive(Debug)]
pub(crate) enum TransactionOutcome {
    /// All writes happened.
    Done,
    /// No write happened: a condition did not hold.
    Refused {
        /// The index of the first write whose condition did not hold.
        index: usize,
        /// The indexes of all writes whose conditions did not hold, in their order.
        failed: Vec<usize>,
        /// The item of that first write as it is stored, if it exists and the write asked for it with
        /// `ReturnValuesOnConditionCheckFailure`. As with
        /// [`ConditionalWrite::Refused`], `None` says nothing about the item.
        stored: Option<Item>,
    },
}

impl TransactionOutcome {
    /// True if all writes happened.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

impl Store {
    /// Runs all writes or none. Costs twice the write units of the items.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails; [`StoreError::GaveUp`] after 7 conflicts.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<TransactionOutcome> {
        for attempt in 0..TRIES {
            let sent =
                self.dynamodb().transact_write_items().set_transact_items(Some(writes.clone())).send().await;
            let Err(error) = sent else { return Ok(TransactionOutcome::Done) };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                return Err(call(OPERATION)(error));
            };
            let reasons = cancelled.cancellation_reasons();
            let is_refusal = |index: &usize| {
                reasons.get(*index).and_then(CancellationReason::code) == Some("ConditionalCheckFailed")
            };
            let failed: Vec<usize> = (0..reasons.len()).filter(is_refusal).collect();
            if let Some(&index) = failed.first() {
                let stored = reasons.get(index).and_then(CancellationReason::item).cloned();
                return Ok(TransactionOutcome::Refused { index, failed, stored });
            }
            let is_temporary = |code: &str| {
                matches!(code, "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError")
            };
            if !reasons.iter().filter_map(|r| r.code()).any(is_temporary) {
                return Err(call(OPERATION)(error));
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(StoreError::GaveUp { operation: OPERATION, detail: "conflicts".to_owned() })
    }

    /// Sends an UpdateItem of an item that transactions write too. It is refused while one of them
    /// does, and the SDK does not repeat it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails; [`StoreError::GaveUp`] after 7 conflicts.
    pub(crate) async fn update_beside_transactions(
        &self,
        update: UpdateItemFluentBuilder,
    ) -> Result<ConditionalWrite<UpdateItemOutput>> {
        for attempt in 0..TRIES {
            let sent = update.clone().send().await;
            let refused = sent.as_ref().err().and_then(SdkError::as_service_error);
            if !refused.is_some_and(UpdateItemError::is_transaction_conflict_exception) {
                return conditional(sent);
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(StoreError::GaveUp { operation: "UpdateItem", detail: "conflicts".to_owned() })
    }

    /// Builds a put without a condition: it replaces the item that is there.
    pub(crate) fn put(&self, item: Item) -> Result<TransactWriteItem> {
        let put = Put::builder().table_name(self.table()).set_item(Some(item));
        Ok(TransactWriteItem::builder().put(put.build().map_err(call(OPERATION))?).build())
    }

    /// Builds a put on condition that the item does not exist yet.
    pub(crate) fn put_new(&self, item: Item) -> Result<TransactWriteItem> {
        let put = Put::builder().table_name(self.table()).set_item(Some(item)).condition_expression(IS_NEW);
        Ok(TransactWriteItem::builder().put(put.build().map_err(call(OPERATION))?).build())
    }

    /// Builds a delete without a condition.
    pub(crate) fn remove(&self, key: &ItemKey) -> Result<TransactWriteItem> {
        let delete = Delete::builder().table_name(self.table()).set_key(Some(key.item()));
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(call(OPERATION))?).build())
    }

    /// Builds a put; `complete` adds the condition.
    pub(crate) fn put_if(
        &self,
        item: Item,
        complete: impl FnOnce(PutBuilder) -> PutBuilder,
    ) -> Result<TransactWriteItem> {
        let put = complete(Put::builder().table_name(self.table()).set_item(Some(item)));
        Ok(TransactWriteItem::builder().put(put.build().map_err(call(OPERATION))?).build())
    }

    /// Builds a delete; `complete` adds the condition.
    pub(crate) fn remove_if(
        &self,
        key: &ItemKey,
        complete: impl FnOnce(DeleteBuilder) -> DeleteBuilder,
    ) -> Result<TransactWriteItem> {
        let delete = complete(Delete::builder().table_name(self.table()).set_key(Some(key.item())));
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(call(OPERATION))?).build())
    }

    /// Builds an update; `complete` adds its expressions.
    pub(crate) fn update(
        &self,
        key: &ItemKey,
        complete: impl FnOnce(UpdateBuilder) -> UpdateBuilder,
    ) -> Result<TransactWriteItem> {
        let update = complete(Update::builder().table_name(self.table()).set_key(Some(key.item())));
        Ok(TransactWriteItem::builder().update(update.build().map_err(call(OPERATION))?).build())
    }

    /// Builds a check of an item that the transaction does not write; `complete` adds the
    /// condition.
    pub(crate) fn check(
        &self,
        key: &ItemKey,
        complete: impl FnOnce(ConditionCheckBuilder) -> ConditionCheckBuilder,
    ) -> Result<TransactWriteItem> {
        let check = complete(ConditionCheck::builder().table_name(self.table()).set_key(Some(key.item())));
        Ok(TransactWriteItem::builder().condition_check(check.build().map_err(call(OPERATION))?).build())
    }
}

/// Returns the pause after a conflict: half of the mean one and a random part, so that writers who have
/// met once do not meet again.
fn pause(attempt: u32) -> Duration {
    let mean = PAUSE.saturating_mul(1 << attempt.min(TRIES));
    let micros = u64::try_from(mean.as_micros()).unwrap_or(u64::MAX).max(1);
    mean / 2 + Duration::from_micros(RandomState::new().hash_one(attempt) % micros)
}
