//! What a queue function is handed.

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};

/// A message of a queue, as a queue function sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage {
    /// SQS's id of it: what a failure is reported with.
    pub id: String,
    /// Its body.
    pub body: String,
    /// The handle of this receive, by which the message can be hidden for longer.
    pub receipt: String,
}

impl QueueMessage {
    /// The messages of an SQS event.
    pub fn batch(event: SqsEvent) -> Vec<Self> {
        let message = |record: SqsMessage| Self {
            id: record.message_id.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
            receipt: record.receipt_handle.unwrap_or_default(),
        };
        event.records.into_iter().map(message).collect()
    }
}
