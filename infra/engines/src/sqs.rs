//! SQS: standard queues over SQLite, in memory or in a file, by one implementation.
//!
//! ```text
//! queues    id, name, settings
//! messages  id, queue, visible (from when it may be received), claimed, receives, …, body
//!           index (queue, visible, claimed)
//! ```
//!
//! A message is one row. Sending inserts it, receiving moves `visible` into the future and counts, deleting
//! deletes it; a message whose consumer died is visible again by the passing of time alone, with no timer and
//! nobody to forget it. Each request is one transaction, each batch too.
//!
//! What AWS has and this has not, it refuses: FIFO queues, message groups, message move tasks, tags,
//! permissions.

mod attributes;
mod batch;
mod fault;
mod message;
mod queue;
mod receipt;
mod receive;
mod send;
mod settle;
mod store;
mod waiting;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::clock::Clock;
use crate::error::Result;

use fault::Fault;
use waiting::Waiting;

/// What stands before the dot in `X-Amz-Target`.
pub(crate) const TARGET: &str = "AmazonSQS";

/// The embedded SQS.
pub(crate) struct Engine {
    connection: Mutex<Connection>,
    clock: Clock,
    waiting: Waiting,
}

impl Engine {
    pub(crate) fn in_memory(clock: Clock) -> Result<Self> {
        Ok(Self::new(store::in_memory()?, clock))
    }

    pub(crate) fn open(path: &Path, clock: Clock) -> Result<Self> {
        Ok(Self::new(store::open(path)?, clock))
    }

    fn new(connection: Connection, clock: Clock) -> Self {
        Self { connection: Mutex::new(connection), clock, waiting: Waiting::default() }
    }

    /// Removes messages past their queue's retention; how many there were.
    pub(crate) fn sweep(&self) -> Result<usize> {
        Ok(store::sweep(&self.connection(), self.now())?)
    }

    /// Moves the write-ahead log into the database, with a sync; in memory there is none.
    pub(crate) fn flush(&self) -> Result<()> {
        Ok(self.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// Answers one request, which came to `host`; only a long poll ever waits.
    pub(crate) async fn call(&self, host: &str, operation: &str, body: &[u8]) -> Answer {
        match self.dispatch(host, operation, body).await {
            Ok(body) => Answer::ok(body.into_bytes()),
            Err(fault) => {
                if let Fault::Storage(error) = &fault {
                    tracing::error!(operation, %error, "the embedded SQS failed");
                }
                fault.answer()
            }
        }
    }

    async fn dispatch(&self, host: &str, operation: &str, body: &[u8]) -> Result<String, Fault> {
        match operation {
            "ChangeMessageVisibility" => self.run(body, Self::change_visibility),
            "ChangeMessageVisibilityBatch" => self.run(body, Self::change_visibility_batch),
            "CreateQueue" => self.run(body, |engine, request| engine.create_queue(request, host)),
            "DeleteMessage" => self.run(body, Self::delete_message),
            "DeleteMessageBatch" => self.run(body, Self::delete_message_batch),
            "DeleteQueue" => self.run(body, Self::delete_queue),
            "GetQueueAttributes" => self.run(body, Self::queue_attributes),
            "GetQueueUrl" => self.run(body, |engine, request| engine.queue_url(request, host)),
            "ListQueues" => self.run(body, |engine, request| engine.list_queues(request, host)),
            "PurgeQueue" => self.run(body, Self::purge_queue),
            "ReceiveMessage" => json(&self.receive(read(body)?).await?),
            "SendMessage" => self.run(body, Self::send_message),
            "SendMessageBatch" => self.run(body, Self::send_message_batch),
            "SetQueueAttributes" => self.run(body, Self::set_queue_attributes),
            _ => Err(Fault::UnknownOperation),
        }
    }

    fn run<Q: DeserializeOwned, A: Serialize>(
        &self,
        body: &[u8],
        act: impl FnOnce(&Self, Q) -> Result<A, Fault>,
    ) -> Result<String, Fault> {
        json(&act(self, read(body)?)?)
    }

    /// A panic while it was held has rolled its transaction back, so a poisoned connection is a good one.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        (self.clock)()
    }
}

fn read<Q: DeserializeOwned>(body: &[u8]) -> Result<Q, Fault> {
    serde_json::from_slice(body).map_err(|e| Fault::Serialization(e.to_string()))
}

fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|e| Fault::Serialization(e.to_string()))
}

/// An answer without members.
#[derive(Serialize)]
struct Done {}
