//! DynamoDB: dynoxide's in-process API behind DynamoDB's wire protocol.
//!
//! dynoxide speaks the protocol itself, but only in its HTTP server. Its in-process API takes typed
//! requests and returns typed responses. This module translates between the two: it maps operation
//! names to calls, and malformed requests to AWS errors ([`shape`]).

mod shape;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dynoxide::storage_backend::Clock as DynoxideClock;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::AwsAnswer;
use crate::clock::EngineClock;
use crate::error::Error;

/// The part of `X-Amz-Target` before the dot.
pub(crate) const TARGET: &str = "DynamoDB_20120810";

/// The embedded DynamoDB.
pub(crate) struct TableEngine {
    database: Database,
    /// The database file. `None` in memory.
    path: Option<PathBuf>,
}

impl TableEngine {
    /// Makes an empty engine in memory.
    pub(crate) fn in_memory(clock: EngineClock) -> Result<Self, Error> {
        Ok(Self { database: Database::memory_with_clock(Arc::new(ClockInSeconds(clock)))?, path: None })
    }

    /// Opens the engine that is stored at `path`, or creates it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let name = path.to_str().ok_or_else(|| Error::Path(path.to_owned()))?;
        let database = Database::new(name)?;
        // Sets `synchronous = NORMAL`, although the name says otherwise. A commit then reaches the
        // operating system but not the disk. It survives the end of the process, and is ten times
        // faster.
        database.disable_bulk_loading()?;
        Ok(Self { database, path: Some(path.to_owned()) })
    }

    /// Removes expired items, and returns their number.
    pub(crate) fn sweep(&self) -> Result<usize, Error> {
        Ok(self.database.sweep_ttl()?)
    }

    /// Moves the write-ahead log into the database and syncs it. Opens a connection for that,
    /// because dynoxide does not give access to its own.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let connection = rusqlite::Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// Answers one request.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> AwsAnswer {
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
            _ => AwsAnswer::unknown_operation(),
        }
    }
}

/// A request whose operation is known.
struct Call<'a> {
    operation: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    /// Deserializes the request, runs it, and serializes the response.
    fn run<Q: DeserializeOwned, A: Serialize>(
        &self,
        act: impl FnOnce(Q) -> dynoxide::Result<A>,
    ) -> AwsAnswer {
        let result = shape::read(self.operation, self.body).and_then(act).and_then(|answer| {
            serde_json::to_vec(&answer).map_err(|e| DynoxideError::InternalServerError(e.to_string()))
        });
        match result {
            Ok(body) => AwsAnswer::ok(body),
            Err(error) => {
                if error.status_code() >= 500 {
                    tracing::error!(operation = self.operation, %error, "the embedded DynamoDB failed");
                }
                AwsAnswer::error(error.status_code(), error.to_json())
            }
        }
    }
}

/// Adapts this crate's clock to dynoxide's trait.
struct ClockInSeconds(EngineClock);

impl DynoxideClock for ClockInSeconds {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from((self.0)() / 1000).unwrap_or_default()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        Duration::from_millis(u64::try_from((self.0)()).unwrap_or_default()).as_secs_f64()
    }
}
