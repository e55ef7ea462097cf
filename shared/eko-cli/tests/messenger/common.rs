//! People with messengers, on servers of the test's own.

use std::sync::{Arc, Mutex};

use eko_cli::LibSignal;
use eko_client::device::RegistrationStatus;
use eko_client::messenger::{MessageDraft, Notice, Person, ReceivedBatch, SentActivity, SignInRequest};
use eko_client::store::EnvelopeState;
use eko_client::transport::{Bytes, Transport, TransportError};
use eko_client::{DeviceStore, Environment, KeyCounts, Messenger};
use eko_protocol::address::UserName;
use eko_testkit::{Direct, World, seeded};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};

/// Few, since each Kyber key takes milliseconds.
pub(crate) const COUNTS: KeyCounts = KeyCounts { pre_keys: 10, kyber_pre_keys: 5, last_resort: true };

/// A way to servers whose requests can be looked at, and whose answers a test may change: the network, in the hands of
/// whoever is between.
#[derive(Clone)]
pub(crate) struct Wire {
    servers: Arc<Mutex<Vec<(String, Direct)>>>,
    /// Every body that went either way.
    pub(crate) seen: Arc<Mutex<Vec<Vec<u8>>>>,
    tamper: Tamper,
    failing: Failing,
}

/// Whether a request fails, and then whether the server has it all the same.
type Failing = Arc<Mutex<Option<Box<dyn Fn() -> Option<bool> + Send + Sync>>>>;

/// An answer: its status and body.
type Answer = (u16, Vec<u8>);
/// What is made of an answer, by method, path, the request's body and the answer's; nothing where it stays.
type Change = Box<dyn Fn(&str, &str, &[u8], &[u8]) -> Option<Answer> + Send + Sync>;
type Tamper = Arc<Mutex<Option<Change>>>;

impl Wire {
    pub(crate) fn to(worlds: &[&World]) -> Self {
        let (servers, seen, tamper, failing) = Default::default();
        let wire = Self { servers, seen, tamper, failing };
        worlds.iter().for_each(|world| wire.reach(world));
        wire
    }

    /// Leads to one more server.
    pub(crate) fn reach(&self, world: &World) {
        self.servers.lock().unwrap().push((world.state.origin().to_string(), world.transport()));
    }

    /// Has answers changed from now on.
    pub(crate) fn tamper(
        &self,
        change: impl Fn(&str, &str, &[u8], &[u8]) -> Option<Answer> + Send + Sync + 'static,
    ) {
        *self.tamper.lock().unwrap() = Some(Box::new(change));
    }

    /// Has requests fail from now on.
    pub(crate) fn fail(&self, failing: impl Fn() -> Option<bool> + Send + Sync + 'static) {
        *self.failing.lock().unwrap() = Some(Box::new(failing));
    }

    pub(crate) fn honest(&self) {
        *self.tamper.lock().unwrap() = None;
        *self.failing.lock().unwrap() = None;
    }
}

impl Transport for Wire {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let url = request.uri().to_string();
        let servers = self.servers.lock().unwrap().clone();
        let server = servers.iter().find(|(origin, _)| url.starts_with(&format!("{origin}/")));
        let Some((_, server)) = server else {
            return Err(TransportError::Connect(format!("no way to {url}")));
        };
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let asked = request.body().clone();
        self.seen.lock().unwrap().push(asked.to_vec());
        let failing = self.failing.lock().unwrap().as_ref().and_then(|failing| failing());
        let broken = || TransportError::Broken("the line is bad".to_owned());
        if failing == Some(false) {
            return Err(broken());
        }
        let mut response = server.send(request).await?;
        if failing == Some(true) {
            return Err(broken());
        }
        if let Some(change) = &*self.tamper.lock().unwrap()
            && let Some((status, body)) = change(&method, &path, &asked, response.body())
        {
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            *response.body_mut() = body.into();
            if response.status().is_client_error() {
                let problem = HeaderValue::from_static("application/problem+json");
                response.headers_mut().insert(CONTENT_TYPE, problem);
            }
        }
        self.seen.lock().unwrap().push(response.body().to_vec());
        Ok(response)
    }
}

pub(crate) type Client = Messenger<Wire, LibSignal>;

/// Signs a device in: the user's first, or another.
pub(crate) async fn device(
    world: &World,
    wire: &Wire,
    user: &str,
    label: &str,
) -> (Client, RegistrationStatus) {
    let environment = Environment { clock: world.clock(), random: seeded(format!("{user}/{label}")) };
    let sign_in = SignInRequest {
        origin: world.state.origin().clone(),
        user: UserName::parse(user).unwrap(),
        device_name: Some(label.to_owned()),
        counts: COUNTS,
        id_token: world.id_token(user).await,
        reset: false,
    };
    let store = DeviceStore::in_memory().unwrap();
    let (client, registered) =
        Messenger::sign_in(wire.clone(), LibSignal, store, environment, sign_in).await.unwrap();
    (client, registered.status)
}

/// A user's first device.
pub(crate) async fn first(world: &World, wire: &Wire, user: &str) -> Client {
    let (client, status) = device(world, wire, user, "one").await;
    assert_eq!(status, RegistrationStatus::Active);
    client
}

/// Another device of a user, approved by this one.
pub(crate) async fn further(world: &World, wire: &Wire, approver: &Client, label: &str) -> Client {
    let (client, status) = device(world, wire, approver.me().user.as_str(), label).await;
    assert_eq!(status, RegistrationStatus::Pending);
    world.deliver().await;
    let notices = approver.receive().await.unwrap().notices;
    let [Notice::DeviceWaits(waiting)] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(approver.fingerprint_of(waiting), client.fingerprint());
    approver.approve(waiting).await.unwrap();
    client
}

pub(crate) fn text(text: &str) -> MessageDraft {
    MessageDraft { text: text.to_owned(), attachments: Vec::new() }
}

/// Says something, which must have been taken for every device.
pub(crate) async fn say(from: &Client, to: &Person, words: &str) -> SentActivity {
    let sent = from.send(to, text(words)).await.unwrap();
    assert_eq!(sent.state(&from.me()), EnvelopeState::Accepted, "{:?}", sent.envelopes);
    sent
}

/// What a device receives and shows until nothing waits any more.
pub(crate) async fn hear(world: &World, client: &Client) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let received = client.receive().await.unwrap();
        heard.extend(shown(client, &received));
        match received.look_again_ms {
            Some(ms) => world.advance(ms - world.now_ms()),
            None => return heard,
        }
    }
}

/// Takes what was received as shown.
pub(crate) fn shown(client: &Client, received: &ReceivedBatch) -> Vec<String> {
    if let Some(last) = received.messages.last() {
        client.note_shown(last.position).unwrap();
    }
    received.messages.iter().map(|message| message.content.text.clone()).collect()
}
