//! A registration or a refresh with one thing wrong.

use eko_client::device::JoinKind;
use eko_client::{Auth, Body, Device};
use eko_testkit::{BARE, Direct};
use serde_json::{Value, json};

use super::Scene;

#[tokio::test]
async fn a_registration_that_is_wrong() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let carol = world.device("carol", "one", eko_testkit::COUNTS);
    let token = world.id_token("carol").await;
    let good = carol.registration(Some(carol.first_node().unwrap()));
    let theirs = scene.alice.registration(Some(scene.alice.first_node().unwrap()));
    let changed = |pointer: &str, to: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = to;
        body
    };
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let node = |device: &Device<Direct>| json!(device.first_node().unwrap());
    let other = world.device("carol", "two", BARE);
    let key = &good["preKeys"][0]["key"];
    let many: Value = (1..=101).map(|id| json!({ "id": id, "key": key })).collect();
    let cases = [
        ("username: missing", without("username"), "422 invalid #/username"),
        ("username: empty", changed("/username", json!("")), "422 invalid #/username"),
        ("username: too long", changed("/username", json!("c".repeat(31))), "422 invalid #/username"),
        ("username: a slash", changed("/username", json!("carol/x")), "422 invalid #/username"),
        ("username: a homoglyph", changed("/username", json!("c\u{430}rol")), "422 invalid #/username"),
        ("username: NUL", changed("/username", json!("carol\0")), "422 invalid #/username"),
        ("username: another than signed", changed("/username", json!("carla")), "422 invalid #/possession"),
        ("username: taken", theirs.clone(), "409 name-taken"),
        ("deviceId: missing", without("deviceId"), "422 invalid #/deviceId"),
        (
            "deviceId: upper case",
            changed("/deviceId", json!(carol.id().as_str().to_uppercase())),
            "422 invalid #/deviceId",
        ),
        (
            "deviceId: nil",
            changed("/deviceId", json!("00000000-0000-0000-0000-000000000000")),
            "422 invalid #/deviceId",
        ),
        ("deviceId: with a hash", changed("/deviceId", json!("x#y")), "422 invalid #/deviceId"),
        (
            "deviceId: another than signed",
            changed("/deviceId", json!(other.id())),
            "422 invalid #/possession",
        ),
        ("deviceName: too long", changed("/deviceName", json!("n".repeat(257))), "422 invalid #/deviceName"),
        ("deviceName: a number", changed("/deviceName", json!(3)), "422 invalid #/deviceName"),
        ("identityKey: missing", without("identityKey"), "422 invalid #/identityKey"),
        (
            "identityKey: another",
            changed("/identityKey", theirs["identityKey"].clone()),
            "422 invalid #/possession",
        ),
        (
            "identityKey: low order",
            changed("/identityKey", json!(format!("BQ{}", "A".repeat(42)))),
            "422 invalid #/identityKey",
        ),
        ("identityKey: short", changed("/identityKey", json!("BQAA")), "422 invalid #/identityKey"),
        ("registrationId: 0", changed("/registrationId", json!(0)), "422 invalid #/registrationId"),
        (
            "registrationId: 15 bits",
            changed("/registrationId", json!(0x4000)),
            "422 invalid #/registrationId",
        ),
        (
            "registrationId: a fraction",
            changed("/registrationId", json!(1.5)),
            "422 invalid #/registrationId",
        ),
        ("possession: missing", without("possession"), "422 invalid #/possession"),
        (
            "possession: another's",
            changed("/possession", theirs["possession"].clone()),
            "422 invalid #/possession",
        ),
        ("possession: no multibase", changed("/possession", json!("possession")), "422 invalid #/possession"),
        ("signedPreKey: missing", without("signedPreKey"), "422 invalid #/signedPreKey"),
        (
            "signedPreKey: another's",
            changed("/signedPreKey", theirs["signedPreKey"].clone()),
            "422 invalid #/signedPreKey/signature",
        ),
        (
            "lastResortKyberPreKey: short",
            changed("/lastResortKyberPreKey/key", json!("CAAA")),
            "422 invalid #/lastResortKyberPreKey/key",
        ),
        ("preKeys: an id twice", changed("/preKeys/1/id", json!(1)), "422 invalid #/preKeys/1/id"),
        ("preKeys: too many", changed("/preKeys", many), "422 invalid #/preKeys"),
        (
            "kyberPreKeys: another's",
            changed("/kyberPreKeys/1", theirs["kyberPreKeys"][1].clone()),
            "422 invalid #/kyberPreKeys/1/signature",
        ),
        ("node: missing", without("node"), "422 invalid #/node"),
        ("node: an array", changed("/node", json!([])), "422 invalid #/node"),
        ("node: another user's", changed("/node", node(&scene.alice)), "422 invalid #/node/actor"),
        ("node: another device's", changed("/node", node(&other)), "422 invalid #/node/device"),
        ("node: not the first", changed("/node/seq", json!(1)), "422 invalid #/node/seq"),
        ("node: one before it", changed("/node/prev", json!("0".repeat(64))), "422 invalid #/node/prev"),
        (
            "node: another proof",
            changed("/node/proof/proofValue", theirs["node"]["proof"]["proofValue"].clone()),
            "422 invalid #/node/proof/proofValue",
        ),
        ("node: a reset", changed("/node/type/1", json!("ResetDevices")), "422 invalid #/node/type"),
    ];
    for (name, body, expected) in &cases {
        let said = scene.post("/auth/devices", Body::Json(body), Auth::Token(&token)).await;
        assert_eq!(said, *expected, "{name}");
    }
    scene.unchanged("a bad registration").await;
    // Upper case is another spelling of the same name.
    let said = scene
        .post("/auth/devices", Body::Json(&changed("/username", json!("CAROL"))), Auth::Token(&token))
        .await;
    assert!(said.starts_with("201 "), "{said}");
}

#[tokio::test]
async fn a_refresh_that_is_wrong() {
    let scene = Scene::new().await;
    for path in ["/auth/refresh", "/auth/logout"] {
        for token in [Value::Null, json!(3), json!(["x"])] {
            let said = scene.post(path, Body::Json(&json!({ "refreshToken": token })), Auth::Nobody).await;
            assert_eq!(said, "422 invalid #/refreshToken", "{path}: {token}");
        }
        let expected = if path == "/auth/logout" { "204 " } else { "401 unauthenticated" };
        for token in ["", "x", &"x".repeat(100_000), &scene.alice.tokens().unwrap().access] {
            let said = scene.post(path, Body::Json(&json!({ "refreshToken": token })), Auth::Nobody).await;
            assert_eq!(said, expected, "{path}: {token:.20}");
        }
    }
    scene.unchanged("a bad refresh").await;
}

/// What came before in one request must not help in another.
#[tokio::test]
async fn nothing_half_stored_by_a_registration_that_fails_late() {
    let scene = Scene::new().await;
    // The name is taken: device, keys, session and binding of the loser are in the same transaction.
    let late = scene.world.device("alice", "two", BARE);
    let token = scene.world.id_token("mallory").await;
    let said = scene
        .post(
            "/auth/devices",
            Body::Json(&late.registration(Some(late.first_node().unwrap()))),
            Auth::Token(&token),
        )
        .await;
    assert_eq!(said, "409 name-taken");
    scene.unchanged("a late registration").await;
    // Mallory is nobody yet, and may become someone else.
    let mallory = scene.world.device("mallory", "one", BARE);
    mallory.register(&token, JoinKind::First).await.unwrap();
}
