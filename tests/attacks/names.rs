//! Names and hosts whose spelling looks like another: case, dots, ports, escapes, homoglyphs, two
//! `@`.

use eko_client::{Auth, Body};
use eko_testkit::{Stranger, StrangerAnswer};
use http::Method;
use serde_json::{Value, json};

use crate::scene::{AttackScene, like, web_finger_answer};

#[tokio::test]
async fn in_a_web_finger_of_ours() {
    let scene = AttackScene::new().await;
    for (resource, expected) in [
        ("acct:alice@eko.example", 200),
        ("acct%3Aalice%40eko.example", 200),
        ("@alice@eko.example", 200),
        // Other spellings of the same name. The answer has the normal one.
        ("acct:ALICE@EKO.example", 200),
        ("acct:alice@eko.example:443", 200),
        ("acct:alice@%EF%BD%85ko.example", 200),
        ("ACCT:alice@eko.example", 200),
        ("acct:%2561lice@eko.example", 200),
        ("acct:alice@%2565ko.example", 200),
        ("https://EKO.example/user/alice", 200),
        ("https://eko.example:443/user/alice", 200),
        ("https://eko.example/user/%2561lice", 200),
        ("https://eko.example/user/x/../alice", 200),
        ("acct:alice@eko.example.", 404),
        ("acct:alice@eko.example:8443", 404),
        ("acct:alice@eko.example:0443", 404),
        ("acct:alice@eko.example:", 404),
        ("acct:alice@@eko.example", 404),
        ("acct:alice@eko.example@evil.example", 404),
        ("acct:alice@evil.example@eko.example", 404),
        ("acct:alice@sub.eko.example", 404),
        ("acct:alice@eko.example.evil.example", 404),
        ("acct:alice%00@eko.example", 404),
        ("acct:alice@eko.example%00", 404),
        ("acct:alice%0a@eko.example", 404),
        ("acct:%D0%B0lice@eko.example", 404),
        ("acct:alice@%D0%B5ko.example", 404),
        ("acct:alice@xn--ko-8kc.example", 404),
        ("acct:alice+bob@eko.example", 404),
        ("acct:..@eko.example", 404),
        ("acct:@eko.example", 404),
        ("acct:alice@", 404),
        ("acct:alice", 404),
        ("acct:acct:alice@eko.example", 404),
        ("https://eko.example/user/ALICE", 404),
        ("https://eko.example/user/alice/", 404),
        ("https://evil@eko.example/user/alice", 404),
        ("http://eko.example/user/alice", 404),
        ("https://b.example/users/eve", 404),
        ("", 404),
        ("%ff", 404),
        ("acct:alice@eko.example&resource=acct:bob@eko.example", 400),
    ] {
        let path = format!("/.well-known/webfinger?resource={resource}");
        let answer = scene.alice.call(Method::GET, &path, Body::Empty, Auth::Nobody).await.unwrap();
        let body: Value = answer.json().unwrap();
        assert_eq!(answer.status, expected, "{resource}: {body}");
        if expected == 200 {
            assert_eq!(body["subject"], "acct:alice@eko.example", "{resource}");
        }
    }
    scene.assert_unchanged("a name").await;
    assert_eq!(scene.dialled(), []);
}

#[tokio::test]
async fn in_the_handles_of_clients() {
    let scene = AttackScene::new().await;
    for (handle, expected, resolved) in [
        // Spellings of one host. The name is its own server's, and is asked for as it is written.
        ("@eve@b.example", "404 not-found", Some("b.example")),
        ("@EVE@B.Example", "404 not-found", Some("b.example")),
        ("@first.last@b.example", "404 not-found", Some("b.example")),
        ("@e%76e@b.example", "404 not-found", Some("b.example")),
        ("acct:eve@b.example:443", "404 not-found", None),
        ("@eve@\u{ff42}.example", "404 not-found", None),
        // Other names.
        ("@eve@b.example:8443", "503 remote-unreachable", Some("b.example")),
        ("@eve@b\u{fc}cher.example", "503 remote-unreachable", Some("xn--bcher-kva.example")),
        ("@eve@xn--bcher-kva.example", "503 remote-unreachable", None),
        ("@eve@\u{44c}.example", "503 remote-unreachable", Some("xn--11a.example")),
        // No names at all.
        ("@eve@b.example.", "422 invalid #/to", None),
        ("@eve@@b.example", "422 invalid #/to", None),
        ("@eve@c.example@b.example", "422 invalid #/to", None),
        ("@eve@b.example/users", "422 invalid #/to", None),
        ("@eve@b.example?x", "422 invalid #/to", None),
        ("@eve@b.example#x", "422 invalid #/to", None),
        ("@eve@b.example\\x", "422 invalid #/to", None),
        ("@eve@b%2eexample", "422 invalid #/to", None),
        ("@%65ve@b.example", "422 invalid #/to", None),
        ("@e%6@b.example", "422 invalid #/to", None),
        ("@e%6xve@b.example", "422 invalid #/to", None),
        ("@eve@b.example:0", "422 invalid #/to", None),
        ("@eve@b.example:99999", "422 invalid #/to", None),
        ("@eve@b.example:secret@c.example", "422 invalid #/to", None),
        ("@eve@b.example\u{0}", "422 invalid #/to", None),
        ("@eve@b.example\r\nHost: c", "422 invalid #/to", None),
        ("@eve@", "422 invalid #/to", None),
        ("@@b.example", "422 invalid #/to", None),
        ("@\u{435}ve@b.example", "422 invalid #/to", None),
    ] {
        assert_eq!(scene.alice_sends(handle, &scene.eve.actor, 1).await, expected, "{handle}");
        let looked_up = scene.internet.resolved();
        let looked_up: Vec<&str> = looked_up.iter().map(String::as_str).collect();
        // A connection to a server that answers is kept, so its name is not looked up again.
        let kept = looked_up.is_empty() && resolved == Some("b.example");
        assert!(kept || looked_up == resolved.into_iter().collect::<Vec<_>>(), "{handle}: {looked_up:?}");
        scene.internet.forget();
        let object = expected.replace("#/to", "#/object");
        assert_eq!(scene.alice_takes(handle).await, object, "{handle}");
        assert_eq!(scene.internet.resolved(), Vec::<String>::new(), "{handle}: what was found is remembered");
    }
    scene.assert_unchanged("what was for such a name").await;
}

#[tokio::test]
async fn in_the_web_finger_of_others() {
    let scene = AttackScene::new().await;
    let right = |href: &str| json!({ "rel": "self", "type": "application/activity+json", "href": href });
    let eve = &scene.eve.actor;
    let with = |name: &str, value: Value| {
        let mut link = right(eve);
        link[name] = value;
        json!({ "subject": "acct:x@b.example", "links": [link] })
    };
    let cases = [
        ("no-links", json!({ "subject": "acct:x@b.example" })),
        ("links-object", json!({ "links": { "0": right(eve) } })),
        ("no-object", json!([right(eve)])),
        ("rel", with("rel", json!("http://webfinger.net/rel/profile-page"))),
        ("rels", with("rel", json!(["self", "self"]))),
        ("kind", with("type", json!("text/html"))),
        ("hrefs", with("href", json!([eve, eve]))),
        ("ours", with("href", json!(scene.bob.actor()))),
        ("server", with("href", json!("https://eko.example/actor"))),
        ("handle", with("href", json!("@eve@b.example"))),
        ("query", with("href", json!(format!("{eve}?x=1")))),
        ("upper", with("href", json!("https://B.example/users/eve"))),
        ("nul", with("href", json!(format!("{eve}\u{0}")))),
        ("insecure", with("href", json!("http://b.example/users/eve"))),
        ("graph", json!({ "@graph": [], "links": [right(eve)] })),
    ];
    for (name, document) in cases {
        let name = name.replace('-', "_");
        scene.serve_web_finger(&name, web_finger_answer(&document));
        let handle = format!("@{name}@b.example");
        assert_eq!(scene.alice_sends(&handle, eve, 1).await, "502 remote-failed", "{name}");
        assert_eq!(scene.alice_takes(&handle).await, "502 remote-failed", "{name}");
    }
    // A document of another media type is no WebFinger.
    for (name, media_type) in [("page", "text/html"), ("picture", "image/png"), ("text", "text/plain")] {
        let answer =
            StrangerAnswer { media_type, ..StrangerAnswer::activity(200, &json!({ "links": [right(eve)] })) };
        scene.serve_web_finger(name, answer);
        let answer = scene.alice_sends(&format!("@{name}@b.example"), eve, 1).await;
        assert_eq!(answer, "502 remote-failed", "{name}");
    }
    scene.assert_unchanged("what was for such a name").await;
}

#[tokio::test]
async fn in_the_ids_of_actors() {
    let scene = AttackScene::new().await;
    let idn = Stranger::new(&scene.internet, "xn--bcher-kva.example").await;
    assert_eq!(scene.deliver(&like(&idn.actor)).await, "202");
    scene.internet.forget();
    for actor in [
        "https://B.EXAMPLE/users/eve",
        "https://b.example./users/eve",
        "https://b.example:443/users/eve",
        "https://b.example:0443/users/eve",
        "https://b\u{fc}cher.example/users/eve",
        "https://b%2eexample/users/eve",
        "https://b.example/users/%65ve",
        "https://b.example/users/../users/eve",
        "https://b.example/users/eve?x",
        "https://b.example/users/eve#x",
        "https://b.example\\users\\eve",
        "https:b.example/users/eve",
        "https:///b.example/users/eve",
        "HTTPS://b.example/users/eve",
        "https://b.example/users/e\tve",
        " https://b.example/users/eve",
        "//b.example/users/eve",
        "@eve@b.example",
        "acct:eve@b.example",
        "did:key:z6Mk",
        "",
    ] {
        let key_id = scene.eve.actor.as_str();
        let body = scene.envelope(actor, 1).to_string();
        let request = scene.signed_bytes(crate::scene::SCHEMES[0], "/inbox", key_id, body);
        assert_eq!(scene.send(request).await, "403 not-federated", "{actor:?}");
        assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]), "{actor:?}");
    }
    scene.assert_unchanged("an envelope of such an actor").await;
}
