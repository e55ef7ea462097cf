//! Sending to a queue, whichever it is, and hiding what was received.

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, SendMessageBatchRequestEntry};

use crate::attribute::corrupt;
use crate::error::call;
use crate::{Result, Store, StoreError};

/// Bytes of one queue message at most, and of one batch: SQS's 1 MiB less what the request around them
/// takes.
pub(crate) const MESSAGE_BYTES: usize = 1_000_000;
/// Messages of one batch at most.
const BATCH_MESSAGES: usize = 10;

/// A message to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// Its body.
    pub(crate) body: String,
    /// How long nobody receives it, in seconds.
    pub(crate) delay_seconds: i32,
}

impl From<String> for Outgoing {
    fn from(body: String) -> Self {
        Self { body, delay_seconds: 0 }
    }
}

impl Store {
    /// Sends messages: one SendMessageBatch for each ten, or each megabyte. `Ok` means that SQS holds all.
    pub(crate) async fn send(&self, url: &str, messages: Vec<Outgoing>) -> Result<()> {
        let mut batch: Vec<Outgoing> = Vec::new();
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

    /// Sends one batch; the entries that SQS refuses for a passing reason are sent again.
    async fn send_batch(&self, url: &str, messages: Vec<Outgoing>) -> Result<()> {
        let mut left = messages;
        for _ in 0..3 {
            if left.is_empty() {
                return Ok(());
            }
            let entry = |(index, message): (usize, &Outgoing)| {
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

    /// Hides received messages for as many seconds each, by receipt handle: one ChangeMessageVisibilityBatch
    /// for each ten. One that cannot be hidden comes back by the queue's own timeout.
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
