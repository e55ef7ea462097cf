//! AWS clients, made from the environment without `aws-config`: in Lambda the environment holds the
//! region and the credentials.
//!
//! In Lambda the clients trust Amazon's own roots only (`docs/decisions/0012-lambda-diet.md`).
//! These are five certificates; the system's are 144, and parsing them was most of a cold start.

#[cfg(feature = "lambda")]
mod parameters;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Region, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector, http_client_fn};
use eko_store::LazySqs;
use eko_store::sockets::{POST_TRIES, Sockets, post_timeouts};

use crate::config::ConfigError;

/// The two clients that the store needs.
#[derive(Clone, Debug)]
pub struct AwsClients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// SQS.
    pub sqs: LazySqs,
}

/// The region, the credentials and the endpoints of the AWS clients, and the HTTP client under
/// them.
#[derive(Clone, Debug)]
pub struct AwsAccount {
    region: String,
    credentials: Credentials,
    http_client: SharedHttpClient,
    /// True if the HTTP client answers in this process and sends nothing.
    embedded: bool,
    endpoints: AwsEndpoints,
}

/// The URLs of AWS services. `None` stands for AWS's own endpoint.
#[derive(Clone, Debug, Default)]
pub struct AwsEndpoints {
    /// `AWS_ENDPOINT_URL_DYNAMODB`, else `AWS_ENDPOINT_URL`.
    pub dynamodb: Option<String>,
    /// `AWS_ENDPOINT_URL_SQS`, else `AWS_ENDPOINT_URL`.
    pub sqs: Option<String>,
    /// `AWS_ENDPOINT_URL_SSM`, else `AWS_ENDPOINT_URL`.
    pub ssm: Option<String>,
}

impl AwsEndpoints {
    /// Reads the endpoints from the environment, as the AWS SDKs do.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let of =
            |service: &str| get(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| get("AWS_ENDPOINT_URL"));
        Self { dynamodb: of("DYNAMODB"), sqs: of("SQS"), ssm: of("SSM") }
    }
}

/// The roots that the certificates of AWS's endpoints chain to: Amazon Root CA 1 to 4 and Starfield
/// Services Root CA G2, as Amazon Trust Services publishes them.
const AMAZON_ROOTS: &str = include_str!("aws/amazon-roots.pem");

/// The time in which a connection must open. It is the SDK's own default.
const CONNECT_TIME: Duration = Duration::from_millis(3_100);

impl AwsAccount {
    /// Reads the account from the environment that Lambda gives a function: region and credentials
    /// of the function's role. Like the AWS SDKs it also reads the endpoints, and `AWS_CA_BUNDLE`,
    /// a PEM file with roots that take the place of Amazon's.
    ///
    /// # Errors
    /// [`ConfigError`] if the bundle cannot be read.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &str| get(name).unwrap_or_default();
        let credentials = Credentials::new(
            text("AWS_ACCESS_KEY_ID"),
            text("AWS_SECRET_ACCESS_KEY"),
            get("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let error = |reason: String| ConfigError { variable: "AWS_CA_BUNDLE", reason };
        let roots = match get("AWS_CA_BUNDLE") {
            Some(path) => std::fs::read(&path).map_err(|e| error(format!("{path}: {e}")))?,
            None => AMAZON_ROOTS.as_bytes().to_vec(),
        };
        let tls = TlsContext::builder()
            .with_trust_store(TrustStore::empty().with_pem_certificate(roots))
            .build()
            .map_err(|e| error(e.to_string()))?;
        // One connector serves all clients. By default each client makes one of its own to validate
        // the configuration, and parses the roots for it.
        let connector = SharedHttpConnector::new(
            Connector::builder()
                .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIME).build())
                .sleep_impl(TokioSleep::new())
                .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
                .tls_context(tls)
                .build(),
        );
        Ok(Self {
            region: get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
            credentials,
            http_client: http_client_fn(move |_, _| connector.clone()),
            embedded: false,
            endpoints: AwsEndpoints::from_env(get),
        })
    }

    /// Creates an account without real credentials, for engines behind an HTTP client in this
    /// process.
    pub fn embedded(http_client: SharedHttpClient) -> Self {
        Self {
            region: "us-east-1".to_owned(),
            credentials: Credentials::new("local", "local", None, None, "local"),
            http_client,
            embedded: true,
            endpoints: AwsEndpoints::default(),
        }
    }

    /// Returns the account with other endpoints.
    pub fn at(self, endpoints: AwsEndpoints) -> Self {
        Self { endpoints, ..self }
    }

    /// Builds the transport to the connections of a WebSocket API, whose management endpoint is
    /// `url`. Makes no call.
    pub fn sockets(&self, url: &str) -> Sockets {
        let retries = RetryConfig::standard()
            .with_max_attempts(POST_TRIES)
            .with_initial_backoff(Duration::from_millis(1));
        let config = aws_sdk_apigatewaymanagement::Config::builder()
            .retry_config(retries)
            .timeout_config(post_timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .behavior_version(aws_sdk_apigatewaymanagement::config::BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .http_client(self.http_client.clone())
            .credentials_provider(SharedCredentialsProvider::new(self.credentials.clone()))
            .endpoint_url(url);
        let make: Box<dyn FnOnce() -> aws_sdk_apigatewaymanagement::Client + Send> =
            Box::new(|| aws_sdk_apigatewaymanagement::Client::from_conf(config.build()));
        Sockets::new(Arc::new(LazyLock::new(make)))
    }

    /// Builds the clients. Makes no call.
    pub fn clients(&self) -> AwsClients {
        let credentials = SharedCredentialsProvider::new(self.credentials.clone());
        let region = Region::new(self.region.clone());
        // An answer in this process comes all at once. The protection sees no bytes flow meanwhile,
        // and would end a long poll of a queue. Over the network it keeps its default.
        let stalled = match self.embedded {
            true => StalledStreamProtectionConfig::disabled(),
            false => StalledStreamProtectionConfig::enabled().build(),
        };
        // Engines in this process need no pause between tries.
        let retries = match self.embedded {
            true => RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)),
            false => RetryConfig::standard(),
        };
        let mut dynamodb = aws_sdk_dynamodb::Config::builder()
            .retry_config(retries.clone())
            .stalled_stream_protection(stalled.clone())
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .http_client(self.http_client.clone())
            .credentials_provider(credentials.clone());
        dynamodb.set_endpoint_url(self.endpoints.dynamodb.clone());
        let mut sqs = aws_sdk_sqs::Config::builder()
            .retry_config(retries)
            .stalled_stream_protection(stalled)
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(region)
            .http_client(self.http_client.clone())
            .credentials_provider(credentials);
        sqs.set_endpoint_url(self.endpoints.sqs.clone());
        let make_sqs: Box<dyn FnOnce() -> aws_sdk_sqs::Client + Send> =
            Box::new(|| aws_sdk_sqs::Client::from_conf(sqs.build()));
        AwsClients {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            sqs: Arc::new(LazyLock::new(make_sqs)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_the_services_own_or_the_common_one() {
        let get = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some("http://localhost:1".to_owned()),
            "AWS_ENDPOINT_URL_SQS" => Some("http://localhost:2".to_owned()),
            _ => None,
        };
        let endpoints = AwsEndpoints::from_env(get);
        assert_eq!(endpoints.dynamodb.as_deref(), Some("http://localhost:1"));
        assert_eq!(endpoints.sqs.as_deref(), Some("http://localhost:2"));
        assert_eq!(AwsEndpoints::from_env(|_| None).ssm, None);
    }

    /// Each of Amazon's roots is among the public roots, with the same name and the same key.
    #[test]
    fn the_roots_are_public_ones() {
        use rustls_pki_types::CertificateDer;
        use rustls_pki_types::pem::PemObject as _;
        let mut ours = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(AMAZON_ROOTS.as_bytes()) {
            ours.add(root.unwrap()).unwrap();
        }
        assert_eq!(ours.len(), 5);
        let public = eko_federation::client::public_roots()();
        for root in &ours.roots {
            let same = public.roots.iter().find(|public| public.subject == root.subject);
            let same = same.map(|public| &public.subject_public_key_info);
            assert_eq!(same, Some(&root.subject_public_key_info));
        }
    }
}
