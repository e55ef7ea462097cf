//! DynamoDB, SQS and SSM's parameters embedded behind the AWS SDK's own HTTP client seam.
//!
//! The local server and the tests run the very code that runs in Lambda, down to the SDK clients; only the
//! last hop differs. [`Engines::http_client`] is a [`SharedHttpClient`] that answers a request in process
//! instead of sending it:
//!
//! ```text
//! aws-sdk-dynamodb ─┐                       ┌─ DynamoDB_20120810.*  dynoxide, over SQLite
//!                   ├─ HttpClient, in here ─┤
//! aws-sdk-sqs ──────┤                       ├─ AmazonSQS.*          this crate's queues, over SQLite
//! SSM, by the SDK ──┘                       └─ AmazonSSM.*          parameters, in memory
//! ```
//!
//! With [`Engines::in_memory`] nothing outlives the value; with [`Engines::open`] two SQLite files in one
//! folder keep everything that was answered of table and queues, also when the process is killed. A folder belongs to one process
//! at a time.
//!
//! Every call is answered on the thread that polls it, under one lock a database: the calls take some tens of
//! microseconds, less than handing them to another thread costs. It works on any Tokio runtime.

mod answer;
mod clock;
mod connector;
mod dynamodb;
mod error;
mod folder;
mod sqs;
mod ssm;

use std::path::Path;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use answer::Answer;
pub use clock::{Clock, system_clock};
pub use error::{Error, Result};

use connector::InProcess;
use folder::Folder;

/// The engines; cheap to clone, and alive as long as a clone or a client made from it is.
#[derive(Clone)]
pub struct Engines {
    inner: Arc<Inner>,
}

struct Inner {
    table: dynamodb::Engine,
    queues: sqs::Engine,
    parameters: ssm::Engine,
    /// Held as long as the databases are open.
    folder: Option<Folder>,
}

impl Engines {
    /// Engines whose state ends with them.
    pub fn in_memory() -> Result<Self> {
        Self::in_memory_with_clock(system_clock())
    }

    /// [`Engines::in_memory`] on another clock: visibility, delay, retention and TTL follow it.
    pub fn in_memory_with_clock(clock: Clock) -> Result<Self> {
        let table = dynamodb::Engine::in_memory(Arc::clone(&clock))?;
        let queues = sqs::Engine::in_memory(clock)?;
        Ok(Self {
            inner: Arc::new(Inner { table, queues, parameters: ssm::Engine::default(), folder: None }),
        })
    }

    /// Engines whose state is in `dir`, which is created if need be.
    ///
    /// Fails with [`Error::InUse`] while another process has it open. What was answered survives the process
    /// being killed; a power cut can cost the last moments before the previous [`Engines::flush`] or SQLite's
    /// own checkpoint, but never consistency.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with_clock(dir, system_clock())
    }

    /// [`Engines::open`] on another clock, for the queues. The table's TTL sweep follows the system's clock
    /// here, since dynoxide takes a clock only for its in-memory database.
    pub fn open_with_clock(dir: &Path, clock: Clock) -> Result<Self> {
        let folder = Folder::lock(dir)?;
        let table = dynamodb::Engine::open(&folder.table())?;
        let queues = sqs::Engine::open(&folder.queues(), clock)?;
        let parameters = ssm::Engine::default();
        Ok(Self { inner: Arc::new(Inner { table, queues, parameters, folder: Some(folder) }) })
    }

    /// The client to give the SDK: `Config::builder().http_client(engines.http_client())`.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess::new(self.clone()))
    }

    /// Answers one AWS JSON request: `target` is the `X-Amz-Target` header (`AmazonSQS.SendMessage`). What the
    /// client from [`Engines::http_client`] does.
    pub async fn call(&self, target: &str, body: &[u8]) -> Answer {
        self.call_at("sqs.local", target, body).await
    }

    /// [`Engines::call`] for whoever serves the engines over HTTP at `host`: URLs of queues that are answered
    /// lead there, since some clients send to them.
    pub async fn call_at(&self, host: &str, target: &str, body: &[u8]) -> Answer {
        match target.split_once('.') {
            Some((dynamodb::TARGET, operation)) => self.inner.table.call(operation, body),
            Some((sqs::TARGET, operation)) => self.inner.queues.call(host, operation, body).await,
            Some((ssm::TARGET, operation)) => self.inner.parameters.call(operation, body),
            _ => Answer::unknown_operation(),
        }
    }

    /// Puts a `SecureString` parameter in, for `ssm:GetParameters`. It ends with the engines, whatever
    /// [`Engines::open`] keeps.
    pub fn put_parameter(&self, name: &str, value: &str) {
        self.inner.parameters.put(name, value);
    }

    /// Removes table items past their TTL and messages past their queue's retention; how many went.
    ///
    /// Reads the whole table, a page at a time with others let in between: call it from a blocking thread.
    pub fn sweep_ttl(&self) -> Result<usize> {
        Ok(self.inner.table.sweep()? + self.inner.queues.sweep()?)
    }

    /// Brings everything answered so far to the disk itself; nothing to do in memory.
    pub fn flush(&self) -> Result<()> {
        self.inner.table.flush()?;
        self.inner.queues.flush()
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").field("folder", &self.inner.folder).finish()
    }
}
