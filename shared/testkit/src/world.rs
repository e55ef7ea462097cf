//! A server for one test.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use eko_auth::SignInState;
use eko_engines::Engines;
use eko_local::cloud::{self, Cloud};
use eko_local::issuer::{self, DevelopmentIssuer};
use eko_local::server::{AUDIENCE, ISSUER_PATH};
use eko_local::{States, pump};
use eko_protocol::address::Origin;
use eko_service::aws::AwsClients;
use eko_service::config::{Config, FederationConfig, OidcConfig, TokenKey};
use eko_service::state::Clock;
use eko_service::{AppState, FederatedState};
use eko_store::Store;
use eko_store::resources::{DELIVERIES, FEDERATION, QueueUrls};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::{Calls, DirectTransport, Internet, seeded, signing_key};

/// When every test starts: 2026-01-29T19:30:00Z, in epoch milliseconds.
pub const START_MS: i64 = 1_769_715_000_000;

/// A whole server with a fresh store. Its end asserts that no function was denied anything by its
/// policy, and that no queue and no dead-letter queue holds anything, unless
/// [`World::leave_queues`] was called.
pub struct World {
    /// The router of all functions, with its edge.
    pub app: Router,
    /// What every function has at hand, for the test itself: no policy restricts it.
    pub state: AppState,
    states: States,
    /// Table and queues.
    pub cloud: Cloud,
    /// The embedded engines, which hold that unless the environment names others.
    pub engines: Engines,
    pub(crate) backend: Backend,
    /// The way to table and queues that is not counted, and where nothing fails.
    pub(crate) aside: AwsClients,
    /// What was called of AWS.
    pub calls: Calls,
    /// What it is connected to.
    pub internet: Internet,
    issuer: Router,
    issuer_url: String,
    /// Holds the issuer's key, for others that sign with it.
    issuer_key: TempDir,
    leave_queues: bool,
}

impl World {
    /// A server at `https://eko.example` with the default configuration, alone on an internet of
    /// its own.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server whose configuration `change` may change.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::at(&Internet::new(), "eko.example", change).await
    }

    /// A server that others on the internet can reach; where it is.
    pub async fn online(internet: &Internet, host: &str) -> (Self, SocketAddr) {
        let world = Self::at(internet, host, |_| {}).await;
        let address = internet.serve(host, world.app.clone()).await;
        (world, address)
    }

    /// A server that can reach others on the internet, and is not on it itself.
    pub async fn at(internet: &Internet, host: &str, change: impl FnOnce(&mut Config)) -> Self {
        let clock = internet.clock();
        let engines = Engines::in_memory_with_clock(clock.clone()).expect("engines");
        let calls = Calls::new();
        let backend = Backend::new(&engines, clock.clone());
        let nobody = backend.account(|client| calls.around(None, client));
        let cloud = Cloud::open_as(backend.prefix(), &nobody).await.expect("table and queues");
        let aside = backend.account(|client| client).clients();
        backend.keep_expired(&aside, &cloud.names().table).await;
        // The issuer is on an internet of its own, so that tests see what goes to other servers and
        // nothing else.
        let url = format!("https://id.example{ISSUER_PATH}");
        let issuer_key = TempDir::new().expect("a folder");
        let issuer = DevelopmentIssuer::new(&url, AUDIENCE, Some(issuer_key.path()), clock.clone())
            .expect("an issuer");
        let issuer = issuer::router(issuer);
        let nested = Router::new().nest(ISSUER_PATH, issuer.clone());
        let issuers = Internet::new();
        issuers.serve("id.example", nested).await;
        let mut config = Config {
            names: cloud.names(),
            oidc: OidcConfig {
                issuer: url.clone(),
                audience: AUDIENCE.to_owned(),
                require_email_verified: false,
            },
            token_keys: vec![TokenKey { id: "test".to_owned(), secret: vec![7; 32] }],
            federation: Some(FederationConfig::new(signing_key(host).0)),
            ..Config::new(Origin::parse(&format!("https://{host}")).expect("an origin"))
        };
        change(&mut config);
        let random = seeded("server");
        let state = |store| AppState::new(config.clone(), store, clock.clone(), random.clone());
        let of = |function| {
            let account = backend.account(|client| calls.around(Some(function), client));
            let AwsClients { dynamodb, sqs } = account.clients();
            state(Store::new(dynamodb, sqs, cloud.names()))
        };
        let federated = |function| {
            FederatedState::new(of(function), Arc::new(internet.clone()), Internet::roots())
                .expect("federation")
        };
        let states = States {
            auth: SignInState::new(of("auth"), Arc::new(issuers), Internet::roots()).expect("sign-in"),
            deliver: of("deliver"),
            devices: of("devices"),
            discovery: of("discovery"),
            federate: federated("federate"),
            inbox: federated("inbox"),
            key_packages: federated("key-packages"),
            outbox: federated("outbox"),
        };
        let state = state(cloud.store());
        let app = eko_local::app(&states);
        calls.reset();
        let (issuer_url, leave_queues, internet) = (url, false, internet.clone());
        Self {
            app,
            state,
            states,
            cloud,
            engines,
            backend,
            aside,
            calls,
            internet,
            issuer,
            issuer_url,
            issuer_key,
            leave_queues,
        }
    }

    /// The clients of a function, which may do what it may.
    pub fn clients(&self, function: &'static str) -> AwsClients {
        self.backend.account(|client| self.calls.around(Some(function), client)).clients()
    }

    /// Now, in epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.internet.now_ms()
    }

    /// Moves time forward: for the functions, the queues and the issuer alike, and everyone on the
    /// internet.
    pub fn advance(&self, ms: i64) {
        self.internet.advance(ms);
    }

    /// The clock that devices share with the server.
    pub fn clock(&self) -> Clock {
        self.internet.clock()
    }

    /// The way of a device to the server, without a socket.
    pub fn transport(&self) -> DirectTransport {
        DirectTransport::new(self.app.clone())
    }

    /// An ID token for a subject of this name, as the development issuer makes them.
    pub async fn id_token(&self, name: &str) -> String {
        token(self.issuer.clone(), AUDIENCE, name).await
    }

    /// An ID token that another issuer makes, or this one for another audience, under the same key.
    pub async fn foreign_id_token(&self, issuer: Option<&str>, audience: &str, name: &str) -> String {
        let url = issuer.unwrap_or(&self.issuer_url);
        let issuer = DevelopmentIssuer::new(url, audience, Some(self.issuer_key.path()), self.clock());
        token(issuer::router(issuer.expect("an issuer")), audience, name).await
    }

    /// Pumps the queue into the delivery function until none is visible; how many messages were
    /// taken.
    pub async fn deliver(&self) -> usize {
        self.backend.bring_back(&self.aside).await;
        let handle = |batch| eko_deliver::handle(self.states.deliver.clone(), batch);
        pump::drain(&self.cloud.clients.sqs, &self.cloud.deliveries.queue, &DELIVERIES, &handle)
            .await
            .expect("the queue can be read")
    }

    /// Pumps the queue for other servers until none is visible; how many messages were taken.
    pub async fn federate(&self) -> usize {
        self.backend.bring_back(&self.aside).await;
        let handle = |batch| eko_federate::handle(self.states.federate.clone(), batch);
        pump::drain(&self.cloud.clients.sqs, &self.cloud.federation.queue, &FEDERATION, &handle)
            .await
            .expect("the queue can be read")
    }

    /// Pumps both queues once, whatever fails: as the event source mapping does, which tries again
    /// later.
    pub async fn try_pump(&self) {
        self.backend.bring_back(&self.aside).await;
        let (sqs, cloud) = (&self.cloud.clients.sqs, &self.cloud);
        let deliver = |batch| eko_deliver::handle(self.states.deliver.clone(), batch);
        let federate = |batch| eko_federate::handle(self.states.federate.clone(), batch);
        let _ = pump::drain(sqs, &cloud.deliveries.queue, &DELIVERIES, &deliver).await;
        let _ = pump::drain(sqs, &cloud.federation.queue, &FEDERATION, &federate).await;
    }

    /// Messages that wait for other servers, and those given up as dead letters, hidden ones
    /// included.
    pub async fn waiting(&self) -> (usize, usize) {
        count(&self.aside, &self.cloud.federation).await
    }

    /// Messages in the queue and in its dead-letter queue, hidden ones included.
    pub async fn queued(&self) -> (usize, usize) {
        count(&self.aside, &self.cloud.deliveries).await
    }

    /// For tests that end with messages in a queue on purpose.
    pub fn leave_queues(&mut self) {
        self.leave_queues = true;
    }
}

async fn token(issuer: Router, audience: &str, name: &str) -> String {
    let body = format!("grant_type=password&username={name}&client_id={audience}");
    let request = http::Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
    let request = request.body(bytes::Bytes::from(body)).expect("a request");
    let (status, answer) = DirectTransport::new(issuer).json(request).await;
    assert_eq!(status, 200, "the issuer answers {answer}");
    answer["id_token"].as_str().expect("an ID token").to_owned()
}

impl World {
    /// Removes what outlives it; the messages that are left in each queue and its dead-letter
    /// queue, where they are to be counted. `None` where they could not be.
    fn end(&self, counted: bool) -> Option<[(usize, usize); 2]> {
        if !counted && !self.backend.outlives() {
            return Some([(0, 0); 2]);
        }
        // The test's own runtime is held up by this drop: a call over a socket needs another.
        let end = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let clients = self.backend.account(|client| client).clients();
                let left = match counted {
                    true => [
                        count(&clients, &self.cloud.deliveries).await,
                        count(&clients, &self.cloud.federation).await,
                    ],
                    false => [(0, 0); 2],
                };
                self.backend.remove(&clients, &self.cloud).await;
                left
            })
        };
        std::thread::scope(|scope| scope.spawn(end).join()).ok()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let panicking = std::thread::panicking();
        let left = self.end(!self.leave_queues && !panicking);
        let denied: Vec<String> = self.calls.denied().iter().map(ToString::to_string).collect();
        let told = format!("infra/template.yaml does not allow {}", denied.join(", "));
        if panicking {
            // The test has failed already, for what came of the denial, most likely.
            if !denied.is_empty() {
                eprintln!("{told}");
            }
            return;
        }
        assert!(denied.is_empty(), "{told}");
        match left {
            Some([(0, 0), (0, 0)]) => {}
            Some([(queue, dlq), (waiting, dead)]) => panic!(
                "the test leaves {queue} messages in the queue and {dlq} in its DLQ, {waiting} for other servers \
                 and {dead} in their DLQ"
            ),
            None => panic!("the queues could not be counted"),
        }
    }
}

/// Messages in a queue and in its dead-letter queue, hidden ones included.
async fn count(clients: &AwsClients, queue: &QueueUrls) -> (usize, usize) {
    let count = async |url: &str| cloud::queued(&clients.sqs, url).await.expect("the queue is there");
    (count(&queue.queue).await, count(&queue.dlq).await)
}
