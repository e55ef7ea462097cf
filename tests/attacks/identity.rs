//! Activities in another's name: actors, keys, devices and ids that are somebody else's.

use eko_protocol::http_signature::Scheme;
use eko_testkit::{Stranger, StrangerAnswer, signing_key};
use serde_json::{Value, json};

use crate::scene::{AttackScene, SCHEMES, actor_document, like};

#[tokio::test]
async fn documents_of_somebody_else() {
    let scene = AttackScene::new().await;
    let other = Stranger::new(&scene.internet, "c.example").await;
    let origin = &scene.eve.origin;
    for (name, id) in [
        ("elsewhere", other.actor.clone()),
        ("prefix", format!("{origin}.evil.example/users/prefix")),
        ("port", format!("{origin}:8443/users/port")),
        ("insecure", "http://b.example/users/insecure".to_owned()),
        ("neighbour", scene.eve.actor.clone()),
        ("ours", scene.bob.actor()),
        ("fragment", format!("{origin}/users/fragment#me")),
    ] {
        let document = actor_document(&id, scene.eve.key.public_pem());
        scene.eve.document(&format!("/users/{name}"), StrangerAnswer::activity(200, &document));
        // The activity's actor is the id that was asked for.
        let asked = format!("{origin}/users/{name}");
        assert_eq!(scene.deliver(&like(&asked)).await, "401 bad-signature", "{name}");
        // The key id is the one that the document has.
        let (key_id, body) = (format!("{id}#main-key"), like(&asked).to_string());
        let request = scene.signed_by(&scene.eve.key, &key_id, Scheme::Rfc9421, body);
        assert_eq!(scene.send(request).await, "401 bad-signature", "{name}: by its own key");
    }
    scene.assert_unchanged("an activity by a document of somebody else").await;
}

#[tokio::test]
async fn keys_of_somebody_else() {
    let scene = AttackScene::new().await;
    let other = Stranger::new(&scene.internet, "c.example").await;
    let mallory = signing_key("mallory").1;
    let neighbour = format!("{}/users/mallory", scene.eve.origin);
    let document = actor_document(&neighbour, mallory.public_pem());
    scene.eve.document("/users/mallory", StrangerAnswer::activity(200, &document));
    let pem = scene.eve.key.public_pem();
    let mine = |id: &str| format!("{id}#main-key");
    for scheme in SCHEMES {
        for (name, actor, key_id, key) in [
            ("another key under the right id", &scene.eve.actor, mine(&scene.eve.actor), &mallory),
            ("a neighbour's key", &scene.eve.actor, mine(&neighbour), &mallory),
            ("another server's key", &scene.eve.actor, mine(&other.actor), &other.key),
            ("a key of ours", &scene.eve.actor, mine(&scene.bob.actor()), &scene.eve.key),
            ("for a neighbour", &neighbour, mine(&scene.eve.actor), &scene.eve.key),
            ("no fragment", &scene.eve.actor, scene.eve.actor.clone(), &scene.eve.key),
            ("another fragment", &scene.eve.actor, format!("{}#main-key2", scene.eve.actor), &scene.eve.key),
            ("two fragments", &scene.eve.actor, format!("{}#main-key#", scene.eve.actor), &scene.eve.key),
            ("upper case", &scene.eve.actor, mine(&scene.eve.actor).replace("b.ex", "B.ex"), &scene.eve.key),
            ("no address", &scene.eve.actor, "main-key".to_owned(), &scene.eve.key),
        ] {
            let body = scene.envelope(actor, 1).to_string();
            let request = scene.signed_by(key, &key_id, scheme, body);
            assert_eq!(scene.send(request).await, "401 bad-signature", "{scheme:?}: {name}");
        }
    }
    for (name, change) in [
        ("owner", json!({ "id": mine("ID"), "owner": neighbour, "publicKeyPem": pem })),
        ("no-owner", json!({ "id": mine("ID"), "publicKeyPem": pem })),
        ("owners", json!({ "id": mine("ID"), "owner": ["ID", neighbour], "publicKeyPem": pem })),
        ("id", json!({ "id": mine(&other.actor), "owner": "ID", "publicKeyPem": pem })),
        ("pems", json!({ "id": mine("ID"), "owner": "ID", "publicKeyPem": [pem] })),
        ("pem-twice", json!({ "id": mine("ID"), "owner": "ID", "publicKeyPem": format!("{pem}{pem}") })),
        ("multikey", json!({ "id": mine("ID"), "controller": "ID", "publicKeyMultibase": "z6Mk" })),
    ] {
        let actor = scene.actor(&format!("key-{name}"), |document| {
            let id = document["id"].as_str().unwrap();
            document["publicKey"] = serde_json::from_str(&change.to_string().replace("ID", id)).unwrap();
        });
        let request = scene.signed(Scheme::Cavage, "/inbox", &scene.envelope(&actor, 1));
        assert_eq!(scene.send(request).await, "401 bad-signature", "{name}");
    }
    scene.assert_unchanged("an envelope under a key of somebody else").await;
}

/// Returns the right envelope with one member replaced.
fn with(scene: &AttackScene, pointer: &str, value: Value) -> Value {
    let mut envelope = scene.envelope(&scene.eve.actor, 1);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    envelope.pointer_mut(parent).unwrap()[name] = value;
    envelope
}

#[tokio::test]
async fn members_that_name_somebody_else() {
    let scene = AttackScene::new().await;
    let _other = Stranger::new(&scene.internet, "c.example").await;
    let eve = &scene.eve.actor;
    let message = "/object/messages/0";
    let id = "00000000-0000-4000-8000-000000000001";
    let cases = [
        ("no actor", "/actor", json!(null), "422 invalid #/actor"),
        ("two actors", "/actor", json!([eve, "https://c.example/users/eve"]), "422 invalid #/actor"),
        (
            "another's actor in an array",
            "/actor",
            json!(["https://c.example/users/eve"]),
            "401 bad-signature",
        ),
        ("another's actor", "/actor", json!({ "id": "https://c.example/users/eve" }), "401 bad-signature"),
        ("an actor of two ids", "/actor", json!({ "id": [eve, eve] }), "422 invalid #/actor"),
        ("an actor by a link of no type", "/actor", json!({ "href": eve }), "422 invalid #/actor"),
        ("an actor with NUL", "/actor", json!(format!("{eve}\u{0}")), "403 not-federated"),
        ("an actor of ours", "/actor", json!(scene.alice.actor()), "403 not-federated"),
        ("the actor of our server", "/actor", json!("https://eko.example/actor"), "403 not-federated"),
        ("another's actor", "/actor", json!("https://c.example/users/eve"), "401 bad-signature"),
        ("id elsewhere", "/id", json!("https://c.example/activity/1"), "403 not-yours #/id"),
        ("id of ours", "/id", json!(format!("https://eko.example/activity/{id}")), "403 not-yours #/id"),
        ("id by prefix", "/id", json!("https://b.example.evil.example/1"), "403 not-yours #/id"),
        ("id on another port", "/id", json!("https://b.example:8443/1"), "403 not-yours #/id"),
        (
            "envelope elsewhere",
            "/object/id",
            json!("https://c.example/message/1"),
            "403 not-yours #/object/id",
        ),
        (
            "envelope of ours",
            "/object/id",
            json!(format!("https://eko.example/message/{id}")),
            "403 not-yours #/object/id",
        ),
        ("to nobody", "/to", json!("https://eko.example/user/nobody"), "404 not-found"),
        ("to another server", "/to", json!("https://c.example/users/eve"), "422 invalid #/to"),
        ("to two", "/to", json!([scene.bob.actor(), scene.alice.actor()]), "422 invalid #/to"),
        ("to everyone", "/to", json!("https://www.w3.org/ns/activitystreams#Public"), "422 invalid #/to"),
        ("to our server", "/to", json!("https://eko.example/actor"), "404 not-found"),
    ];
    for (name, pointer, value, expected) in cases {
        let mut envelope = with(&scene, pointer, value.clone());
        if name == "to nobody" {
            envelope["object"]["messages"][0]["to"] =
                json!(format!("https://eko.example/user/nobody/device/{id}"));
        }
        for scheme in SCHEMES {
            let request = scene.signed_bytes(scheme, "/inbox", eve, envelope.to_string());
            assert_eq!(scene.send(request).await, expected, "{name}");
        }
    }
    for (name, member, value, expected) in [
        ("from another server's device", "from", "https://c.example/users/eve/device/1", "403 not-yours"),
        ("from a device of ours", "from", &scene.alice.address(), "403 not-yours"),
        ("from by prefix", "from", "https://b.example.evil.example/1", "403 not-yours"),
        ("from another port", "from", "https://b.example:8443/1", "403 not-yours"),
        ("to another user's device", "to", &scene.alice.address(), "422 invalid"),
        ("to another server's device", "to", "https://c.example/user/bob/device/1", "422 invalid"),
        ("to no device", "to", &scene.bob.actor(), "422 invalid"),
    ] {
        let envelope = with(&scene, &format!("{message}/{member}"), json!(value));
        let expected = format!("{expected} #{message}/{member}");
        assert_eq!(scene.deliver(&envelope).await, expected, "{name}");
    }
    // The envelope names a device that Bob does not have: his server rejects it, and stores
    // nothing.
    let stale = with(&scene, "/object/messages/0/to", json!(format!("{}/device/{id}", scene.bob.actor())));
    assert_eq!(scene.deliver(&stale).await, "409 Reject");
    scene.assert_unchanged("an envelope of somebody else").await;
}

#[tokio::test]
async fn an_author_beside_the_actor_means_nothing() {
    let scene = AttackScene::new().await;
    let mut envelope = scene.envelope(&scene.eve.actor, 1);
    for place in ["", "/object", "/object/messages/0"] {
        let object = envelope.pointer_mut(place).unwrap();
        object["attributedTo"] = json!("https://c.example/users/eve");
        object["author"] = json!(scene.alice.actor());
        object["eko:received"] = json!("1999-01-01T00:00:00Z");
        object["eko:entry"] = json!(format!("{}/inbox/x", scene.alice.actor()));
    }
    assert_eq!(scene.deliver(&envelope).await, "202");
    scene.world.deliver().await;
    let entries = scene.bob.fetch().await.unwrap().entries;
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    insta::assert_json_snapshot!("entry_of_another_servers_envelope", entry.activity);
    assert_eq!(entry.activity["actor"], json!(scene.eve.actor));
    assert_eq!(entry.received_ms, scene.world.now_ms());
    let text = entry.activity.to_string();
    for word in ["attributedTo", "author", "c.example", "1999", "/user/alice"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}
