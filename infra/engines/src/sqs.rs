//! SQS: standard queues over SQLite, in memory or in a file.
//!
//! ```text
//! queues    id, name, settings
//! messages  id, queue, visible (from when it may be received), claimed, receives, …, body
//!           index (queue, visible, claimed)
//! ```
//!
//! A message is one row. Sending inserts it, receiving sets `visible` to a time in the future and
//! counts `receives` up, and deleting deletes it. If a consumer dies, its message becomes visible
//! again as time passes, without a timer. Each request is one transaction, and so is each batch.
//!
//! The engine refuses the features of AWS that it does not have: FIFO queues, message groups,
//! message move tasks, tags and permissions.

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

use crate::answer::AwsAnswer;
use crate::clock::EngineClock;
use crate::error::Error;

use fault::SqsFault;
use waiting::QueueBells;

/// The part of `X-Amz-Target` before the dot.
pub(crate) const TARGET: &str = "AmazonSQS";

/// The embedded SQS.
pub(crate) struct QueueEngine {
    connection: Mutex<Connection>,
    clock: EngineClock,
    waiting: QueueBells,
}

impl QueueEngine {
    /// Makes an engine without queues, in memory.
    pub(crate) fn in_memory(clock: EngineClock) -> Result<Self, Error> {
        Ok(Self::new(store::in_memory()?, clock))
    }

    /// Opens the engine that is stored at `path`, or creates it.
    pub(crate) fn open(path: &Path, clock: EngineClock) -> Result<Self, Error> {
        Ok(Self::new(store::open(path)?, clock))
    }

    fn new(connection: Connection, clock: EngineClock) -> Self {
        Self { connection: Mutex::new(connection), clock, waiting: QueueBells::default() }
    }

    /// Removes messages past their queue's retention, and returns their number.
    pub(crate) fn sweep(&self) -> Result<usize, Error> {
        Ok(store::sweep(&self.connection(), self.now())?)
    }

    /// Moves the write-ahead log into the database and syncs it. In memory there is none.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        Ok(self.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// Answers one request, which came to `host`. Only a long poll waits.
    pub(crate) async fn call(&self, host: &str, operation: &str, body: &[u8]) -> AwsAnswer {
        match self.dispatch(host, operation, body).await {
            Ok(body) => AwsAnswer::ok(body.into_bytes()),
            Err(fault) => {
                if let SqsFault::Storage(error) = &fault {
                    tracing::error!(operation, %error, "the embedded SQS failed");
                }
                fault.answer()
            }
        }
    }

    /// Returns the JSON of the response.
    async fn dispatch(&self, host: &str, operation: &str, body: &[u8]) -> Result<String, SqsFault> {
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
            _ => Err(SqsFault::UnknownOperation),
        }
    }

    /// Deserializes a request, performs it, and serializes the response.
    fn run<Q: DeserializeOwned, A: Serialize>(
        &self,
        body: &[u8],
        act: impl FnOnce(&Self, Q) -> Result<A, SqsFault>,
    ) -> Result<String, SqsFault> {
        json(&act(self, read(body)?)?)
    }

    /// Locks the connection. A panic rolls its transaction back, so a poisoned connection can be
    /// used.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        (self.clock)()
    }
}

fn read<Q: DeserializeOwned>(body: &[u8]) -> Result<Q, SqsFault> {
    serde_json::from_slice(body).map_err(|e| SqsFault::Serialization(e.to_string()))
}

fn json(value: &impl Serialize) -> Result<String, SqsFault> {
    serde_json::to_string(value).map_err(|e| SqsFault::Serialization(e.to_string()))
}

/// The answer to an operation that has nothing to answer.
#[derive(Serialize)]
struct EmptyAnswer {}
