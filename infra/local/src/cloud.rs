//! What a deployment has of an account: table, queues, and the store over them.

use aws_sdk_sqs::types::QueueAttributeName;
use eko_service::aws::{Account, Clients};
use eko_store::resources::{self, DELIVERIES, FEDERATION, QueueSpec, QueueUrls};
use eko_store::{Names, Store};

/// Name of the table in local mode.
const TABLE: &str = "eko";

/// This project's table and queues in an account.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The SDK's clients.
    pub clients: Clients,
    table: String,
    /// The queue `deliveries`.
    pub deliveries: QueueUrls,
    /// The queue `federation`.
    pub federation: QueueUrls,
}

impl Cloud {
    /// Creates what is not there yet.
    pub async fn open(account: &Account) -> eko_store::Result<Self> {
        Self::open_as("", account).await
    }

    /// [`Cloud::open`] with `prefix` before every name, in an account that others use as well.
    pub async fn open_as(prefix: &str, account: &Account) -> eko_store::Result<Self> {
        let clients = account.clients();
        let table = format!("{prefix}{TABLE}");
        resources::create_table(&clients.dynamodb, &table).await?;
        let queue = |spec: QueueSpec| {
            let (sqs, name) = (&clients.sqs, format!("{prefix}{}", spec.name));
            async move { resources::create_queue(sqs, &name, &spec).await }
        };
        let (deliveries, federation) = (queue(DELIVERIES).await?, queue(FEDERATION).await?);
        Ok(Self { clients, table, deliveries, federation })
    }

    /// What the table and the queues are called.
    pub fn names(&self) -> Names {
        Names {
            table: self.table.clone(),
            deliveries_url: self.deliveries.queue.clone(),
            federation_url: self.federation.queue.clone(),
        }
    }

    /// Messages in a queue, hidden ones included.
    pub async fn queued(&self, url: &str) -> Result<usize, aws_sdk_sqs::Error> {
        queued(&self.clients.sqs, url).await
    }

    /// A store over them.
    pub fn store(&self) -> Store {
        Store::new(self.clients.dynamodb.clone(), self.clients.sqs.clone(), self.names())
    }
}

/// Messages in a queue, hidden ones included.
pub async fn queued(sqs: &aws_sdk_sqs::Client, url: &str) -> Result<usize, aws_sdk_sqs::Error> {
    let ask = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let answer = ask.send().await?;
    let counts = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let attributes = answer.attributes.unwrap_or_default();
    Ok(counts.iter().filter_map(|name| attributes.get(name)?.parse::<usize>().ok()).sum())
}
