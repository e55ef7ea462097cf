//! What a consumer does with a message that it holds: `DeleteMessage`, `ChangeMessageVisibility`, and their
//! batches.

use rusqlite::Connection;
use serde::Deserialize;

use super::batch::{self, Outcome, Succeeded};
use super::fault::Fault;
use super::queue::Queue;
use super::receipt::Receipt;
use super::receive::within;
use super::{Done, Engine};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<E> {
    queue_url: String,
    entries: Vec<E>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeEntry {
    id: String,
    receipt_handle: String,
    /// Nothing is zero here, as on AWS.
    #[serde(default)]
    visibility_timeout: i64,
}

impl Engine {
    pub(super) fn delete_message(&self, request: DeleteMessage) -> Result<Done, Fault> {
        let connection = self.connection();
        let queue = Queue::at(&connection, &request.queue_url)?;
        delete(&connection, &queue, &request.receipt_handle)?;
        Ok(Done {})
    }

    pub(super) fn delete_message_batch(
        &self,
        request: Batch<DeleteEntry>,
    ) -> Result<Outcome<Succeeded>, Fault> {
        self.settle(
            &request,
            |entry| &entry.id,
            |connection, queue, entry| delete(connection, queue, &entry.receipt_handle),
        )
    }

    pub(super) fn change_visibility(&self, request: ChangeMessageVisibility) -> Result<Done, Fault> {
        let connection = self.connection();
        let queue = Queue::at(&connection, &request.queue_url)?;
        change(&connection, &queue, &request.receipt_handle, request.visibility_timeout, self.now())?;
        drop(connection);
        self.waiting.ring(queue.id);
        Ok(Done {})
    }

    pub(super) fn change_visibility_batch(
        &self,
        request: Batch<ChangeEntry>,
    ) -> Result<Outcome<Succeeded>, Fault> {
        let now = self.now();
        self.settle(
            &request,
            |entry| &entry.id,
            |connection, queue, entry| {
                change(connection, queue, &entry.receipt_handle, entry.visibility_timeout, now)
            },
        )
    }

    /// Settles the entries of a batch in one transaction, each succeeding or failing by itself.
    fn settle<E>(
        &self,
        batch: &Batch<E>,
        id: impl Fn(&E) -> &str,
        act: impl Fn(&Connection, &Queue, &E) -> Result<(), Fault>,
    ) -> Result<Outcome<Succeeded>, Fault> {
        batch::check(batch.entries.iter().map(&id))?;
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let queue = Queue::at(&transaction, &batch.queue_url)?;
        let mut outcome = Outcome::new();
        for entry in &batch.entries {
            match act(&transaction, &queue, entry) {
                Err(Fault::Storage(error)) => return Err(error.into()),
                done => outcome.add(id(entry), done.map(|()| Succeeded { id: id(entry).to_owned() })),
            }
        }
        transaction.commit()?;
        drop(connection);
        self.waiting.ring(queue.id);
        Ok(outcome)
    }
}

/// Deletes what the handle's receive got. When somebody has received it since, or it is gone, that is no
/// error and deletes nothing: the message is theirs now. A handle past its visibility still deletes, as long
/// as nobody has.
fn delete(connection: &Connection, queue: &Queue, handle: &str) -> Result<(), Fault> {
    let receipt = Receipt::decode(handle, queue.id)?;
    let sql = "DELETE FROM messages WHERE id = ?1 AND queue = ?2 AND message_id = ?3 AND receives = ?4";
    connection.prepare_cached(sql)?.execute((
        receipt.row,
        receipt.queue,
        receipt.message_id,
        receipt.receives,
    ))?;
    Ok(())
}

/// Makes what the handle's receive got invisible for `timeout` seconds from now; zero gives it back at once.
fn change(connection: &Connection, queue: &Queue, handle: &str, timeout: i64, now: i64) -> Result<(), Fault> {
    within("VisibilityTimeout", timeout, 0, 43_200)?;
    let receipt = Receipt::decode(handle, queue.id)?;
    let sql = "UPDATE messages SET visible = ?5
               WHERE id = ?1 AND queue = ?2 AND message_id = ?3 AND receives = ?4 AND visible > ?6";
    let changed = connection.prepare_cached(sql)?.execute((
        receipt.row,
        receipt.queue,
        receipt.message_id,
        receipt.receives,
        now + timeout * 1000,
        now,
    ))?;
    if changed == 0 { Err(Fault::MessageNotInflight) } else { Ok(()) }
}
