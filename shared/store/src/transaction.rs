//! TransactWriteItems, with its two ways of not happening told apart: a condition that did not hold is a
//! value, a conflict with another transaction is tried again.

use std::time::Duration;

use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};

use crate::attribute::Item;
use crate::error::call;
use crate::{Result, Store, StoreError};

/// Tries of one transaction that meets conflicts, then [`StoreError::GaveUp`].
const TRIES: u32 = 6;
/// The first pause after a conflict; doubled each time.
const PAUSE: Duration = Duration::from_millis(10);

/// How a transaction ended.
#[derive(Debug)]
pub(crate) enum TransactionOutcome {
    /// All of it happened.
    Done,
    /// None of it happened: the condition of the write at this index did not hold.
    Refused { index: usize },
}

impl Store {
    /// Runs all writes or none. Costs twice the write units of the items.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<TransactionOutcome> {
        let mut pause = PAUSE;
        for _ in 0..TRIES {
            let sent =
                self.dynamodb().transact_write_items().set_transact_items(Some(writes.clone())).send().await;
            let Err(error) = sent else { return Ok(TransactionOutcome::Done) };
            let Some(cancelled) =
                error.as_service_error().and_then(|e| match e {
                    aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(c) => Some(c),
                    _ => None,
                })
            else {
                return Err(call("TransactWriteItems")(error));
            };
            let reasons = cancelled.cancellation_reasons();
            let failed = reasons.iter().position(|r| r.code() == Some("ConditionalCheckFailed"));
            if let Some(index) = failed {
                return Ok(TransactionOutcome::Refused { index });
            }
            let retry = |code: &str| {
                matches!(code, "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError")
            };
            if !reasons.iter().filter_map(|r| r.code()).any(retry) {
                return Err(call("TransactWriteItems")(error));
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        Err(StoreError::GaveUp { operation: "TransactWriteItems", detail: "conflicts".to_owned() })
    }

    /// A put under a condition.
    pub(crate) fn put_if(&self, item: Item, condition: &str) -> Result<TransactWriteItem> {
        let put = Put::builder()
            .table_name(self.table())
            .set_item(Some(item))
            .condition_expression(condition)
            .build()
            .map_err(crate::attribute::corrupt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A put whatever is there.
    pub(crate) fn put(&self, item: Item) -> Result<TransactWriteItem> {
        let put = Put::builder()
            .table_name(self.table())
            .set_item(Some(item))
            .build()
            .map_err(crate::attribute::corrupt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A put of an item that must not be there yet.
    pub(crate) fn put_new(&self, item: Item) -> Result<TransactWriteItem> {
        self.put_if(item, "attribute_not_exists(pk)")
    }

    /// A delete whatever is there.
    pub(crate) fn remove(&self, key: &crate::key::ItemKey) -> Result<TransactWriteItem> {
        let delete = Delete::builder()
            .table_name(self.table())
            .set_key(Some(key.item()))
            .build()
            .map_err(crate::attribute::corrupt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// An update, completed by the caller.
    pub(crate) fn update(
        &self,
        key: &crate::key::ItemKey,
        build: impl FnOnce(
            aws_sdk_dynamodb::types::builders::UpdateBuilder,
        ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder,
    ) -> Result<TransactWriteItem> {
        let update = build(Update::builder().table_name(self.table()).set_key(Some(key.item())))
            .build()
            .map_err(crate::attribute::corrupt)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// A check of an item that the transaction does not write, completed by the caller.
    pub(crate) fn check(
        &self,
        key: &crate::key::ItemKey,
        build: impl FnOnce(
            aws_sdk_dynamodb::types::builders::ConditionCheckBuilder,
        ) -> aws_sdk_dynamodb::types::builders::ConditionCheckBuilder,
    ) -> Result<TransactWriteItem> {
        let check = build(ConditionCheck::builder().table_name(self.table()).set_key(Some(key.item())))
            .build()
            .map_err(crate::attribute::corrupt)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
