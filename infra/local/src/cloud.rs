//! The account in miniature: engines, table, queues, and the store over them.

use aws_sdk_sqs::types::QueueAttributeName;
use eko_engines::Engines;
use eko_service::aws::{Account, Clients};
use eko_store::resources::{self, DELIVERIES, FEDERATION, QueueUrls};
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
    /// The queue `federation`.
    pub federation: QueueUrls,
}

impl Cloud {
    /// Creates what is not there yet, over `account`: one made by [`Account::embedded`], or one around it
    /// that counts calls.
    pub async fn open(engines: Engines, account: &Account) -> eko_store::Result<Self> {
        let clients = account.clients();
        resources::create_table(&clients.dynamodb, TABLE).await?;
        let deliveries = resources::create_queue(&clients.sqs, &DELIVERIES).await?;
        let federation = resources::create_queue(&clients.sqs, &FEDERATION).await?;
        Ok(Self { engines, clients, deliveries, federation })
    }

    /// What the table and the queues are called.
    pub fn names(&self) -> Names {
        Names {
            table: TABLE.to_owned(),
            deliveries_url: self.deliveries.queue.clone(),
            federation_url: self.federation.queue.clone(),
        }
    }

    /// Messages in a queue, hidden ones included.
    pub async fn queued(&self, url: &str) -> Result<usize, aws_sdk_sqs::Error> {
        let answer = self
            .clients
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await?;
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let attributes = answer.attributes.unwrap_or_default();
        Ok(counts.iter().filter_map(|name| attributes.get(name)?.parse::<usize>().ok()).sum())
    }

    /// A store over them.
    pub fn store(&self) -> Store {
        Store::new(self.clients.dynamodb.clone(), self.clients.sqs.clone(), self.names())
    }
}
