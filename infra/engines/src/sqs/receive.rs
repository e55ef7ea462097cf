//! `ReceiveMessage`: claim, redrive, long poll.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::Engine;
use super::fault::Fault;
use super::message::{Attributes, md5_of_attributes, md5_of_body};
use super::queue::Queue;
use super::receipt::Receipt;

/// A long poll looks again this often even when nobody rings: another consumer may have claimed a message for
/// a moment only, and a clock may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    /// The older name of the same.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Received {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Message>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: String,
    body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_attributes: Option<String>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    message_attributes: Attributes,
}

impl Engine {
    pub(super) async fn receive(&self, request: ReceiveMessage) -> Result<Received, Fault> {
        let most = within("MaxNumberOfMessages", request.max_number_of_messages.unwrap_or(1), 1, 10)?;
        let queue = Queue::at(&self.connection(), &request.queue_url)?;
        let wait = request.wait_time_seconds.unwrap_or(queue.settings.wait);
        let wait = within("WaitTimeSeconds", wait, 0, 20)?;
        if let Some(visibility) = request.visibility_timeout {
            within("VisibilityTimeout", visibility, 0, 43_200)?;
        }
        let claimed = self.claim(&request, most)?;
        if wait == 0 || !claimed.is_empty() {
            return Ok(Received { messages: claimed });
        }
        let deadline = Instant::now() + Duration::from_secs(wait.unsigned_abs());
        let bell = self.waiting.bell(queue.id);
        loop {
            // At the bell before looking, so that what arrives in between is heard.
            let mut rung = pin!(bell.notified());
            rung.as_mut().enable();
            let messages = self.claim(&request, most)?;
            if !messages.is_empty() || Instant::now() >= deadline {
                return Ok(Received { messages });
            }
            let look = deadline.min(Instant::now() + self.until_next_visible(queue.id)?);
            tokio::select! {
                () = rung => {}
                () = sleep_until(look) => {}
            }
        }
    }

    /// Claims up to `most` visible messages, in one transaction.
    fn claim(&self, request: &ReceiveMessage, most: i64) -> Result<Vec<Message>, Fault> {
        let now = self.now();
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let queue = Queue::at(&transaction, &request.queue_url)?;
        let visibility = request.visibility_timeout.unwrap_or(queue.settings.visibility);
        let (rows, dead_letters) = take(&transaction, &queue, most, now, now + visibility * 1000)?;
        transaction.commit()?;
        drop(connection);
        if let Some(dead_letters) = dead_letters {
            self.waiting.ring(dead_letters);
        }
        rows.into_iter().map(|row| row.into_message(queue.id, request)).collect()
    }

    fn until_next_visible(&self, queue: i64) -> Result<Duration, Fault> {
        let now = self.now();
        let sql = "SELECT visible FROM messages WHERE queue = ?1 AND visible > ?2 ORDER BY visible LIMIT 1";
        let next: Option<i64> =
            self.connection().prepare_cached(sql)?.query_row((queue, now), |row| row.get(0)).optional()?;
        Ok(next.map_or(LOOK_AGAIN, |next| LOOK_AGAIN.min(Duration::from_millis((next - now).unsigned_abs()))))
    }
}

/// Takes visible messages, oldest first. On the way those past their retention are dropped, and those received
/// too often go to the dead-letter queue, whose row is given back.
fn take(
    connection: &Connection,
    queue: &Queue,
    most: i64,
    now: i64,
    until: i64,
) -> Result<(Vec<Stored>, Option<i64>), Fault> {
    let redrive = match &queue.settings.redrive {
        // Its queue may be deleted by now; then they stay here, where they can be seen.
        Some(redrive) => {
            Queue::named(connection, &redrive.dead_letters)?.map(|q| (q.id, redrive.max_receives))
        }
        None => None,
    };
    let limit = most;
    let most = usize::try_from(most).unwrap_or_default();
    let mut taken: Vec<Stored> = Vec::new();
    let mut moved_to = None;
    loop {
        let mut made_room = false;
        for mut row in visible(connection, queue.id, now, limit)? {
            if row.sent + queue.settings.retention * 1000 <= now {
                connection.prepare_cached("DELETE FROM messages WHERE id = ?1")?.execute([row.id])?;
                made_room = true;
            } else if let Some((dead_letters, max_receives)) = redrive
                && row.receives >= max_receives
            {
                let sql = "UPDATE messages SET queue = ?2, visible = ?3, claimed = 0 WHERE id = ?1";
                connection.prepare_cached(sql)?.execute((row.id, dead_letters, now))?;
                moved_to = Some(dead_letters);
                made_room = true;
            } else if taken.len() < most
                // A visibility of zero leaves what was taken in sight.
                && !taken.iter().any(|earlier| earlier.id == row.id)
            {
                row.receives += 1;
                row.received = row.received.or(Some(now));
                let sql = "UPDATE messages SET visible = ?2, claimed = 1, receives = ?3, received = ?4
                           WHERE id = ?1";
                connection.prepare_cached(sql)?.execute((row.id, until, row.receives, row.received))?;
                taken.push(row);
            }
        }
        if !made_room || taken.len() == most {
            return Ok((taken, moved_to));
        }
    }
}

fn visible(connection: &Connection, queue: i64, now: i64, most: i64) -> rusqlite::Result<Vec<Stored>> {
    let sql = "SELECT id, message_id, sent, receives, received, attributes, body FROM messages
               WHERE queue = ?1 AND visible <= ?2 ORDER BY visible LIMIT ?3";
    connection.prepare_cached(sql)?.query_map((queue, now, most), Stored::from_row)?.collect()
}

/// A message's row.
struct Stored {
    id: i64,
    message_id: [u8; 16],
    sent: i64,
    receives: i64,
    received: Option<i64>,
    attributes: Option<String>,
    body: String,
}

impl Stored {
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

    fn into_message(self, queue: i64, request: &ReceiveMessage) -> Result<Message, Fault> {
        let receipt = Receipt { queue, row: self.id, message_id: self.message_id, receives: self.receives };
        let mut system = BTreeMap::from([
            ("ApproximateFirstReceiveTimestamp", self.received.unwrap_or_default().to_string()),
            ("ApproximateReceiveCount", self.receives.to_string()),
            ("SentTimestamp", self.sent.to_string()),
        ]);
        let asked = |name: &str| {
            let mut names = request.message_system_attribute_names.iter().chain(&request.attribute_names);
            names.any(|asked| asked == "All" || asked == name)
        };
        system.retain(|name, _| asked(name));
        let mut attributes: Attributes = match &self.attributes {
            Some(json) => super::read(json.as_bytes())?,
            None => Attributes::new(),
        };
        attributes.retain(|name, _| request.message_attribute_names.iter().any(|asked| matches(asked, name)));
        Ok(Message {
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

/// `All`, a name, or a prefix as `trace.*`.
fn matches(asked: &str, name: &str) -> bool {
    asked == "All" || asked == name || asked.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

/// A number in its range.
pub(super) fn within(parameter: &str, value: i64, least: i64, most: i64) -> Result<i64, Fault> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Fault::invalid(format!(
        "Value {value} for parameter {parameter} is invalid. Reason: Must be between {least} and {most}, \
         if provided."
    )))
}
