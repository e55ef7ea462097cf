//! Registrations and refreshes with one thing wrong in each.

use eko_client::device::{JoinKind, RegistrationProof};
use eko_client::{Auth, Body, Device};
use eko_testkit::{BARE, DirectTransport, post_registration, refusal};
use serde_json::{Value, json};

use super::BadInputScene;
use crate::variants::{changed, with, without};

#[tokio::test]
async fn a_registration_that_is_wrong() {
    let scene = BadInputScene::new().await;
    let world = &scene.world;
    let carol = world.device("carol", "one", eko_testkit::COUNTS);
    let token = world.id_token(&carol).await;
    let mut good = carol.registration(RegistrationProof::Node(carol.first_node().unwrap()));
    good["nonceRandom"] = json!(token.random());
    let mut theirs = scene.alice.registration(RegistrationProof::Node(scene.alice.first_node().unwrap()));
    theirs["nonceRandom"] = json!(token.random());
    let changed = |pointer: &str, to: Value| changed(&good, pointer, to);
    let wrong = |name: &'static str, body: Value, expected: &str| (name, body, expected.to_owned());
    // The value at the pointer is replaced, and the answer names the same pointer.
    let invalid = |name: &'static str, pointer: &str, to: Value| {
        (name, changed(pointer, to), format!("422 invalid #{pointer}"))
    };
    let missing = |name: &'static str, member: &str| {
        (name, without(&good, "", member), format!("422 invalid #/{member}"))
    };
    let node = |device: &Device<DirectTransport>| json!(device.first_node().unwrap());
    let other = world.device("carol", "two", BARE);
    let key = &good["preKeys"][0]["key"];
    let many: Value = (1..=101).map(|id| json!({ "keyId": id, "key": key })).collect();
    let cases = [
        missing("username: missing", "username"),
        invalid("username: empty", "/username", json!("")),
        invalid("username: too long", "/username", json!("c".repeat(31))),
        invalid("username: a slash", "/username", json!("carol/x")),
        invalid("username: a homoglyph", "/username", json!("c\u{430}rol")),
        invalid("username: NUL", "/username", json!("carol\0")),
        wrong(
            "username: another than signed",
            changed("/username", json!("carla")),
            "422 invalid #/possession",
        ),
        wrong("another device's registration", theirs.clone(), "401 unauthenticated"),
        missing("deviceId: missing", "deviceId"),
        invalid("deviceId: upper case", "/deviceId", json!(carol.id().as_str().to_uppercase())),
        invalid("deviceId: nil", "/deviceId", json!("00000000-0000-0000-0000-000000000000")),
        invalid("deviceId: with a hash", "/deviceId", json!("x#y")),
        wrong(
            "deviceId: another than signed",
            changed("/deviceId", json!(other.id())),
            "422 invalid #/possession",
        ),
        invalid("deviceName: too long", "/deviceName", json!("n".repeat(257))),
        invalid("deviceName: a number", "/deviceName", json!(3)),
        missing("identityKey: missing", "identityKey"),
        wrong(
            "identityKey: another",
            changed("/identityKey", theirs["identityKey"].clone()),
            "401 unauthenticated",
        ),
        invalid("identityKey: low order", "/identityKey", json!(format!("BQ{}", "A".repeat(42)))),
        invalid("identityKey: short", "/identityKey", json!("BQAA")),
        missing("nonceRandom: missing", "nonceRandom"),
        invalid("nonceRandom: short", "/nonceRandom", json!("AAAA")),
        invalid("nonceRandom: no base64", "/nonceRandom", json!("_".repeat(44))),
        invalid("nonceRandom: a number", "/nonceRandom", json!(7)),
        wrong(
            "nonceRandom: another",
            changed("/nonceRandom", json!(format!("{}=", "A".repeat(43)))),
            "401 unauthenticated",
        ),
        invalid("registrationId: 0", "/registrationId", json!(0)),
        invalid("registrationId: 15 bits", "/registrationId", json!(0x4000)),
        invalid("registrationId: a fraction", "/registrationId", json!(1.5)),
        missing("possession: missing", "possession"),
        invalid("possession: another's", "/possession", theirs["possession"].clone()),
        invalid("possession: no multibase", "/possession", json!("possession")),
        missing("signedPreKey: missing", "signedPreKey"),
        wrong(
            "signedPreKey: another's",
            changed("/signedPreKey", theirs["signedPreKey"].clone()),
            "422 invalid #/signedPreKey/signature",
        ),
        invalid("lastResortKyberPreKey: short", "/lastResortKyberPreKey/key", json!("CAAA")),
        invalid("preKeys: an id twice", "/preKeys/1/keyId", json!(1)),
        invalid("preKeys: too many", "/preKeys", many),
        wrong(
            "kyberPreKeys: another's",
            changed("/kyberPreKeys/1", theirs["kyberPreKeys"][1].clone()),
            "422 invalid #/kyberPreKeys/1/signature",
        ),
        missing("node: missing", "node"),
        invalid("node: an array", "/node", json!([])),
        wrong("node: another user's", changed("/node", node(&scene.alice)), "422 invalid #/node/actor"),
        wrong("node: another device's", changed("/node", node(&other)), "422 invalid #/node/device"),
        invalid("node: not the first", "/node/seq", json!(1)),
        wrong(
            "node: one before it",
            changed("/node", with(&good["node"], "previous", json!("0".repeat(64)))),
            "422 invalid #/node/previous",
        ),
        invalid(
            "node: another proof",
            "/node/proof/proofValue",
            theirs["node"]["proof"]["proofValue"].clone(),
        ),
        wrong("node: a reset", changed("/node/type/1", json!("ResetDevices")), "422 invalid #/node/type"),
    ];
    for (name, body, expected) in &cases {
        let answer = scene.post("/auth/devices", Body::Json(body), Auth::Token(token.text())).await;
        assert_eq!(answer, *expected, "{name}");
    }
    scene.assert_unchanged("a bad registration").await;
    // A name in upper case is the same name.
    let answer = scene
        .post("/auth/devices", Body::Json(&changed("/username", json!("CAROL"))), Auth::Token(token.text()))
        .await;
    assert!(answer.starts_with("201 "), "{answer}");
}

#[tokio::test]
async fn a_refresh_that_is_wrong() {
    let scene = BadInputScene::new().await;
    for path in ["/auth/refresh", "/auth/logout"] {
        for token in [Value::Null, json!(3), json!(["x"])] {
            let answer = scene.post(path, Body::Json(&json!({ "refreshToken": token })), Auth::Nobody).await;
            assert_eq!(answer, "422 invalid #/refreshToken", "{path}: {token}");
        }
        let expected = if path == "/auth/logout" { "204 " } else { "401 unauthenticated" };
        for token in ["", "x", &"x".repeat(100_000), &scene.alice.tokens().unwrap().access] {
            let answer = scene.post(path, Body::Json(&json!({ "refreshToken": token })), Auth::Nobody).await;
            assert_eq!(answer, expected, "{path}: {token:.20}");
        }
    }
    scene.assert_unchanged("a bad refresh").await;
}

/// A registration fails at its last write, and leaves nothing behind that helps or hinders the next
/// one.
#[tokio::test]
async fn nothing_half_stored_by_a_registration_that_fails_late() {
    let scene = BadInputScene::new().await;
    // The name is taken. Device, keys, session and the subject's binding are in the same
    // transaction.
    let late = scene.world.device("alice", "two", BARE);
    let token = scene.world.id_token_of("mallory", &late).await;
    let body = late.registration(RegistrationProof::Node(late.first_node().unwrap()));
    assert_eq!(refusal(&post_registration(&late, &token, &body).await), "409 name-taken");
    scene.assert_unchanged("a late registration").await;
    // Mallory has no account yet, and may register under another name.
    let mallory = scene.world.device("mallory", "one", BARE);
    mallory.register(&scene.world.id_token(&mallory).await, JoinKind::First).await.unwrap();
}
