//! The probes of the features. Each makes a table or a queue of its own, and removes it.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use eko_service::aws::AwsClients;
use eko_store::resources::{self, PARTITION_KEY, SORT_KEY, TimeToLive};
use uuid::Uuid;

use crate::backend;

/// The largest message of SQS, in bytes.
const MESSAGE_BYTES: usize = 1 << 20;
/// The size of each item of the probe of pages, in bytes.
const ITEM_BYTES: usize = 300_000;
/// The number of those items. Together they have more than 1 MB.
const ITEMS: usize = 4;
/// The number of times that a transaction is sent again. Some engines forget a token by chance.
const REPETITIONS: usize = 50;

/// A table or a queue of a probe.
struct Probe {
    clients: AwsClients,
    name: String,
}

impl Probe {
    fn new() -> Self {
        let name = format!("test-{}-probe", Uuid::new_v4().simple());
        Self { clients: backend::outside().clients(), name }
    }

    /// Makes the table.
    async fn with_table() -> Self {
        let probe = Self::new();
        let table = resources::create_table(&probe.clients.dynamodb, &probe.name, TimeToLive::Off);
        table.await.expect("a table");
        probe
    }

    /// Removes the table.
    async fn remove_table(self) {
        self.clients.dynamodb.delete_table().table_name(self.name).send().await.expect("a table");
    }

    fn put(&self, sort: &str) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&self.name).item(PARTITION_KEY, text("probe")).item(SORT_KEY, text(sort))
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// True if a queue accepts smaller messages only than SQS, which accepts 1 MiB.
pub(super) async fn refuses_large_messages() -> bool {
    let Probe { clients, name } = Probe::new();
    let queue = clients.sqs.create_queue().queue_name(name).send().await.expect("a queue");
    let queue = queue.queue_url.expect("its URL");
    let sent = clients.sqs.send_message().queue_url(&queue).message_body("m".repeat(MESSAGE_BYTES));
    let is_refused = sent.send().await.is_err();
    clients.sqs.delete_queue().queue_url(queue).send().await.expect("a queue");
    is_refused
}

/// True if a page of a Query has more than 1 MB.
pub(super) async fn answers_large_pages() -> bool {
    let probe = Probe::with_table().await;
    for number in 0..ITEMS {
        let put = probe.clients.dynamodb.put_item().table_name(&probe.name);
        let put = put.item(PARTITION_KEY, text("probe")).item(SORT_KEY, text(&number.to_string()));
        put.item("value", text(&"v".repeat(ITEM_BYTES))).send().await.expect("an item is put");
    }
    let query = probe.clients.dynamodb.query().table_name(&probe.name);
    let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", text("probe"));
    let page = query.send().await.expect("a page");
    probe.remove_table().await;
    page.last_evaluated_key.is_none()
}

/// True if a transaction that is repeated with its token is performed again, or refused. In
/// DynamoDB it is neither (`TransactWriteItems`, `ClientRequestToken`).
pub(super) async fn repeats_transactions() -> bool {
    let probe = Probe::with_table().await;
    let put = ["one", "two", "three"]
        .into_iter()
        .fold(probe.put("put"), |put, name| put.item(name, text(name)))
        .condition_expression("attribute_not_exists(pk) OR #old = :old")
        .expression_attribute_names("#old", "old")
        .expression_attribute_values(":old", text("old"));
    let check = ConditionCheck::builder()
        .table_name(&probe.name)
        .key(PARTITION_KEY, text("probe"))
        .key(SORT_KEY, text("check"))
        .condition_expression("attribute_not_exists(pk)");
    let write = probe
        .clients
        .dynamodb
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put.build().expect("a put")).build())
        .transact_items(TransactWriteItem::builder().condition_check(check.build().expect("a check")).build())
        .client_request_token(Uuid::new_v4().to_string());
    write.clone().send().await.expect("a transaction");
    let mut repeats = false;
    for _ in 0..REPETITIONS {
        repeats = repeats || write.clone().send().await.is_err();
    }
    probe.remove_table().await;
    repeats
}
