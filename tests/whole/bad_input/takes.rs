//! The activities `Delivered`, `Take`, `Add` and `Check`, with one thing wrong in each.

use eko_client::Device;
use eko_testkit::{BARE, DirectTransport};
use serde_json::{Value, json};

use super::BadInputScene;

#[tokio::test]
async fn an_acknowledgement_that_is_wrong() {
    let scene = BadInputScene::new().await;
    let entry = scene.alice.fetch().await.unwrap().entries[0].address.clone();
    let theirs = entry.replace("/alice/", "/bob/");
    let elsewhere = entry.replace("eko.example", "b.example");
    let cases = [
        ("missing", json!({ "type": "Delivered" }), "422 invalid #/object"),
        ("none", json!({ "type": "Delivered", "object": [] }), "422 invalid #/object"),
        ("a number", json!({ "type": "Delivered", "object": [3] }), "422 invalid #/object/0"),
        ("an object", json!({ "type": "Delivered", "object": { "href": entry } }), "422 invalid #/object/0"),
        ("too many", json!({ "type": "Delivered", "object": vec![&entry; 101] }), "422 invalid #/object"),
        ("no address", json!({ "type": "Delivered", "object": "entry" }), "422 invalid #/object/0"),
        (
            "no entry",
            json!({ "type": "Delivered", "object": scene.alice.actor() }),
            "403 not-yours #/object/0",
        ),
        (
            "another user's",
            json!({ "type": "Delivered", "object": [&entry, &theirs] }),
            "403 not-yours #/object/1",
        ),
        ("another host's", json!({ "type": "Delivered", "object": &elsewhere }), "403 not-yours #/object/0"),
        (
            "another actor",
            json!({ "type": "Delivered", "actor": scene.bob.actor(), "object": &entry }),
            "403 not-yours #/actor",
        ),
        (
            "actor: a number",
            json!({ "type": "Delivered", "actor": 3, "object": &entry }),
            "422 invalid #/actor",
        ),
    ];
    for (name, body, expected) in cases {
        assert_eq!(scene.post_activity("/user/alice/outbox", &body).await, expected, "{name}");
    }
    scene.assert_unchanged("a bad acknowledgement").await;
}

#[tokio::test]
async fn a_take_that_is_wrong() {
    let scene = BadInputScene::new().await;
    let (alice, bob) = (&scene.alice, &scene.bob);
    let packages = bob.origin().key_packages(bob.user());
    let package = |device: &Device<DirectTransport>| bob.origin().key_package(device.user(), device.id());
    let unknown = scene.world.device("bob", "unknown", BARE);
    let take = |object: Value| alice.take_activity(object);
    let by = |actor: &str| json!({ "type": "Take", "actor": actor, "object": packages });
    let cases = [
        ("another actor", by(&bob.actor()), "403 not-yours #/actor"),
        ("an actor on another host", by("https://b.example/user/alice"), "403 not-yours #/actor"),
        ("no actor", json!({ "type": "Take", "object": packages }), "422 invalid #/actor"),
        ("no object", json!({ "type": "Take", "actor": alice.actor() }), "422 invalid #/object"),
        ("nothing", take(json!([])), "422 invalid #/object"),
        ("a number", take(json!(1)), "422 invalid #/object/0"),
        ("too many", take(json!(vec![package(bob); 17])), "422 invalid #/object"),
        ("one twice", take(json!([package(bob), package(bob)])), "422 invalid #/object/1"),
        ("two users'", take(json!([package(bob), package(alice)])), "422 invalid #/object/1"),
        ("an unknown device's", take(json!([package(bob), package(&unknown)])), "422 invalid #/object/1"),
        ("an actor", take(json!(bob.actor())), "422 invalid #/object"),
        ("another server's", take(json!("https://b.example/user/bob/keyPackages")), "422 invalid #/object"),
        ("another server's handle", take(json!("@bob@b.example")), "422 invalid #/object"),
    ];
    for path in ["/user/alice/outbox", "/user/bob/keyPackages"] {
        for (name, body, expected) in &cases {
            assert_eq!(scene.post_activity(path, body).await, *expected, "{path}: {name}");
        }
    }
    let body = take(json!(packages));
    assert_eq!(scene.post_activity("/user/carol/keyPackages", &body).await, "422 invalid #/object");
    assert_eq!(scene.post_activity("/user/alice/keyPackages", &body).await, "422 invalid #/object");
    let nobody = take(json!("https://eko.example/user/nobody/keyPackages"));
    for path in ["/user/alice/outbox", "/user/nobody/keyPackages"] {
        assert_eq!(scene.post_activity(path, &nobody).await, "404 not-found");
    }
    let add = json!({ "type": "Add", "actor": bob.actor(), "object": alice.keys().first() });
    assert_eq!(scene.post_activity("/user/bob/keyPackages", &add).await, "403 not-owner");
    assert_eq!(scene.post_activity("/user/alice/keyPackages", &add).await, "403 not-yours #/actor");
    let digests = [json!("AAAA"), json!("?"), json!(3), Value::Null];
    for digest in digests {
        let check = json!({ "type": "Check", "digest": digest });
        let answer = scene.post_activity("/user/alice/keyPackages", &check).await;
        assert_eq!(answer, "422 invalid #/digest");
    }
    scene.assert_unchanged("a bad take").await;
}
