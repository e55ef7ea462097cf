//! The operations on queues: create, find, list, describe, change, purge and delete.

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::{Deserialize, Serialize};

use super::attributes::{AttributeTexts, QueueSettings, Redrive, arn, name_of, url};
use super::fault::SqsFault;
use super::{EmptyAnswer, QueueEngine};

/// The row of a queue.
pub(super) struct Queue {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) settings: QueueSettings,
    /// Milliseconds since the Unix epoch.
    created: i64,
    /// Milliseconds since the Unix epoch.
    modified: i64,
}

impl Queue {
    /// Returns the queue with a name.
    pub(super) fn named(connection: &Connection, name: &str) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT id, name, created, modified, visibility, delay, retention, wait, max_size,
                          dead_letters, max_receives
                   FROM queues WHERE name = ?1";
        connection.prepare_cached(sql)?.query_row([name], Self::from_row).optional()
    }

    /// Returns the queue that the `QueueUrl` of a request names.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub(super) fn at(connection: &Connection, url: &str) -> Result<Self, SqsFault> {
        Self::named(connection, name_of(url))?.ok_or(SqsFault::QueueDoesNotExist)
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let redrive = match (row.get(9)?, row.get(10)?) {
            (Some(dead_letters), Some(max_receives)) => Some(Redrive { dead_letters, max_receives }),
            _ => None,
        };
        let settings = QueueSettings {
            visibility: row.get(4)?,
            delay: row.get(5)?,
            retention: row.get(6)?,
            wait: row.get(7)?,
            max_size: row.get(8)?,
            redrive,
        };
        let (id, name) = (row.get(0)?, row.get(1)?);
        Ok(Self { id, name, settings, created: row.get(2)?, modified: row.get(3)? })
    }
}

/// Writes the settings of a queue. Creates the queue if it does not exist.
///
/// # Errors
/// `InvalidParameterValue` if its dead-letter queue does not exist.
fn save(connection: &Connection, name: &str, settings: &QueueSettings, now: i64) -> Result<(), SqsFault> {
    if let Some(redrive) = &settings.redrive
        && (redrive.dead_letters == name || Queue::named(connection, &redrive.dead_letters)?.is_none())
    {
        return Err(SqsFault::invalid(
            "Value for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.",
        ));
    }
    let sql = "INSERT INTO queues (name, created, modified, visibility, delay, retention, wait, max_size,
                                   dead_letters, max_receives)
               VALUES (:name, :now, :now, :visibility, :delay, :retention, :wait, :max_size,
                       :dead_letters, :max_receives)
               ON CONFLICT (name) DO UPDATE SET
                   modified = :now, visibility = :visibility, delay = :delay, retention = :retention,
                   wait = :wait, max_size = :max_size, dead_letters = :dead_letters,
                   max_receives = :max_receives";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":name": name,
        ":now": now,
        ":visibility": settings.visibility,
        ":delay": settings.delay,
        ":retention": settings.retention,
        ":wait": settings.wait,
        ":max_size": settings.max_size,
        ":dead_letters": settings.redrive.as_ref().map(|r| &r.dead_letters),
        ":max_receives": settings.redrive.as_ref().map(|r| r.max_receives),
    })?;
    Ok(())
}

/// The request of `CreateQueue`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: AttributeTexts,
}

/// The answer to `CreateQueue` and `GetQueueUrl`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrl {
    queue_url: String,
}

/// The request of `GetQueueUrl`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
}

/// The request of `PurgeQueue` and `DeleteQueue`: it names a queue and nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneQueue {
    queue_url: String,
}

/// The request of `GetQueueAttributes`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

/// The answer to `GetQueueAttributes`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueAttributes {
    attributes: AttributeTexts,
}

/// The request of `SetQueueAttributes`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    queue_url: String,
    attributes: AttributeTexts,
}

/// The request of `ListQueues`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    /// The name of the last queue on the page before. Empty for the first page.
    #[serde(default)]
    next_token: String,
}

/// The answer to `ListQueues`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrlPage {
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl QueueEngine {
    /// Answers `CreateQueue`. It succeeds for a queue that exists, if the attributes are the same.
    pub(super) fn create_queue(&self, request: CreateQueue, host: &str) -> Result<QueueUrl, SqsFault> {
        let name = request.queue_name;
        if name.ends_with(".fifo") {
            return Err(SqsFault::UnsupportedOperation("FIFO queues"));
        }
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if name.is_empty() || name.len() > 80 || !name.bytes().all(plain) {
            return Err(SqsFault::invalid(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            ));
        }
        let connection = self.connection();
        let existing = Queue::named(&connection, &name)?.map(|queue| queue.settings);
        let mut settings = existing.clone().unwrap_or_default();
        for (attribute, value) in &request.attributes {
            settings.set(attribute, value)?;
            if existing.as_ref().is_some_and(|existing| *existing != settings) {
                return Err(SqsFault::QueueNameExists(attribute.clone()));
            }
        }
        if existing.is_none() {
            save(&connection, &name, &settings, self.now())?;
        }
        Ok(QueueUrl { queue_url: url(host, &name) })
    }

    /// Answers `GetQueueUrl`.
    pub(super) fn queue_url(&self, request: GetQueueUrl, host: &str) -> Result<QueueUrl, SqsFault> {
        let queue = Queue::at(&self.connection(), &request.queue_name)?;
        Ok(QueueUrl { queue_url: url(host, &queue.name) })
    }

    /// Answers `ListQueues`.
    pub(super) fn list_queues(&self, request: ListQueues, host: &str) -> Result<QueueUrlPage, SqsFault> {
        let most = request.max_results.unwrap_or(1000);
        let connection = self.connection();
        let sql = "SELECT name FROM queues WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2
                   ORDER BY name LIMIT ?3";
        let names: Vec<String> = connection
            .prepare_cached(sql)?
            .query_map((&request.next_token, &request.queue_name_prefix, most), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        // As on AWS, only a request with `MaxResults` gets a token for the next page.
        let paged = request.max_results.is_some() && names.len() == most;
        let next_token = names.last().filter(|_| paged).cloned();
        Ok(QueueUrlPage { queue_urls: names.iter().map(|name| url(host, name)).collect(), next_token })
    }

    /// Answers `GetQueueAttributes`.
    pub(super) fn queue_attributes(&self, request: GetQueueAttributes) -> Result<QueueAttributes, SqsFault> {
        let connection = self.connection();
        let queue = Queue::at(&connection, &request.queue_url)?;
        let sql = "SELECT total(visible <= ?2), total(visible > ?2 AND claimed),
                          total(visible > ?2 AND NOT claimed)
                   FROM messages WHERE queue = ?1";
        let (visible, in_flight, delayed): (f64, f64, f64) = connection
            .prepare_cached(sql)?
            .query_row((queue.id, self.now()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut attributes = queue.settings.texts();
        attributes.extend(
            [
                ("QueueArn", arn(&queue.name)),
                ("ApproximateNumberOfMessages", visible.to_string()),
                ("ApproximateNumberOfMessagesNotVisible", in_flight.to_string()),
                ("ApproximateNumberOfMessagesDelayed", delayed.to_string()),
                ("CreatedTimestamp", (queue.created / 1000).to_string()),
                ("LastModifiedTimestamp", (queue.modified / 1000).to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let requested = request.attribute_names;
        if !requested.iter().any(|name| name == "All") {
            attributes.retain(|name, _| requested.contains(name));
        }
        Ok(QueueAttributes { attributes })
    }

    /// Answers `SetQueueAttributes`.
    pub(super) fn set_queue_attributes(&self, request: SetQueueAttributes) -> Result<EmptyAnswer, SqsFault> {
        let connection = self.connection();
        let mut queue = Queue::at(&connection, &request.queue_url)?;
        for (attribute, value) in &request.attributes {
            queue.settings.set(attribute, value)?;
        }
        save(&connection, &queue.name, &queue.settings, self.now())?;
        Ok(EmptyAnswer {})
    }

    /// Answers `PurgeQueue`.
    pub(super) fn purge_queue(&self, request: OneQueue) -> Result<EmptyAnswer, SqsFault> {
        let connection = self.connection();
        let queue = Queue::at(&connection, &request.queue_url)?;
        connection.execute("DELETE FROM messages WHERE queue = ?1", [queue.id])?;
        Ok(EmptyAnswer {})
    }

    /// Answers `DeleteQueue`. The queue's messages are deleted with it.
    pub(super) fn delete_queue(&self, request: OneQueue) -> Result<EmptyAnswer, SqsFault> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let queue = Queue::at(&transaction, &request.queue_url)?;
        transaction.execute("DELETE FROM messages WHERE queue = ?1", [queue.id])?;
        transaction.execute("DELETE FROM queues WHERE id = ?1", [queue.id])?;
        transaction.commit()?;
        Ok(EmptyAnswer {})
    }
}
