//! The definition of the table and the queues. The local server creates them from it; tests check
//! the deployment template against it.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName;

use crate::error::call;
use crate::{Result, StoreError};

/// The name of the table's partition key, a string.
pub const PARTITION_KEY: &str = "pk";
/// The name of the table's sort key, a string.
pub const SORT_KEY: &str = "sk";
/// The name of the attribute that DynamoDB's time to live reads, a number of epoch seconds.
/// DynamoDB deletes an item some time after it, so that reads have to check it.
pub const TTL_ATTRIBUTE: &str = "ttl";

/// The settings of a queue, which has a dead-letter queue `{name}-dlq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// The queue's name inside a deployment.
    pub name: &'static str,
    /// The time that a received message stays hidden, in seconds. It is six times the function's
    /// timeout, as AWS advises for event source mappings.
    pub visibility_seconds: u32,
    /// The number of receives after which a message goes to the dead-letter queue.
    pub max_receives: u32,
    /// The time that a message is kept, in seconds.
    pub retention_seconds: u32,
    /// The most messages of one batch that a function gets.
    pub batch_size: u32,
}

/// The queue `deliveries`, between acceptance and the mailboxes.
pub const DELIVERIES: QueueSpec = QueueSpec {
    name: "deliveries",
    visibility_seconds: 30,
    max_receives: 5,
    retention_seconds: 4 * 24 * 3600,
    batch_size: 10,
};

/// The queue `federation`: the parcels for other servers.
///
/// A parcel that has to wait is hidden by its own visibility timeout, and each attempt is a
/// receive. The 48 hours of a parcel take about 60 receives; `max_receives` leaves room for more.
pub const FEDERATION: QueueSpec = QueueSpec {
    name: "federation",
    visibility_seconds: 90,
    max_receives: 200,
    retention_seconds: 4 * 24 * 3600,
    batch_size: 10,
};

/// The queue `pushes`: orders to wake devices.
///
/// An order that has to wait is hidden by its own visibility timeout, and each attempt is a
/// receive. The function gives up before `max_receives`.
pub const PUSHES: QueueSpec = QueueSpec {
    name: "pushes",
    visibility_seconds: 90,
    max_receives: 40,
    retention_seconds: 4 * 24 * 3600,
    batch_size: 10,
};

/// All queues of a deployment.
pub const QUEUES: &[QueueSpec] = &[DELIVERIES, FEDERATION, PUSHES];

/// The time that a dead-letter queue keeps a message, in seconds: 14 days, the longest that SQS
/// allows.
pub const DLQ_RETENTION_SECONDS: u32 = 14 * 24 * 3600;

/// The pause between two checks of a new table's status.
const CHECK_PAUSE: Duration = Duration::from_millis(200);
/// The most checks of a new table's status.
const CHECKS: usize = 300;

/// Returns the name of a queue's dead-letter queue.
pub fn dlq_name(queue: &str) -> String {
    format!("{queue}-dlq")
}

/// The setting of the table's time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeToLive {
    /// DynamoDB deletes what has expired, by [`TTL_ATTRIBUTE`].
    On,
    /// Everything stays, for tests whose clock is not the engine's.
    Off,
}

/// Creates the table with this time to live, and waits until it can be used. Does nothing if the
/// table exists.
///
/// One CreateTable, DescribeTable until the table is active, one UpdateTimeToLive to set it on.
///
/// # Errors
///
/// [`StoreError::Call`] if a call fails; [`StoreError::GaveUp`] if the table is not active after a
/// minute.
pub async fn create_table(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    time_to_live: TimeToLive,
) -> Result<()> {
    let key =
        |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let string = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
    };
    let created = dynamodb
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(PARTITION_KEY, KeyType::Hash).map_err(call("CreateTable"))?)
        .key_schema(key(SORT_KEY, KeyType::Range).map_err(call("CreateTable"))?)
        .attribute_definitions(string(PARTITION_KEY).map_err(call("CreateTable"))?)
        .attribute_definitions(string(SORT_KEY).map_err(call("CreateTable"))?)
        .send()
        .await;
    match created {
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {
            return Ok(());
        }
        other => other.map_err(call("CreateTable"))?,
    };
    until_active(dynamodb, table).await?;
    if time_to_live == TimeToLive::Off {
        return Ok(());
    }
    let ttl = TimeToLiveSpecification::builder()
        .attribute_name(TTL_ATTRIBUTE)
        .enabled(true)
        .build()
        .map_err(call("UpdateTimeToLive"))?;
    dynamodb
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(ttl)
        .send()
        .await
        .map_err(call("UpdateTimeToLive"))?;
    Ok(())
}

/// Waits until a new table can be used. DynamoDB answers CreateTable before that.
async fn until_active(dynamodb: &aws_sdk_dynamodb::Client, table: &str) -> Result<()> {
    for _ in 0..CHECKS {
        let described = dynamodb.describe_table().table_name(table).send().await;
        let status = match described {
            // DescribeTable is eventually consistent: it may not know a new table yet.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                None
            }
            other => other.map_err(call("DescribeTable"))?.table.and_then(|table| table.table_status),
        };
        if status == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(CHECK_PAUSE).await;
    }
    Err(StoreError::GaveUp {
        operation: "CreateTable",
        detail: "the table does not become active".to_owned(),
    })
}

/// The URLs of a queue and of its dead-letter queue.
#[derive(Clone, Debug)]
pub struct QueueUrls {
    /// The URL of the queue.
    pub queue: String,
    /// The URL of the dead-letter queue.
    pub dlq: String,
}

/// Creates a queue of this name and its dead-letter queue, and returns their URLs. A queue that
/// exists with the same settings is left as it is.
///
/// Two CreateQueue and one GetQueueAttributes.
///
/// # Errors
///
/// [`StoreError::Call`] if a call fails, for example because the queue exists with other settings;
/// [`StoreError::GaveUp`] if SQS does not return the dead-letter queue's ARN.
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
    let arn = attributes.get(&QueueAttributeName::QueueArn).ok_or_else(|| StoreError::GaveUp {
        operation: "GetQueueAttributes",
        detail: "the dead-letter queue has no ARN".to_owned(),
    })?;
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
