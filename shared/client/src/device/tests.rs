//! Tests of a device without a server: what it sends, and how it judges answers. Tests with a
//! server are in the workspace's `tests/`.

use std::sync::Mutex;

use bytes::Bytes;
use eko_protocol::chain::{ChainNode, ChainPosition, ChainState, NextNode};
use eko_protocol::collection;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::key::JoiningMac;
use eko_protocol::key_package::KeyPackage;
use eko_protocol::vocabulary::node_context;
use http::{Request, Response, header};
use serde_json::json;

use super::*;
use crate::content::tests::repeatable;
use crate::{JoiningCode, KeyCounts, TransportError};

/// Answers every request alike, and keeps the requests.
struct CannedTransport {
    status: StatusCode,
    media_type: &'static str,
    body: Value,
    requests: Mutex<Vec<Request<Bytes>>>,
}

impl CannedTransport {
    fn new(status: StatusCode, media_type: &'static str, body: Value) -> Self {
        Self { status, media_type, body, requests: Mutex::new(Vec::new()) }
    }
}

impl Transport for CannedTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.requests.lock().unwrap().push(request);
        let response = Response::builder().status(self.status).header(header::CONTENT_TYPE, self.media_type);
        Ok(response.body(Bytes::from(self.body.to_string())).unwrap())
    }
}

fn origin() -> Origin {
    Origin::parse("https://a.example").unwrap()
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn device<T: Transport>(transport: T, name: &str) -> Device<T> {
    device_with(transport, name, Environment::system())
}

fn device_with<T: Transport>(transport: T, name: &str, environment: Environment) -> Device<T> {
    let counts = KeyCounts { pre_keys: 1, kyber_pre_keys: 0, last_resort: true };
    let keys = DeviceKeys::generate(counts, &environment).unwrap();
    Device::new(transport, origin(), user(name), keys, environment)
}

fn offline() -> CannedTransport {
    CannedTransport::new(StatusCode::IM_A_TEAPOT, "text/plain", Value::Null)
}

fn package(of: &Device<CannedTransport>) -> KeyPackage {
    let keys = of.keys();
    let mut package = KeyPackage::new(
        of.origin(),
        of.user(),
        of.id(),
        keys.identity().public(),
        keys.registration_id(),
        keys.signed_pre_key().clone(),
        keys.last_resort().cloned(),
    );
    package.pre_key = keys.first().pre_keys.first().cloned();
    package
}

/// Returns a chain of two devices. The first approved the second, which then revoked the first.
fn chain_of(first: &Device<CannedTransport>, second: &Device<CannedTransport>) -> Vec<ChainNode> {
    let mut state = ChainState::empty(first.actor());
    let mut nodes = Vec::new();
    let mut add = |state: &mut ChainState, node: Value| {
        let node = ChainNode::parse(&node).unwrap();
        *state = state.append(&origin(), first.user(), &node).unwrap();
        nodes.push(node);
    };
    add(&mut state, first.first_node().unwrap());
    let approval = NextNode::new(&origin(), first.user(), &state.position, 0)
        .approve(&second.described(), &JoiningMac::from([3; 32]));
    add(&mut state, first.sign_node(approval).unwrap());
    let revocation = NextNode::new(&origin(), first.user(), &state.position, 0).revoke(first.id());
    add(&mut state, second.sign_node(revocation).unwrap());
    nodes
}

/// Returns a chain of `bob` with three nodes.
pub(crate) fn chain_of_bob() -> Vec<ChainNode> {
    chain_of(&device(offline(), "bob"), &device(offline(), "bob"))
}

fn chain_body(nodes: &[ChainNode]) -> Value {
    let set = nodes.last().map(|last| DeviceSetRef { length: last.seq() + 1, head: last.hash() });
    collection::device_chain(&origin(), &user("bob"), nodes, set.as_ref())
}

#[test]
fn the_nodes_it_makes_replay() {
    let (first, second) = (device(offline(), "bob"), device(offline(), "bob"));
    let nodes = chain_of(&first, &second);
    let state = ChainState::replay(&origin(), first.user(), &nodes).unwrap();
    assert_eq!(state.active.keys().collect::<Vec<_>>(), [second.id()]);
    let third = device(offline(), "bob");
    let reset = ChainNode::parse(&third.reset_node(&state.position).unwrap()).unwrap();
    let state = state.append(&origin(), first.user(), &reset).unwrap();
    assert_eq!(state.active.keys().collect::<Vec<_>>(), [third.id()]);
}

#[test]
fn the_registration_it_makes_is_whole() {
    let device = device_with(offline(), "alice", repeatable(1)).with_name("phone");
    let body = device.registration(RegistrationProof::Node(device.first_node().unwrap()));
    assert_eq!(body["possession"], body["node"]["possession"]);
    assert_eq!(body["node"]["@context"], node_context());
    insta::assert_json_snapshot!(body, {
        ".lastResortKyberPreKey.key" => "[1569 bytes]",
        r#".node["@context"]"# => "[context]",
    }, @r#"
    {
      "deviceId": "16e71731-1460-4b11-857b-812b8eba4be8",
      "deviceName": "phone",
      "identityKey": "Bcl8FW1hvJ22pw8+qqffa/ayBwKjCnJfRcdBxSarxus/",
      "kyberPreKeys": [],
      "lastResortKyberPreKey": {
        "key": "[1569 bytes]",
        "keyId": 1,
        "signature": "OHuZeXeh/JNr3+YCT/87U+Eb1DohfMTFCcNryMvUzAl8AE7Z197G8LF3NSZ4IlWaab1Lhqp/d3767zdzzsQ+Aw=="
      },
      "node": {
        "@context": "[context]",
        "actor": "https://a.example/user/alice",
        "device": "https://a.example/user/alice/device/16e71731-1460-4b11-857b-812b8eba4be8",
        "id": "https://a.example/user/alice/devices/0",
        "identityKey": "Bcl8FW1hvJ22pw8+qqffa/ayBwKjCnJfRcdBxSarxus/",
        "keyPackage": "https://a.example/user/alice/keyPackage/16e71731-1460-4b11-857b-812b8eba4be8",
        "possession": "z3fh5MTU6nfi2KBGPCkTP8XUmpSXgXnqbnnTV9VpLc3otUVKESgQDQHFi3TXS2ZPQSa5hmSyAmbw4CYgxPxkvb6PV",
        "proof": {
          "cryptosuite": "xeddsa-2022",
          "proofPurpose": "authentication",
          "proofValue": "z21j3DSrC5hRcXb5m7iAiFmEVRsuVzEdN7SEtQurfVzfwrkJwjT5fzG7dGtMBhVSwWHsi2GczSdAzfwzPXTvphW66",
          "type": "DataIntegrityProof",
          "verificationMethod": "https://a.example/user/alice/device/16e71731-1460-4b11-857b-812b8eba4be8"
        },
        "published": "2026-01-29T19:30:00Z",
        "registrationId": 623,
        "seq": 0,
        "type": [
          "Object",
          "AddDevice"
        ]
      },
      "possession": "z3fh5MTU6nfi2KBGPCkTP8XUmpSXgXnqbnnTV9VpLc3otUVKESgQDQHFi3TXS2ZPQSa5hmSyAmbw4CYgxPxkvb6PV",
      "preKeys": [
        {
          "key": "BfJ+7r/2P4+KrgWvS9+6RfnfOwCEEpgsGaBE/PER2MlI",
          "keyId": 1
        }
      ],
      "registrationId": 623,
      "signedPreKey": {
        "key": "BTXSMA7WIC4PTiXqVA+P/byBKrOOlvFF5buFjfvyKlNt",
        "keyId": 1,
        "signature": "9jrNkXmdf6olvl5sHPWTWG3Wwp46lRUaU2/nO0EHEGNy7xnRsF7QGbfX2M2e1qlgbUWzweCGI0D+AYBWzw/XBQ=="
      },
      "username": "alice"
    }
    "#);
    let mut further = body;
    further.as_object_mut().unwrap().remove("node");
    let code = JoiningCode::from_secret([1; 16]);
    let mac = code.keys().joining_mac(device.origin(), device.user(), &device.described());
    further["joiningMac"] = json!(mac);
    assert_eq!(device.registration(RegistrationProof::JoiningMac(&code)), further);
}

#[test]
fn the_envelope_it_makes_is_whole() {
    let alice = device_with(offline(), "alice", repeatable(1));
    let other = Origin::parse("https://b.example").unwrap();
    let ids = [alice.environment().device_id(), alice.environment().device_id()];
    let messages = ids.map(|id| (id, b"ciphertext".to_vec())).into();
    let mut envelope = OutgoingEnvelope::new(user("bob"), alice.envelope_id(), messages);
    envelope.expires_ms = Some(1_769_715_060_000);
    envelope.device_set = Some(DeviceSetRef { length: 2, head: "ab".repeat(32) });
    insta::assert_json_snapshot!(alice.create_activity(&envelope.at(&other)), { r#"["@context"]"# => "[context]" }, @r#"
    {
      "@context": "[context]",
      "actor": "https://a.example/user/alice",
      "object": {
        "eko:deviceSet": {
          "head": "abababababababababababababababababababababababababababababababab",
          "length": 2
        },
        "expires": "2026-01-29T19:31:00Z",
        "id": "https://a.example/message/31ce4116-ba7f-4cd5-a43f-6387cc6d9103",
        "messages": [
          {
            "content": "Y2lwaGVydGV4dA==",
            "from": "https://a.example/user/alice/device/16e71731-1460-4b11-857b-812b8eba4be8",
            "to": "https://b.example/user/bob/device/7418f2cd-5a2f-4720-adfe-8aafe9137abb"
          },
          {
            "content": "Y2lwaGVydGV4dA==",
            "from": "https://a.example/user/alice/device/16e71731-1460-4b11-857b-812b8eba4be8",
            "to": "https://b.example/user/bob/device/d8169c6b-0f6c-4546-abeb-6d640251d690"
          }
        ],
        "notify": true,
        "published": "2026-01-29T19:30:00Z",
        "type": [
          "Object",
          "SignalEnvelope"
        ]
      },
      "to": "https://b.example/user/bob",
      "type": "Create"
    }
    "#);
    let shortest = OutgoingEnvelope::new(user("bob"), alice.envelope_id(), Vec::new());
    insta::assert_json_snapshot!(alice.create_activity(&shortest), { r#"["@context"]"# => "[context]" }, @r#"
    {
      "@context": "[context]",
      "actor": "https://a.example/user/alice",
      "object": {
        "id": "https://a.example/message/dd06fcb3-b3ba-440e-95ea-32b5c47ef6ae",
        "messages": [],
        "notify": true,
        "published": "2026-01-29T19:30:00Z",
        "type": [
          "Object",
          "SignalEnvelope"
        ]
      },
      "to": "https://a.example/user/bob",
      "type": "Create"
    }
    "#);
}

#[tokio::test]
async fn a_chain_is_replayed_before_it_is_believed() {
    let (first, second) = (device(offline(), "bob"), device(offline(), "bob"));
    let mut nodes = chain_of(&first, &second);
    let reader = device(
        CannedTransport::new(StatusCode::OK, "application/activity+json", chain_body(&nodes)),
        "alice",
    );
    let (_, state) = reader.chain(&user("bob")).await.unwrap();
    assert!(state.active.contains_key(second.id()));
    let forger = device(offline(), "bob");
    let forged = NextNode::new(&origin(), &user("bob"), &state.position, 0)
        .approve(&forger.described(), &JoiningMac::from([3; 32]));
    nodes.push(ChainNode::parse(&forger.sign_node(forged).unwrap()).unwrap());
    let reader = device(
        CannedTransport::new(StatusCode::OK, "application/activity+json", chain_body(&nodes)),
        "alice",
    );
    let error = reader.chain(&user("bob")).await.unwrap_err();
    assert!(matches!(error, ClientError::FalseChain { index: 3, .. }), "{error}");
}

#[tokio::test]
async fn packages_are_verified_and_compared_with_the_chain() {
    let bob = device(offline(), "bob");
    let node = ChainNode::parse(&bob.first_node().unwrap()).unwrap();
    let state = ChainState::replay(&origin(), bob.user(), [&node]).unwrap();
    let answer = |packages: &[KeyPackage]| {
        let body = collection::key_packages(&origin(), bob.user(), packages, None);
        let alice = device(CannedTransport::new(StatusCode::OK, "application/activity+json", body), "alice");
        alice.set_tokens(Some(DeviceTokens { access: "a".into(), refresh: "r".into(), expires_ms: 0 }));
        alice
    };
    let good = package(&bob);
    let taken = answer(std::slice::from_ref(&good)).take(bob.user()).await.unwrap();
    assert_eq!(taken.packages, std::slice::from_ref(&good));
    assert_eq!(taken.check(&origin(), &state), Ok(()));
    assert_eq!(
        ClientError::Untrusted(format!("{} is not what the chain of {} says", good.id, state.actor)),
        {
            let other = ChainState { active: Default::default(), ..state.clone() };
            taken.check(&origin(), &other).unwrap_err()
        }
    );
    let mut forged = good.clone();
    forged.signed_pre_key.signature = bob.described().possession;
    let of_another = package(&device(offline(), "eve"));
    for bad in [forged, of_another] {
        let error = answer(&[bad]).take(bob.user()).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted(_)), "{error}");
    }
}

#[tokio::test]
async fn a_problem_is_read() {
    let body = serde_json::json!({
        "type": "https://a.example/problems/name-taken", "title": "The user name is taken", "status": 409,
        "detail": "choose another user name", "instance": "urn:uuid:1", "pointer": "/username",
    });
    let alice = device(CannedTransport::new(StatusCode::CONFLICT, "application/problem+json", body), "alice");
    let token = alice.challenge().answered("token");
    let error = alice.register(&token, JoinKind::First).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!((problem.slug(), problem.status), ("name-taken", 409));
    assert_eq!(problem.pointer.as_deref(), Some("/username"));
    assert!(alice.tokens().is_none());
    let requests = alice.transport.requests.lock().unwrap();
    assert_eq!(requests[0].uri(), "https://a.example/auth/devices");
    assert_eq!(requests[0].headers()[header::AUTHORIZATION], "Bearer token");
}

#[tokio::test]
async fn no_token_goes_to_another_server() {
    let alice = device(offline(), "alice");
    alice.set_tokens(Some(DeviceTokens { access: "a".into(), refresh: "r".into(), expires_ms: 0 }));
    for url in ["https://b.example/user/alice/inbox", "https://a.example.evil/x", "http://a.example/x"] {
        let error = alice.fetch_after(url).await.unwrap_err();
        assert!(matches!(error, ClientError::Invalid(_)), "{error}");
    }
    assert!(alice.transport.requests.lock().unwrap().is_empty());
    assert_eq!(device(offline(), "alice").fetch().await.unwrap_err(), ClientError::NotSignedIn);
}

#[test]
fn a_reset_is_no_first_node() {
    let alice = device(offline(), "alice");
    let node = ChainNode::parse(&alice.reset_node(&ChainPosition::default()).unwrap()).unwrap();
    assert!(ChainState::replay(&origin(), alice.user(), [&node]).is_err());
}

#[tokio::test]
async fn a_page_of_another_export_is_none() {
    let page = |part_of: &str, next: Option<&str>| {
        let mut page = json!({ "type": "OrderedCollectionPage", "partOf": part_of, "orderedItems": [{}] });
        if let Some(next) = next {
            page["next"] = json!(next);
        }
        page
    };
    let own = "https://a.example/user/alice/export";
    let next = format!("{own}?cursor=1");
    for (body, reason) in [
        (page("https://a.example/user/bob/export", None), "is another user's export"),
        (page(own, Some("https://a.example/user/bob/export?cursor=1")), "is no page of this user's export"),
        (page(own, Some("https://b.example/user/alice/export?cursor=1")), "is no page of this user's export"),
        (page(own, Some(own)), "is no page of this user's export"),
        (json!({ "partOf": own }), "orderedItems"),
    ] {
        let alice = signed_in(CannedTransport::new(StatusCode::OK, "application/activity+json", body));
        let mut progress = export::ExportProgress::default();
        let error = alice.export_next(&mut progress).await.unwrap_err().to_string();
        assert!(error.contains(reason) && !progress.is_over(), "{error}");
    }
    // A server that leads in circles.
    let circle = page(own, Some(&next));
    let alice = signed_in(CannedTransport::new(StatusCode::OK, "application/activity+json", circle));
    let mut progress = export::ExportProgress::default();
    assert_eq!(alice.export_next(&mut progress).await.unwrap(), [json!({})]);
    let error = alice.export_next(&mut progress).await.unwrap_err().to_string();
    assert!(error.contains("is one that was read"), "{error}");
}

#[test]
fn an_export_is_one_document() {
    let alice = device(offline(), "alice");
    for pages in [vec![], vec![vec![]], vec![vec![json!({ "n": 1 })], vec![], vec![json!(2), json!(3)]]] {
        let mut document = alice.begin_export(Vec::new(), Value::to_string).unwrap();
        for page in &pages {
            document.add(page).unwrap();
        }
        let (text, count) = document.end().unwrap();
        let read: Value = serde_json::from_slice(&text).unwrap();
        let items = pages.concat();
        assert_eq!((read["totalItems"].as_u64(), count), (u64::try_from(items.len()).ok(), count));
        assert_eq!(read["orderedItems"], Value::Array(items));
        assert_eq!(read["id"], "https://a.example/user/alice/export");
    }
}

/// Returns Alice's device with tokens.
fn signed_in(transport: CannedTransport) -> Device<CannedTransport> {
    let alice = device(transport, "alice");
    let tokens =
        DeviceTokens { access: "access".to_owned(), refresh: "refresh".to_owned(), expires_ms: i64::MAX };
    alice.set_tokens(Some(tokens));
    alice
}

/// Redirects from each path of `https://apex.example` to what the path names, and counts the requests.
struct Redirects(Mutex<Vec<String>>);

impl Transport for Redirects {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let url = request.uri().to_string();
        self.0.lock().unwrap().push(url.clone());
        let target = match url.strip_prefix("https://apex.example/") {
            Some("chat") => "https://chat.example/here",
            Some("relative") => "/chat",
            Some("loop") => "https://apex.example/loop",
            Some("plain") => "http://chat.example/here",
            Some("machine") => "http://localhost:9000/here",
            Some("address") => "https://169.254.169.254/here",
            _ => return Ok(Response::new(Bytes::from_static(b"here"))),
        };
        Ok(Response::builder().status(307).header(header::LOCATION, target).body(Bytes::new()).unwrap())
    }
}

#[tokio::test]
async fn redirects_are_followed_to_public_addresses_and_not_for_ever() {
    for (path, asked, answer) in [
        ("chat", 2, Some(200)),
        ("relative", 3, Some(200)),
        ("loop", 1 + MOST_REDIRECTS, Some(307)),
        ("plain", 1, None),
        ("machine", 1, None),
        ("address", 1, None),
    ] {
        let device = device(Redirects(Mutex::default()), "alice");
        let found = device.fetch_redirected(&format!("https://apex.example/{path}")).await;
        assert_eq!(found.as_ref().ok().map(|found| found.status.as_u16()), answer, "{path}");
        let refused = matches!(found, Err(ClientError::Unfetchable(_)));
        assert_eq!((refused, device.transport.0.lock().unwrap().len()), (answer.is_none(), asked), "{path}");
    }
}
