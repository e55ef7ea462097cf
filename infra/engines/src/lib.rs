//! DynamoDB, SQS, S3, SSM's parameters and API Gateway's connections, embedded behind the HTTP client interface of the AWS SDK.
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
//! …gatewaymanagement┤                       ├─ /@connections/{id}   connections, in memory
//! S3 ───────────────┘                       └─ other requests       buckets, over SQLite and files
//! ```
//!
//! The state of [`Engines::in_memory`] ends with the value. [`Engines::open`] stores table, queues
//! and the names of blobs in three SQLite files of a folder, and blobs in a folder in it. An answered call is stored even if the process is
//! killed. One process can have a folder open at a time.
//!
//! A call is answered on the thread that polls it, under one lock for each database. It takes some
//! tens of microseconds, less than handing it to another thread. Any Tokio runtime will do.
//!
//! S3 is served over HTTP too, because whoever has a presigned URL sends its request by itself:
//! [`Engines::call_s3`].

mod answer;
mod clock;
pub mod connections;
mod connector;
mod dynamodb;
mod error;
mod folder;
pub mod s3;
mod sqs;
mod ssm;

use std::path::Path;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use answer::AwsAnswer;
pub use clock::{EngineClock, system_clock};
pub use error::{DamagedDatabase, Error};
pub use s3s::Body as S3Body;

use connections::ConnectionEngine;
use connector::InProcessClient;
use dynamodb::TableEngine;
use folder::Folder;
use s3::{Lifecycle, ObjectEngine, Way};
use sqs::QueueEngine;
use ssm::ParameterEngine;

/// The five engines. Clones are cheap and share the state. The engines live as long as a clone of
/// them, or a client that was made from them.
#[derive(Clone)]
pub struct Engines {
    inner: Arc<Inner>,
}

struct Inner {
    table: TableEngine,
    queues: QueueEngine,
    objects: ObjectEngine,
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

    /// Does as [`Engines::in_memory`], with another clock. Visibility, delay, retention, TTL,
    /// lifecycles and the expiry of presigned URLs follow it.
    ///
    /// # Errors
    /// Those of [`Engines::in_memory`].
    pub fn in_memory_with_clock(clock: EngineClock) -> Result<Self, Error> {
        let table = TableEngine::in_memory(Arc::clone(&clock))?;
        let queues = QueueEngine::in_memory(Arc::clone(&clock))?;
        let objects = ObjectEngine::in_memory(Arc::clone(&clock))?;
        Ok(Self::of(table, queues, objects, clock, None))
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

    /// Does as [`Engines::open`], with another clock for queues and buckets. The table's TTL still follows
    /// the system's clock, because dynoxide takes a clock for its in-memory database only.
    ///
    /// # Errors
    /// Those of [`Engines::open`].
    pub fn open_with_clock(dir: &Path, clock: EngineClock) -> Result<Self, Error> {
        let folder = Folder::lock(dir)?;
        let table = TableEngine::open(&folder.table()?)?;
        let queues = QueueEngine::open(&folder.queues()?, Arc::clone(&clock))?;
        let (database, blobs) = folder.blobs()?;
        let objects = ObjectEngine::open(&database, &blobs, Arc::clone(&clock))?;
        Ok(Self::of(table, queues, objects, clock, Some(folder)))
    }

    fn of(
        table: TableEngine,
        queues: QueueEngine,
        objects: ObjectEngine,
        clock: EngineClock,
        folder: Option<Folder>,
    ) -> Self {
        let (parameters, connections) = (ParameterEngine::default(), ConnectionEngine::new(clock));
        Self { inner: Arc::new(Inner { table, queues, objects, parameters, connections, folder }) }
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

    /// Answers one request to S3 that came over HTTP, in path style or to a host of AWS.
    pub async fn call_s3(&self, request: http::Request<S3Body>) -> http::Response<S3Body> {
        self.inner.objects.call(Way::Http, request).await
    }

    /// Makes a bucket. Buckets are set at each start; objects are kept.
    pub fn create_bucket(&self, name: &str, lifecycle: Lifecycle) {
        self.inner.objects.create_bucket(name, lifecycle);
    }

    /// Sets the secret of the one access key of S3, [`s3::ACCESS_KEY`]. Until then it is the same
    /// word.
    pub fn set_s3_secret(&self, secret: &str) {
        self.inner.objects.set_secret(secret);
    }

    /// Returns the connections, to open some. They are always in memory.
    pub fn connections(&self) -> &ConnectionEngine {
        &self.inner.connections
    }

    /// Sets a `SecureString` parameter for `ssm:GetParameters`. Parameters are always in memory.
    pub fn put_parameter(&self, name: &str, value: &str) {
        self.inner.parameters.put(name, value);
    }

    /// Removes table items past their TTL, messages past their queue's retention, and what the
    /// lifecycles of buckets end. Returns their number.
    ///
    /// Reads the whole table, in pages between which other calls are let in. Call it from a
    /// blocking thread.
    ///
    /// # Errors
    /// [`Error::Table`] or [`Error::Sqlite`] if a database fails.
    pub fn sweep_ttl(&self) -> Result<usize, Error> {
        Ok(self.inner.table.sweep()? + self.inner.queues.sweep()? + self.inner.objects.sweep()?)
    }

    /// Writes everything that was answered to the disk. Does nothing in memory.
    ///
    /// # Errors
    /// [`Error::Sqlite`] if a checkpoint fails.
    pub fn flush(&self) -> Result<(), Error> {
        self.inner.table.flush()?;
        self.inner.objects.flush()?;
        self.inner.queues.flush()
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").field("folder", &self.inner.folder).finish()
    }
}
