//! A message of one of the queues, as its function receives it.

/// A message that was received from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage {
    /// The id by which a failure is reported to SQS.
    pub id: String,
    /// The body.
    pub body: String,
    /// The handle of this receive, by which the message can be hidden for longer.
    pub receipt_handle: String,
    /// The number of times that the message was received, this time included.
    pub receives: u32,
}
