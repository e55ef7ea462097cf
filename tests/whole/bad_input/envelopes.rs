//! A `Create` with one thing wrong.

use eko_client::{Auth, Body};
use eko_testkit::envelope;
use serde_json::{Value, json};

use super::Scene;

/// The `Create` of Alice for Bob's devices, changed.
fn creates(scene: &Scene) -> Vec<(&'static str, Value, &'static str)> {
    let (alice, bob) = (&scene.alice, &scene.bob);
    let good = alice.create_activity(&envelope(alice, &[bob, &scene.second]));
    let changed = |pointer: &str, to: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = to;
        body
    };
    let object = |name: &str, value: Value| {
        let mut body = good.clone();
        body["object"].as_object_mut().unwrap().insert(name.to_owned(), value);
        body
    };
    let both = |name: &str, value: &str| {
        let mut body = good.clone();
        for message in body["object"]["messages"].as_array_mut().unwrap() {
            message[name] = json!(value);
        }
        body
    };
    let without = |parent: &str, name: &str| {
        let mut body = good.clone();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        body
    };
    let message = &good["object"]["messages"][0];
    let content = |bytes: usize| {
        // Three bytes are four characters.
        assert_eq!(bytes % 3, 0);
        changed("/object/messages/0/content", json!("AAAA".repeat(bytes / 3)))
    };
    let remote = "https://b.example/user/bob";
    let to_remote = {
        let mut body = changed("/to", json!(remote));
        for message in body["object"]["messages"].as_array_mut().unwrap() {
            message["to"] = json!(message["to"].as_str().unwrap().replace("eko.example", "b.example"));
        }
        body
    };
    let of = |user: &str| format!("https://eko.example/user/{user}/device/{}", bob.id());
    vec![
        ("type", changed("/type", json!("Like")), "422 invalid #/type"),
        ("types without ours", changed("/type", json!(["Object", 3])), "422 invalid #/type"),
        ("actor: another user", changed("/actor", json!(bob.actor())), "403 not-yours #/actor"),
        (
            "actor: another host",
            changed("/actor", json!("https://b.example/user/alice")),
            "403 not-yours #/actor",
        ),
        (
            "actor: another case",
            changed("/actor", json!("https://eko.example/user/Alice")),
            "403 not-yours #/actor",
        ),
        ("actor: http", changed("/actor", json!("http://eko.example/user/alice")), "403 not-yours #/actor"),
        ("actor: no address", changed("/actor", json!("alice")), "422 invalid #/actor"),
        ("actor: an object", changed("/actor", json!({ "id": alice.actor() })), "422 invalid #/actor"),
        ("actor: missing", without("", "actor"), "422 invalid #/actor"),
        (
            "id: another host",
            {
                let mut b = good.clone();
                b["id"] = json!("https://b.example/activity/1");
                b
            },
            "403 not-yours #/id",
        ),
        (
            "id: a number",
            {
                let mut b = good.clone();
                b["id"] = json!(1);
                b
            },
            "422 invalid #/id",
        ),
        (
            "to: unknown",
            {
                let mut b = both("to", &of("nobody"));
                b["to"] = json!("https://eko.example/user/nobody");
                b["object"]["messages"] = json!([b["object"]["messages"][0]]);
                b
            },
            "404 not-found",
        ),
        ("to: no user", changed("/to", json!("https://eko.example/actor")), "404 not-found"),
        ("to: another server", to_remote, "422 invalid #/to"),
        ("to: two", changed("/to", json!([bob.actor(), alice.actor()])), "422 invalid #/to"),
        ("to: none", changed("/to", json!([])), "422 invalid #/to"),
        (
            "to: everybody",
            changed("/to", json!("https://www.w3.org/ns/activitystreams#Public")),
            "422 invalid #/to",
        ),
        (
            "to: with credentials",
            changed("/to", json!("https://bob@eko.example/user/bob")),
            "422 invalid #/to",
        ),
        (
            "to: a port that says nothing",
            changed("/to", json!("https://eko.example:443/user/bob")),
            "422 invalid #/to",
        ),
        ("to: percent-encoded", changed("/to", json!("https://eko.example/user/%62ob")), "422 invalid #/to"),
        ("to: missing", without("", "to"), "422 invalid #/to"),
        ("object: missing", without("", "object"), "422 invalid #/object/type"),
        (
            "object: an address",
            changed("/object", json!("https://eko.example/message/1")),
            "422 invalid #/object/type",
        ),
        ("object: an array", changed("/object", json!([good["object"]])), "422 invalid #/object/type"),
        ("object: another type", changed("/object/type", json!("Note")), "422 invalid #/object/type"),
        ("envelope id: missing", without("/object", "id"), "422 invalid #/object/id"),
        ("envelope id: no id", changed("/object/id", json!("1")), "422 invalid #/object/id"),
        (
            "envelope id: upper case",
            changed("/object/id", json!("urn:uuid:AAAAAAAA-8E9E-4A89-A81D-9C9CA039BB39")),
            "422 invalid #/object/id",
        ),
        (
            "envelope id: another host",
            changed("/object/id", json!("https://b.example/message/1")),
            "403 not-yours #/object/id",
        ),
        (
            "envelope id: too long",
            changed("/object/id", json!(format!("https://eko.example/message/{}", "1".repeat(600)))),
            "422 invalid #/object/id",
        ),
        (
            "published: no time",
            changed("/object/published", json!("yesterday")),
            "422 invalid #/object/published",
        ),
        ("notify: text", changed("/object/notify", json!("true")), "422 invalid #/object/notify"),
        ("expires: past", object("expires", json!("2026-01-29T19:29:59Z")), "422 invalid #/object/expires"),
        ("expires: now", object("expires", json!("2026-01-29T19:30:00Z")), "422 invalid #/object/expires"),
        (
            "expires: no time",
            object("expires", json!("2026-02-30T00:00:00Z")),
            "422 invalid #/object/expires",
        ),
        ("expires: a number", object("expires", json!(1_769_715_000)), "422 invalid #/object/expires"),
        (
            "device set: no hash",
            object("eko:deviceSet", json!({ "length": 1, "head": "x" })),
            "422 invalid #/object/eko:deviceSet",
        ),
        (
            "device set: below 0",
            object("eko:deviceSet", json!({ "length": -1, "head": "0".repeat(64) })),
            "422 invalid #/object/eko:deviceSet/length",
        ),
        ("messages: missing", without("/object", "messages"), "422 invalid #/object/messages"),
        ("messages: none", changed("/object/messages", json!([])), "422 invalid #/object/messages"),
        (
            "messages: one, not in an array",
            changed("/object/messages", message.clone()),
            "422 invalid #/object/messages",
        ),
        (
            "messages: seventeen",
            changed("/object/messages", json!(vec![message; 17])),
            "422 invalid #/object/messages",
        ),
        (
            "messages: five hundred",
            changed("/object/messages", json!(vec![message; 500])),
            "422 invalid #/object/messages",
        ),
        (
            "messages: a text",
            changed("/object/messages/1", json!("hello")),
            "422 invalid #/object/messages/1",
        ),
        (
            "message to: the same device",
            changed("/object/messages/1", message.clone()),
            "422 invalid #/object/messages/1/to",
        ),
        (
            "message to: a device of another user",
            changed("/object/messages/0/to", json!(alice.address())),
            "422 invalid #/object/messages/0/to",
        ),
        (
            "message to: the device under another user",
            changed("/object/messages/0/to", json!(of("carol"))),
            "422 invalid #/object/messages/0/to",
        ),
        (
            "message to: on another host",
            changed(
                "/object/messages/1/to",
                json!(format!("https://b.example/user/bob/device/{}", bob.id())),
            ),
            "422 invalid #/object/messages/1/to",
        ),
        (
            "message to: a user",
            changed("/object/messages/0/to", json!(bob.actor())),
            "422 invalid #/object/messages/0/to",
        ),
        (
            "message to: no address",
            changed("/object/messages/0/to", json!(bob.id())),
            "422 invalid #/object/messages/0/to",
        ),
        ("message to: missing", without("/object/messages/0", "to"), "422 invalid #/object/messages/0/to"),
        (
            "message from: another device",
            both("from", &scene.second.address()),
            "403 not-yours #/object/messages/0/from",
        ),
        (
            "message from: on another host",
            both("from", "https://b.example/user/alice/device/1"),
            "403 not-yours #/object/messages/0/from",
        ),
        (
            "message from: two devices",
            changed("/object/messages/1/from", json!(bob.address())),
            "422 invalid #/object/messages/1/from",
        ),
        (
            "message from: missing",
            without("/object/messages/1", "from"),
            "422 invalid #/object/messages/1/from",
        ),
        (
            "content: empty",
            changed("/object/messages/0/content", json!("")),
            "422 invalid #/object/messages/0/content",
        ),
        ("content: too long", content(96 * 1024 + 3), "422 invalid #/object/messages/0/content"),
        ("content: far too long", content(999_999), "422 invalid #/object/messages/0/content"),
        (
            "content: no base64",
            changed("/object/messages/0/content", json!("a b=")),
            "422 invalid #/object/messages/0/content",
        ),
        (
            "content: base64url",
            changed("/object/messages/0/content", json!("__--")),
            "422 invalid #/object/messages/0/content",
        ),
        (
            "content: loose bits",
            changed("/object/messages/0/content", json!("AB==")),
            "422 invalid #/object/messages/0/content",
        ),
        (
            "content: bytes",
            changed("/object/messages/0/content", json!([1, 2])),
            "422 invalid #/object/messages/0/content",
        ),
        (
            "content: null",
            changed("/object/messages/1/content", Value::Null),
            "422 invalid #/object/messages/1/content",
        ),
        (
            "content: missing",
            without("/object/messages/1", "content"),
            "422 invalid #/object/messages/1/content",
        ),
    ]
}

#[tokio::test]
async fn an_envelope_that_is_wrong() {
    let scene = Scene::new().await;
    for (name, body, expected) in creates(&scene) {
        assert_eq!(
            scene.post("/user/alice/outbox", Body::Json(&body), Auth::Device).await,
            expected,
            "{name}"
        );
    }
    scene.unchanged("a bad envelope").await;
    // The most that is right.
    let mut most = scene.alice.create_activity(&envelope(&scene.alice, &[&scene.bob, &scene.second]));
    most["object"]["messages"][0]["content"] = json!("AAAA".repeat(32 * 1024));
    most["to"] = json!([most["to"]]);
    most["type"] = json!(["Create"]);
    most["object"]["type"] = json!("SignalEnvelope");
    most["unknown"] = json!({ "member": [] });
    let said = scene.post("/user/alice/outbox", Body::Json(&most), Auth::Device).await;
    assert!(said.starts_with("201 "), "{said}");
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await[0].content, vec![0; 96 * 1024]);
}
