//! DynamoDB, SQS, SSM's parameters and API Gateway's connections, embedded behind the HTTP client interface of the AWS SDK.
//!
//! The local server and the tests run the code that runs in Lambda, SDK clients included. Only the
//! HTTP client differs: [`Engines::http_client`] returns a [`SharedHttpClient`] that answers a
//! request in process instead of sending it.
//!
//! ```text
//! aws-sdk-dynamodb ─┐                       ┌─ DynamoDB_20120810.*  dynoxide, over SQLite
//!                   ├─ HttpClient, in here ─┤
//! aws-sdk-sqs ──────┤                       ├─ AmazonSQS.*          this crate's queues, over SQLite
//! SSM, by the SDK ──┤                       ├─ AmazonSSM.*          parameters, in memory
//! …gatewaymanagement┘                       └─ /@connections/{id}   connections, in memory
//! ```
//!
//! The state of [`Engines::in_memory`] ends with the value. [`Engines::open`] stores table and
//! queues in two SQLite files of a folder. An answered call is stored even if the process is
//! killed. One process can have a folder open at a time.
//!
//! A call is answered on the thread that polls it, under one lock for each database. It takes some
//! tens of microseconds, less than handing it to another thread. Any Tokio runtime will do.

mod answer;
mod clock;
pub mod connections;
mod connector;
mod dynamodb;
mod error;
mod folder;
mod sqs;
mod ssm;

use std::path::Path;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use answer::AwsAnswer;
pub use clock::{EngineClock, system_clock};
pub use error::{DamagedDatabase, Error};

use connections::ConnectionEngine;
use connector::InProcessClient;
use dynamodb::TableEngine;
use folder::Folder;
use sqs::QueueEngine;
use ssm::ParameterEngine;

/// The four engines. Clones are cheap and share the state. The engines live as long as a clone of
/// them, or a client that was made from them.
#[derive(Clone)]
pub struct Engines {
    inner: Arc<Inner>,
}

struct Inner {
    table: TableEngine,
    queues: QueueEngine,
    parameters: ParameterEngine,
    connections: ConnectionEngine,
    /// The locked folder. `None` in memory.
    folder: Option<Folder>,
}

impl Engines {
    /// Makes engines in memory, whose state ends with them.
    ///
    /// # Errors
    /// [`Error::Table`] and [`Error::Sqlite`] if a database cannot be set up.
    pub fn in_memory() -> Result<Self, Error> {
        Self::in_memory_with_clock(system_clock())
    }

    /// Does as [`Engines::in_memory`], with another clock. Visibility, delay, retention and TTL
    /// follow it.
    ///
    /// # Errors
    /// Those of [`Engines::in_memory`].
    pub fn in_memory_with_clock(clock: EngineClock) -> Result<Self, Error> {
        let table = TableEngine::in_memory(Arc::clone(&clock))?;
        let queues = QueueEngine::in_memory(Arc::clone(&clock))?;
        Ok(Self::of(table, queues, clock, None))
    }

    /// Opens engines whose state is in the folder `dir`. Creates the folder if it does not exist.
    ///
    /// An answered call survives the end of the process. A power cut can lose the calls since the
    /// last [`Engines::flush`] or SQLite's own checkpoint, but leaves the databases consistent.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process has the folder open; [`Error::Damaged`] if a database
    /// is damaged; [`Error::Folder`], [`Error::Database`], [`Error::Path`], [`Error::Table`] and
    /// [`Error::Sqlite`] if the folder or a database cannot be opened.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with_clock(dir, system_clock())
    }

    /// Does as [`Engines::open`], with another clock for the queues. The table's TTL still follows
    /// the system's clock, because dynoxide takes a clock for its in-memory database only.
    ///
    /// # Errors
    /// Those of [`Engines::open`].
    pub fn open_with_clock(dir: &Path, clock: EngineClock) -> Result<Self, Error> {
        let folder = Folder::lock(dir)?;
        let table = TableEngine::open(&folder.table()?)?;
        let queues = QueueEngine::open(&folder.queues()?, Arc::clone(&clock))?;
        Ok(Self::of(table, queues, clock, Some(folder)))
    }

    fn of(table: TableEngine, queues: QueueEngine, clock: EngineClock, folder: Option<Folder>) -> Self {
        let (parameters, connections) = (ParameterEngine::default(), ConnectionEngine::new(clock));
        Self { inner: Arc::new(Inner { table, queues, parameters, connections, folder }) }
    }

    /// Returns the HTTP client for a client of the SDK:
    /// `Config::builder().http_client(engines.http_client())`.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcessClient::new(self.clone()))
    }

    /// Answers one AWS JSON request. `target` is the header `X-Amz-Target`, such as
    /// `AmazonSQS.SendMessage`.
    pub async fn call(&self, target: &str, body: &[u8]) -> AwsAnswer {
        self.call_at("sqs.local", target, body).await
    }

    /// Does as [`Engines::call`], for a server of the engines over HTTP. The queue URLs in the
    /// answer lead to `host`, because some clients send their requests to them.
    pub async fn call_at(&self, host: &str, target: &str, body: &[u8]) -> AwsAnswer {
        match target.split_once('.') {
            Some((dynamodb::TARGET, operation)) => self.inner.table.call(operation, body),
            Some((sqs::TARGET, operation)) => self.inner.queues.call(host, operation, body).await,
            Some((ssm::TARGET, operation)) => self.inner.parameters.call(operation, body),
            _ => AwsAnswer::unknown_operation(),
        }
    }

    /// Answers one request about a connection. `id` is percent-encoded, as in the path
    /// `/@connections/{id}`.
    pub fn call_connection(&self, method: &str, id: &str, body: &[u8]) -> AwsAnswer {
        self.inner.connections.call(method, id, body)
    }

    /// Returns the connections, to open some. They are always in memory.
    pub fn connections(&self) -> &ConnectionEngine {
        &self.inner.connections
    }

    /// Sets a `SecureString` parameter for `ssm:GetParameters`. Parameters are always in memory.
    pub fn put_parameter(&self, name: &str, value: &str) {
        self.inner.parameters.put(name, value);
    }

    /// Removes table items past their TTL and messages past their queue's retention. Returns their
    /// number.
    ///
    /// Reads the whole table, in pages between which other calls are let in. Call it from a
    /// blocking thread.
    ///
    /// # Errors
    /// [`Error::Table`] or [`Error::Sqlite`] if a database fails.
    pub fn sweep_ttl(&self) -> Result<usize, Error> {
        Ok(self.inner.table.sweep()? + self.inner.queues.sweep()?)
    }

    /// Writes everything that was answered to the disk. Does nothing in memory.
    ///
    /// # Errors
    /// [`Error::Sqlite`] if a checkpoint fails.
    pub fn flush(&self) -> Result<(), Error> {
        self.inner.table.flush()?;
        self.inner.queues.flush()
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").field("folder", &self.inner.folder).finish()
    }
}
