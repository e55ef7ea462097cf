//! The proxy, at which devices read device chains: used to reach addresses within, to read other
//! documents, for other users, as an amplifier, and as a way for another server to answer anything.

use bytes::Bytes;
use eko_client::{Auth, Body, Device, DeviceKeys};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::deletion::tombstone;
use eko_testkit::{AnswerTail, BARE, ChainChanges as _, DirectTransport, Stranger, StrangerAnswer, refusal};
use http::{Method, header};
use serde_json::{Value, json};

use crate::addresses::{TrapKind, traps};
use crate::policy::lists;
use crate::scene::AttackScene;

const FORM: &str = "application/x-www-form-urlencoded";
const CHAIN: &str = "https://b.example/user/eve/devices";
const PATH: &str = "/user/eve/devices";

/// Returns the answer of a server whose user at `id` was deleted.
fn gone(id: &str) -> StrangerAnswer {
    StrangerAnswer::activity(410, &tombstone(id, "OrderedCollection", 0))
}

/// Returns the form that asks for a document.
fn form(id: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    format!("id={}", id.bytes().map(escape).collect::<String>())
}

/// Posts a form to a path of the server, and returns the answer in one line.
async fn posts(device: &Device<DirectTransport>, path: &str, form: String, auth: Auth<'_>) -> String {
    let body = Body::Raw(Some(FORM), Bytes::from(form));
    let answer = device.call(Method::POST, path, body, auth).await.unwrap();
    assert_ne!(answer.status, 500, "{}", String::from_utf8_lossy(&answer.body));
    if answer.status.is_success() { answer.status.as_u16().to_string() } else { refusal(&answer) }
}

/// Has Alice read a document through her server, and returns the answer in one line.
async fn reads(scene: &AttackScene, id: &str) -> String {
    posts(&scene.alice, "/user/alice/proxy", form(id), Auth::Device).await
}

/// Returns the document of the chain of `eve@b.example`, of one device.
fn chain(scene: &AttackScene) -> Value {
    let environment = scene.alice.environment().clone();
    let (origin, user) = (Origin::parse("https://b.example").unwrap(), UserName::parse("eve").unwrap());
    let keys = DeviceKeys::generate(BARE, &environment).unwrap();
    let device = Device::new(scene.world.transport(), origin, user, keys, environment);
    json!({ "type": "OrderedCollection", "id": CHAIN, "orderedItems": [device.first_node().unwrap()] })
}

#[tokio::test]
async fn to_reach_an_address_within() {
    let scene = AttackScene::new().await;
    for trap in traps(&scene.internet) {
        let expected = match trap.kind {
            TrapKind::Spelling => "422 invalid #/id",
            TrapKind::Literal if trap.base.starts_with("http://b") => "422 invalid #/id",
            // Local mode knows these two spellings, and no deployment asks there.
            TrapKind::Literal if trap.base.starts_with("http://") => "403 not-federated",
            TrapKind::Literal => "422 invalid #/id",
            TrapKind::Local => "403 not-federated",
            TrapKind::Resolves => "502 remote-failed",
        };
        let id = format!("{}/user/eve/devices", trap.base);
        assert_eq!(reads(&scene, &id).await, expected, "{trap:?}");
        assert_eq!(scene.internet.dialled(), [], "{trap:?}");
        scene.assert_contacted_only(&[&trap.name], &format!("{trap:?}"));
    }
    scene.assert_unchanged("a chain within").await;
}

#[tokio::test]
async fn to_follow_a_redirect() {
    let scene = AttackScene::new().await;
    let other = Stranger::new(&scene.internet, "c.example").await;
    for (status, to) in [
        (301, "https://c.example/user/eve/devices"),
        (302, "https://b.example/user/eve/devices/2"),
        (303, "https://127.0.0.1/user/eve/devices"),
        (307, "http://b.example/user/eve/devices"),
        (308, "/user/other/devices"),
    ] {
        scene.eve.document(PATH, StrangerAnswer::status(status).with("location", to));
        assert_eq!(reads(&scene, CHAIN).await, "502 remote-failed", "{status} {to}");
        scene.assert_contacted_only(&[], to);
    }
    assert_eq!(other.asked().len(), 0);
    assert_eq!(scene.eve.asked().len(), 5, "one request each");
    scene.assert_unchanged("a chain elsewhere").await;
}

#[tokio::test]
async fn to_read_another_document() {
    let scene = AttackScene::new().await;
    for id in [
        "https://b.example/user/eve",
        "https://b.example/user/eve/inbox",
        "https://b.example/user/eve/keyPackages",
        "https://b.example/user/eve/devices/pending",
        "https://b.example/user/eve/devices?secret=1",
        "https://b.example/admin?/user/eve/devices",
        "https://b.example/../user/eve/devices",
        "https://b.example/x/user/eve/devices",
        "https://user:password@b.example/user/eve/devices",
        "https://eko.example/user/bob/inbox",
        "https://eko.example/user/bob/devices/pending",
        "file:///etc/passwd",
        "",
    ] {
        assert_eq!(reads(&scene, id).await, "422 invalid #/id", "{id}");
        assert_eq!(scene.eve.asked().len(), 0, "{id}");
    }
    scene.assert_unchanged("another document").await;
}

#[tokio::test]
async fn for_somebody_else_or_without_a_right() {
    let mut scene = AttackScene::new().await;
    scene.eve.document(PATH, StrangerAnswer::activity(200, &chain(&scene)));
    let pending = scene.world.pending(&scene.alice, "pending").await;
    let revoked = scene.world.further(&scene.alice, "stolen").await;
    scene.alice.revoke(revoked.id()).await.unwrap();
    scene.world.deliver().await;
    scene.take_baseline().await;
    let own = "https://eko.example/user/bob/devices";
    for id in [CHAIN, own] {
        let mine = "/user/alice/proxy";
        for (device, path, auth, expected) in [
            (&scene.alice, mine, Auth::Nobody, "401 unauthenticated"),
            (&scene.alice, mine, Auth::Token("x"), "401 unauthenticated"),
            (&scene.alice, "/user/bob/proxy", Auth::Device, "403 not-owner"),
            (&scene.alice, "/user/nobody/proxy", Auth::Device, "403 not-owner"),
            (&pending, mine, Auth::Device, "403 device-pending"),
            (&revoked, mine, Auth::Device, "401 device-revoked"),
        ] {
            assert_eq!(posts(device, path, form(id), auth).await, expected, "{id} {path}");
        }
    }
    assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]));
    let other = Body::Json(&json!({ "id": CHAIN }));
    let answer = scene.alice.call(Method::POST, "/user/alice/proxy", other, Auth::Device).await.unwrap();
    assert_eq!(refusal(&answer), "415 unsupported-media-type");
    let long = format!("{}&x={}", form(CHAIN), "x".repeat(1 << 20));
    let answer = posts(&scene.alice, "/user/alice/proxy", long, Auth::Device).await;
    assert_eq!(answer, "413 body-too-large");
    scene.assert_unchanged("a chain for nobody").await;
    // What was refused was not charged, and the good request is answered.
    assert_eq!((reads(&scene, CHAIN).await, reads(&scene, own).await), ("200".to_owned(), "200".to_owned()));
}

/// Nothing of another server's answer passes but nodes of the chain that was asked for. So a server
/// cannot serve other documents to the devices here, and no member that they do not know.
#[tokio::test]
async fn to_pass_on_what_is_no_chain() {
    let scene = AttackScene::new().await;
    let good = chain(&scene);
    let with = |pointer: &str, value: Value| {
        let mut copy = good.clone();
        *copy.pointer_mut(pointer).unwrap() = value;
        StrangerAnswer::activity(200, &copy)
    };
    let mut one_more = good.clone();
    one_more["orderedItems"][0]["extra"] = json!("<script>");
    let text = good.to_string();
    let raw = |body: String| StrangerAnswer { body, ..StrangerAnswer::status(200) };
    for (name, answer, expected) in [
        ("a page", StrangerAnswer { media_type: "text/html", ..raw(text.clone()) }, "502 remote-failed"),
        (
            "plain JSON",
            StrangerAnswer { media_type: "application/json", ..raw(text.clone()) },
            "502 remote-failed",
        ),
        ("no JSON", raw("<html>".to_owned()), "502 remote-failed"),
        ("a member twice", raw(text.replacen('{', "{\"orderedItems\":[],", 1)), "502 remote-failed"),
        ("no items", raw("{}".to_owned()), "502 remote-failed"),
        ("an empty chain", with("/orderedItems", json!([])), "502 remote-failed"),
        (
            "no node",
            with("/orderedItems/0", json!("https://b.example/user/eve/devices/0")),
            "502 remote-failed",
        ),
        ("a member of a node", StrangerAnswer::activity(200, &one_more), "502 remote-failed"),
        (
            "another user's node",
            with("/orderedItems/0/actor", json!("https://b.example/user/other")),
            "502 remote-failed",
        ),
        ("packed", raw(text.clone()).with("content-encoding", "gzip"), "502 remote-failed"),
        ("endless", raw(text.clone()).then(AnswerTail::Endless), "502 remote-failed"),
        ("not there", StrangerAnswer::status(404), "404 not-found"),
        ("gone for now", StrangerAnswer::status(410), "404 not-found"),
        ("another one is deleted", gone("https://b.example/user/eve"), "404 not-found"),
        ("deleted", gone(CHAIN), "410 user-deleted"),
        ("for nobody", StrangerAnswer::status(401), "502 remote-failed"),
        ("created", StrangerAnswer::activity(201, &good), "502 remote-failed"),
        ("broken", StrangerAnswer::status(500), "503 remote-unreachable"),
        ("busy", StrangerAnswer::status(429), "503 remote-unreachable"),
    ] {
        scene.eve.document(PATH, answer);
        assert_eq!(reads(&scene, CHAIN).await, expected, "{name}");
    }
    // Members around the nodes, and headers, end here.
    let mut around = good.clone();
    around["summary"] = json!("x".repeat(1_000));
    around["eko:deviceSet"] = json!({ "length": 9, "head": "ab".repeat(32) });
    let cookie = StrangerAnswer::activity(200, &around).with("set-cookie", "a=b").with("x-other", "c");
    scene.eve.document(PATH, cookie);
    let body = Body::Raw(Some(FORM), form(CHAIN).into());
    let answer = scene.alice.call(Method::POST, "/user/alice/proxy", body, Auth::Device).await.unwrap();
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert!(!answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("x-other"));
    let shown = answer.json().unwrap();
    let mut members: Vec<&String> = shown.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["@context", "eko:deviceSet", "id", "orderedItems", "totalItems", "type"]);
    assert_eq!(shown["orderedItems"], good["orderedItems"]);
    assert_eq!(shown["eko:deviceSet"]["length"], 1);
    scene.assert_unchanged("what is no chain").await;
}

/// The answer has a limit of its own, and what is a byte longer is not read to its end.
#[tokio::test]
async fn with_a_chain_that_is_too_long() {
    let scene = AttackScene::new().await;
    let text = chain(&scene).to_string();
    for (bytes, expected) in [(1 << 20, "200"), ((1 << 20) + 1, "502 remote-failed")] {
        let body = format!("{text}{}", " ".repeat(bytes - text.len()));
        scene.eve.document(PATH, StrangerAnswer { body, ..StrangerAnswer::status(200) });
        assert_eq!(reads(&scene, CHAIN).await, expected, "{bytes}");
    }
}

/// A request here is one request there, and an account has a budget of them: as many a minute as it
/// has takes at one server, and no more than envelopes in all.
#[tokio::test]
async fn as_an_amplifier() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.sender_budget = 3;
        config.limits.account_budget = 5;
    })
    .await;
    let other = Stranger::new(&scene.internet, "c.example").await;
    scene.eve.script(|_| Some(StrangerAnswer::status(404)));
    for user in ["a", "b", "c"] {
        let id = format!("https://b.example/user/{user}/devices");
        assert_eq!(reads(&scene, &id).await, "404 not-found");
    }
    assert_eq!(reads(&scene, CHAIN).await, "429 too-many");
    assert_eq!(scene.alice_takes("https://b.example/user/eve/keyPackages").await, "429 too-many");
    // Whoever has a domain has every server under it.
    for authority in ["x.b.example", "b.example:8443"] {
        let id = format!("https://{authority}/user/eve/devices");
        assert_eq!(reads(&scene, &id).await, "429 too-many", "{id}");
    }
    assert_eq!(scene.eve.asked().len(), 3);
    assert!(scene.eve.asked().iter().all(|asked| !asked.headers.contains_key("signature")));
    for _ in 0..2 {
        assert_eq!(reads(&scene, "https://c.example/user/eve/devices").await, "404 not-found");
    }
    for id in ["https://c.example/user/eve/devices", "https://eko.example/user/bob/devices"] {
        assert_eq!(reads(&scene, id).await, "429 too-many", "{id}");
    }
    assert_eq!(other.asked().len(), 2);
    // Another account has its own budget, and Alice has hers again in the next minute.
    let bobs = posts(&scene.bob, "/user/bob/proxy", form(CHAIN), Auth::Device).await;
    assert_eq!(bobs, "404 not-found");
    scene.world.advance(60_000);
    assert_eq!(reads(&scene, CHAIN).await, "404 not-found");
}

/// A server that is away is not asked again and again, and those who ask wait for nothing.
#[tokio::test]
async fn at_a_server_that_is_away() {
    let scene = AttackScene::new().await;
    scene.internet.unplug(scene.eve.address);
    assert_eq!(reads(&scene, CHAIN).await, "503 remote-unreachable");
    scene.internet.forget();
    for _ in 0..5 {
        assert_eq!(reads(&scene, CHAIN).await, "503 remote-unreachable");
    }
    assert_eq!(scene.dialled(), []);
    scene.internet.plug(scene.eve.address);
    scene.eve.document(PATH, StrangerAnswer::activity(200, &chain(&scene)));
    scene.world.advance(10_000);
    assert_eq!(reads(&scene, CHAIN).await, "200");
    assert_eq!(reads(&scene, CHAIN).await, "200");
}

/// A server that the policy excludes is not asked for a chain either.
#[tokio::test]
async fn at_a_server_that_the_policy_excludes() {
    let scene = AttackScene::with(BARE, lists("", "b.example")).await;
    assert_eq!(reads(&scene, CHAIN).await, "403 not-federated");
    assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]));
}
