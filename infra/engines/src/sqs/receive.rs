//! `ReceiveMessage`, with dead-letter queues and long polls.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::QueueEngine;
use super::fault::SqsFault;
use super::message::{MessageAttributes, md5_of_attributes, md5_of_body};
use super::queue::Queue;
use super::receipt::ReceiptHandle;

/// The longest time between two looks of a long poll. It looks again without having been woken,
/// because another consumer may have claimed a message for a moment only, and the clock may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The request of `ReceiveMessage`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    /// The older name of `message_system_attribute_names`.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

/// The answer to `ReceiveMessage`.
#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceivedMessages {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<ReceivedMessage>,
}

/// A message in the answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReceivedMessage {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: String,
    body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_attributes: Option<String>,
    #[serde(skip_serializing_if = "MessageAttributes::is_empty")]
    message_attributes: MessageAttributes,
}

impl QueueEngine {
    /// Answers `ReceiveMessage`. Waits for a message as long as the request or the queue says.
    pub(super) async fn receive(&self, request: ReceiveMessage) -> Result<ReceivedMessages, SqsFault> {
        let most = within("MaxNumberOfMessages", request.max_number_of_messages.unwrap_or(1), 1, 10)?;
        let queue = Queue::at(&self.connection(), &request.queue_url)?;
        let wait = request.wait_time_seconds.unwrap_or(queue.settings.wait);
        let wait = within("WaitTimeSeconds", wait, 0, 20)?;
        if let Some(visibility) = request.visibility_timeout {
            within("VisibilityTimeout", visibility, 0, 43_200)?;
        }
        let claimed = self.claim(&request, most)?;
        if wait == 0 || !claimed.is_empty() {
            return Ok(ReceivedMessages { messages: claimed });
        }
        let deadline = Instant::now() + Duration::from_secs(wait.unsigned_abs());
        let bell = self.waiting.bell(queue.id);
        loop {
            // Registered before the look, so that a message that arrives in between wakes this
            // poll.
            let mut rung = pin!(bell.notified());
            rung.as_mut().enable();
            let messages = self.claim(&request, most)?;
            if !messages.is_empty() || Instant::now() >= deadline {
                return Ok(ReceivedMessages { messages });
            }
            let look = deadline.min(Instant::now() + self.until_next_visible(queue.id)?);
            tokio::select! {
                () = rung => {}
                () = sleep_until(look) => {}
            }
        }
    }

    /// Claims up to `most` visible messages, in one transaction.
    fn claim(&self, request: &ReceiveMessage, most: i64) -> Result<Vec<ReceivedMessage>, SqsFault> {
        let now = self.now();
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let queue = Queue::at(&transaction, &request.queue_url)?;
        let visibility = request.visibility_timeout.unwrap_or(queue.settings.visibility);
        let claim = ClaimRequest { most, now, until: now + visibility * 1000 };
        let claimed = claim.take(&transaction, &queue)?;
        transaction.commit()?;
        drop(connection);
        if let Some(dead_letters) = claimed.dead_letters {
            self.waiting.ring(dead_letters);
        }
        claimed.rows.into_iter().map(|row| row.into_message(queue.id, request)).collect()
    }

    /// Returns the time until another message becomes visible, at most [`LOOK_AGAIN`].
    fn until_next_visible(&self, queue: i64) -> Result<Duration, SqsFault> {
        let now = self.now();
        let sql = "SELECT visible FROM messages WHERE queue = ?1 AND visible > ?2 ORDER BY visible LIMIT 1";
        let next: Option<i64> =
            self.connection().prepare_cached(sql)?.query_row((queue, now), |row| row.get(0)).optional()?;
        Ok(next.map_or(LOOK_AGAIN, |next| LOOK_AGAIN.min(Duration::from_millis((next - now).unsigned_abs()))))
    }
}

/// A claim on visible messages. Times are in milliseconds since the Unix epoch.
struct ClaimRequest {
    /// The largest number of messages.
    most: i64,
    now: i64,
    /// The time when the claimed messages become visible again.
    until: i64,
}

/// The messages of a claim.
struct ClaimedRows {
    rows: Vec<MessageRow>,
    /// The row of the dead-letter queue, if a message was moved there.
    dead_letters: Option<i64>,
}

impl ClaimRequest {
    /// Claims visible messages of a queue, the oldest first.
    ///
    /// Deletes the messages past their retention that it meets, and moves those that were received
    /// too often to the dead-letter queue.
    fn take(&self, connection: &Connection, queue: &Queue) -> Result<ClaimedRows, SqsFault> {
        let redrive = match &queue.settings.redrive {
            // If the dead-letter queue was deleted meanwhile, its messages stay in this queue.
            Some(redrive) => {
                Queue::named(connection, &redrive.dead_letters)?.map(|q| (q.id, redrive.max_receives))
            }
            None => None,
        };
        let most = usize::try_from(self.most).unwrap_or_default();
        let mut claimed = ClaimedRows { rows: Vec::new(), dead_letters: None };
        loop {
            let mut made_room = false;
            for mut row in visible(connection, queue.id, self.now, self.most)? {
                if row.sent + queue.settings.retention * 1000 <= self.now {
                    connection.prepare_cached("DELETE FROM messages WHERE id = ?1")?.execute([row.id])?;
                    made_room = true;
                } else if let Some((dead_letters, max_receives)) = redrive
                    && row.receives >= max_receives
                {
                    let sql = "UPDATE messages SET queue = ?2, visible = ?3, claimed = 0 WHERE id = ?1";
                    connection.prepare_cached(sql)?.execute((row.id, dead_letters, self.now))?;
                    claimed.dead_letters = Some(dead_letters);
                    made_room = true;
                } else if claimed.rows.len() < most
                    // A message that was claimed with a visibility timeout of zero is still
                    // visible.
                    && !claimed.rows.iter().any(|earlier| earlier.id == row.id)
                {
                    row.receives += 1;
                    row.received = row.received.or(Some(self.now));
                    let sql = "UPDATE messages SET visible = ?2, claimed = 1, receives = ?3, received = ?4,
                                                   claimed_at = ?5
                               WHERE id = ?1";
                    let values = (row.id, self.until, row.receives, row.received, self.now);
                    connection.prepare_cached(sql)?.execute(values)?;
                    claimed.rows.push(row);
                }
            }
            if !made_room || claimed.rows.len() == most {
                return Ok(claimed);
            }
        }
    }
}

/// Returns the oldest visible messages of a queue.
fn visible(connection: &Connection, queue: i64, now: i64, most: i64) -> rusqlite::Result<Vec<MessageRow>> {
    let sql = "SELECT id, message_id, sent, receives, received, attributes, body FROM messages
               WHERE queue = ?1 AND visible <= ?2 ORDER BY visible LIMIT ?3";
    connection.prepare_cached(sql)?.query_map((queue, now, most), MessageRow::from_row)?.collect()
}

/// The row of a message. Times are in milliseconds since the Unix epoch.
struct MessageRow {
    id: i64,
    message_id: [u8; 16],
    sent: i64,
    /// The number of receives.
    receives: i64,
    /// The time of the first receive.
    received: Option<i64>,
    /// The attributes as JSON.
    attributes: Option<String>,
    body: String,
}

impl MessageRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            message_id: row.get(1)?,
            sent: row.get(2)?,
            receives: row.get(3)?,
            received: row.get(4)?,
            attributes: row.get(5)?,
            body: row.get(6)?,
        })
    }

    /// Makes the message of the answer, with the attributes that the request names.
    fn into_message(self, queue: i64, request: &ReceiveMessage) -> Result<ReceivedMessage, SqsFault> {
        let receipt =
            ReceiptHandle { queue, row: self.id, message_id: self.message_id, receives: self.receives };
        let mut system = BTreeMap::from([
            ("ApproximateFirstReceiveTimestamp", self.received.unwrap_or_default().to_string()),
            ("ApproximateReceiveCount", self.receives.to_string()),
            ("SentTimestamp", self.sent.to_string()),
        ]);
        let is_requested = |name: &str| {
            let mut names = request.message_system_attribute_names.iter().chain(&request.attribute_names);
            names.any(|requested| requested == "All" || requested == name)
        };
        system.retain(|name, _| is_requested(name));
        let mut attributes: MessageAttributes = match &self.attributes {
            Some(json) => super::read(json.as_bytes())?,
            None => MessageAttributes::new(),
        };
        let requested = &request.message_attribute_names;
        attributes.retain(|name, _| requested.iter().any(|pattern| matches(pattern, name)));
        Ok(ReceivedMessage {
            message_id: Uuid::from_bytes(self.message_id).to_string(),
            receipt_handle: receipt.encode(),
            md5_of_body: md5_of_body(&self.body),
            body: self.body,
            attributes: system,
            md5_of_attributes: md5_of_attributes(&attributes),
            message_attributes: attributes,
        })
    }
}

/// True if an attribute's name matches a pattern: `All`, a name, or a prefix such as `trace.*`.
fn matches(pattern: &str, name: &str) -> bool {
    let has_prefix = || pattern.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix));
    pattern == "All" || pattern == name || has_prefix()
}

/// Returns a number, if it is within a parameter's range.
///
/// # Errors
/// `InvalidParameterValue`.
pub(super) fn within(parameter: &str, value: i64, least: i64, most: i64) -> Result<i64, SqsFault> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(SqsFault::invalid(format!(
        "Value {value} for parameter {parameter} is invalid. Reason: Must be between {least} and {most}, \
         if provided."
    )))
}
