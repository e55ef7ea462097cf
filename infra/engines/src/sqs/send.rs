//! `SendMessage` and `SendMessageBatch`.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batch::{self, BatchAnswer};
use super::fault::SqsFault;
use super::message::{LARGEST, NewMessage, md5_of_attributes, md5_of_body};
use super::queue::Queue;
use super::{QueueEngine, json};

/// The request of `SendMessage`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: NewMessage,
}

/// The request of `SendMessageBatch`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessageBatch {
    queue_url: String,
    entries: Vec<SendEntry>,
}

/// An entry of `SendMessageBatch`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEntry {
    id: String,
    #[serde(flatten)]
    message: NewMessage,
}

/// The answer to `SendMessage`, or to an entry of `SendMessageBatch`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SentMessage {
    /// The entry's id. `None` if the message was not in a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    md5_of_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_attributes: Option<String>,
}

impl QueueEngine {
    /// Answers `SendMessage`.
    pub(super) fn send_message(&self, request: SendMessage) -> Result<SentMessage, SqsFault> {
        let connection = self.connection();
        let queue = Queue::at(&connection, &request.queue_url)?;
        let sent = insert(&connection, &queue, &request.message, None, self.now())?;
        drop(connection);
        self.waiting.ring(queue.id);
        Ok(sent)
    }

    /// Answers `SendMessageBatch`, in one transaction: a process that is killed has sent all valid
    /// entries or none.
    pub(super) fn send_message_batch(
        &self,
        request: SendMessageBatch,
    ) -> Result<BatchAnswer<SentMessage>, SqsFault> {
        batch::check(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let sent = request.entries.iter().map(|entry| entry.message.size()).sum();
        if sent > LARGEST {
            return Err(SqsFault::BatchRequestTooLong { limit: LARGEST, sent });
        }
        let now = self.now();
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let queue = Queue::at(&transaction, &request.queue_url)?;
        let mut answer = BatchAnswer::new();
        for SendEntry { id, message } in &request.entries {
            match insert(&transaction, &queue, message, Some(id.clone()), now) {
                Err(SqsFault::Storage(error)) => return Err(error.into()),
                sent => answer.add(id, sent),
            }
        }
        transaction.commit()?;
        drop(connection);
        self.waiting.ring(queue.id);
        Ok(answer)
    }
}

/// Inserts a message into a queue. `id` is the entry's id, if the message is in a batch.
fn insert(
    connection: &Connection,
    queue: &Queue,
    message: &NewMessage,
    id: Option<String>,
    now: i64,
) -> Result<SentMessage, SqsFault> {
    message.check(usize::try_from(queue.settings.max_size).unwrap_or(LARGEST))?;
    let delay = message.delay.unwrap_or(queue.settings.delay);
    if !(0..=900).contains(&delay) {
        return Err(SqsFault::invalid(
            "Value for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
        ));
    }
    let attributes = match message.attributes.is_empty() {
        true => None,
        false => Some(json(&message.attributes)?),
    };
    let message_id = Uuid::new_v4();
    let sql = "INSERT INTO messages (queue, visible, claimed, receives, sent, message_id, attributes, body)
               VALUES (?1, ?2, 0, 0, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(sql)?.execute((
        queue.id,
        now + delay * 1000,
        now,
        message_id.as_bytes(),
        attributes,
        &message.body,
    ))?;
    Ok(SentMessage {
        id,
        message_id: message_id.to_string(),
        md5_of_body: md5_of_body(&message.body),
        md5_of_attributes: md5_of_attributes(&message.attributes),
    })
}
