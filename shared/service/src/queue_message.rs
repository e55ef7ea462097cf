//! The messages of an SQS event, as the queue functions get them.

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use eko_messaging::QueueMessage;

/// Reads the messages of an SQS event.
pub fn batch(event: SqsEvent) -> Vec<QueueMessage> {
    let message = |record: SqsMessage| QueueMessage {
        id: record.message_id.unwrap_or_default(),
        body: record.body.unwrap_or_default(),
        receipt_handle: record.receipt_handle.unwrap_or_default(),
        receives: record
            .attributes
            .get("ApproximateReceiveCount")
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
    };
    event.records.into_iter().map(message).collect()
}
