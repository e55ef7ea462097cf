//! The account in miniature: engines, table, queues, and the store over them.

use eko_engines::Engines;
use eko_service::aws::{Account, Clients};
use eko_store::resources::{self, DELIVERIES, QueueUrls};
use eko_store::{Names, Store};

/// Name of the table in local mode and in tests.
const TABLE: &str = "eko";

/// Engines with this project's table and queues in them.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The engines.
    pub engines: Engines,
    /// The SDK's clients for them.
    pub clients: Clients,
    /// The queue `deliveries`.
    pub deliveries: QueueUrls,
}

impl Cloud {
    /// Creates what is not there yet, over `account`: one made by [`Account::embedded`], or one around it
    /// that counts calls.
    pub async fn open(engines: Engines, account: &Account) -> eko_store::Result<Self> {
        let clients = account.clients();
        resources::create_table(&clients.dynamodb, TABLE).await?;
        let deliveries = resources::create_queue(&clients.sqs, &DELIVERIES).await?;
        Ok(Self { engines, clients, deliveries })
    }

    /// What the table and the queues are called.
    pub fn names(&self) -> Names {
        Names { table: TABLE.to_owned(), deliveries_url: self.deliveries.queue.clone() }
    }

    /// A store over them.
    pub fn store(&self) -> Store {
        Store::new(self.clients.dynamodb.clone(), self.clients.sqs.clone(), self.names())
    }
}
