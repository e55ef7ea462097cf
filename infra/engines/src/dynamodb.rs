//! DynamoDB: dynoxide's in-process API behind DynamoDB's wire protocol.
//!
//! dynoxide speaks the protocol itself, but only in its HTTP server; in process it takes and gives typed
//! requests. What lies between is here: which operations there are, and which AWS error it is when a request
//! does not even have the shape of one ([`shape`]).

mod shape;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dynoxide::storage_backend::Clock as TableClock;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// What stands before the dot in `X-Amz-Target`.
pub(crate) const TARGET: &str = "DynamoDB_20120810";

/// The embedded DynamoDB.
pub(crate) struct Engine {
    database: Database,
    /// Its file, if it has one.
    path: Option<PathBuf>,
}

impl Engine {
    pub(crate) fn in_memory(clock: Clock) -> Result<Self> {
        Ok(Self { database: Database::memory_with_clock(Arc::new(Seconds(clock)))?, path: None })
    }

    pub(crate) fn open(path: &Path) -> Result<Self> {
        let name = path.to_str().ok_or_else(|| Error::Path(path.to_owned()))?;
        let database = Database::new(name)?;
        // Named for another purpose, it is what sets `synchronous = NORMAL`: a commit then reaches the
        // operating system, not the disk, which a killed process survives and which is ten times faster.
        database.disable_bulk_loading()?;
        Ok(Self { database, path: Some(path.to_owned()) })
    }

    /// Removes expired items; how many there were.
    pub(crate) fn sweep(&self) -> Result<usize> {
        Ok(self.database.sweep_ttl()?)
    }

    /// Moves the write-ahead log into the database, with a sync. Over a connection of its own, since dynoxide
    /// does not lend its own.
    pub(crate) fn flush(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let connection = rusqlite::Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// Answers one request.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Answer {
        let call = Call { operation, body };
        let db = &self.database;
        match operation {
            "BatchGetItem" => call.run(|r| db.batch_get_item(r)),
            "BatchWriteItem" => call.run(|r| db.batch_write_item(r)),
            "CreateTable" => call.run(|r| db.create_table(r)),
            "DeleteItem" => call.run(|r| db.delete_item(r)),
            "DeleteTable" => call.run(|r| db.delete_table(r)),
            "DescribeTable" => call.run(|r| db.describe_table(r)),
            "DescribeTimeToLive" => call.run(|r| db.describe_time_to_live(r)),
            "GetItem" => call.run(|r| db.get_item(r)),
            "ListTables" => call.run(|r| db.list_tables(r)),
            "PutItem" => call.run(|r| db.put_item(r)),
            "Query" => call.run(|r| db.query(r)),
            "Scan" => call.run(|r| db.scan(r)),
            "TransactGetItems" => call.run(|r| db.transact_get_items(r)),
            "TransactWriteItems" => call.run(|r| db.transact_write_items(r)),
            "UpdateItem" => call.run(|r| db.update_item(r)),
            "UpdateTimeToLive" => call.run(|r| db.update_time_to_live(r)),
            _ => Answer::unknown_operation(),
        }
    }
}

struct Call<'a> {
    operation: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    /// JSON in, typed call, JSON out.
    fn run<Q: DeserializeOwned, A: Serialize>(&self, act: impl FnOnce(Q) -> dynoxide::Result<A>) -> Answer {
        let done = shape::read(self.operation, self.body).and_then(act).and_then(|answer| {
            serde_json::to_vec(&answer).map_err(|e| DynoxideError::InternalServerError(e.to_string()))
        });
        match done {
            Ok(body) => Answer::ok(body),
            Err(error) => {
                if error.status_code() >= 500 {
                    tracing::error!(operation = self.operation, %error, "the embedded DynamoDB failed");
                }
                Answer::error(error.status_code(), error.to_json())
            }
        }
    }
}

/// This crate's clock as dynoxide takes it.
struct Seconds(Clock);

impl TableClock for Seconds {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from((self.0)() / 1000).unwrap_or_default()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        Duration::from_millis(u64::try_from((self.0)()).unwrap_or_default()).as_secs_f64()
    }
}
