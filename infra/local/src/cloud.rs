//! The table and the queues of a deployment, and the store over them.

use aws_sdk_sqs::types::QueueAttributeName;
use eko_service::aws::{AwsAccount, AwsClients};
use eko_store::resources::{self, DELIVERIES, FEDERATION, PUSHES, QueueSpec, QueueUrls, TimeToLive};
use eko_store::sockets::Sockets;
use eko_store::{Names, Store};

use crate::sockets::SOCKETS_URL;

/// The name of the table in local mode.
const TABLE: &str = "eko";

/// The table and the queues of this project in an AWS account.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The SDK's clients.
    pub clients: AwsClients,
    table: String,
    sockets: Option<Sockets>,
    /// The URLs of the queue `deliveries` and of its dead-letter queue.
    pub deliveries: QueueUrls,
    /// The URLs of the queue `federation` and of its dead-letter queue.
    pub federation: QueueUrls,
    /// The URLs of the queue `pushes` and of its dead-letter queue.
    pub pushes: QueueUrls,
}

impl Cloud {
    /// Opens the table and the queues of an account, and the way to its sockets. Creates the tables
    /// and queues that do not exist.
    ///
    /// # Errors
    /// The error of the call to AWS that failed.
    pub async fn open(account: &AwsAccount) -> eko_store::Result<Self> {
        let cloud = Self::open_as("", account, TimeToLive::On).await?;
        Ok(Self { sockets: Some(account.sockets(SOCKETS_URL)), ..cloud })
    }

    /// Does as [`Cloud::open`], with `prefix` before every name and this setting of the time to
    /// live, and without sockets. For an account that others use too.
    ///
    /// # Errors
    /// Those of [`Cloud::open`].
    pub async fn open_as(
        prefix: &str,
        account: &AwsAccount,
        time_to_live: TimeToLive,
    ) -> eko_store::Result<Self> {
        let clients = account.clients();
        let table = format!("{prefix}{TABLE}");
        resources::create_table(&clients.dynamodb, &table, time_to_live).await?;
        let queue = |spec: QueueSpec| {
            let (sqs, name) = (&clients.sqs, format!("{prefix}{}", spec.name));
            async move { resources::create_queue(sqs, &name, &spec).await }
        };
        let (deliveries, federation) = (queue(DELIVERIES).await?, queue(FEDERATION).await?);
        let pushes = queue(PUSHES).await?;
        Ok(Self { clients, table, sockets: None, deliveries, federation, pushes })
    }

    /// Returns the name of the table and the URLs of the queues.
    pub fn names(&self) -> Names {
        Names {
            table: self.table.clone(),
            deliveries_url: self.deliveries.queue.clone(),
            federation_url: self.federation.queue.clone(),
            pushes_url: self.pushes.queue.clone(),
        }
    }

    /// Returns the number of messages in a queue, hidden and delayed ones included.
    ///
    /// # Errors
    /// The error of SQS.
    pub async fn queued(&self, url: &str) -> Result<usize, aws_sdk_sqs::Error> {
        queued(&self.clients.sqs, url).await
    }

    /// Looks if the table and the queues answer. One DescribeTable and one GetQueueAttributes.
    ///
    /// # Errors
    /// The error of the call that failed.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.clients.dynamodb.describe_table().table_name(&self.table).send().await?;
        self.queued(&self.deliveries.queue).await?;
        Ok(())
    }

    /// Returns a store over the table and the queues.
    pub fn store(&self) -> Store {
        Store::new(
            self.clients.dynamodb.clone(),
            self.clients.sqs.clone(),
            self.sockets.clone(),
            self.names(),
        )
    }
}

/// Returns the number of messages in a queue, hidden and delayed ones included.
///
/// # Errors
/// The error of SQS.
pub async fn queued(sqs: &aws_sdk_sqs::Client, url: &str) -> Result<usize, aws_sdk_sqs::Error> {
    let counts = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    sum(sqs, url, &counts).await
}

/// Returns the number of delayed messages in a queue.
///
/// # Errors
/// The error of SQS.
pub async fn delayed(sqs: &aws_sdk_sqs::Client, url: &str) -> Result<usize, aws_sdk_sqs::Error> {
    sum(sqs, url, &[QueueAttributeName::ApproximateNumberOfMessagesDelayed]).await
}

async fn sum(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    counts: &[QueueAttributeName],
) -> Result<usize, aws_sdk_sqs::Error> {
    let ask = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let attributes = ask.send().await?.attributes.unwrap_or_default();
    Ok(counts.iter().filter_map(|name| attributes.get(name)?.parse::<usize>().ok()).sum())
}
