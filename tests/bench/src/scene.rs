//! A server with two users, and the events that each function is measured with: the same requests
//! that clients and other servers send, made in process and handed to the bootstraps.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use eko_client::Device;
use eko_client::device::OutgoingEnvelope;
use eko_engines::connections::OpenConnection;
use eko_local::server::{AUDIENCE, ISSUER_PATH};
use eko_protocol::envelope::EnvelopeHeader;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::http_signature::Scheme;
use eko_protocol::id::{EntryKey, GroupStateId};
use eko_protocol::letter::Letter;
use eko_protocol::push::PushSubscription;
use eko_service::config::Needs;
use eko_store::deliveries::{Delivery, DeviceCiphertext, LetterDelivery};
use eko_store::device::DeviceAddress;
use eko_store::live::PushState;
use eko_store::live::{ConnectionId, Socket};
use eko_store::parcels::{Parcel, ParcelBody};
use eko_store::pushes::PushOrder;
use eko_testkit::{Browser, DirectTransport, Internet, Stranger, World, signing_key};
use eko_web_push::Contact;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::aws::AwsEndpoint;
use crate::event;

/// The number of sockets: one for each event of a measurement.
const SOCKETS: usize = 100;

/// The bytes of a ciphertext: those of a Signal message with a short text.
pub const CIPHERTEXT_BYTES: usize = 1_200;

/// The bytes of the sealed state of a small group.
pub const GROUP_STATE_BYTES: usize = 4_013;

/// A server with users, devices and a message, for the measurement of one function.
pub struct BenchScene {
    world: World,
    alice: Device<DirectTransport>,
    bob: Device<DirectTransport>,
    second: Device<DirectTransport>,
    stranger: Stranger,
    /// The origin of another server, which listens on loopback, for `federate`.
    elsewhere: String,
    /// The refresh token that is good now.
    refresh: String,
    /// The time at which Alice's device subscribed to pushes, in epoch milliseconds.
    subscribed_ms: i64,
    /// Sockets of Alice's device. Each gets one frame.
    sockets: Vec<OpenConnection>,
}

impl BenchScene {
    /// Sets the scene: users and devices, a message in a mailbox, and an author on another server
    /// that this one knows.
    ///
    /// # Errors
    /// A part of the scene cannot be made.
    pub async fn new() -> anyhow::Result<Self> {
        let internet = Internet::new();
        let mut world = World::at(&internet, "eko.example", World::give_sockets).await;
        world.leave_queues();
        // The bootstraps follow the system's clock.
        #[expect(clippy::disallowed_methods, reason = "the bootstraps follow the system's clock")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        world.advance(i64::try_from(now.as_millis())? - world.now_ms());
        let alice = world.user("alice").await;
        let bob = world.user("bob").await;
        let second = world.further(&bob, "two").await;
        world.send(&alice, &[&bob, &second]).await;
        world.deliver().await;
        let stranger = Stranger::new(&internet, "b.example").await;
        let refresh = alice.tokens().context("Alice's tokens")?.refresh;
        let elsewhere = elsewhere().await?;
        let sockets = open_sockets(&world, &alice).await?;
        let subscribed_ms = world.now_ms();
        let scene = Self { world, alice, bob, second, stranger, elsewhere, refresh, subscribed_ms, sockets };
        // The other server's actor is looked up once, and stored in the table from then on.
        let known = scene.incoming(0)?;
        let (status, body) = scene.world.transport().json(known).await;
        anyhow::ensure!(status == 202, "the stranger is refused: {status} {body}");
        scene.world.deliver().await;
        scene.world.engines.put_parameter("/token-keys", &format!("test:{}", TOKEN_SECRET));
        scene.world.engines.put_parameter("/signing-key", &signing_key("eko.example").0);
        let vapid_key = scene.world.state.config().vapid_key.clone().context("a VAPID key")?;
        scene.world.engines.put_parameter("/vapid-key", &vapid_key);
        // Alice gets nothing in these events, so that no delivery orders a push.
        let browser = Browser::at(&format!("{}/push/1", scene.elsewhere));
        let subscription = PushSubscription::parse(&browser.subscription())?;
        let store = scene.world.state.store();
        let address = DeviceAddress::new(scene.alice.user(), scene.alice.id());
        anyhow::ensure!(
            store.subscribe(address, &subscription, scene.subscribed_ms).await?,
            "Alice is signed in"
        );
        Ok(scene)
    }

    /// Returns the engines of the server.
    pub fn engines(&self) -> eko_engines::Engines {
        self.world.engines.clone()
    }

    /// Returns a function's environment, as the template gives it.
    pub fn environment(&self, needs: Needs, endpoint: &AwsEndpoint) -> BTreeMap<String, String> {
        let names = self.world.cloud.names();
        let mut environment = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            environment.insert(name.to_owned(), value.to_owned());
        };
        set("ORIGIN", self.world.state.origin().as_str());
        set("TABLE", &names.table);
        set("AWS_REGION", "us-east-1");
        set("AWS_ACCESS_KEY_ID", "local");
        set("AWS_SECRET_ACCESS_KEY", "local");
        set("AWS_ENDPOINT_URL", &endpoint.url);
        if let Some(path) = &endpoint.ca_bundle {
            set("AWS_CA_BUNDLE", &path.display().to_string());
        }
        if needs.token_keys {
            set("TOKEN_KEYS_PARAMETER", "/token-keys");
        }
        if needs.signing_key {
            set("SIGNING_KEY_PARAMETER", "/signing-key");
        }
        if needs.issuer {
            set("OIDC_ISSUER", &format!("https://id.example{ISSUER_PATH}"));
            set("OIDC_AUDIENCE", AUDIENCE);
        }
        if needs.deliveries || needs.seldom_deliveries {
            set("DELIVERIES_URL", &names.deliveries_url);
        }
        if needs.sockets {
            set("SOCKETS_URL", &endpoint.url);
        }
        if needs.live {
            set("LIVE_URL", "wss://live.eko.example");
        }
        if needs.parcels {
            set("FEDERATION_URL", &names.federation_url);
        }
        set("VAPID_CONTACT", Contact::of_local_server().as_str());
        if needs.vapid_key {
            set("VAPID_KEY_PARAMETER", "/vapid-key");
        }
        if needs.pushes {
            set("PUSHES_URL", &names.pushes_url);
        }
        // The measurement sends more than sixty messages a minute.
        for budget in ["SENDER_BUDGET", "ACCOUNT_BUDGET"] {
            set(budget, "1000000");
        }
        for budget in ["SENDER_BYTES_BUDGET", "SERVER_BYTES_BUDGET"] {
            set(budget, "1000000000");
        }
        // No mailbox is counted by chance.
        set("MAILBOX_ENTRIES", "1000000000000");
        set("MAILBOX_BYTES", "1000000000000000");
        // The other server is on loopback, and nothing may leave this machine.
        set("DANGER_ALLOW_LOOPBACK_HTTP", "1");
        environment
    }

    /// Returns the `n`th event for a function.
    ///
    /// # Errors
    /// The function is unknown, or the event cannot be made.
    pub fn event(&self, function: &str, n: usize) -> anyhow::Result<Value> {
        let bearer = |device: &Device<DirectTransport>| {
            let token = device.tokens().map(|tokens| tokens.access).unwrap_or_default();
            format!("Bearer {token}")
        };
        let get = |path: &str| Request::get(path).header("accept", "application/activity+json");
        Ok(match function {
            "deliver" => event::sqs("deliveries", &[self.queued()?]),
            "devices" => {
                let request = get("/user/bob/inbox").header("authorization", bearer(&self.bob));
                event::http(&request.body(Bytes::new())?)
            }
            "group-state" => {
                let state = SealedGroupState {
                    epoch: u64::try_from(n)?.saturating_add(1),
                    content: vec![7; GROUP_STATE_BYTES],
                };
                let id = GroupStateId::from_mac([7; 16]);
                let request = Request::put(format!("/user/bob/groupState/{id}"))
                    .header("content-type", "application/activity+json")
                    .header("authorization", bearer(&self.bob));
                event::http(&request.body(state.to_document(None).to_string().into())?)
            }
            "discovery" => event::http(&get("/user/bob").body(Bytes::new())?),
            "key-packages" => event::http(&get("/user/bob/keyPackages").body(Bytes::new())?),
            "auth" => {
                let request = Request::post("/auth/refresh").header("content-type", "application/json");
                let body = json!({ "refreshToken": self.refresh }).to_string();
                event::http(&request.body(body.into())?)
            }
            "outbox" => {
                let request = Request::post("/user/alice/outbox")
                    .header("content-type", "application/activity+json")
                    .header("authorization", bearer(&self.alice));
                event::http(&request.body(self.outgoing().to_string().into())?)
            }
            "inbox" => event::http(&self.incoming(n + 1)?),
            "federate" => event::sqs("federation", &[self.parcel()?]),
            "push" => event::sqs("pushes", &[self.order()?]),
            "socket" => {
                let socket = self.sockets.get(n).context("no socket is left")?;
                event::message(&socket.id, &json!({ "type": "Fetch" }).to_string())
            }
            other => anyhow::bail!("there is no function {other}"),
        })
    }

    /// Checks that an answer is a success, and keeps what the next event needs.
    ///
    /// # Errors
    /// The answer is another one.
    pub fn check(&mut self, function: &str, answer: &Value) -> anyhow::Result<()> {
        if matches!(function, "deliver" | "federate" | "push") {
            let failed = answer["batchItemFailures"].as_array().context("no batch answer")?;
            anyhow::ensure!(failed.is_empty(), "{function} failed: {answer}");
            return Ok(());
        }
        let (status, body) = event::answer(answer);
        let expected = match function {
            "outbox" => 201,
            "inbox" => 202,
            "group-state" => 204,
            _ => 200,
        };
        anyhow::ensure!(status.as_u16() == expected, "{function} answers {status}: {answer}");
        if function == "auth" {
            self.refresh = body["refreshToken"].as_str().context("no refresh token")?.to_owned();
        }
        Ok(())
    }

    /// Returns a ciphertext for each of Bob's devices.
    fn messages(&self) -> Vec<(eko_protocol::id::DeviceId, Vec<u8>)> {
        [&self.bob, &self.second].map(|device| (device.id().clone(), vec![7; CIPHERTEXT_BYTES])).into()
    }

    /// Returns Alice's `Create` of a new envelope for Bob's devices.
    fn outgoing(&self) -> Value {
        let id = self.alice.envelope_id();
        self.alice.create_activity(&OutgoingEnvelope::new(self.bob.user().clone(), id, self.messages()))
    }

    /// Returns the `n`th message of the other server's actor.
    fn incoming(&self, n: usize) -> anyhow::Result<Request<Bytes>> {
        let origin = self.world.state.origin();
        let mut activity = self.outgoing();
        activity["actor"] = json!(self.stranger.actor);
        activity["id"] = json!(format!("{}/activity/{n}", self.stranger.origin));
        activity["object"]["id"] = json!(format!("{}/message/{n}", self.stranger.origin));
        for message in activity["object"]["messages"].as_array_mut().context("no messages")? {
            message["from"] = json!(format!("{}/device/{}", self.stranger.actor, self.alice.id()));
        }
        let url = origin.inbox(self.bob.user());
        let mut request = self.stranger.signed(Scheme::Rfc9421, &url, &activity, self.world.now_ms());
        // The gateway hands on the path only. The event names the host.
        let path = http::Uri::try_from(url)?.path().to_owned();
        *request.uri_mut() = path.try_into()?;
        Ok(request)
    }

    /// Returns the message that the outbox queues for two devices.
    fn queued(&self) -> anyhow::Result<String> {
        let origin = self.world.state.origin();
        let now_ms = self.world.now_ms();
        let messaging = self.world.state.messaging();
        let ciphertext = |(device, content)| DeviceCiphertext { device, content };
        let delivery = LetterDelivery {
            to: self.bob.user().clone(),
            letter: Letter {
                header: EnvelopeHeader {
                    author: self.alice.actor(),
                    id: self.alice.envelope_id(),
                    from: self.alice.address(),
                    published_ms: Some(now_ms),
                    expires_ms: None,
                    notify: true,
                    device_set: None,
                    franking: None,
                },
                activity: Some(format!("{origin}/activity/{}", messaging.random_uuid())),
                accepted_ms: now_ms,
                is_request: false,
            },
            ttl: messaging.keep_until(now_ms),
            ciphertexts: self.messages().into_iter().map(ciphertext).collect(),
            is_dropped: false,
        };
        Ok(serde_json::to_string(&Delivery::Letter(delivery))?)
    }

    /// Returns the order to wake Alice's device. The first one sends a push; the others find that it
    /// is sent.
    fn order(&self) -> anyhow::Result<String> {
        let (user, device) = (self.alice.user().clone(), self.alice.id().clone());
        let now_ms = self.world.now_ms();
        let ttl = self.world.state.messaging().keep_until(now_ms);
        let newest = EntryKey::new(now_ms.unsigned_abs(), &self.bob.actor(), "urn:uuid:x");
        let seen = PushState::Idle { since_ms: self.subscribed_ms };
        Ok(serde_json::to_string(&PushOrder::Now { user, device, seen, ttl, newest })?)
    }

    /// Returns a message of the queue for other servers.
    fn parcel(&self) -> anyhow::Result<String> {
        let parcel = Parcel {
            to: format!("{}/users/eve", self.elsewhere),
            author: self.alice.user().clone(),
            first_ms: self.world.now_ms(),
            not_before_ms: None,
            expires_ms: None,
            outcome_to: None,
            listed_as: None,
            is_deletion: false,
            by_server: false,
            body: ParcelBody::Text(self.outgoing().to_string()),
        };
        Ok(serde_json::to_string(&parcel)?)
    }
}

/// The token key of every [`World`]: `[7; 32]`.
const TOKEN_SECRET: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// Starts a server on loopback with one actor, whose inbox accepts everything, and returns its
/// origin.
async fn elsewhere() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
    let actor = format!("{origin}/users/eve");
    let document = json!({
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
        "type": "Person",
        "id": actor,
        "preferredUsername": "eve",
        "inbox": format!("{actor}/inbox"),
        "publicKey": {
            "id": format!("{actor}#main-key"),
            "owner": actor,
            "publicKeyPem": signing_key("elsewhere").1.public_pem(),
        },
    });
    let document =
        move || async move { ([("content-type", "application/activity+json")], document.to_string()) };
    let app = Router::new()
        .route("/users/eve", get(document))
        .route("/users/eve/inbox", post(StatusCode::ACCEPTED))
        .route("/push/1", post(StatusCode::CREATED));
    tokio::spawn(async move {
        let _ = axum::serve(listener, app).await;
    });
    Ok(origin)
}

/// Opens and registers the sockets of a device.
async fn open_sockets(
    world: &World,
    device: &Device<DirectTransport>,
) -> anyhow::Result<Vec<OpenConnection>> {
    let record = world.state.store().device_record(DeviceAddress::new(device.user(), device.id())).await?;
    let family = record.and_then(|record| record.family).context("a session")?;
    let mut sockets = Vec::with_capacity(SOCKETS);
    for _ in 0..SOCKETS {
        let open = world.engines.connections().open();
        open.establish();
        let socket = Socket {
            connection: ConnectionId::parse(&open.id).context("an id")?,
            user: device.user().clone(),
            device: device.id().clone(),
            expires_s: i64::MAX,
            opened_ms: world.now_ms(),
            family: family.clone(),
            is_pending: false,
            behind: None,
        };
        world.state.store().open_socket(&socket).await?;
        sockets.push(open);
    }
    Ok(sockets)
}
