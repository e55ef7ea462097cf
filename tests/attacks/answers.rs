//! Answers of another server that is asked for an actor: of a wrong kind, endless, slow,
//! compressed, or no plain document. None of them makes the actor known. The same of a server that
//! got an envelope: its status decides, whatever it does with the body.

use std::time::Duration;

use eko_protocol::activity::ReportKind;
use eko_service::config::Config;
use eko_testkit::{AnswerTail, BARE, StrangerAnswer};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::scene::{AttackScene, actor_document, like};

/// Returns the right document of an actor, as a text.
fn document(scene: &AttackScene, name: &str) -> String {
    actor_document(&format!("{}/users/{name}", scene.eve.origin), scene.eve.key.public_pem()).to_string()
}

/// Serves an actor by this answer, delivers an activity of the actor, and returns the answer to
/// that in one line.
async fn deliver_from(scene: &AttackScene, name: &str, answer: StrangerAnswer) -> String {
    scene.eve.document(&format!("/users/{name}"), answer);
    scene.deliver(&like(&format!("{}/users/{name}", scene.eve.origin))).await
}

/// Returns this document with the status 200.
fn ok(body: String) -> StrangerAnswer {
    StrangerAnswer { body, ..StrangerAnswer::status(200) }
}

#[tokio::test]
async fn of_a_wrong_kind() {
    let scene = AttackScene::new().await;
    for (number, media_type) in [
        "text/html",
        "text/html; charset=utf-8; application/activity+json",
        "text/plain",
        "image/png",
        "image/svg+xml",
        "application/json",
        "application/jrd+json",
        "application/octet-stream",
        "application/activity+jsonp",
        "application/activity+json, text/html",
        "multipart/form-data; boundary=x",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("kind{number}");
        let answer = StrangerAnswer { media_type, ..ok(document(&scene, &name)) };
        assert_eq!(deliver_from(&scene, &name, answer).await, "401 bad-signature", "{media_type}");
    }
    // A proxy that repeats the type changes nothing.
    for (second, expected) in [("text/html", "401 bad-signature"), ("application/activity+json", "202")] {
        let name = format!("twice{}", second.len());
        let twice = ok(document(&scene, &name)).with("content-type", second);
        assert_eq!(deliver_from(&scene, &name, twice).await, expected, "and {second}");
    }
    let marked = ok(format!("\u{feff}{}", document(&scene, "marked")));
    assert_eq!(deliver_from(&scene, "marked", marked).await, "202", "a mark of order");
    for media_type in [
        "application/activity+json; charset=utf-8",
        "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
    ] {
        let name = format!("right{}", media_type.len());
        let answer = StrangerAnswer { media_type, ..ok(document(&scene, &name)) };
        assert_eq!(deliver_from(&scene, &name, answer).await, "202", "{media_type}");
    }
    scene.assert_unchanged("an activity of an actor that is a picture").await;
}

#[tokio::test]
async fn of_any_other_status() {
    let scene = AttackScene::new().await;
    for (status, expected) in [
        (201, "401 bad-signature"),
        (202, "401 bad-signature"),
        (206, "401 bad-signature"),
        (300, "401 bad-signature"),
        (400, "401 bad-signature"),
        (401, "401 bad-signature"),
        (403, "401 bad-signature"),
        (404, "401 bad-signature"),
        (410, "401 bad-signature"),
        (418, "401 bad-signature"),
        (429, "503 remote-unreachable"),
        (500, "503 remote-unreachable"),
        (503, "503 remote-unreachable"),
    ] {
        let name = format!("status{status}");
        let answer = StrangerAnswer { body: document(&scene, &name), ..StrangerAnswer::status(status) };
        assert_eq!(deliver_from(&scene, &name, answer).await, expected, "{status}");
    }
    scene.assert_unchanged("an activity of an actor that is an error").await;
}

#[tokio::test]
async fn too_long_or_packed() {
    let scene = AttackScene::new().await;
    let padded = |name: &str, length: usize| {
        let right = document(&scene, name);
        format!("{right}{}", " ".repeat(length - right.len()))
    };
    let cases = [
        ("endless", ok(document(&scene, "endless")).then(AnswerTail::Endless)),
        (
            "endless-picture",
            StrangerAnswer { media_type: "image/png", ..ok(String::new()) }.then(AnswerTail::Endless),
        ),
        ("endless-error", StrangerAnswer::status(404).then(AnswerTail::Endless)),
        ("long", ok(padded("long", (64 << 10) + 1))),
        ("boast", ok(document(&scene, "boast")).with("content-length", "99999999999999999999")),
        ("gzip", ok(document(&scene, "gzip")).with("content-encoding", "gzip")),
        ("br", ok(document(&scene, "br")).with("content-encoding", "br")),
        ("twice-packed", ok(document(&scene, "twice-packed")).with("content-encoding", "identity, gzip")),
        ("headers", ok(document(&scene, "headers")).with("x-long", "x".repeat(64 * 1024))),
    ];
    for (name, answer) in cases {
        let answer = deliver_from(&scene, name, answer).await;
        // An answer that is no HTTP is taken for a failure of the server, which may pass.
        let expected = match name {
            "headers" | "boast" => "503 remote-unreachable",
            _ => "401 bad-signature",
        };
        assert_eq!(answer, expected, "{name}");
        scene.assert_contacted_only(&[], name);
    }
    assert_eq!(deliver_from(&scene, "fits", ok(padded("fits", 64 << 10))).await, "202");
    scene.assert_unchanged("an activity of an actor that does not end").await;
}

#[tokio::test]
async fn that_never_end() {
    let scene = AttackScene::new().await;
    let cases =
        [("drips", AnswerTail::Drips), ("stalls", AnswerTail::Stalls), ("silent", AnswerTail::Silent)];
    // One of the deliveries waits for the server, for as long as a request may.
    let waiting = cases.map(|(name, tail)| deliver_from(&scene, name, ok(document(&scene, name)).then(tail)));
    assert_eq!(join_all(waiting).await, ["429 too-many"; 3]);
    scene.internet.forget();
    for (name, _) in cases {
        let again = scene.deliver(&like(&format!("{}/users/{name}", scene.eve.origin))).await;
        assert_eq!((again.as_str(), scene.dialled()), ("429 too-many", vec![]), "{name}");
    }
    // The queue does not find out more.
    assert_eq!(scene.world.federate().await, 3);
    scene.assert_unchanged("an activity of an actor that does not end").await;
}

#[tokio::test]
async fn that_are_no_plain_document() {
    let scene = AttackScene::new().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let with = |name: &str, member: &str| {
        let right = document(&scene, name);
        format!("{{{member},{}", right.strip_prefix('{').unwrap())
    };
    let cases = [
        ("nothing", String::new()),
        ("half", document(&scene, "half").replace('}', "")),
        ("two", document(&scene, "two").repeat(2)),
        ("array", format!("[{}]", document(&scene, "array"))),
        ("null", "null".to_owned()),
        ("id-twice", with("id-twice", r#""id":"https://c.example/users/eve""#)),
        ("key-twice", with("key-twice", r#""publicKey":{}"#)),
        ("graph", with("graph", r#""@graph":[]"#)),
        ("reverse", with("reverse", r#""x":{"@reverse":{}}"#)),
        ("included", with("included", r#""@included":[]"#)),
        ("alias", document(&scene, "alias").replace(r#""https://w3id.org/security/v1""#, r#"{"x":"@id"}"#)),
        ("depth", with("depth", &format!(r#""x":{deep}"#))),
        ("number", with("number", r#""x":1e400"#)),
        ("surrogate", with("surrogate", r#""x":"\ud800""#)),
        ("bytes", with("bytes", r#""x":"\xff""#)),
    ];
    for (name, body) in cases {
        assert_eq!(deliver_from(&scene, name, ok(body)).await, "401 bad-signature", "{name}");
    }
    scene.assert_unchanged("an activity of an actor in no plain document").await;
}

#[tokio::test]
async fn with_members_of_another_shape() {
    let scene = AttackScene::new().await;
    let id = |name: &str| format!("{}/users/{name}", scene.eve.origin);
    let key = |name: &str| actor_document(&id(name), scene.eve.key.public_pem())["publicKey"].clone();
    let cases: Vec<(&str, &str, Value)> = vec![
        ("no-actor", "type", json!("Note")),
        ("no-type", "type", json!(null)),
        ("ids", "id", json!([id("ids"), id("ids")])),
        ("id-object", "id", json!({ "id": id("id-objects") })),
        ("id-upper", "id", json!("https://B.example/users/id-upper")),
        ("id-slash", "id", json!(format!("{}/", id("id-slash")))),
        ("id-nul", "id", json!(format!("{}\u{0}", id("id-nul")))),
        ("inboxes", "inbox", json!([format!("{}/inbox", id("inboxes")), format!("{}/inbox", id("eve"))])),
        ("inbox-object", "inbox", json!({ "href": format!("{}/inbox", id("inbox-object")) })),
        ("inbox-query", "inbox", json!(format!("{}/inbox?x", id("inbox-query")))),
        ("inbox-prefix", "inbox", json!("https://b.example.evil.example/inbox")),
        ("inbox-port", "inbox", json!("https://b.example:8443/inbox")),
        ("no-inbox", "inbox", json!(null)),
        ("no-key", "publicKey", json!(null)),
        ("key-text", "publicKey", json!("key")),
        ("key-deeper", "publicKey", json!([[key("key-deeper")]])),
        ("packages", "eko:keyPackages", json!([[format!("{}/keyPackages", id("packages"))]])),
    ];
    for (name, member, value) in cases {
        let actor = scene.actor(name, |document| document[member] = value);
        assert_eq!(scene.deliver(&like(&actor)).await, "401 bad-signature", "{name}");
    }
    let many = scene.actor("many", |document| {
        let right = document["publicKey"].clone();
        let other =
            |number: usize| json!({ "id": format!("{}#{number}", right["id"]), "owner": right["owner"] });
        document["publicKey"] = (0..100).map(other).chain([right.clone()]).collect();
    });
    assert_eq!(scene.deliver(&like(&many)).await, "401 bad-signature", "more keys than are read");
    scene.assert_unchanged("an activity of an actor of another shape").await;
}

/// The status of an answer to an envelope decides. Only 207 and 409 need a body; a 207 that cannot
/// be read still says that the envelope was accepted.
#[tokio::test]
async fn to_an_envelope() {
    let change = |config: &mut Config| config.limits.remote_send_time = Duration::from_millis(600);
    let scene = AttackScene::with(BARE, change).await;
    let long = || StrangerAnswer { body: "x".repeat(2 << 20), ..StrangerAnswer::status(200) };
    let gzip = |status| {
        let body = "not gzip at all".to_owned();
        StrangerAnswer { body, ..StrangerAnswer::status(status) }.with("content-encoding", "gzip")
    };
    let with = |status, tail| {
        let body = "{".to_owned();
        StrangerAnswer { body, ..StrangerAnswer::status(status) }.then(tail)
    };
    let cases = [
        (gzip(202), "201 Create"),
        (long(), "201 Create"),
        (with(202, AnswerTail::Endless), "201 Create"),
        (with(202, AnswerTail::Drips), "201 Create"),
        (with(201, AnswerTail::Stalls), "201 Create"),
        (gzip(207), "207 PartialDelivery"),
        (with(207, AnswerTail::Endless), "207 PartialDelivery"),
        (StrangerAnswer::status(207), "207 PartialDelivery"),
        (gzip(409), "409 Reject"),
        (with(409, AnswerTail::Endless), "409 Reject"),
        (gzip(422), "409 Reject"),
        (with(422, AnswerTail::Stalls), "409 Reject"),
        (gzip(404), "404 not-found"),
        (with(410, AnswerTail::Endless), "404 not-found"),
    ];
    for (number, (answer, expected)) in cases.into_iter().enumerate() {
        let what = format!("{number}: {} {:?}", answer.status, answer.tail);
        scene.eve.answer(answer);
        let said = scene.alice_sends(&scene.eve.actor, &scene.eve.actor, number).await;
        assert_eq!(said, expected, "{what}");
        scene.world.advance(60_000);
    }
    scene.assert_unchanged_but_sent("an answer").await;
    assert_eq!(scene.world.waiting().await, (0, 0));
    // A report that is cut off is asked for again.
    for (number, status) in [(50, 207), (51, 409)] {
        scene.eve.answer(with(status, AnswerTail::Stalls));
        let said = scene.alice_sends(&scene.eve.actor, &scene.eve.actor, number).await;
        assert_eq!(said, "202 Create", "{status}");
    }
    scene.world.advance(60_000);
    scene.world.federate().await;
    scene.world.deliver().await;
    scene.alice.refresh().await.unwrap();
    let kinds: Vec<ReportKind> = scene.world.reports(&scene.alice).await.iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [ReportKind::Confirm; 2]);
}
