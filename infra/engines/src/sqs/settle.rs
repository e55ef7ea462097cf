//! The operations on a received message: `DeleteMessage`, `ChangeMessageVisibility`, and their
//! batches.

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;

use super::batch::{self, BatchAnswer, SettledEntry};
use super::fault::SqsFault;
use super::queue::Queue;
use super::receipt::ReceiptHandle;
use super::receive::within;
use super::{EmptyAnswer, QueueEngine};

/// The longest time for which a message stays hidden after a receive, in seconds: 12 hours. SQS
/// counts from the receive, not from the last change.
///
/// Source: "Amazon SQS visibility timeout" in the SQS developer guide.
const LONGEST_HIDDEN_SECONDS: i64 = 43_200;

/// The request of `DeleteMessage`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

/// The request of `ChangeMessageVisibility`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

/// The request of either batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EntryBatch<E> {
    queue_url: String,
    entries: Vec<E>,
}

/// An entry of `DeleteMessageBatch`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

/// An entry of `ChangeMessageVisibilityBatch`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeEntry {
    id: String,
    receipt_handle: String,
    /// The timeout in seconds. As on AWS, an entry without one has zero.
    #[serde(default)]
    visibility_timeout: i64,
}

impl QueueEngine {
    /// Answers `DeleteMessage`.
    pub(super) fn delete_message(&self, request: DeleteMessage) -> Result<EmptyAnswer, SqsFault> {
        let connection = self.connection();
        let queue = Queue::at(&connection, &request.queue_url)?;
        delete(&connection, &queue, &request.receipt_handle)?;
        Ok(EmptyAnswer {})
    }

    /// Answers `DeleteMessageBatch`.
    pub(super) fn delete_message_batch(
        &self,
        request: EntryBatch<DeleteEntry>,
    ) -> Result<BatchAnswer<SettledEntry>, SqsFault> {
        self.settle(
            &request,
            |entry| &entry.id,
            |connection, queue, entry| delete(connection, queue, &entry.receipt_handle),
        )
    }

    /// Answers `ChangeMessageVisibility`.
    pub(super) fn change_visibility(
        &self,
        request: ChangeMessageVisibility,
    ) -> Result<EmptyAnswer, SqsFault> {
        let connection = self.connection();
        let queue = Queue::at(&connection, &request.queue_url)?;
        change(&connection, &queue, &request.receipt_handle, request.visibility_timeout, self.now())?;
        drop(connection);
        self.waiting.ring(queue.id);
        Ok(EmptyAnswer {})
    }

    /// Answers `ChangeMessageVisibilityBatch`.
    pub(super) fn change_visibility_batch(
        &self,
        request: EntryBatch<ChangeEntry>,
    ) -> Result<BatchAnswer<SettledEntry>, SqsFault> {
        let now = self.now();
        self.settle(
            &request,
            |entry| &entry.id,
            |connection, queue, entry| {
                change(connection, queue, &entry.receipt_handle, entry.visibility_timeout, now)
            },
        )
    }

    /// Performs an action on every entry of a batch, in one transaction. An entry succeeds or fails
    /// by itself.
    fn settle<E>(
        &self,
        batch: &EntryBatch<E>,
        id: impl Fn(&E) -> &str,
        act: impl Fn(&Connection, &Queue, &E) -> Result<(), SqsFault>,
    ) -> Result<BatchAnswer<SettledEntry>, SqsFault> {
        batch::check(batch.entries.iter().map(&id))?;
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let queue = Queue::at(&transaction, &batch.queue_url)?;
        let mut answer = BatchAnswer::new();
        for entry in &batch.entries {
            match act(&transaction, &queue, entry) {
                Err(SqsFault::Storage(error)) => return Err(error.into()),
                result => answer.add(id(entry), result.map(|()| SettledEntry { id: id(entry).to_owned() })),
            }
        }
        transaction.commit()?;
        drop(connection);
        self.waiting.ring(queue.id);
        Ok(answer)
    }
}

/// Deletes the message that a handle names.
///
/// If the message is gone, or was received again, this deletes nothing and is no error: the message
/// belongs to its new consumer. A handle past its visibility timeout still deletes, unless the
/// message was received again.
fn delete(connection: &Connection, queue: &Queue, handle: &str) -> Result<(), SqsFault> {
    let receipt = ReceiptHandle::decode(handle, queue.id)?;
    let sql = "DELETE FROM messages WHERE id = ?1 AND queue = ?2 AND message_id = ?3 AND receives = ?4";
    connection.prepare_cached(sql)?.execute((
        receipt.row,
        receipt.queue,
        receipt.message_id,
        receipt.receives,
    ))?;
    Ok(())
}

/// Hides the message that a handle names for `timeout` seconds from now. Zero makes it visible at
/// once.
///
/// # Errors
/// `MessageNotInflight` if the message is visible, gone, or was received again.
/// `InvalidParameterValue` if the message would be hidden for more than
/// [`LONGEST_HIDDEN_SECONDS`] after it was received.
fn change(
    connection: &Connection,
    queue: &Queue,
    handle: &str,
    timeout: i64,
    now: i64,
) -> Result<(), SqsFault> {
    within("VisibilityTimeout", timeout, 0, LONGEST_HIDDEN_SECONDS)?;
    let receipt = ReceiptHandle::decode(handle, queue.id)?;
    let sql = "SELECT claimed_at FROM messages
               WHERE id = ?1 AND queue = ?2 AND message_id = ?3 AND receives = ?4 AND visible > ?5";
    let named = (receipt.row, receipt.queue, receipt.message_id, receipt.receives, now);
    let claimed: Option<i64> =
        connection.prepare_cached(sql)?.query_row(named, |row| row.get(0)).optional()?;
    let claimed = claimed.ok_or(SqsFault::MessageNotInflight)?;
    let until = now + timeout * 1000;
    if until - claimed > LONGEST_HIDDEN_SECONDS * 1000 {
        return Err(SqsFault::invalid(format!(
            "Value {timeout} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for \
             the message is beyond the limit [{LONGEST_HIDDEN_SECONDS} seconds]."
        )));
    }
    connection
        .prepare_cached("UPDATE messages SET visible = ?2 WHERE id = ?1")?
        .execute((receipt.row, until))?;
    Ok(())
}
