//! AWS clients from the function's environment, without `aws-config`: region and credentials are there.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Region, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};

/// The two clients that the store needs.
#[derive(Clone, Debug)]
pub struct Clients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
}

/// Where the clients connect and as whom.
#[derive(Clone, Debug)]
pub struct Account {
    /// The region, `AWS_REGION`.
    pub region: String,
    /// The credentials.
    pub credentials: Credentials,
    /// Takes the place of the network: the embedded engines.
    pub http_client: Option<SharedHttpClient>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`.
    pub dynamodb_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_SQS`.
    pub sqs_endpoint: Option<String>,
}

impl Account {
    /// The environment that Lambda gives a function: region, keys of the function's role, endpoints.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| get(name).unwrap_or_default();
        let credentials = Credentials::new(
            text("AWS_ACCESS_KEY_ID"),
            text("AWS_SECRET_ACCESS_KEY"),
            get("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Self {
            region: get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
            credentials,
            http_client: None,
            dynamodb_endpoint: get("AWS_ENDPOINT_URL_DYNAMODB"),
            sqs_endpoint: get("AWS_ENDPOINT_URL_SQS"),
        }
    }

    /// An account of nobody, for engines in this process.
    pub fn embedded(http_client: SharedHttpClient) -> Self {
        Self {
            region: "us-east-1".to_owned(),
            credentials: Credentials::new("local", "local", None, None, "local"),
            http_client: Some(http_client),
            dynamodb_endpoint: None,
            sqs_endpoint: None,
        }
    }

    /// Builds the clients. Makes no call.
    pub fn clients(&self) -> Clients {
        let credentials = SharedCredentialsProvider::new(self.credentials.clone());
        let region = Region::new(self.region.clone());
        // A body that is answered in process is never seen to flow: the protection would end every wait for a
        // message after twenty seconds. Over the network it stays as it is.
        let stalled = match self.http_client {
            Some(_) => StalledStreamProtectionConfig::disabled(),
            None => StalledStreamProtectionConfig::enabled().build(),
        };
        // Tries follow one another at once where there is no service to be spared.
        let retries = match self.http_client {
            Some(_) => RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)),
            None => RetryConfig::standard(),
        };
        let mut dynamodb = aws_sdk_dynamodb::Config::builder()
            .retry_config(retries.clone())
            .stalled_stream_protection(stalled.clone())
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .credentials_provider(credentials.clone());
        dynamodb.set_endpoint_url(self.dynamodb_endpoint.clone());
        dynamodb.set_http_client(self.http_client.clone());
        let mut sqs = aws_sdk_sqs::Config::builder()
            .retry_config(retries)
            .stalled_stream_protection(stalled)
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(region)
            .credentials_provider(credentials);
        sqs.set_endpoint_url(self.sqs_endpoint.clone());
        sqs.set_http_client(self.http_client.clone());
        Clients {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
        }
    }
}
