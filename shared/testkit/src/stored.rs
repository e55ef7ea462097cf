//! Everything in the table and the queues. Tests compare it to show that nothing was stored.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};

use crate::World;

/// Everything that is stored: the items, and the numbers of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredState {
    /// The items in readable form, by `pk` and `sk`.
    pub items: BTreeMap<(String, String), String>,
    /// The numbers of messages in the queue `deliveries` and in its dead-letter queue.
    pub queued: (usize, usize),
    /// The numbers of messages in the queue `federation` and in its dead-letter queue.
    pub waiting: (usize, usize),
}

impl StoredState {
    /// Returns the keys whose partition key contains `partition` and whose sort key begins with
    /// `sort`.
    pub fn keys(&self, partition: &str, sort: &str) -> Vec<&(String, String)> {
        self.items.keys().filter(|(pk, sk)| pk.contains(partition) && sk.starts_with(sort)).collect()
    }

    /// Returns the keys whose items differ, or are in one of the two only.
    pub fn difference(&self, other: &Self) -> Vec<(String, String)> {
        let differs = |key: &&(String, String)| self.items.get(*key) != other.items.get(*key);
        self.items.keys().chain(other.items.keys()).filter(differs).cloned().collect()
    }
}

impl World {
    /// Returns everything that is stored, except the counters of budgets and of unverified requests,
    /// which count refused requests too.
    pub async fn stored(&self) -> StoredState {
        let mut items = self.all_items().await;
        items.retain(|(partition, sort), _| {
            let counts = partition.starts_with("L#") || partition.starts_with("W#");
            !counts || sort == "GROUPS"
        });
        StoredState { items, queued: self.queued().await, waiting: self.waiting().await }
    }

    /// Returns the items that name somebody in key or value, each in one line that begins with its key.
    /// What has expired is left out: DynamoDB deletes it.
    pub async fn items_naming(&self, name: &str) -> Vec<String> {
        let items = self.all_items().await.into_iter();
        let now_s = self.now_ms() / 1000;
        let items = items.filter(|(_, item)| time_to_live(item).is_none_or(|ttl| ttl > now_s));
        items.map(|((pk, sk), item)| format!("{pk} {sk} {item}")).filter(|line| line.contains(name)).collect()
    }

    /// Returns the time to live of every item, in epoch seconds, by `pk` and `sk`; `None` for one that has
    /// none.
    pub async fn times_to_live(&self) -> BTreeMap<(String, String), Option<i64>> {
        let items = self.all_items().await.into_iter();
        items.map(|(key, item)| (key, time_to_live(&item))).collect()
    }

    /// Deletes the items of a partition, as if this server had been set up before it had them.
    pub async fn remove_partition(&self, partition: &str) {
        let table = &self.state.config().names.table;
        for (pk, sk) in self.all_items().await.into_keys().filter(|(pk, _)| pk == partition) {
            let delete = self.aside.dynamodb.delete_item().table_name(table);
            let delete = delete.key("pk", AttributeValue::S(pk)).key("sk", AttributeValue::S(sk));
            delete.send().await.expect("a deletion");
        }
    }

    /// Sets a number of an item.
    pub async fn set_number(&self, (pk, sk): (&str, &str), attribute: &str, number: u64) {
        let set = self.aside.dynamodb.update_item().table_name(&self.state.config().names.table);
        set.key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()))
            .update_expression("SET #attribute = :number")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":number", AttributeValue::N(number.to_string()))
            .send()
            .await
            .expect("an update");
    }

    /// Stores copies of the first item of a partition whose sort key begins with a text, under further sort
    /// keys that do.
    pub async fn copy_item(&self, (partition, prefix): (&str, &str), copies: usize) {
        let table = &self.state.config().names.table;
        let query = self.aside.dynamodb.query().table_name(table).limit(1);
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :prefix)");
        let query = query
            .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
        let found = query.send().await.expect("a query").items.unwrap_or_default();
        let item = found.into_iter().next().expect("an item");
        let put = |number: usize| {
            let mut copy = item.clone();
            copy.insert("sk".to_owned(), AttributeValue::S(format!("{prefix}{number:022}")));
            let put = PutRequest::builder().set_item(Some(copy)).build().expect("a put");
            WriteRequest::builder().put_request(put).build()
        };
        for numbers in (0..copies).collect::<Vec<_>>().chunks(25) {
            let puts = numbers.iter().map(|number| put(*number)).collect();
            let write = self.aside.dynamodb.batch_write_item().request_items(table, puts);
            write.send().await.expect("a write");
        }
    }

    /// Returns all items in readable form, by `pk` and `sk`.
    async fn all_items(&self) -> BTreeMap<(String, String), String> {
        let mut items = BTreeMap::new();
        let mut start = None;
        loop {
            let scan = self.aside.dynamodb.scan().table_name(&self.state.config().names.table);
            let page =
                scan.consistent_read(true).set_exclusive_start_key(start).send().await.expect("a scan");
            for item in page.items.unwrap_or_default() {
                let key =
                    |name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned().unwrap_or_default();
                let readable: BTreeMap<&String, String> =
                    item.iter().map(|(name, value)| (name, readable(value))).collect();
                items.insert((key("pk"), key("sk")), format!("{readable:?}"));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return items;
            }
        }
    }
}

/// Returns the time to live of an item in readable form.
fn time_to_live(item: &str) -> Option<i64> {
    let (_, rest) = item.split_once("\"ttl\": \"N(\\\"")?;
    rest.split_once('\\')?.0.parse().ok()
}

/// Returns an attribute as text, which is the same for equal values. Maps and sets have no order. Bytes
/// are followed by their text, so that a name in them is seen.
fn readable(value: &AttributeValue) -> String {
    match value {
        AttributeValue::B(bytes) => format!("{bytes:?} {}", String::from_utf8_lossy(bytes.as_ref())),
        AttributeValue::Bs(all) => {
            let mut all: Vec<String> = all.iter().map(|b| readable(&AttributeValue::B(b.clone()))).collect();
            all.sort();
            format!("{all:?}")
        }
        AttributeValue::L(all) => format!("{:?}", all.iter().map(readable).collect::<Vec<_>>()),
        AttributeValue::M(members) => {
            let members: BTreeMap<&String, String> = members.iter().map(|(k, v)| (k, readable(v))).collect();
            format!("{members:?}")
        }
        AttributeValue::Ss(texts) => {
            let mut texts = texts.clone();
            texts.sort();
            format!("{texts:?}")
        }
        other => format!("{other:?}"),
    }
}
