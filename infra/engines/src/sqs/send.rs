//! `SendMessage` and `SendMessageBatch`.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batch::{self, Outcome};
use super::fault::Fault;
use super::message::{LARGEST, Outgoing, md5_of_attributes, md5_of_body};
use super::queue::Queue;
use super::{Engine, json};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: Outgoing,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessageBatch {
    queue_url: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    #[serde(flatten)]
    message: Outgoing,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Sent {
    /// In a batch, the entry's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    md5_of_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_attributes: Option<String>,
}

impl Engine {
    pub(super) fn send_message(&self, request: SendMessage) -> Result<Sent, Fault> {
        let connection = self.connection();
        let queue = Queue::at(&connection, &request.queue_url)?;
        let sent = insert(&connection, &queue, &request.message, None, self.now())?;
        drop(connection);
        self.waiting.ring(queue.id);
        Ok(sent)
    }

    /// One transaction: a process killed in between has sent all of the batch or nothing.
    pub(super) fn send_message_batch(&self, request: SendMessageBatch) -> Result<Outcome<Sent>, Fault> {
        batch::check(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let sent = request.entries.iter().map(|entry| entry.message.size()).sum();
        if sent > LARGEST {
            return Err(Fault::BatchRequestTooLong { limit: LARGEST, sent });
        }
        let now = self.now();
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let queue = Queue::at(&transaction, &request.queue_url)?;
        let mut outcome = Outcome::new();
        for Entry { id, message } in &request.entries {
            match insert(&transaction, &queue, message, Some(id.clone()), now) {
                Err(Fault::Storage(error)) => return Err(error.into()),
                done => outcome.add(id, done),
            }
        }
        transaction.commit()?;
        drop(connection);
        self.waiting.ring(queue.id);
        Ok(outcome)
    }
}

fn insert(
    connection: &Connection,
    queue: &Queue,
    message: &Outgoing,
    id: Option<String>,
    now: i64,
) -> Result<Sent, Fault> {
    message.check(usize::try_from(queue.settings.max_size).unwrap_or(LARGEST))?;
    let delay = message.delay.unwrap_or(queue.settings.delay);
    if !(0..=900).contains(&delay) {
        return Err(Fault::invalid(
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
    Ok(Sent {
        id,
        message_id: message_id.to_string(),
        md5_of_body: md5_of_body(&message.body),
        md5_of_attributes: md5_of_attributes(&message.attributes),
    })
}
