//! The event source mapping: passes the messages of a queue to their function in batches.
//!
//! Messages that the function does not report as failed are deleted. The others become visible
//! again, and SQS moves them to the dead-letter queue after their last receive.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use eko_messaging::QueueMessage;
use eko_store::resources::QueueSpec;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The seconds that a receive waits for the first message.
const WAIT_SECONDS: i32 = 20;

/// The pause after a batch that was not full, in which messages gather: the batching window of an
/// event source mapping. Under load, ten messages then become one batch, which needs hardly more
/// calls than one message.
const WINDOW: Duration = Duration::from_millis(10);

/// The pause between full batches that are handled at the same time. It leaves the processor to
/// requests.
const BREATH: Duration = Duration::from_millis(4);

/// The pause after a failure to read the queue.
const PAUSE: Duration = Duration::from_secs(1);

/// A message in the form that a handler of batches takes.
pub trait BatchMessage: Send + 'static {
    /// Converts a message of SQS.
    fn of(message: &Message) -> Self;
}

impl BatchMessage for QueueMessage {
    fn of(message: &Message) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            id: text(&message.message_id),
            body: text(&message.body),
            receipt_handle: text(&message.receipt_handle),
            receives: message
                .attributes
                .as_ref()
                .and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount))
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
        }
    }
}

impl BatchMessage for Message {
    fn of(message: &Message) -> Self {
        message.clone()
    }
}

/// Passes the messages of a queue to `handle` until `stop` is true, and then until the queue is
/// empty.
///
/// `handle` returns the ids of the messages that failed. Up to `at_once` batches are handled at the
/// same time, like the concurrency of an event source mapping. With one, the next batch gathers
/// while the last is handled, so that batches grow with the load. With many, a slow batch does not
/// delay the others.
pub async fn run<M: BatchMessage, F>(
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
        // Stopping ends the wait for messages. A batch that was received is still handled.
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

/// Handles batches until no message is visible. Returns the number of messages, failed ones
/// included.
///
/// # Errors
/// The error of SQS.
pub async fn drain<M: BatchMessage, F>(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    spec: &QueueSpec,
    handle: &impl Fn(Vec<M>) -> F,
) -> Result<usize, aws_sdk_sqs::Error>
where
    F: Future<Output = Vec<String>>,
{
    let mut handled = 0_usize;
    loop {
        let messages = receive(sqs, url, spec, 0).await?;
        if messages.is_empty() {
            return Ok(handled);
        }
        handled = handled.saturating_add(messages.len());
        settle(sqs, url, messages, handle).await?;
    }
}

/// Returns the size of a full batch. SQS returns at most ten messages at once.
fn most(spec: &QueueSpec) -> usize {
    usize::try_from(spec.batch_size.min(10)).unwrap_or(10)
}

/// Receives a batch. Waits up to `wait_seconds` for its first message.
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

/// Passes a batch to the handler, and deletes the messages that succeeded.
async fn settle<M: BatchMessage, F>(
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
    let succeeded = messages.iter().filter(|m| !m.message_id.as_ref().is_some_and(|id| failed.contains(id)));
    let entries: Vec<DeleteMessageBatchRequestEntry> = succeeded
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
