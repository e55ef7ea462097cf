//! The table and the queues, defined once: the local server creates them from here, the deployment
//! template is checked against it.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName;

use crate::error::call;
use crate::{Result, StoreError};

/// Partition key of the table, a string.
pub const PARTITION_KEY: &str = "pk";
/// Sort key of the table, a string.
pub const SORT_KEY: &str = "sk";
/// The attribute that DynamoDB's time to live reads, in epoch seconds.
pub const TTL_ATTRIBUTE: &str = "ttl";

/// A queue with its dead-letter queue, `{name}-dlq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// The queue's name inside a deployment.
    pub name: &'static str,
    /// How long a received message stays hidden, in seconds: six times the function's timeout, as AWS
    /// advises for event source mappings.
    pub visibility_seconds: u32,
    /// Receives after which a message goes to the dead-letter queue.
    pub max_receives: u32,
    /// How long an unreceived message is kept, in seconds.
    pub retention_seconds: u32,
    /// Messages a function gets at most in one batch.
    pub batch_size: u32,
}

/// The queue between acceptance and the mailboxes.
pub const DELIVERIES: QueueSpec = QueueSpec {
    name: "deliveries",
    visibility_seconds: 30,
    max_receives: 5,
    retention_seconds: 4 * 24 * 3600,
    batch_size: 10,
};

/// The queue of what is on its way to other servers. A message that has to wait is hidden for as long, by its
/// own visibility timeout, and each look at it is a receive: some 60 in two days, and room for more.
pub const FEDERATION: QueueSpec = QueueSpec {
    name: "federation",
    visibility_seconds: 90,
    max_receives: 200,
    retention_seconds: 4 * 24 * 3600,
    batch_size: 10,
};

/// Every queue of a deployment.
pub const QUEUES: &[QueueSpec] = &[DELIVERIES, FEDERATION];

/// How long a dead-letter queue keeps what it got: SQS's longest, 14 days.
pub const DLQ_RETENTION_SECONDS: u32 = 14 * 24 * 3600;

/// How often to look whether a new table can be used, and for how many times.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOKS: usize = 300;

/// Name of the dead-letter queue of a queue.
pub fn dlq_name(queue: &str) -> String {
    format!("{queue}-dlq")
}

/// Creates the table with its time to live unless it is there already.
pub async fn create_table(dynamodb: &aws_sdk_dynamodb::Client, table: &str) -> Result<()> {
    let key =
        |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let string = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
    };
    let build = |e: aws_sdk_dynamodb::error::BuildError| StoreError::Corrupt(e.to_string());
    let created = dynamodb
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(PARTITION_KEY, KeyType::Hash).map_err(build)?)
        .key_schema(key(SORT_KEY, KeyType::Range).map_err(build)?)
        .attribute_definitions(string(PARTITION_KEY).map_err(build)?)
        .attribute_definitions(string(SORT_KEY).map_err(build)?)
        .send()
        .await;
    match created {
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {
            return Ok(());
        }
        other => other.map_err(call("CreateTable"))?,
    };
    until_active(dynamodb, table).await?;
    let ttl = TimeToLiveSpecification::builder()
        .attribute_name(TTL_ATTRIBUTE)
        .enabled(true)
        .build()
        .map_err(build)?;
    dynamodb
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(ttl)
        .send()
        .await
        .map_err(call("UpdateTimeToLive"))?;
    Ok(())
}

/// Waits until a new table can be used: DynamoDB answers before that.
async fn until_active(dynamodb: &aws_sdk_dynamodb::Client, table: &str) -> Result<()> {
    for _ in 0..LOOKS {
        let described = dynamodb.describe_table().table_name(table).send().await;
        let status = match described {
            // Reads of what was just created are eventually consistent.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                None
            }
            other => other.map_err(call("DescribeTable"))?.table.and_then(|table| table.table_status),
        };
        if status == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(StoreError::GaveUp {
        operation: "CreateTable",
        detail: "the table does not become active".to_owned(),
    })
}

/// The URLs of a queue and of its dead-letter queue.
#[derive(Clone, Debug)]
pub struct QueueUrls {
    /// The queue's own.
    pub queue: String,
    /// Its dead-letter queue's.
    pub dlq: String,
}

/// Creates a queue of this name and its dead-letter queue unless they are there already; answers their URLs.
pub async fn create_queue(sqs: &aws_sdk_sqs::Client, name: &str, spec: &QueueSpec) -> Result<QueueUrls> {
    let dlq = sqs
        .create_queue()
        .queue_name(dlq_name(name))
        .attributes(QueueAttributeName::MessageRetentionPeriod, DLQ_RETENTION_SECONDS.to_string())
        .send()
        .await
        .map_err(call("CreateQueue"))?
        .queue_url
        .unwrap_or_default();
    let attributes = sqs
        .get_queue_attributes()
        .queue_url(&dlq)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .map_err(call("GetQueueAttributes"))?
        .attributes
        .unwrap_or_default();
    let arn = attributes
        .get(&QueueAttributeName::QueueArn)
        .ok_or_else(|| StoreError::Corrupt("the dead-letter queue has no ARN".to_owned()))?;
    let redrive = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": spec.max_receives });
    let queue = sqs
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::VisibilityTimeout, spec.visibility_seconds.to_string())
        .attributes(QueueAttributeName::MessageRetentionPeriod, spec.retention_seconds.to_string())
        .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
        .send()
        .await
        .map_err(call("CreateQueue"))?
        .queue_url
        .unwrap_or_default();
    Ok(QueueUrls { queue, dlq })
}
