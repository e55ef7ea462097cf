//! The event source mapping: messages of a queue go to their function in batches; what the function does not
//! report as failed is deleted, the rest becomes visible again and, after its last receive, goes to the
//! dead-letter queue. That last part SQS does by itself.

use std::future::Future;

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use eko_service::shell::QueueMessage;
use eko_store::resources::QueueSpec;
use tokio::sync::watch;

/// Seconds that a receive waits for the first message.
const WAIT_SECONDS: i32 = 20;

/// Pumps a queue until `stop` says so, and then until the queue is empty.
///
/// One batch at a time: while a batch is handled the next one gathers, so that batches grow with the load.
pub async fn run<F>(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    spec: &QueueSpec,
    mut stop: watch::Receiver<bool>,
    handle: impl Fn(Vec<QueueMessage>) -> F,
) where
    F: Future<Output = Vec<String>>,
{
    while !*stop.borrow() {
        let received = tokio::select! {
            received = batch(sqs, url, spec, WAIT_SECONDS, &handle) => received,
            _ = stop.changed() => break,
        };
        if let Err(error) = received {
            tracing::error!(queue = spec.name, %error, "the queue could not be read");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
    if let Err(error) = drain(sqs, url, spec, &handle).await {
        tracing::error!(queue = spec.name, %error, "the queue could not be drained");
    }
}

/// Handles batches until none is visible; how many messages were taken, failed ones included.
pub async fn drain<F>(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    spec: &QueueSpec,
    handle: &impl Fn(Vec<QueueMessage>) -> F,
) -> Result<usize, aws_sdk_sqs::Error>
where
    F: Future<Output = Vec<String>>,
{
    let mut taken = 0_usize;
    loop {
        match batch(sqs, url, spec, 0, handle).await? {
            0 => return Ok(taken),
            more => taken = taken.saturating_add(more),
        }
    }
}

/// Receives one batch, hands it over, deletes what succeeded; how many messages it had.
async fn batch<F>(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    spec: &QueueSpec,
    wait_seconds: i32,
    handle: &impl Fn(Vec<QueueMessage>) -> F,
) -> Result<usize, aws_sdk_sqs::Error>
where
    F: Future<Output = Vec<String>>,
{
    let most = i32::try_from(spec.batch_size.min(10)).unwrap_or(10);
    let received = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(most)
        .wait_time_seconds(wait_seconds)
        .send()
        .await?;
    let messages = received.messages.unwrap_or_default();
    if messages.is_empty() {
        return Ok(0);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let failed = handle(
        messages.iter().map(|m| QueueMessage { id: text(&m.message_id), body: text(&m.body) }).collect(),
    )
    .await;
    let done = messages.iter().filter(|m| !failed.contains(&text(&m.message_id)));
    let entries: Vec<DeleteMessageBatchRequestEntry> = done
        .enumerate()
        .filter_map(|(index, message)| {
            let handle = message.receipt_handle.clone()?;
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle).build().ok()
        })
        .collect();
    if !entries.is_empty() {
        sqs.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await?;
    }
    Ok(messages.len())
}
