//! Reading and writing items by their keys: one item, several items, or all with a common prefix.

use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};

use crate::attribute::{Item, s};
use crate::error::call;
use crate::key::ItemKey;
use crate::resources::{PARTITION_KEY, SORT_KEY};
use crate::{Result, Store, StoreError};

/// The most writes of one BatchWriteItem.
pub(crate) const BATCH_WRITES: usize = 25;
/// The most items of one BatchGetItem.
pub(crate) const BATCH_READS: usize = 100;
/// The most calls for one batch of reads.
const BATCH_GET_TRIES: u32 = 8;
/// The most calls for one batch of writes.
const BATCH_WRITE_TRIES: u32 = 6;
/// The pause before a batch of writes is tried again. It doubles each time.
const BATCH_WRITE_PAUSE: Duration = Duration::from_millis(20);

/// The projection of the primary key.
pub(crate) const PROJECTED_KEYS: &str = "pk, sk";

/// The attributes that a query returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Projection {
    /// All attributes.
    Whole,
    /// The primary key only. A query costs the same capacity as with [`Projection::Whole`].
    Keys,
}

/// The sort keys of the items that a query returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortKeys<'a> {
    /// All of the partition.
    All,
    /// Those that start with this text.
    StartingWith(&'a str),
    /// Those from the first text to the second, both included.
    Between(&'a str, &'a str),
}

impl Store {
    /// Reads one item, strongly consistent. One GetItem: 1 read unit for each 4 KB.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if the call fails.
    pub(crate) async fn get_item(&self, key: &ItemKey) -> Result<Option<Item>> {
        let get = self.dynamodb().get_item().table_name(self.table()).set_key(Some(key.item()));
        Ok(get.consistent_read(true).send().await.map_err(call("GetItem"))?.item)
    }

    /// Reads up to 100 items, strongly consistent, in any order; items that do not exist are left
    /// out.
    ///
    /// One BatchGetItem: 1 read unit for each 4 KB of each item. Keys that DynamoDB leaves
    /// unprocessed are asked for again. Makes no call without keys.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if keys are left after 8 calls.
    pub(crate) async fn batch_get(&self, keys: Vec<ItemKey>) -> Result<Vec<Item>> {
        self.batch_get_attributes(&keys, &[]).await
    }

    /// Reads up to 100 items as [`Store::batch_get`] does, and of each item the key and these
    /// attributes only, or all attributes if `attributes` is empty. It costs the same read units.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if keys are left after 8 calls.
    pub(crate) async fn batch_get_attributes(
        &self,
        keys: &[ItemKey],
        attributes: &[&str],
    ) -> Result<Vec<Item>> {
        const OPERATION: &str = "BatchGetItem";
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(ItemKey::item).collect()))
            .consistent_read(true);
        if !attributes.is_empty() {
            // Names with a hash sign may be reserved words.
            let names = || [PARTITION_KEY, SORT_KEY].iter().chain(attributes);
            let projection: Vec<String> = names().map(|name| format!("#{name}")).collect();
            wanted = wanted.projection_expression(projection.join(", "));
            for name in names() {
                wanted = wanted.expression_attribute_names(format!("#{name}"), *name);
            }
        }
        let mut wanted = wanted.build().map_err(call(OPERATION))?;
        let mut found = Vec::with_capacity(keys.len());
        for _ in 0..BATCH_GET_TRIES {
            let answer = self
                .dynamodb()
                .batch_get_item()
                .request_items(self.table(), wanted)
                .send()
                .await
                .map_err(call(OPERATION))?;
            found.extend(
                answer.responses.into_iter().flat_map(|mut tables| tables.remove(self.table())).flatten(),
            );
            match answer.unprocessed_keys.and_then(|mut tables| tables.remove(self.table())) {
                Some(left) if !left.keys.is_empty() => wanted = left,
                _ => return Ok(found),
            }
        }
        Err(StoreError::GaveUp { operation: OPERATION, detail: "unprocessed keys".to_owned() })
    }

    /// Reads all items of a partition that have these sort keys, in their order, strongly consistent.
    /// One Query for each megabyte: 1 read unit for each 4 KB.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails.
    pub(crate) async fn query_all(
        &self,
        partition: &str,
        sort_keys: SortKeys<'_>,
        projection: Projection,
    ) -> Result<Vec<Item>> {
        let attributes = match projection {
            Projection::Whole => None,
            Projection::Keys => Some("pk, sk".to_owned()),
        };
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let query = self
                .dynamodb()
                .query()
                .table_name(self.table())
                .expression_attribute_values(":pk", s(partition))
                .set_projection_expression(attributes.clone())
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let query = match sort_keys {
                SortKeys::All => query.key_condition_expression("pk = :pk"),
                SortKeys::StartingWith(prefix) => query
                    .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":prefix", s(prefix)),
                SortKeys::Between(first, last) => query
                    .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                    .expression_attribute_values(":first", s(first))
                    .expression_attribute_values(":last", s(last)),
            };
            let page = query.send().await.map_err(call("Query"))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Puts up to 25 items, see [`Store::batch_write`]. A put replaces the item that is there.
    pub(crate) async fn batch_put(&self, items: Vec<Item>) -> Result<()> {
        let put = |item| {
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(call("BatchWriteItem"))?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let requests = items.into_iter().map(put).collect::<Result<Vec<_>>>()?;
        self.batch_write(requests).await
    }

    /// Deletes up to 25 items by their keys, see [`Store::batch_write`]. Deleting an item that does
    /// not exist succeeds.
    pub(crate) async fn batch_delete(&self, keys: Vec<Item>) -> Result<()> {
        let delete = |key| {
            let delete =
                DeleteRequest::builder().set_key(Some(key)).build().map_err(call("BatchWriteItem"))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        let requests = keys.into_iter().map(delete).collect::<Result<Vec<_>>>()?;
        self.batch_write(requests).await
    }

    /// Runs up to 25 writes, each for itself and without a condition.
    ///
    /// One BatchWriteItem: 1 write unit for each KB of each item. Writes that DynamoDB leaves
    /// unprocessed are tried again, up to 6 calls. Writing the same items again changes nothing, so
    /// a lost answer does no harm. After an error some of the writes may have happened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if writes are left after 6
    /// calls.
    pub(crate) async fn batch_write(&self, mut requests: Vec<WriteRequest>) -> Result<()> {
        const OPERATION: &str = "BatchWriteItem";
        let mut pause = BATCH_WRITE_PAUSE;
        for _ in 0..BATCH_WRITE_TRIES {
            if requests.is_empty() {
                return Ok(());
            }
            let answer = self
                .dynamodb()
                .batch_write_item()
                .request_items(self.table(), requests)
                .send()
                .await
                .map_err(call(OPERATION))?;
            requests = answer.unprocessed_items.and_then(|mut t| t.remove(self.table())).unwrap_or_default();
            if !requests.is_empty() {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        Err(StoreError::GaveUp { operation: OPERATION, detail: format!("{} unprocessed", requests.len()) })
    }
}
