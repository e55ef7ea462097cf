//! The two SQS calls that both queues share: sending messages, and hiding received ones.

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, SendMessageBatchRequestEntry};

use crate::attribute::corrupt;
use crate::error::call;
use crate::{Result, Store, StoreError};

/// The most bytes of one queue message and of one batch: SQS's 1 MiB less the request around them.
pub(crate) const MESSAGE_BYTES: usize = 1_000_000;
/// The most messages of one batch.
const BATCH_MESSAGES: usize = 10;

/// A message to send.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingMessage {
    /// The body.
    pub(crate) body: String,
    /// The time before anyone can receive it, in seconds.
    pub(crate) delay_seconds: i32,
}

impl From<String> for OutgoingMessage {
    fn from(body: String) -> Self {
        Self { body, delay_seconds: 0 }
    }
}

impl Store {
    /// Sends messages: one SendMessageBatch for each ten, or each megabyte. `Ok` means that SQS
    /// holds all of them. Messages of a call whose answer was lost may be in the queue twice.
    ///
    /// # Errors
    /// SQS is out of reach or refuses a message. Earlier messages are queued then.
    pub(crate) async fn send(&self, url: &str, messages: Vec<OutgoingMessage>) -> Result<()> {
        let mut batch: Vec<OutgoingMessage> = Vec::new();
        let mut bytes = 0_usize;
        for message in messages {
            let more = message.body.len();
            if batch.len() == BATCH_MESSAGES || bytes.saturating_add(more) > MESSAGE_BYTES {
                self.send_batch(url, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes = bytes.saturating_add(more);
            batch.push(message);
        }
        self.send_batch(url, batch).await
    }

    /// Sends one batch. Entries that SQS refuses for a passing reason are sent again, twice at
    /// most.
    async fn send_batch(&self, url: &str, messages: Vec<OutgoingMessage>) -> Result<()> {
        let mut left = messages;
        for _ in 0..3 {
            if left.is_empty() {
                return Ok(());
            }
            let entry = |(index, message): (usize, &OutgoingMessage)| {
                let delay = Some(message.delay_seconds).filter(|seconds| *seconds > 0);
                SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(&message.body)
                    .set_delay_seconds(delay)
                    .build()
            };
            let entries = left.iter().enumerate().map(entry).collect::<std::result::Result<Vec<_>, _>>();
            let answer = self
                .sqs()
                .send_message_batch()
                .queue_url(url)
                .set_entries(Some(entries.map_err(corrupt)?))
                .send()
                .await
                .map_err(call("SendMessageBatch"))?;
            if let Some(refused) = answer.failed.iter().find(|f| f.sender_fault) {
                let detail = refused.message.clone().unwrap_or_else(|| refused.code.clone());
                return Err(StoreError::GaveUp { operation: "SendMessageBatch", detail });
            }
            let failed: Vec<usize> = answer.failed.iter().filter_map(|f| f.id.parse().ok()).collect();
            left = failed.into_iter().filter_map(|index| left.get(index).cloned()).collect();
        }
        if left.is_empty() {
            return Ok(());
        }
        let detail = format!("{} messages not taken", left.len());
        Err(StoreError::GaveUp { operation: "SendMessageBatch", detail })
    }

    /// Hides received messages, each named by its receipt handle, for a number of seconds each: one
    /// ChangeMessageVisibilityBatch for each ten.
    ///
    /// A message that SQS does not hide comes back by the queue's own visibility timeout.
    ///
    /// # Errors
    /// SQS is out of reach.
    pub(crate) async fn hide(&self, url: &str, receipts: &[(String, i32)]) -> Result<()> {
        for batch in receipts.chunks(BATCH_MESSAGES) {
            let entry = |(index, (receipt, seconds)): (usize, &(String, i32))| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(*seconds)
                    .build()
            };
            let entries = batch.iter().enumerate().map(entry).collect::<std::result::Result<Vec<_>, _>>();
            let answer = self
                .sqs()
                .change_message_visibility_batch()
                .queue_url(url)
                .set_entries(Some(entries.map_err(corrupt)?))
                .send()
                .await
                .map_err(call("ChangeMessageVisibilityBatch"))?;
            for failed in answer.failed {
                tracing::warn!(code = failed.code, "a message is not hidden for as long as it should be");
            }
        }
        Ok(())
    }
}
