//! DynamoDB, SQS and the connections of API Gateway behind the domain's verbs.
//!
//! There is one table without a secondary index, and one standard queue for each direction:
//! `deliveries` to the mailboxes, `federation` to other servers, `pushes` to push services. [`key`] lists the kinds of items,
//! [`resources`] creates table and queues. Each item kind is documented in the module of its verbs.
//!
//! Every verb says what it reads and writes, which AWS calls it makes, and what happens if an
//! answer is lost. Not found is `Ok(None)`, a lost race is a value, `Err` means that the store is
//! broken or out of reach.
//!
//! **Invariant:** a condition in the store decides every race; no verb reads and then writes
//! without one. Rows hold typed ids, which are parsed here and nowhere else; only this crate
//! constructs [`StoreError::Corrupt`].
//!
//! **API boundary:** the names of attributes, keys and indexes do not leave this crate.

pub mod accounts;
pub mod attribute;
pub mod blocks;
pub mod budget;
pub mod chain;
mod condition;
pub mod deletion;
pub mod deliveries;
pub mod device;
pub mod device_keys;
pub mod devices;
pub mod envelopes;
pub mod erasure;
mod error;
pub mod export;
pub mod fetches;
pub mod fill;
pub mod flags;
pub mod group_states;
pub mod hosts;
pub mod inbound;
mod items;
pub mod key;
pub mod known;
pub mod live;
pub mod mailbox;
pub mod one_time_keys;
pub mod outstanding;
pub mod parcels;
mod profile;
pub mod publication;
pub mod push;
pub mod pushes;
mod queue;
pub mod remote;
pub mod resets;
pub mod resources;
pub mod sent;
pub mod sessions;
mod site;
pub mod sockets;
mod transaction;
pub mod waiting;
mod warm_up;

pub use error::{Result, StoreError};
pub use warm_up::open_connections;

use std::sync::{Arc, LazyLock};

use sockets::Sockets;

/// The store of one server: its table and its queues.
///
/// Cheap to clone; clients and names are shared.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// The queues' client, made when it is first used: half of the functions never do, and making it
/// takes a fifth of their init.
pub type LazySqs = Arc<LazyLock<aws_sdk_sqs::Client, Box<dyn FnOnce() -> aws_sdk_sqs::Client + Send>>>;

#[derive(Debug)]
struct Inner {
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: LazySqs,
    sockets: Option<Sockets>,
    names: Names,
}

/// The names of the table and the queues in this deployment.
#[derive(Clone, Debug)]
pub struct Names {
    /// The table's name.
    pub table: String,
    /// URL of the queue `deliveries`.
    pub deliveries_url: String,
    /// URL of the queue `federation`. Empty if the server does not federate, or if the function queues
    /// nothing for other servers.
    pub federation_url: String,
    /// URL of the queue `pushes`. Empty if the server sends no pushes, or if the function neither
    /// orders nor sends them.
    pub pushes_url: String,
}

impl Store {
    /// Creates a store over these clients. Makes no call. `sockets` is `None` if the server has no
    /// sockets, or if the function posts to none.
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        sqs: LazySqs,
        sockets: Option<Sockets>,
        names: Names,
    ) -> Self {
        Self { inner: Arc::new(Inner { dynamodb, sqs, sockets, names }) }
    }

    /// Returns the transport to the sockets of devices, or `None` if there are no sockets to post
    /// to.
    pub fn sockets(&self) -> Option<&Sockets> {
        self.inner.sockets.as_ref()
    }

    pub(crate) fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.inner.dynamodb
    }

    pub(crate) fn sqs(&self) -> &aws_sdk_sqs::Client {
        &self.inner.sqs
    }

    pub(crate) fn table(&self) -> &str {
        &self.inner.names.table
    }

    pub(crate) fn deliveries_url(&self) -> &str {
        &self.inner.names.deliveries_url
    }

    pub(crate) fn federation_url(&self) -> &str {
        &self.inner.names.federation_url
    }

    pub(crate) fn pushes_url(&self) -> &str {
        &self.inner.names.pushes_url
    }
}
