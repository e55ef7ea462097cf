//! The event source mapping: messages of a queue go to their function in batches; what the function does not
//! report as failed is deleted, the rest becomes visible again and, after its last receive, goes to the
//! dead-letter queue. That last part SQS does by itself.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use eko_messaging::QueueMessage;
use eko_store::resources::QueueSpec;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Seconds that a receive waits for the first message.
const WAIT_SECONDS: i32 = 20;
/// How long messages gather after a batch that was not full: the batching window of an event source mapping.
/// Under load it makes ten messages one batch, which costs hardly more calls than one message.
const WINDOW: Duration = Duration::from_millis(10);
/// How long requests have the processor to themselves between full batches that are handled side by side.
const BREATH: Duration = Duration::from_millis(4);
/// How long to leave a queue alone that cannot be read.
const PAUSE: Duration = Duration::from_secs(1);

/// A message as whoever handles a batch wants it.
pub trait Received: Send + 'static {
    /// It, from what SQS gave.
    fn of(message: &Message) -> Self;
}

impl Received for QueueMessage {
    fn of(message: &Message) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            id: text(&message.message_id),
            body: text(&message.body),
            receipt_handle: text(&message.receipt_handle),
        }
    }
}

impl Received for Message {
    fn of(message: &Message) -> Self {
        message.clone()
    }
}

/// Pumps a queue until `stop` says so, and then until the queue is empty.
///
/// As many as `at_once` batches are handled side by side, as an event source mapping has its concurrency. With
/// one, the next batch gathers while the last is handled, so that batches grow with the load; with many, a batch
/// that has to wait for somebody holds up no other.
pub async fn run<M: Received, F>(
    sqs: aws_sdk_sqs::Client,
    url: String,
    spec: QueueSpec,
    at_once: usize,
    mut stop: watch::Receiver<bool>,
    handle: impl Fn(Vec<M>) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = Vec<String>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(at_once));
    let mut batches = JoinSet::new();
    while !*stop.borrow() {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        // Only the wait for messages is cut short: a batch that was received is handled to its end.
        let received = tokio::select! {
            received = receive(&sqs, &url, &spec, WAIT_SECONDS) => received,
            _ = stop.changed() => break,
        };
        let pause = match received {
            Ok(messages) => {
                let full = messages.len() == most(&spec);
                let (sqs, url, handle) = (sqs.clone(), url.clone(), handle.clone());
                batches.spawn(async move {
                    if let Err(error) = settle(&sqs, &url, messages, &handle).await {
                        tracing::error!(queue = spec.name, error = %DisplayErrorContext(&error), "a batch is not settled");
                        tokio::time::sleep(PAUSE).await;
                    }
                    drop(place);
                });
                match (full, at_once) {
                    (false, _) => WINDOW,
                    (true, 1) => Duration::ZERO,
                    (true, _) => BREATH,
                }
            }
            Err(error) => {
                tracing::error!(queue = spec.name, error = %DisplayErrorContext(&error), "the queue is not pumped");
                PAUSE
            }
        };
        while batches.try_join_next().is_some() {}
        if !pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => break,
            }
        }
    }
    while batches.join_next().await.is_some() {}
    if let Err(error) = drain(&sqs, &url, &spec, &handle).await {
        tracing::error!(queue = spec.name, error = %DisplayErrorContext(&error), "the queue is not drained");
    }
}

/// Handles batches until none is visible; how many messages were taken, failed ones included.
pub async fn drain<M: Received, F>(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    spec: &QueueSpec,
    handle: &impl Fn(Vec<M>) -> F,
) -> Result<usize, aws_sdk_sqs::Error>
where
    F: Future<Output = Vec<String>>,
{
    let mut taken = 0_usize;
    loop {
        let messages = receive(sqs, url, spec, 0).await?;
        if messages.is_empty() {
            return Ok(taken);
        }
        taken = taken.saturating_add(messages.len());
        settle(sqs, url, messages, handle).await?;
    }
}

/// Messages of a batch at most; SQS gives no more than ten at once.
fn most(spec: &QueueSpec) -> usize {
    usize::try_from(spec.batch_size.min(10)).unwrap_or(10)
}

/// Receives a batch, waiting for its first message.
async fn receive(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    spec: &QueueSpec,
    wait_seconds: i32,
) -> Result<Vec<Message>, aws_sdk_sqs::Error> {
    let most = i32::try_from(spec.batch_size.min(10)).unwrap_or(10);
    let receive =
        sqs.receive_message().queue_url(url).max_number_of_messages(most).wait_time_seconds(wait_seconds);
    let receive = receive
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All");
    Ok(receive.send().await?.messages.unwrap_or_default())
}

/// Hands a batch to the function and deletes what succeeded.
async fn settle<M: Received, F>(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    messages: Vec<Message>,
    handle: &impl Fn(Vec<M>) -> F,
) -> Result<(), aws_sdk_sqs::Error>
where
    F: Future<Output = Vec<String>>,
{
    if messages.is_empty() {
        return Ok(());
    }
    let failed = handle(messages.iter().map(M::of).collect()).await;
    let done = messages.iter().filter(|m| !m.message_id.as_ref().is_some_and(|id| failed.contains(id)));
    let entries: Vec<DeleteMessageBatchRequestEntry> = done
        .enumerate()
        .filter_map(|(index, message)| {
            let handle = message.receipt_handle.clone()?;
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(handle)
                .build()
                .ok()
        })
        .collect();
    if !entries.is_empty() {
        sqs.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await?;
    }
    Ok(())
}
