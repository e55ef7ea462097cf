//! What a queue function is handed.

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
