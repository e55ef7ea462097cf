//! Envelopes (`Create`) with one thing wrong in each.

use eko_testkit::envelope;
use serde_json::{Value, json};

use super::BadInputScene;
use crate::variants::{changed, with, without};

/// A `Create` that is wrong in one way, and the answer to it in one line.
struct WrongCreate {
    name: &'static str,
    body: Value,
    expected: String,
}

/// Makes a wrong `Create` of these parts.
fn wrong(name: &'static str, body: Value, expected: impl Into<String>) -> WrongCreate {
    WrongCreate { name, body, expected: expected.into() }
}

/// Makes the wrong variants of `good`, the `Create` of Alice for Bob's devices.
fn wrong_creates(scene: &BadInputScene, good: &Value) -> Vec<WrongCreate> {
    let (alice, bob) = (&scene.alice, &scene.bob);
    // The value at the pointer is replaced, and the answer names the same pointer.
    let invalid = |name: &'static str, pointer: &str, value: Value| {
        wrong(name, changed(good, pointer, value), format!("422 invalid #{pointer}"))
    };
    let not_yours = |name: &'static str, pointer: &str, value: Value| {
        wrong(name, changed(good, pointer, value), format!("403 not-yours #{pointer}"))
    };
    let missing = |name: &'static str, parent: &str, member: &str| {
        wrong(name, without(good, parent, member), format!("422 invalid #{parent}/{member}"))
    };
    let invalid_in_object = |name: &'static str, member: &str, value: Value| {
        let object = with(&good["object"], member, value);
        wrong(name, changed(good, "/object", object), format!("422 invalid #/object/{member}"))
    };
    let in_all_messages = |member: &str, value: &str| {
        let mut body = good.clone();
        for message in body["object"]["messages"].as_array_mut().unwrap() {
            message[member] = json!(value);
        }
        body
    };
    let object_is = |name: &'static str, object: Value| {
        wrong(name, changed(good, "/object", object), "422 invalid #/object/type")
    };
    let message = &good["object"]["messages"][0];
    let content = |bytes: usize| {
        // Three bytes are four characters.
        assert_eq!(bytes % 3, 0);
        json!("AAAA".repeat(bytes / 3))
    };
    let to_another_server = {
        let mut body = changed(good, "/to", json!("https://b.example/user/bob"));
        for message in body["object"]["messages"].as_array_mut().unwrap() {
            message["to"] = json!(message["to"].as_str().unwrap().replace("eko.example", "b.example"));
        }
        body
    };
    let device_of = |user: &str| format!("https://eko.example/user/{user}/device/{}", bob.id());
    let to_nobody = {
        let mut body = in_all_messages("to", &device_of("nobody"));
        body["to"] = json!("https://eko.example/user/nobody");
        body["object"]["messages"] = json!([body["object"]["messages"][0]]);
        body
    };
    let elsewhere = |path: &str| json!(format!("https://b.example/{path}"));
    let longest_id = format!("https://eko.example/message/{}", "1".repeat(600));
    let no_head = json!({ "length": 1, "head": "x" });
    let negative = json!({ "length": -1, "head": "0".repeat(64) });
    vec![
        invalid("type", "/type", json!("Like")),
        invalid("types without ours", "/type", json!(["Object", 3])),
        not_yours("actor: another user", "/actor", json!(bob.actor())),
        not_yours("actor: another host", "/actor", elsewhere("user/alice")),
        not_yours("actor: another case", "/actor", json!("https://eko.example/user/Alice")),
        not_yours("actor: http", "/actor", json!("http://eko.example/user/alice")),
        invalid("actor: no address", "/actor", json!("alice")),
        invalid("actor: an object", "/actor", json!({ "href": alice.actor() })),
        missing("actor: missing", "", "actor"),
        wrong("id: another host", with(good, "id", elsewhere("activity/1")), "403 not-yours #/id"),
        wrong("id: a number", with(good, "id", json!(1)), "422 invalid #/id"),
        wrong("to: unknown", to_nobody, "404 not-found"),
        wrong("to: no user", changed(good, "/to", json!("https://eko.example/actor")), "404 not-found"),
        wrong("to: another server", to_another_server, "422 invalid #/to"),
        invalid("to: two", "/to", json!([bob.actor(), alice.actor()])),
        invalid("to: none", "/to", json!([])),
        invalid("to: everybody", "/to", json!("https://www.w3.org/ns/activitystreams#Public")),
        invalid("to: with credentials", "/to", json!("https://bob@eko.example/user/bob")),
        invalid("to: a port that says nothing", "/to", json!("https://eko.example:443/user/bob")),
        invalid("to: percent-encoded", "/to", json!("https://eko.example/user/%62ob")),
        missing("to: missing", "", "to"),
        wrong("object: missing", without(good, "", "object"), "422 invalid #/object"),
        object_is("object: an address", json!("https://eko.example/message/1")),
        wrong(
            "object: an array of two",
            changed(good, "/object", json!([good["object"], good["object"]])),
            "422 invalid #/object",
        ),
        invalid("object: another type", "/object/type", json!("Note")),
        missing("envelope id: missing", "/object", "id"),
        invalid("envelope id: no id", "/object/id", json!("1")),
        invalid("envelope id: no hex", "/object/id", json!("urn:uuid:GAAAAAAA-8E9E-4A89-A81D-9C9CA039BB39")),
        not_yours("envelope id: another host", "/object/id", elsewhere("message/1")),
        not_yours("envelope id: a user", "/object/id", json!(bob.actor())),
        not_yours("envelope id: an activity", "/object/id", json!("https://eko.example/activity/1")),
        not_yours("envelope id: deeper", "/object/id", json!("https://eko.example/message/1/2")),
        not_yours("envelope id: with a fragment", "/object/id", json!("https://eko.example/message/1#2")),
        invalid("envelope id: too long", "/object/id", json!(longest_id)),
        invalid("published: no time", "/object/published", json!("yesterday")),
        invalid("notify: text", "/object/notify", json!("true")),
        invalid_in_object("eko:franking: text", "eko:franking", json!("true")),
        invalid_in_object("expires: past", "expires", json!("2026-01-29T19:29:59Z")),
        invalid_in_object("expires: now", "expires", json!("2026-01-29T19:30:00Z")),
        invalid_in_object("expires: no time", "expires", json!("2026-02-30T00:00:00Z")),
        invalid_in_object("expires: a number", "expires", json!(1_769_715_000)),
        invalid_in_object("device set: no hash", "eko:deviceSet", no_head),
        WrongCreate {
            expected: "422 invalid #/object/eko:deviceSet/length".to_owned(),
            ..invalid_in_object("device set: below 0", "eko:deviceSet", negative)
        },
        missing("messages: missing", "/object", "messages"),
        invalid("messages: none", "/object/messages", json!([])),
        wrong(
            "messages: a number",
            changed(good, "/object/messages", json!(7)),
            "422 invalid #/object/messages/0",
        ),
        invalid("messages: seventeen", "/object/messages", json!(vec![message; 17])),
        invalid("messages: five hundred", "/object/messages", json!(vec![message; 500])),
        invalid("messages: a text", "/object/messages/1", json!("hello")),
        wrong(
            "message to: the same device",
            changed(good, "/object/messages/1", message.clone()),
            "422 invalid #/object/messages/1/to",
        ),
        invalid("message to: a device of another user", "/object/messages/0/to", json!(alice.address())),
        invalid(
            "message to: the device under another user",
            "/object/messages/0/to",
            json!(device_of("carol")),
        ),
        invalid(
            "message to: on another host",
            "/object/messages/1/to",
            elsewhere(&format!("user/bob/device/{}", bob.id())),
        ),
        invalid("message to: a user", "/object/messages/0/to", json!(bob.actor())),
        invalid("message to: no address", "/object/messages/0/to", json!(bob.id())),
        missing("message to: missing", "/object/messages/0", "to"),
        wrong(
            "message from: another device",
            in_all_messages("from", &scene.second.address()),
            "403 not-yours #/object/messages/0/from",
        ),
        wrong(
            "message from: on another host",
            in_all_messages("from", "https://b.example/user/alice/device/1"),
            "403 not-yours #/object/messages/0/from",
        ),
        invalid("message from: two devices", "/object/messages/1/from", json!(bob.address())),
        missing("message from: missing", "/object/messages/1", "from"),
        invalid("content: empty", "/object/messages/0/content", json!("")),
        invalid("content: too long", "/object/messages/0/content", content(96 * 1024 + 3)),
        invalid("content: far too long", "/object/messages/0/content", content(999_999)),
        invalid("content: no base64", "/object/messages/0/content", json!("a b=")),
        invalid("content: base64url", "/object/messages/0/content", json!("__--")),
        invalid("content: loose bits", "/object/messages/0/content", json!("AB==")),
        invalid("content: bytes", "/object/messages/0/content", json!([1, 2])),
        invalid("content: null", "/object/messages/1/content", Value::Null),
        missing("content: missing", "/object/messages/1", "content"),
    ]
}

#[tokio::test]
async fn an_envelope_that_is_wrong() {
    let scene = BadInputScene::new().await;
    let good = scene.alice.create_activity(&envelope(&scene.alice, &[&scene.bob, &scene.second]));
    for WrongCreate { name, body, expected } in wrong_creates(&scene, &good) {
        assert_eq!(scene.post_activity("/user/alice/outbox", &body).await, expected, "{name}");
    }
    scene.assert_unchanged("a bad envelope").await;
    // The good envelope at its limits is accepted: the longest content, other spellings, an unknown
    // member.
    let mut most = good;
    most["object"]["messages"][0]["content"] = json!("AAAA".repeat(32 * 1024));
    most["to"] = json!([most["to"]]);
    most["type"] = json!(["Create"]);
    most["object"]["type"] = json!("SignalEnvelope");
    most["unknown"] = json!({ "member": [] });
    let answer = scene.post_activity("/user/alice/outbox", &most).await;
    assert!(answer.starts_with("201 "), "{answer}");
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await[0].ciphertext, vec![0; 96 * 1024]);
}
