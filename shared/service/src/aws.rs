//! AWS clients from the function's environment, without `aws-config`: region and credentials are there.
//!
//! In Lambda they speak TLS under Amazon's own roots and no others (`docs/decisions/0012-lambda-diet.md`): five
//! certificates instead of the system's 144, whose parsing was most of a cold start.

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

use crate::config::ConfigError;

/// The two clients that the store needs.
#[derive(Clone, Debug)]
pub struct Clients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// SQS.
    pub sqs: LazySqs,
}

/// Where the clients connect and as whom.
#[derive(Clone, Debug)]
pub struct Account {
    region: String,
    credentials: Credentials,
    http_client: SharedHttpClient,
    /// Whether the client answers in this process instead of sending anything.
    embedded: bool,
    endpoints: Endpoints,
}

/// Where the services are, if not where AWS has them.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL_DYNAMODB`, else `AWS_ENDPOINT_URL`.
    pub dynamodb: Option<String>,
    /// `AWS_ENDPOINT_URL_SQS`, else `AWS_ENDPOINT_URL`.
    pub sqs: Option<String>,
    /// `AWS_ENDPOINT_URL_SSM`, else `AWS_ENDPOINT_URL`.
    pub ssm: Option<String>,
}

impl Endpoints {
    /// As the AWS SDKs read them from the environment.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let of =
            |service: &str| get(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| get("AWS_ENDPOINT_URL"));
        Self { dynamodb: of("DYNAMODB"), sqs: of("SQS"), ssm: of("SSM") }
    }
}

/// Amazon Root CA 1 to 4 and Starfield Services Root CA G2, as Amazon Trust Services publishes them: what the
/// endpoints of AWS are vouched for by.
const AMAZON_ROOTS: &str = include_str!("aws/amazon-roots.pem");

/// How long a connection may take to open: the SDK's own default.
const CONNECT_TIME: Duration = Duration::from_millis(3_100);

impl Account {
    /// The environment that Lambda gives a function: region, keys of the function's role; and what else AWS SDKs
    /// read there: endpoints, and `AWS_CA_BUNDLE`, a PEM file in place of Amazon's roots.
    ///
    /// # Errors
    /// The bundle cannot be read.
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
        // One connector for all clients. Left to itself each client makes one to look whether it can be made, and
        // reads the roots for it.
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
            endpoints: Endpoints::from_env(get),
        })
    }

    /// An account of nobody, for engines in this process.
    pub fn embedded(http_client: SharedHttpClient) -> Self {
        Self {
            region: "us-east-1".to_owned(),
            credentials: Credentials::new("local", "local", None, None, "local"),
            http_client,
            embedded: true,
            endpoints: Endpoints::default(),
        }
    }

    /// The same with services elsewhere, for a client that knows its way there.
    pub fn at(self, endpoints: Endpoints) -> Self {
        Self { endpoints, ..self }
    }

    /// Builds the clients. Makes no call.
    pub fn clients(&self) -> Clients {
        let credentials = SharedCredentialsProvider::new(self.credentials.clone());
        let region = Region::new(self.region.clone());
        // A body that is answered in process is never seen to flow: the protection would end every wait for a
        // message after twenty seconds. Over the network it stays as it is.
        let stalled = match self.embedded {
            true => StalledStreamProtectionConfig::disabled(),
            false => StalledStreamProtectionConfig::enabled().build(),
        };
        // Tries follow one another at once where there is no service to be spared.
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
        Clients {
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
        let endpoints = Endpoints::from_env(get);
        assert_eq!(endpoints.dynamodb.as_deref(), Some("http://localhost:1"));
        assert_eq!(endpoints.sqs.as_deref(), Some("http://localhost:2"));
        assert_eq!(Endpoints::from_env(|_| None).ssm, None);
    }

    /// Amazon's roots are among those that everyone trusts: same name, same key.
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
