//! The fixture of all attacks: a server with two users, and a stranger on the same internet.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use eko_client::transport::Transport as _;
use eko_client::{Auth, Body, Device, Exchange, KeyCounts};
use eko_federation::keys::SigningKey;
use eko_protocol::http_signature::Scheme;
use eko_service::config::Config;
use eko_testkit::{
    BARE, DirectTransport, Internet, StoredState, Stranger, StrangerAnswer, World, refusal, sign,
};
use http::Method;
use serde_json::{Value, json};

/// Both signature schemes.
pub(crate) const SCHEMES: [Scheme; 2] = [Scheme::Cavage, Scheme::Rfc9421];

/// The number of answers that the scenes of this process have got.
static CASES: AtomicUsize = AtomicUsize::new(0);

/// Alice and Bob at `eko.example` with one device each, and Eve at `b.example`.
pub(crate) struct AttackScene {
    pub(crate) world: World,
    pub(crate) internet: Internet,
    pub(crate) alice: Device<DirectTransport>,
    pub(crate) bob: Device<DirectTransport>,
    pub(crate) eve: Stranger,
    before: StoredState,
}

impl AttackScene {
    /// Starts a scene whose budgets no table of attacks uses up.
    pub(crate) async fn new() -> Self {
        Self::with(BARE, |_| {}).await
    }

    /// Starts a scene in which Bob has `keys`, and whose configuration `change` may change.
    pub(crate) async fn with(keys: KeyCounts, change: impl FnOnce(&mut Config)) -> Self {
        let internet = Internet::new();
        let eve = Stranger::new(&internet, "b.example").await;
        let world = World::at(&internet, "eko.example", |config| {
            config.limits.sender_budget = 100_000;
            change(config);
        })
        .await;
        let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", keys).await);
        let before = world.stored().await;
        internet.forget();
        Self { world, internet, alice, bob, eve, before }
    }

    /// Returns an envelope for Bob's device by an actor of another server; `number` makes its id.
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

    /// Serves an actor at Eve's server, whose document `change` may change, and returns the actor's
    /// id.
    pub(crate) fn actor(&self, name: &str, change: impl FnOnce(&mut Value)) -> String {
        let id = format!("{}/users/{name}", self.eve.origin);
        let mut document = actor_document(&id, self.eve.key.public_pem());
        change(&mut document);
        self.eve.document(&format!("/users/{name}"), StrangerAnswer::activity(200, &document));
        id
    }

    /// Returns a POST of an activity to a path of the server, signed by Eve's key under the actor's
    /// key id.
    pub(crate) fn signed(&self, scheme: Scheme, path: &str, activity: &Value) -> http::Request<Bytes> {
        let actor = activity["actor"].as_str().unwrap();
        self.signed_bytes(scheme, path, actor, activity.to_string())
    }

    /// Returns a POST of any body to a path of the server, signed by Eve's key under the actor's
    /// key id.
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

    /// Returns a POST of any body to the shared inbox, signed by `key` under `key_id`.
    pub(crate) fn signed_by(
        &self,
        key: &SigningKey,
        key_id: &str,
        scheme: Scheme,
        body: impl Into<Bytes>,
    ) -> http::Request<Bytes> {
        sign(key, key_id, scheme, "https://eko.example/inbox", body.into(), self.world.now_ms())
    }

    /// Serves this answer to WebFinger for `@{name}@b.example`, at Eve's server.
    pub(crate) fn serve_web_finger(&self, name: &str, answer: StrangerAnswer) {
        let path = format!("/.well-known/webfinger?resource=acct%3A{name}%40b.example");
        self.eve.document(&path, answer);
    }

    /// Delivers an activity to the shared inbox, and returns the answer in one line.
    pub(crate) async fn deliver(&self, activity: &Value) -> String {
        self.send(self.signed(Scheme::Rfc9421, "/inbox", activity)).await
    }

    /// Sends a request, and returns the answer in one line.
    pub(crate) async fn send(&self, request: http::Request<Bytes>) -> String {
        let (parts, body) = self.world.transport().send(request).await.unwrap().into_parts();
        in_one_line(&Exchange { status: parts.status, headers: parts.headers, body })
    }

    /// Posts an activity from a device of the server, and returns the answer in one line.
    pub(crate) async fn post(
        &self,
        device: &Device<DirectTransport>,
        path: &str,
        activity: &Value,
    ) -> String {
        in_one_line(&device.call(Method::POST, path, Body::Json(activity), Auth::Device).await.unwrap())
    }

    /// Has Alice send an envelope to this actor or handle, for one device under `base`, and returns
    /// the answer in one line.
    pub(crate) async fn alice_sends(&self, to: &str, base: &str, number: usize) -> String {
        self.sends(&self.alice, to, base, number).await
    }

    /// Has a device send an envelope as [`AttackScene::alice_sends`] does.
    pub(crate) async fn sends(
        &self,
        device: &Device<DirectTransport>,
        to: &str,
        base: &str,
        number: usize,
    ) -> String {
        let activity = json!({
            "type": "Create",
            "actor": device.actor(),
            "to": to,
            "object": {
                "type": "SignalEnvelope",
                "id": envelope_id(number),
                "messages": [{
                    "to": format!("{base}/device/1"),
                    "from": device.address(),
                    "content": "c2VjcmV0",
                }],
            },
        });
        self.post(device, &format!("/user/{}/outbox", device.user()), &activity).await
    }

    /// Has Alice take key packages through her outbox, and returns the answer in one line.
    pub(crate) async fn alice_takes(&self, object: &str) -> String {
        self.takes(&self.alice, object).await
    }

    /// Has a device take key packages through its outbox, and returns the answer in one line.
    pub(crate) async fn takes(&self, device: &Device<DirectTransport>, object: &str) -> String {
        let path = format!("/user/{}/outbox", device.user());
        self.post(device, &path, &device.take_activity(json!(object))).await
    }

    /// Asserts that nothing was stored or queued, apart from what is remembered of other servers;
    /// `what` says what was sent.
    pub(crate) async fn assert_unchanged(&self, what: &str) {
        let now = self.world.stored().await;
        assert_eq!(self.changes(&now), Vec::<String>::new(), "{what} was stored");
        assert_eq!((now.queued, now.waiting), (self.before.queued, self.before.waiting), "{what} was queued");
    }

    /// Asserts the same where Alice tried to send, which is recorded before anyone is asked.
    pub(crate) async fn assert_unchanged_but_sent(&self, what: &str) {
        let now = self.world.stored().await;
        let mut changes = self.changes(&now);
        changes.retain(|key| !key.starts_with("U#alice X#"));
        assert_eq!(changes, Vec::<String>::new(), "{what} was stored");
        assert_eq!((now.queued, now.waiting), (self.before.queued, self.before.waiting), "{what} was queued");
    }

    fn changes(&self, now: &StoredState) -> Vec<String> {
        let differing = now.difference(&self.before).into_iter();
        let of_others = ["R#", "H#", "I#"];
        let kept = differing.filter(|(pk, _)| !of_others.iter().any(|prefix| pk.starts_with(prefix)));
        kept.map(|(pk, sk)| format!("{pk} {sk}")).collect()
    }

    /// Makes the present state of the store the one that later states are compared with.
    pub(crate) async fn take_baseline(&mut self) {
        self.before = self.world.stored().await;
        self.internet.forget();
    }

    /// Returns the addresses that were connected to, or tried, since the last look.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        let dialled = self.internet.dialled();
        self.internet.forget();
        dialled
    }

    /// Asserts that since the last look only Eve's server was connected to, and at most these names
    /// were looked up.
    pub(crate) fn assert_contacted_only(&self, names: &[&str], what: &str) {
        let resolved = self.internet.resolved();
        let others = resolved.iter().find(|name| *name != "b.example" && !names.contains(&name.as_str()));
        assert_eq!(others, None, "{what} was looked up");
        assert!(self.dialled().iter().all(|address| *address == self.eve.address), "{what} was dialled");
    }
}

impl Drop for AttackScene {
    /// Prints the number of cases so far. The highest number that a run prints is its total.
    fn drop(&mut self) {
        let cases = CASES.load(Ordering::Relaxed);
        // Written past the harness, which shows no output of a test that passes.
        drop(writeln!(std::io::stderr(), "attacks: {cases} cases so far"));
    }
}

/// Returns the right document of an actor with this key.
pub(crate) fn actor_document(id: &str, pem: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
        "type": "Person",
        "id": id,
        "inbox": format!("{id}/inbox"),
        "publicKey": { "id": format!("{id}#main-key"), "owner": id, "publicKeyPem": pem },
    })
}

/// Returns the WebFinger answer whose link leads to this actor.
pub(crate) fn web_finger_link(actor: &str) -> StrangerAnswer {
    let link = json!({ "rel": "self", "type": "application/activity+json", "href": actor });
    web_finger_answer(&json!({ "links": [link] }))
}

/// Returns this document as an answer to WebFinger.
pub(crate) fn web_finger_answer(document: &Value) -> StrangerAnswer {
    StrangerAnswer { media_type: "application/jrd+json", ..StrangerAnswer::activity(200, document) }
}

/// Returns a `Like`, an activity that the server accepts and that has no effect.
pub(crate) fn like(actor: &str) -> Value {
    json!({ "type": "Like", "actor": actor, "object": "https://eko.example/user/bob" })
}

/// Returns the envelope id of this number.
pub(crate) fn envelope_id(number: usize) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-{number:012x}")
}

/// Returns an answer in one line: `401 bad-signature`, `422 invalid #/to`, `409 Reject`, `202`.
fn in_one_line(answer: &Exchange) -> String {
    CASES.fetch_add(1, Ordering::Relaxed);
    let media_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
    let status = answer.status.as_u16();
    assert_ne!(status, 500, "{}", String::from_utf8_lossy(&answer.body));
    if media_type == Some("application/problem+json") {
        return refusal(answer);
    }
    let last = |kind: Value| kind.as_array().and_then(|kinds| kinds.last().cloned()).unwrap_or(kind);
    match answer.json().ok().and_then(|body| last(body["type"].clone()).as_str().map(str::to_owned)) {
        Some(kind) => format!("{status} {kind}"),
        None => status.to_string(),
    }
}

#[tokio::test]
async fn the_scene_is_right() {
    let mut scene = AttackScene::new().await;
    for (number, path) in [(1, "/inbox"), (2, "/user/bob/inbox")] {
        for (offset, scheme) in SCHEMES.into_iter().enumerate() {
            let envelope = scene.envelope(&scene.eve.actor, number * 10 + offset);
            assert_eq!(scene.send(scene.signed(scheme, path, &envelope)).await, "202", "{path} {scheme:?}");
        }
    }
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 4);
    assert_eq!(scene.dialled(), [scene.eve.address], "one fetch for all");
    scene.take_baseline().await;
    let to_eve = format!("{}/device/1", scene.eve.actor);
    assert_eq!(scene.alice_sends(&scene.eve.actor, &to_eve, 9).await, "201 Create");
    scene.assert_unchanged_but_sent("an envelope to another server").await;
}
