//! The services that hold a world's table and queues: the embedded engines, or the endpoints that
//! the environment names as for any AWS SDK. The tests are the same either way.

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use eko_engines::Engines;
use eko_local::cloud::Cloud;
use eko_service::aws::{AwsAccount, AwsClients, AwsEndpoints};
use eko_service::state::Clock;
use eko_store::resources::TimeToLive;
use url::{Host, Url};
use uuid::Uuid;

use crate::calls::{body, whole};
use crate::delayed::DelayedMessages;
use crate::hidden::HiddenMessages;

/// The services of a world, and the names of its resources there.
pub(crate) struct Backend {
    engines: Engines,
    endpoints: AwsEndpoints,
    prefix: String,
    hidden: HiddenMessages,
    delayed: DelayedMessages,
}

impl Backend {
    /// Makes the services for a new world.
    pub(crate) fn new(engines: &Engines, clock: Clock) -> Self {
        let endpoints = endpoints();
        let elsewhere = endpoints.dynamodb.is_some() || endpoints.sqs.is_some();
        let prefix = if elsewhere { format!("test-{}-", Uuid::new_v4().simple()) } else { String::new() };
        let (hidden, delayed) = (HiddenMessages::new(clock.clone()), DelayedMessages::new(clock));
        Self { engines: engines.clone(), endpoints, prefix, hidden, delayed }
    }

    /// Returns the prefix of the names of table and queues, which tells them from those of
    /// others at the same endpoint. It is empty for the embedded engines.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the setting of the table's time to live. It is off at an endpoint: by that engine's
    /// clock, everything that a test stores has expired.
    pub(crate) fn time_to_live(&self) -> TimeToLive {
        match self.endpoints.dynamodb {
            Some(_) => TimeToLive::Off,
            None => TimeToLive::On,
        }
    }

    /// True if the resources are still there when the test has ended.
    pub(crate) fn outlives(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// Returns the account. `change` may wrap its HTTP client. Its connections belong to the
    /// runtime that makes the first call.
    pub(crate) fn account(&self, change: impl FnOnce(SharedHttpClient) -> SharedHttpClient) -> AwsAccount {
        AwsAccount::embedded(change(self.client())).at(self.endpoints.clone())
    }

    /// Returns the HTTP client of the SDK.
    fn client(&self) -> SharedHttpClient {
        if !self.outlives() {
            return self.engines.http_client();
        }
        let (engines, endpoints) = (self.engines.http_client(), self.endpoints.clone());
        let (hidden, delayed) = (self.hidden.clone(), self.delayed.clone());
        let socket = socket();
        http_client_fn(move |settings, parts| {
            let engines = engines.http_connector(settings, parts);
            SharedHttpConnector::new(RoutingConnector {
                engines,
                socket: socket.clone(),
                endpoints: endpoints.clone(),
                hidden: hidden.clone(),
                delayed: delayed.clone(),
            })
        })
    }

    /// Makes messages visible that were hidden or delayed, and whose time is over by the test's
    /// clock, if the queues have another clock.
    pub(crate) async fn bring_back(&self, clients: &AwsClients) {
        if self.endpoints.sqs.is_some() {
            self.hidden.bring_back(clients).await;
            self.delayed.send_due(clients).await;
        }
    }

    /// Removes table and queues at an endpoint. Ignores failures.
    pub(crate) async fn remove(&self, clients: &AwsClients, cloud: &Cloud) {
        if self.endpoints.dynamodb.is_some() {
            let _ = clients.dynamodb.delete_table().table_name(cloud.names().table).send().await;
        }
        if self.endpoints.sqs.is_some() {
            for urls in [&cloud.deliveries, &cloud.federation, &cloud.pushes] {
                for url in [&urls.queue, &urls.dlq] {
                    let _ = clients.sqs.delete_queue().queue_url(url).send().await;
                }
            }
        }
    }
}

/// Returns the account at the endpoints that the environment names, for calls that no test counts.
pub(crate) fn outside() -> AwsAccount {
    let socket = socket();
    AwsAccount::embedded(http_client_fn(move |_, _| socket.clone())).at(endpoints())
}

/// Returns the connector that opens sockets.
fn socket() -> SharedHttpConnector {
    SharedHttpConnector::new(Connector::builder().sleep_impl(TokioSleep::new()).build_http())
}

/// Returns the endpoints that the environment names.
///
/// # Panics
/// An endpoint is not on loopback: tests send no packet elsewhere.
pub(crate) fn endpoints() -> AwsEndpoints {
    let endpoints = AwsEndpoints::from_env(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    for endpoint in endpoints.dynamodb.iter().chain(&endpoints.sqs) {
        assert!(
            on_loopback(endpoint),
            "tests send nothing beyond loopback, and AWS_ENDPOINT_URL… says {endpoint}"
        );
    }
    endpoints
}

/// True if an endpoint is plain HTTP to this machine.
fn on_loopback(endpoint: &str) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

/// A connector that passes a request to the engines, or over a socket to the endpoint of its
/// service.
#[derive(Debug)]
struct RoutingConnector {
    engines: SharedHttpConnector,
    socket: SharedHttpConnector,
    endpoints: AwsEndpoints,
    hidden: HiddenMessages,
    delayed: DelayedMessages,
}

impl HttpConnector for RoutingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let (service, operation) = target.split_once('.').unwrap_or_default();
        match (service, &self.endpoints) {
            ("AmazonSQS", AwsEndpoints { sqs: Some(_), .. }) => {
                let (request_body, operation) = (body(request.body()), operation.to_owned());
                let (hidden, delayed) = (self.hidden.clone(), self.delayed.clone());
                let (request, call) = DelayedMessages::take(&operation, request);
                let answer = request.map(|request| self.socket.call(request));
                HttpConnectorFuture::new(async move {
                    let answer = match answer {
                        Some(answer) => Some(whole(answer.await?).await?),
                        None => None,
                    };
                    let answer = delayed.complete(call, answer);
                    hidden.see(&operation, &request_body, &answer);
                    Ok(answer)
                })
            }
            ("DynamoDB_20120810", AwsEndpoints { dynamodb: Some(_), .. }) => self.socket.call(request),
            _ => self.engines.call(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::on_loopback;

    #[test]
    fn only_loopback_is_called() {
        for near in ["http://localhost:4566", "http://127.0.0.1:5000/", "http://[::1]:8000"] {
            assert!(on_loopback(near), "{near}");
        }
        for far in [
            "https://dynamodb.eu-central-1.amazonaws.com",
            "http://10.0.0.1:8000",
            "http://localhost.example:8000",
            "http://127.0.0.1@example.com",
            "http://0.0.0.0:8000",
            "localhost:8000",
        ] {
            assert!(!on_loopback(far), "{far}");
        }
    }
}
