//! What every attack meets: a server with two users, a stranger on the same internet, and what was stored before.

use std::net::SocketAddr;

use bytes::Bytes;
use eko_client::transport::Transport as _;
use eko_client::{Auth, Body, Device, Exchange, KeyCounts};
use eko_protocol::http_signature::Scheme;
use eko_service::config::Config;
use eko_testkit::{Answer, BARE, Direct, Internet, Stored, Stranger, World, refusal, sign};
use http::Method;
use serde_json::{Value, json};

/// Both ways to sign.
pub(crate) const SCHEMES: [Scheme; 2] = [Scheme::Cavage, Scheme::Rfc9421];

/// Alice and Bob at `eko.example` with one device each, Eve at `b.example`.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) internet: Internet,
    pub(crate) alice: Device<Direct>,
    pub(crate) bob: Device<Direct>,
    pub(crate) eve: Stranger,
    before: Stored,
}

impl Scene {
    /// One whose budgets no table of attacks uses up.
    pub(crate) async fn new() -> Self {
        Self::with(BARE, |_| {}).await
    }

    /// One whose configuration `change` may change; Bob has `keys`.
    pub(crate) async fn with(keys: KeyCounts, change: impl FnOnce(&mut Config)) -> Self {
        let internet = Internet::new();
        let eve = Stranger::new(&internet, "b.example").await;
        let world = World::at(&internet, "eko.example", |config| {
            config.sender_budget = 100_000;
            change(config);
        })
        .await;
        let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", keys).await);
        let before = world.stored().await;
        internet.forget();
        Self { world, internet, alice, bob, eve, before }
    }

    /// An envelope for Bob's device, as an actor of another server sends it; `number` makes its id.
    pub(crate) fn envelope(&self, actor: &str, number: usize) -> Value {
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "type": "Create",
            "actor": actor,
            "to": self.bob.actor(),
            "object": {
                "type": ["Object", "SignalEnvelope"],
                "id": envelope_id(number),
                "messages": [{
                    "to": self.bob.address(),
                    "from": format!("{actor}/device/1"),
                    "content": "c2VjcmV0",
                }],
            },
        })
    }

    /// An actor of Eve's server, whose document `change` may change; its id.
    pub(crate) fn actor(&self, name: &str, change: impl FnOnce(&mut Value)) -> String {
        let id = format!("{}/users/{name}", self.eve.origin);
        let mut document = actor_document(&id, self.eve.key.public_pem());
        change(&mut document);
        self.eve.document(&format!("/users/{name}"), Answer::activity(200, &document));
        id
    }

    /// An activity to a path here, signed as its actor would.
    pub(crate) fn signed(&self, scheme: Scheme, path: &str, activity: &Value) -> http::Request<Bytes> {
        let actor = activity["actor"].as_str().unwrap();
        self.signed_bytes(scheme, path, actor, activity.to_string())
    }

    /// The same of any body.
    pub(crate) fn signed_bytes(
        &self,
        scheme: Scheme,
        path: &str,
        actor: &str,
        body: impl Into<Bytes>,
    ) -> http::Request<Bytes> {
        let url = format!("https://eko.example{path}");
        let key_id = format!("{actor}#main-key");
        sign(&self.eve.key, &key_id, scheme, &url, body.into(), self.world.now_ms())
    }

    /// Delivers an activity to the shared inbox, signed as its actor would.
    pub(crate) async fn deliver(&self, activity: &Value) -> String {
        self.send(self.signed(Scheme::Rfc9421, "/inbox", activity)).await
    }

    /// Sends a request, and what is said to it in one line.
    pub(crate) async fn send(&self, request: http::Request<Bytes>) -> String {
        let (parts, body) = self.world.transport().send(request).await.unwrap().into_parts();
        said(&Exchange { status: parts.status, headers: parts.headers, body })
    }

    /// What a device of ours posts to a path, and what is said to it in one line.
    pub(crate) async fn post(&self, device: &Device<Direct>, path: &str, activity: &Value) -> String {
        said(&device.call(Method::POST, path, Body::Json(activity), Auth::Device).await.unwrap())
    }

    /// Alice sends an envelope to this address, or handle, for one device under `base`.
    pub(crate) async fn alice_sends(&self, to: &str, base: &str, number: usize) -> String {
        let activity = json!({
            "type": "Create",
            "actor": self.alice.actor(),
            "to": to,
            "object": {
                "type": "SignalEnvelope",
                "id": envelope_id(number),
                "messages": [{
                    "to": format!("{base}/device/1"),
                    "from": self.alice.address(),
                    "content": "c2VjcmV0",
                }],
            },
        });
        self.post(&self.alice, "/user/alice/outbox", &activity).await
    }

    /// Alice takes key packages through her outbox.
    pub(crate) async fn alice_takes(&self, object: &str) -> String {
        self.post(&self.alice, "/user/alice/outbox", &self.alice.take_activity(json!(object))).await
    }

    /// Nothing is stored or queued that was not before, but what is remembered of other servers.
    pub(crate) async fn unchanged(&self, what: &str) {
        let now = self.world.stored().await;
        assert_eq!(self.changes(&now), Vec::<String>::new(), "{what} was stored");
        assert_eq!((now.queued, now.waiting), (self.before.queued, self.before.waiting), "{what} was queued");
    }

    /// The same, where Alice tried to send: that she did is recorded before anyone is asked.
    pub(crate) async fn unchanged_but_sent(&self, what: &str) {
        let now = self.world.stored().await;
        let mut changes = self.changes(&now);
        changes.retain(|key| !key.starts_with("U#alice X#"));
        assert_eq!(changes, Vec::<String>::new(), "{what} was stored");
        assert_eq!((now.queued, now.waiting), (self.before.queued, self.before.waiting), "{what} was queued");
    }

    fn changes(&self, now: &Stored) -> Vec<String> {
        let differing = now.difference(&self.before).into_iter();
        let kept = differing.filter(|(pk, _)| !pk.starts_with("R#") && !pk.starts_with("H#"));
        kept.map(|(pk, sk)| format!("{pk} {sk}")).collect()
    }

    /// Takes what is stored now for what was before.
    pub(crate) async fn settle(&mut self) {
        self.before = self.world.stored().await;
        self.internet.forget();
    }

    /// The addresses connected to since the last look, or tried.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        let dialled = self.internet.dialled();
        self.internet.forget();
        dialled
    }

    /// Nobody but Eve's server was connected to since the last look, and these names were looked up at most.
    pub(crate) fn asked_only(&self, names: &[&str], what: &str) {
        let resolved = self.internet.resolved();
        let others = resolved.iter().find(|name| *name != "b.example" && !names.contains(&name.as_str()));
        assert_eq!(others, None, "{what} was looked up");
        assert!(self.dialled().iter().all(|address| *address == self.eve.address), "{what} was dialled");
    }
}

/// The document of an actor with this key, as it should be.
pub(crate) fn actor_document(id: &str, pem: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
        "type": "Person",
        "id": id,
        "inbox": format!("{id}/inbox"),
        "publicKey": { "id": format!("{id}#main-key"), "owner": id, "publicKeyPem": pem },
    })
}

/// An activity that means nothing here and is taken all the same.
pub(crate) fn like(actor: &str) -> Value {
    json!({ "type": "Like", "actor": actor, "object": "https://eko.example/user/bob" })
}

/// An envelope's id.
pub(crate) fn envelope_id(number: usize) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-{number:012x}")
}

/// An answer in one line: `401 bad-signature`, `422 invalid #/to`, `409 Reject`, `202`.
fn said(answer: &Exchange) -> String {
    let media_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
    let status = answer.status.as_u16();
    assert_ne!(status, 500, "{}", String::from_utf8_lossy(&answer.body));
    if media_type == Some("application/problem+json") {
        return refusal(answer);
    }
    match answer.json().ok().and_then(|body| body["type"].as_str().map(str::to_owned)) {
        Some(kind) => format!("{status} {kind}"),
        None => status.to_string(),
    }
}

#[tokio::test]
async fn the_scene_is_right() {
    let mut scene = Scene::new().await;
    for (number, path) in [(1, "/inbox"), (2, "/user/bob/inbox")] {
        for (offset, scheme) in SCHEMES.into_iter().enumerate() {
            let envelope = scene.envelope(&scene.eve.actor, number * 10 + offset);
            assert_eq!(scene.send(scene.signed(scheme, path, &envelope)).await, "202", "{path} {scheme:?}");
        }
    }
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 4);
    assert_eq!(scene.dialled(), [scene.eve.address], "one fetch for all");
    scene.settle().await;
    let to_eve = format!("{}/device/1", scene.eve.actor);
    assert_eq!(scene.alice_sends(&scene.eve.actor, &to_eve, 9).await, "201 Create");
    scene.unchanged_but_sent("an envelope to another server").await;
}
