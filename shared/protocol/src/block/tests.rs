use proptest::prelude::*;

use super::*;

const EVE: &str = "https://b.example/user/eve";

fn origin() -> Origin {
    Origin::parse("https://a.example").unwrap()
}

fn bob() -> UserName {
    UserName::parse("bob").unwrap()
}

fn read(value: &Value) -> Result<BlockActivity, Invalid> {
    BlockActivity::parse(value, &origin(), &bob())
}

#[test]
fn a_domain_covers_its_host_and_what_is_under_it() {
    for (block, actor, is_covered) in [
        ("https://b.example", "https://b.example/user/eve", true),
        ("https://b.example", "https://b.example:8443/user/eve", true),
        ("https://b.example", "https://x.y.b.example/eve", true),
        ("https://b.example", "https://bb.example/eve", false),
        ("https://x.b.example", "https://b.example/eve", false),
        ("https://b.example:8443", "https://b.example:8443/eve", true),
        ("https://b.example:8443", "https://x.b.example:8443/eve", false),
        ("http://localhost:8081", "http://localhost:8081/user/eve", true),
        ("http://localhost:8081", "http://localhost:8082/user/eve", false),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081/user/eve", true),
        ("https://co.uk", "https://b.co.uk/eve", true),
        (EVE, EVE, true),
        (EVE, "https://b.example/user/Eve", false),
        (EVE, "https://b.example/user/eve/x", false),
        ("https://b.example/user/eve", "not a URL", false),
    ] {
        assert_eq!(BlockedParty::parse(block).unwrap().covers(actor), is_covered, "{block} {actor}");
    }
}

#[test]
fn what_is_neither_actor_nor_origin_is_refused() {
    let long = format!("https://b.example/{}", "x".repeat(512));
    for text in [
        "",
        "b.example",
        "@eve@b.example",
        "acct:eve@b.example",
        "https://b.example/",
        "https://B.example",
        "https://b.example:443",
        "https://b.example/user/eve?x",
        "https://b.example/user/%65ve",
        "http://b.example/user/eve",
        "https://1.2.3.4/eve",
        "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
        &long,
    ] {
        assert!(BlockedParty::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn activities_are_read_in_their_forms() {
    let eve = BlockedParty::Actor(EVE.to_owned());
    let block = BlockActivity { actor: None, party: eve, is_undone: false };
    let undo = BlockActivity { is_undone: true, ..block.clone() };
    assert_eq!(read(&json!({ "type": ["Block"], "object": { "id": EVE } })), Ok(block.clone()));
    assert_eq!(read(&json!({ "type": "Undo", "object": [{ "type": "Block", "object": EVE }] })), Ok(undo));
    let actor = Some("https://a.example/user/bob".to_owned());
    assert_eq!(
        read(&BlockActivity { actor: actor.clone(), ..block.clone() }.to_value()).unwrap().actor,
        actor
    );
}

#[test]
fn faults_are_named_where_they_stand() {
    let undo = |object: Value| json!({ "type": "Undo", "object": object });
    for (value, pointer, detail) in [
        (json!({ "type": "Like", "object": EVE }), "/type", "must be Block or Undo"),
        (json!({ "type": "Block" }), "/object", ""),
        (json!({ "type": "Block", "object": [EVE, EVE] }), "/object", ""),
        (json!({ "type": "Block", "object": "eve" }), "/object", ""),
        (json!({ "type": "Block", "object": EVE, "actor": 1 }), "/actor", ""),
        (
            json!({ "type": "Block", "object": "https://a.example/user/bob" }),
            "/object",
            "nobody can block themselves",
        ),
        (
            json!({ "type": "Block", "object": "https://a.example" }),
            "/object",
            "nobody can block their own server",
        ),
        (
            json!({ "type": "Block", "object": "https://example" }),
            "/object",
            "nobody can block their own server",
        ),
        (
            json!({ "type": "Block", "object": "https://a.example/x" }),
            "/object",
            "there is no user of this name on this server",
        ),
        (undo(json!(EVE)), "/object/type", "must be Block"),
        (undo(json!({ "type": "Follow", "object": EVE })), "/object/type", "must be Block"),
        (undo(json!({ "type": "Block" })), "/object/object", ""),
        (undo(json!({ "type": "Block", "object": "eve" })), "/object/object", ""),
    ] {
        let fault = read(&value).unwrap_err();
        assert_eq!(fault.pointer, pointer, "{value}");
        assert!(fault.detail.contains(detail), "{value}: {fault}");
    }
    assert!(read(&json!({ "type": "Block", "object": "https://a.example/user/eve" })).is_ok());
}

proptest! {
    #[test]
    fn round_trip(name in "[a-z0-9_]{1,30}", undone: bool, domain: bool, ms in 0i64..4_000_000_000_000) {
        let text = if domain { format!("https://x{}.example", name.replace('_', "x")) } else { format!("https://b.example/user/{name}") };
        let party = BlockedParty::parse(&text).unwrap();
        prop_assert_eq!(party.as_str(), &text);
        let activity = BlockActivity { actor: Some(EVE.to_owned()), party: party.clone(), is_undone: undone };
        prop_assert_eq!(read(&activity.to_value()), Ok(activity));
        let listed = ListedBlock { party, since_ms: ms };
        prop_assert_eq!(ListedBlock::parse(&listed.to_value()), Ok(listed));
    }
}
