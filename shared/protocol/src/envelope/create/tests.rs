//! Envelopes: shapes, limits, and the checks of author and devices.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::limits::MAX_CONTENT_BYTES;

const ALICE: &str = "https://a.example/user/alice";
const PHONE: &str = "https://a.example/user/alice/device/cccccccc-0000-4000-8000-000000000001";
const NOW_MS: i64 = 1_769_715_000_000;

fn bobs(n: usize) -> String {
    format!("https://b.example/user/bob/device/00000000-0000-4000-8000-0000000000{n:02x}")
}

fn create(messages: usize) -> Value {
    let messages: Vec<_> =
        (1..=messages).map(|n| json!({"to": bobs(n), "from": PHONE, "content": "AQID"})).collect();
    json!({
        "type": "Create", "actor": ALICE, "to": "https://b.example/user/bob",
        "object": {
            "type": ["Object", "SignalEnvelope"], "id": "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "published": "2026-01-29T19:30:00Z", "notify": false, "expires": "2026-01-30T19:30:00Z",
            "eko:deviceSet": {"length": 2, "head": "ab".repeat(32)},
            "messages": messages,
        },
    })
}

fn bob() -> (Origin, UserName) {
    (Origin::parse("https://b.example").unwrap(), UserName::parse("bob").unwrap())
}

/// The document with the member at `pointer` set.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = create(2);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
    document
}

#[test]
fn the_example_of_section_5() {
    let create = Create::parse(&create(2), NOW_MS).unwrap();
    assert_eq!(
        (create.header.author.as_str(), create.to.as_str(), create.header.from.as_str()),
        (ALICE, "https://b.example/user/bob", PHONE)
    );
    assert_eq!(
        (create.header.published_ms, create.header.expires_ms, create.header.notify),
        (Some(NOW_MS), Some(NOW_MS + 86_400_000), false)
    );
    assert_eq!(create.header.device_set, DeviceSetRef::new(2, "ab".repeat(32)).ok());
    assert_eq!(create.messages.len(), 2);
    assert!(!create.is_sync());
    let (origin, user) = bob();
    let local = create.local_ciphertexts(&origin, &user).unwrap();
    assert_eq!(local[1].0.as_str(), "00000000-0000-4000-8000-000000000002");
    assert_eq!(local[1].1, [1, 2, 3]);
}

#[test]
fn what_may_be_left_out() {
    let value = json!({
        "type": ["Create"], "actor": ALICE, "to": [ALICE], "unknown": {"a": 1},
        "object": {"type": "SignalEnvelope", "id": "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
        "messages": [{"to": PHONE, "from": PHONE, "content": "AA==", "x": 1}]},
    });
    let create = Create::parse(&value, NOW_MS).unwrap();
    assert!(create.header.notify && create.is_sync());
    assert_eq!(
        (create.header.published_ms, create.header.expires_ms, create.header.device_set, create.activity),
        (None, None, None, None)
    );
}

#[test]
fn faults_have_their_place() {
    let seventeen: Vec<_> =
        (0..17).map(|n| json!({"to": bobs(n), "from": PHONE, "content": "AQID"})).collect();
    let long = "A".repeat(MAX_CONTENT_BYTES / 3 * 4 + 4);
    for (pointer, value) in [
        ("/type", json!("Update")),
        ("/type", json!(null)),
        ("/actor", json!(null)),
        ("/actor", json!([ALICE, ALICE])),
        ("/actor", json!({"href": ALICE})),
        ("/actor", json!("alice")),
        ("/to", json!([])),
        ("/to", json!([ALICE, ALICE])),
        ("/to", json!("https://www.w3.org/ns/activitystreams#Public")),
        ("/id", json!(7)),
        ("/id", json!("urn:uuid:x")),
        ("/object/type", json!("Note")),
        ("/object/id", json!("x")),
        ("/object/id", json!(null)),
        ("/object/published", json!("yesterday")),
        ("/object/notify", json!("no")),
        ("/object/expires", json!("2026-01-29T19:30:00Z")),
        ("/object/expires", json!("1970-01-01T00:00:00Z")),
        ("/object/expires", json!(NOW_MS)),
        ("/object/eko:deviceSet", json!([2, "ab".repeat(32)])),
        ("/object/eko:deviceSet", json!({"length": 0, "head": "ab".repeat(32)})),
        ("/object/messages", json!([])),
        ("/object/messages", json!(seventeen)),
        ("/object/messages/1", json!("x")),
        ("/object/messages/1", json!([bobs(2), PHONE, "AQID"])),
        ("/object/messages/1/to", json!(bobs(1))),
        ("/object/messages/1/to", json!([bobs(2), bobs(3)])),
        ("/object/messages/1/to", json!("bob")),
        ("/object/messages/1/from", json!("https://a.example/user/alice/device/other")),
        ("/object/messages/0/from", json!("phone")),
        ("/object/messages/1/content", json!("")),
        ("/object/messages/1/content", json!("AQI")),
        ("/object/messages/1/content", json!("_-8=")),
        ("/object/messages/1/content", json!(long)),
        ("/object/messages/1/content", json!([1, 2])),
    ] {
        let fault = Create::parse(&with(pointer, value.clone()), NOW_MS).unwrap_err();
        assert_eq!(fault.pointer, pointer, "{fault}: {:.80}", value.to_string());
    }
    for value in
        [json!(null), json!([]), json!("Create"), json!({"type": "Create", "actor": ALICE, "to": ALICE})]
    {
        assert!(Create::parse(&value, NOW_MS).is_err(), "{value}");
    }
}

#[test]
fn content_has_a_limit() {
    use base64::Engine;
    let content = |bytes: usize| base64::engine::general_purpose::STANDARD.encode(vec![7; bytes]);
    assert!(
        Create::parse(&with("/object/messages/0/content", json!(content(MAX_CONTENT_BYTES))), NOW_MS).is_ok()
    );
    let fault =
        Create::parse(&with("/object/messages/0/content", json!(content(MAX_CONTENT_BYTES + 1))), NOW_MS)
            .unwrap_err();
    assert_eq!(fault.pointer, "/object/messages/0/content");
    assert!(Create::parse(&create(16), NOW_MS).is_ok());
}

#[test]
fn a_device_sends_for_itself_only() {
    let read = |value: Value| Create::parse(&value, NOW_MS).unwrap();
    assert_eq!(read(create(2)).authorise(ALICE, PHONE), Ok(()));
    let pointer = |value: Value| read(value).authorise(ALICE, PHONE).unwrap_err().pointer;
    assert_eq!(pointer(with("/actor", json!("https://a.example/user/eve"))), "/actor");
    assert_eq!(pointer(with("/object/id", json!("https://b.example/message/1"))), "/object/id");
    assert_eq!(pointer(with("/id", json!("https://b.example/activity/1"))), "/id");
    assert_eq!(read(create(2)).authorise(ALICE, &bobs(1)).unwrap_err().pointer, "/object/messages/0/from");
    assert_eq!(
        read(with("/object/id", json!("https://a.example/message/1"))).authorise(ALICE, PHONE),
        Ok(())
    );
    let mut named = create(1);
    named["id"] = json!("https://a.example/activity/1");
    assert_eq!(read(named.clone()).authorise(ALICE, PHONE), Ok(()));
    named["id"] = json!("https://a.example.evil.example/activity/1");
    assert_eq!(pointer(named), "/id");
}

#[test]
fn a_server_delivers_for_its_own_users_only() {
    let read = |value: Value| Create::parse(&value, NOW_MS).unwrap();
    assert_eq!(read(create(2)).authorise_remote(ALICE), Ok(()));
    assert_eq!(read(create(2)).authorise_remote("https://a.example/user/eve").unwrap_err().pointer, "/actor");
    let mut value = create(1);
    value["object"]["messages"][0]["from"] = json!("https://a.example.evil.example/user/alice/device/x");
    assert_eq!(read(value).authorise_remote(ALICE).unwrap_err().pointer, "/object/messages/0/from");
    let fault =
        read(with("/object/id", json!("https://c.example/message/1"))).authorise_remote(ALICE).unwrap_err();
    assert_eq!(fault.pointer, "/object/id");
    let mut named = create(1);
    named["id"] = json!("https://a.example/activity/1");
    assert_eq!(read(named.clone()).authorise_remote(ALICE), Ok(()));
    named["id"] = json!("https://c.example/activity/1");
    assert_eq!(read(named).authorise_remote(ALICE).unwrap_err().pointer, "/id");
}

#[test]
fn messages_are_for_devices_of_the_user_in_to() {
    let (origin, user) = bob();
    for to in [
        "https://b.example/user/eve/device/00000000-0000-4000-8000-000000000001",
        "https://c.example/user/bob/device/00000000-0000-4000-8000-000000000001",
        "https://b.example/user/bob",
        PHONE,
    ] {
        let create = Create::parse(&with("/object/messages/1/to", json!(to)), NOW_MS).unwrap();
        assert_eq!(
            create.local_ciphertexts(&origin, &user).unwrap_err().pointer,
            "/object/messages/1/to",
            "{to}"
        );
    }
}

proptest! {
    #[test]
    fn contents_round_trip(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..60), 1..=16),
    ) {
        use base64::Engine;
        let mut value = create(contents.len());
        for (index, content) in contents.iter().enumerate() {
            value["object"]["messages"][index]["content"] = json!(base64::engine::general_purpose::STANDARD.encode(content));
        }
        let read = Create::parse(&value, NOW_MS).unwrap();
        let (origin, user) = bob();
        let local = read.local_ciphertexts(&origin, &user).unwrap();
        prop_assert_eq!(local.iter().map(|(_, content)| content.clone()).collect::<Vec<_>>(), contents);
    }

    #[test]
    fn any_member_may_be_anything(pointer in prop_oneof![
        Just("/type"), Just("/actor"), Just("/to"), Just("/id"), Just("/object"), Just("/object/id"),
        Just("/object/type"), Just("/object/notify"), Just("/object/messages"),
        Just("/object/messages/0"), Just("/object/messages/0/to"), Just("/object/messages/0/from"),
        Just("/object/messages/0/content"), Just("/object/eko:deviceSet"), Just("/object/expires"),
    ], text in ".{0,20}", n in any::<i64>(), which in 0usize..6) {
        let value = match which { 0 => json!(text), 1 => json!(n), 2 => json!([text]), 3 => json!({text: n}),
        4 => json!(null), _ => json!(true) };
        let _ = Create::parse(&with(pointer, value), NOW_MS);
    }
}

#[test]
fn what_goes_to_another_server_is_what_was_read() {
    let activity = "https://a.example/activity/1";
    let mut sent = create(2);
    sent["id"] = json!(activity);
    let read = Create::parse(&sent, NOW_MS).unwrap();
    assert_eq!(read.to_value(activity, None), sent);
    // Unknown members are not sent on.
    sent["unknown"] = json!("member");
    sent["object"]["messages"][0]["unknown"] = json!("member");
    let value = Create::parse(&sent, NOW_MS).unwrap().to_value(activity, None);
    assert_eq!(Create::parse(&value, NOW_MS), Ok(read));
    assert!(!value.to_string().contains("unknown"));
}

#[test]
fn devices_must_be_on_the_recipients_server() {
    let read = Create::parse(&create(2), NOW_MS).unwrap();
    assert_eq!(read.check_devices_on(&bob().0), Ok(()));
    let elsewhere = Origin::parse("https://c.example").unwrap();
    assert_eq!(read.check_devices_on(&elsewhere).unwrap_err().pointer, "/object/messages/0/to");
    let mixed = with("/object/messages/1/to", json!("https://c.example/user/bob/device/1"));
    let read = Create::parse(&mixed, NOW_MS).unwrap();
    assert_eq!(read.check_devices_on(&bob().0).unwrap_err().pointer, "/object/messages/1/to");
}

#[test]
fn messages_are_found_after_any_prefix() {
    for name in ["messages", "eko:messages", "x:messages", "https://eko.network/ns#messages"] {
        assert!(holds_messages(&json!({"type": "Create", "object": [[{name: []}]]})), "{name}");
    }
    assert!(!holds_messages(&json!({"type": "Create", "object": {"x:other": "messages"}})));
}
