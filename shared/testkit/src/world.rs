//! The server of one test.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use eko_auth::SignInState;
use eko_client::{Device, IdToken, SignInChallenge, Transport};
use eko_engines::Engines;
use eko_federation::client::PrivateHosts;
use eko_local::cloud::{self, Cloud};
use eko_local::issuer::{self, DevelopmentIssuer};
use eko_local::server::{AUDIENCE, ISSUER_PATH};
use eko_local::sockets::{Gateway, SOCKETS_URL};
use eko_local::{States, pump, sockets};
use eko_protocol::address::Origin;
use eko_protocol::key::NonceRandom;
use eko_push::PushServiceState;
use eko_service::aws::AwsClients;
use eko_service::config::{Config, FederationConfig, OidcConfig, PushConfig, TokenKey};
use eko_service::state::Clock;
use eko_service::{AppState, FederatedState, edge};
use eko_store::Store;
use eko_store::resources::{DELIVERIES, FEDERATION, PUSHES, QueueUrls};
use eko_web_push::Contact;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;
use tempfile::TempDir;

use crate::backend::Backend;
use crate::push_service::VAPID_KEY;
use crate::{Calls, DirectTransport, Internet, TestSocket, read_jwt, seeded, signing_key};

/// The time at which every test starts: 2026-01-29T19:30:00Z in milliseconds since the Unix epoch.
pub const START_MS: i64 = 1_769_715_000_000;

/// A whole server with a new store.
///
/// When it is dropped, it asserts that no policy denied a function anything. Unless
/// [`World::leave_queues`] was called, it also asserts that all queues and dead-letter queues are
/// empty.
pub struct World {
    /// The router of all functions, with its edge.
    pub app: Router,
    /// The state of a function, for the test itself. No policy restricts it.
    pub state: AppState,
    states: States,
    /// The table and the queues.
    pub cloud: Cloud,
    /// The embedded engines. They hold table and queues, unless the environment names other
    /// engines.
    pub engines: Engines,
    pub(crate) backend: Backend,
    /// The clients for the test's own look at table and queues. Their calls are not counted and do
    /// not fail.
    pub(crate) aside: AwsClients,
    /// The calls to AWS.
    pub calls: Calls,
    /// The internet that the server is connected to.
    pub internet: Internet,
    issuer: Router,
    issuer_url: String,
    /// The folder of the issuer's key, for other issuers that sign with it.
    issuer_key: TempDir,
    leave_queues: bool,
}

impl World {
    /// Makes a server at `https://eko.example` with the default configuration, on an internet of
    /// its own.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Makes a server whose configuration `change` changes.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::at(&Internet::new(), "eko.example", change).await
    }

    /// Makes a server whose devices have sockets.
    pub async fn live() -> Self {
        Self::with(Self::give_sockets).await
    }

    /// Gives a server sockets.
    pub fn give_sockets(config: &mut Config) {
        config.live_url = Some("wss://live.eko.example".to_owned());
    }

    /// Makes a server that others on the internet can reach. Returns it with its address.
    pub async fn online(internet: &Internet, host: &str) -> (Self, SocketAddr) {
        Self::online_with(internet, host, |_| {}).await
    }

    /// Makes a server that others on the internet can reach, and whose configuration `change` may change.
    /// Returns it with its address.
    pub async fn online_with(
        internet: &Internet,
        host: &str,
        change: impl FnOnce(&mut Config),
    ) -> (Self, SocketAddr) {
        let world = Self::at(internet, host, change).await;
        let address = internet.serve(host, world.app.clone()).await;
        (world, address)
    }

    /// Makes a server that can reach others on the internet, which cannot reach it.
    pub async fn at(internet: &Internet, host: &str, change: impl FnOnce(&mut Config)) -> Self {
        let clock = internet.clock();
        let engines = Engines::in_memory_with_clock(clock.clone()).expect("engines");
        let calls = Calls::new();
        let backend = Backend::new(&engines, clock.clone());
        let nobody = backend.account(|client| calls.around(None, client));
        let cloud = Cloud::open_as(backend.prefix(), &nobody, backend.time_to_live()).await;
        let cloud = cloud.expect("table and queues");
        let aside = backend.account(|client| client).clients();
        // The issuer is on another internet, so that tests see only requests to other servers.
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
            push: Some(PushConfig { contact: Contact::of_local_server(), private: PrivateHosts::default() }),
            vapid_key: Some(VAPID_KEY.to_owned()),
            ..Config::new(Origin::parse(&format!("https://{host}")).expect("an origin"))
        };
        // No mailbox is counted by chance. A test of full mailboxes sets limits so small that every
        // delivery is counted.
        config.limits.mailbox_entries = 1 << 40;
        config.limits.mailbox_bytes = 1 << 50;
        change(&mut config);
        let random = seeded("server");
        let state = |store| AppState::new(config.clone(), store, clock.clone(), random.clone());
        let of = |function| {
            let account = backend.account(|client| calls.around(Some(function), client));
            let AwsClients { dynamodb, sqs } = account.clients();
            let posts = config.live_url.is_some() && ["deliver", "socket"].contains(&function);
            let sockets = posts.then(|| account.sockets(SOCKETS_URL));
            state(Store::new(dynamodb, sqs, sockets, cloud.names()))
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
            group_state: of("group-state"),
            inbox: federated("inbox"),
            key_packages: of("key-packages"),
            outbox: federated("outbox"),
            socket: of("socket"),
            push: PushServiceState::new(of("push"), Arc::new(internet.clone()), Internet::roots())
                .expect("push"),
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

    /// Returns the AWS clients of a function, under its policy.
    pub fn clients(&self, function: &'static str) -> AwsClients {
        self.backend.account(|client| self.calls.around(Some(function), client)).clients()
    }

    /// Returns the time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.internet.now_ms()
    }

    /// Moves time forward: for the functions, the queues, the issuer, and everyone on the internet.
    pub fn advance(&self, ms: i64) {
        self.internet.advance(ms);
    }

    /// Returns the clock, which devices share with the server.
    pub fn clock(&self) -> Clock {
        self.internet.clock()
    }

    /// Returns a transport to the server, for devices.
    pub fn transport(&self) -> DirectTransport {
        DirectTransport::new(self.app.clone())
    }

    /// Returns a transport to a second process of the function `inbox`, whose memory is empty.
    pub fn second_inbox(&self) -> DirectTransport {
        let AwsClients { dynamodb, sqs } = self.clients("inbox");
        let store = Store::new(dynamodb, sqs, None, self.cloud.names());
        let app = AppState::new(self.state.config().clone(), store, self.clock(), seeded("second inbox"));
        let state = FederatedState::new(app.clone(), Arc::new(self.internet.clone()), Internet::roots())
            .expect("federation");
        DirectTransport::new(edge::finish(eko_inbox::router().with_state(state), app))
    }

    /// Returns an ID token of the development issuer for the user of a device, made for this device.
    pub async fn id_token<T: Transport>(&self, device: &Device<T>) -> IdToken {
        self.id_token_of(device.user().as_str(), device).await
    }

    /// Returns an ID token of the development issuer for a user, made for this device.
    pub async fn id_token_of<T: Transport>(&self, name: &str, device: &Device<T>) -> IdToken {
        let challenge = challenge(device);
        challenge.answered(&self.issue(name, Some(challenge.nonce())).await)
    }

    /// Returns an ID token of the development issuer for the user of a device, whose claims `change`
    /// changes before the issuer's key signs them.
    pub async fn id_token_with<T: Transport>(
        &self,
        device: &Device<T>,
        change: impl FnOnce(&mut Value),
    ) -> IdToken {
        let (header, mut claims) = read_jwt(self.id_token(device).await.text());
        change(&mut claims);
        let pkcs8 = std::fs::read(self.issuer_key.path().join("issuer-key.p8")).expect("the issuer's key");
        let kid = header["kid"].as_str().map(str::to_owned);
        let header = Header { kid, ..Header::new(Algorithm::ES256) };
        let key = EncodingKey::from_ec_der(&pkcs8);
        challenge(device).answered(&jsonwebtoken::encode(&header, &claims, &key).expect("an ID token"))
    }

    /// Returns an ID token of another issuer, or for another audience, under the same key.
    pub async fn foreign_id_token<T: Transport>(
        &self,
        issuer: Option<&str>,
        audience: &str,
        device: &Device<T>,
    ) -> IdToken {
        let url = issuer.unwrap_or(&self.issuer_url);
        let issuer = DevelopmentIssuer::new(url, audience, Some(self.issuer_key.path()), self.clock());
        let router = issuer::router(issuer.expect("an issuer"));
        let challenge = challenge(device);
        let name = device.user().as_str();
        challenge.answered(&token(router, audience, name, Some(challenge.nonce())).await)
    }

    /// Returns the text of an ID token of the development issuer for a user, with this nonce.
    pub async fn issue(&self, name: &str, nonce: Option<&str>) -> String {
        token(self.issuer.clone(), AUDIENCE, name, nonce).await
    }

    /// Opens a socket for a device. The status is the answer if it is refused.
    ///
    /// # Errors
    /// The status of the refusal.
    pub async fn connect<T: Transport>(&self, device: &Device<T>) -> Result<TestSocket, StatusCode> {
        let token = device.tokens().map(|tokens| tokens.access).unwrap_or_default();
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        headers.insert(header::AUTHORIZATION, value);
        self.connect_with(&headers).await
    }

    /// Opens a socket with these headers.
    ///
    /// # Errors
    /// The status of the refusal.
    pub async fn connect_with(&self, headers: &HeaderMap) -> Result<TestSocket, StatusCode> {
        let function = sockets::in_process(self.states.socket.clone());
        Gateway::new(self.engines.clone(), function).connect(headers).await.map(TestSocket::new)
    }

    /// Passes messages of the queue `deliveries` to its function until none is visible. Returns
    /// their number.
    pub async fn deliver(&self) -> usize {
        self.backend.bring_back(&self.aside).await;
        let handle = |batch| eko_deliver::handle(self.states.deliver.clone(), batch);
        pump::drain(&self.cloud.clients.sqs, &self.cloud.deliveries.queue, &DELIVERIES, &handle)
            .await
            .expect("the queue can be read")
    }

    /// Passes messages of the queue `federation` to its function until none is visible. Returns
    /// their number.
    pub async fn federate(&self) -> usize {
        self.backend.bring_back(&self.aside).await;
        let handle = |batch| eko_federate::handle(self.states.federate.clone(), batch);
        pump::drain(&self.cloud.clients.sqs, &self.cloud.federation.queue, &FEDERATION, &handle)
            .await
            .expect("the queue can be read")
    }

    /// Passes messages of the queue `pushes` to its function until none is visible. Returns their
    /// number.
    pub async fn push(&self) -> usize {
        self.backend.bring_back(&self.aside).await;
        let handle = |batch| eko_push::handle(self.states.push.clone(), batch);
        pump::drain(&self.cloud.clients.sqs, &self.cloud.pushes.queue, &PUSHES, &handle)
            .await
            .expect("the queue can be read")
    }

    /// Returns the numbers of messages in the queue `pushes` and in its dead-letter queue, hidden and
    /// delayed ones included.
    pub async fn pushes(&self) -> (usize, usize) {
        count(&self.aside, &self.cloud.pushes).await
    }

    /// Does as [`World::deliver`], [`World::federate`] and [`World::push`], and ignores failures. The event source
    /// mapping would try again later.
    pub async fn try_pump(&self) {
        self.backend.bring_back(&self.aside).await;
        let (sqs, cloud) = (&self.cloud.clients.sqs, &self.cloud);
        let deliver = |batch| eko_deliver::handle(self.states.deliver.clone(), batch);
        let federate = |batch| eko_federate::handle(self.states.federate.clone(), batch);
        let _ = pump::drain(sqs, &cloud.deliveries.queue, &DELIVERIES, &deliver).await;
        let _ = pump::drain(sqs, &cloud.federation.queue, &FEDERATION, &federate).await;
        let push = |batch| eko_push::handle(self.states.push.clone(), batch);
        let _ = pump::drain(sqs, &cloud.pushes.queue, &PUSHES, &push).await;
    }

    /// Returns the numbers of messages in the queue `federation` and in its dead-letter queue,
    /// hidden ones included.
    pub async fn waiting(&self) -> (usize, usize) {
        count(&self.aside, &self.cloud.federation).await
    }

    /// Returns the numbers of messages in the queue `deliveries` and in its dead-letter queue,
    /// hidden ones included. Delayed ones are left out: they are erasures that have not begun.
    pub async fn queued(&self) -> (usize, usize) {
        undelayed(&self.aside, &self.cloud.deliveries).await
    }

    /// Lets the time of the erasures that were ordered pass, and carries them out.
    pub async fn erase(&self) {
        for _ in 0..2 {
            // The delay of the order, and that of the second pass.
            self.advance(900_000);
            while self.deliver().await > 0 {
                self.advance(1_000);
            }
        }
    }

    /// Allows messages in the queues at the end of the test.
    pub fn leave_queues(&mut self) {
        self.leave_queues = true;
    }
}

/// Returns the challenge of a device. It draws nothing from the device's random source, so that the
/// device's keys and signatures do not depend on the number of its sign-ins.
fn challenge<T: Transport>(device: &Device<T>) -> SignInChallenge {
    SignInChallenge::new(device.origin(), &device.keys().identity().public(), NonceRandom::from([7; 32]))
}

/// Returns an ID token for a name, with this nonce.
async fn token(issuer: Router, audience: &str, name: &str, nonce: Option<&str>) -> String {
    let nonce = nonce.map(|nonce| format!("&nonce={nonce}")).unwrap_or_default();
    let body = format!("grant_type=password&username={name}&client_id={audience}{nonce}");
    let request = http::Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
    let request = request.body(bytes::Bytes::from(body)).expect("a request");
    let (status, answer) = DirectTransport::new(issuer).json(request).await;
    assert_eq!(status, 200, "the issuer answers {answer}");
    answer["id_token"].as_str().expect("an ID token").to_owned()
}

impl World {
    /// Removes the resources that would outlive the test. Returns the numbers of messages that are
    /// left in each queue and its dead-letter queue, zeros if they need not be counted, or `None`
    /// if they could not be counted.
    fn end(&self, counted: bool) -> Option<[(usize, usize); 3]> {
        if !counted && !self.backend.outlives() {
            return Some([(0, 0); 3]);
        }
        // The drop blocks the runtime of the test, so calls over a socket need another.
        let end = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let clients = self.backend.account(|client| client).clients();
                let left = match counted {
                    true => [
                        undelayed(&clients, &self.cloud.deliveries).await,
                        count(&clients, &self.cloud.federation).await,
                        undelayed(&clients, &self.cloud.pushes).await,
                    ],
                    false => [(0, 0); 3],
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
        let is_panicking = std::thread::panicking();
        let left = self.end(!self.leave_queues && !is_panicking);
        let denied: Vec<String> = self.calls.denied().iter().map(ToString::to_string).collect();
        let complaint = format!("infra/template.yaml does not allow {}", denied.join(", "));
        if is_panicking {
            // The test has failed already, most likely because of the denial.
            if !denied.is_empty() {
                eprintln!("{complaint}");
            }
            return;
        }
        assert!(denied.is_empty(), "{complaint}");
        match left {
            Some([(0, 0), (0, 0), (0, 0)]) => {}
            Some([(queue, dlq), (waiting, dead), (pushes, lost)]) => panic!(
                "the test leaves {queue} messages in the queue and {dlq} in its DLQ, {waiting} for other servers \
                 and {dead} in their DLQ, {pushes} orders of pushes and {lost} in their DLQ"
            ),
            None => panic!("the queues could not be counted"),
        }
    }
}

/// Returns the numbers of messages in a queue and in its dead-letter queue, hidden ones included
/// and delayed ones left out.
async fn undelayed(clients: &AwsClients, queue: &QueueUrls) -> (usize, usize) {
    let (all, dead) = count(clients, queue).await;
    (all.saturating_sub(cloud::delayed(&clients.sqs, &queue.queue).await.expect("the queue is there")), dead)
}

/// Returns the numbers of messages in a queue and in its dead-letter queue, hidden ones included.
async fn count(clients: &AwsClients, queue: &QueueUrls) -> (usize, usize) {
    let count = async |url: &str| cloud::queued(&clients.sqs, url).await.expect("the queue is there");
    (count(&queue.queue).await, count(&queue.dlq).await)
}
