//! Reading and writing items by their keys: one, some, or all under a prefix.

use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};

use crate::attribute::{Item, corrupt, s};
use crate::error::call;
use crate::key::ItemKey;
use crate::{Result, Store, StoreError};

/// Writes of one BatchWriteItem at most.
pub(crate) const BATCH_WRITES: usize = 25;

impl Store {
    /// Reads one item, strongly consistent: one GetItem.
    pub(crate) async fn get_item(&self, key: &ItemKey) -> Result<Option<Item>> {
        let get = self.dynamodb().get_item().table_name(self.table()).set_key(Some(key.item()));
        Ok(get.consistent_read(true).send().await.map_err(call("GetItem"))?.item)
    }

    /// Reads up to 100 items, strongly consistent, in one BatchGetItem; what DynamoDB leaves unprocessed is
    /// asked for again.
    pub(crate) async fn batch_get(&self, keys: Vec<ItemKey>) -> Result<Vec<Item>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(ItemKey::item).collect()))
            .consistent_read(true)
            .build()
            .map_err(corrupt)?;
        let mut found = Vec::with_capacity(keys.len());
        for _ in 0..8 {
            let answer = self
                .dynamodb()
                .batch_get_item()
                .request_items(self.table(), wanted)
                .send()
                .await
                .map_err(call("BatchGetItem"))?;
            found.extend(
                answer.responses.into_iter().flat_map(|mut tables| tables.remove(self.table())).flatten(),
            );
            match answer.unprocessed_keys.and_then(|mut tables| tables.remove(self.table())) {
                Some(left) if !left.keys.is_empty() => wanted = left,
                _ => return Ok(found),
            }
        }
        Err(StoreError::GaveUp { operation: "BatchGetItem", detail: "unprocessed keys".to_owned() })
    }

    /// Reads all items of a partition whose sort keys start with `prefix`, in their order, strongly
    /// consistent: one Query a megabyte. `keys_only` leaves the rest of them out, at the same price.
    pub(crate) async fn query_all(
        &self,
        partition: &str,
        prefix: &str,
        keys_only: bool,
    ) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let query = self
                .dynamodb()
                .query()
                .table_name(self.table())
                .expression_attribute_values(":pk", s(partition))
                .set_projection_expression(keys_only.then(|| "pk, sk".to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let query = match prefix {
                "" => query.key_condition_expression("pk = :pk"),
                _ => query
                    .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":prefix", s(prefix)),
            };
            let page = query.send().await.map_err(call("Query"))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Puts items, up to 25; those that DynamoDB leaves unprocessed are tried again.
    pub(crate) async fn batch_put(&self, items: Vec<Item>) -> Result<()> {
        let put = |item| {
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(corrupt)?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let requests = items.into_iter().map(put).collect::<Result<Vec<_>>>()?;
        self.batch_write(requests).await
    }

    /// Deletes items by their keys, up to 25.
    pub(crate) async fn batch_delete(&self, keys: Vec<Item>) -> Result<()> {
        let delete = |key| {
            let delete = DeleteRequest::builder().set_key(Some(key)).build().map_err(corrupt)?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        let requests = keys.into_iter().map(delete).collect::<Result<Vec<_>>>()?;
        self.batch_write(requests).await
    }

    /// Runs up to 25 writes; those that DynamoDB leaves unprocessed are tried again.
    pub(crate) async fn batch_write(&self, mut requests: Vec<WriteRequest>) -> Result<()> {
        let mut pause = Duration::from_millis(20);
        for _ in 0..6 {
            if requests.is_empty() {
                return Ok(());
            }
            let answer = self
                .dynamodb()
                .batch_write_item()
                .request_items(self.table(), requests)
                .send()
                .await
                .map_err(call("BatchWriteItem"))?;
            requests = answer.unprocessed_items.and_then(|mut t| t.remove(self.table())).unwrap_or_default();
            if !requests.is_empty() {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        Err(StoreError::GaveUp {
            operation: "BatchWriteItem",
            detail: format!("{} unprocessed", requests.len()),
        })
    }
}
