//! Long texts of strangers and clients that a refusal could repeat: the answer has a length, and so
//! has every reason that is kept.

use eko_client::transport::Transport as _;
use eko_client::{Auth, Body};
use eko_protocol::http_signature::Scheme;
use eko_testkit::StrangerAnswer;
use http::Method;
use serde_json::{Value, json};

use crate::scene::{AttackScene, envelope_id, like, web_finger_link};

/// The most bytes of an answer that refuses something, with room for the texts around the reasons.
const SHORT: usize = 1_200;

/// A member name of 1.2 MB, of a character that a pointer escapes.
fn long_name() -> String {
    "/".repeat(1_200_000)
}

/// Sends a request, and returns the parsed answer. Asserts that it is short.
async fn short_answer(scene: &AttackScene, request: http::Request<bytes::Bytes>) -> Value {
    let answer = scene.world.transport().send(request).await.unwrap();
    assert!(answer.body().len() < SHORT, "{} bytes", answer.body().len());
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn of_a_member_in_a_signed_document() {
    let scene = AttackScene::new().await;
    let (eve, name) = (scene.eve.actor.clone(), long_name());
    for (body, pointer) in [
        (format!(r#"{{"{name}":1,"{name}":2}}"#), ""),
        (format!(r#"{{"object":{{"x":{{"{name}":1,"{name}":2}}}}}}"#), "/object/x"),
        (format!(r#"{{"{name}":{{"@graph":1}}}}"#), ""),
        (format!(r#"{{"x":{{"{}":{{"y":{{"@graph":1}}}}}}}}"#, "ü".repeat(127)), "/x"),
    ] {
        for scheme in [Scheme::Cavage, Scheme::Rfc9421] {
            let request = scene.signed_bytes(scheme, "/inbox", &eve, body.clone());
            let problem = short_answer(&scene, request).await;
            assert_eq!((problem["status"].as_u64(), &problem["pointer"]), (Some(422), &json!(pointer)));
        }
    }
    scene.assert_unchanged("a document with a long name").await;
}

#[tokio::test]
async fn of_a_member_in_the_body_of_a_device() {
    let scene = AttackScene::new().await;
    let name = long_name();
    let body = format!(r#"{{"object":{{"{}":1,"{0}":2}}}}"#, name.get(..500_000).unwrap());
    for path in ["/user/alice/outbox", "/user/alice/keyPackages", "/user/alice/devices"] {
        let body = Body::Raw(Some("application/activity+json"), body.clone().into());
        let answer = scene.alice.call(Method::POST, path, body, Auth::Device).await.unwrap();
        assert!(answer.body.len() < SHORT, "{path}: {} bytes", answer.body.len());
        assert_eq!((answer.status.as_u16(), &answer.json().unwrap()["pointer"]), (422, &json!("/object")));
    }
    scene.assert_unchanged("a body with a long name").await;
}

#[tokio::test]
async fn of_an_actor_or_a_key() {
    let scene = AttackScene::new().await;
    let long = "x".repeat(1_000_000);
    for actor in [long.clone(), format!("https://b.example/{long}"), format!("https://{long}.example/x")] {
        let request =
            scene.signed_bytes(Scheme::Rfc9421, "/inbox", &scene.eve.actor, like(&actor).to_string());
        assert_eq!(short_answer(&scene, request).await["status"], 403);
    }
    assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]));
    scene.assert_unchanged("an actor with a long name").await;
}

/// A reason of another server's document is kept and told: it has at most 256 bytes.
#[tokio::test]
async fn in_what_another_server_answers() {
    let scene = AttackScene::new().await;
    let long = "é/".repeat(200_000);
    let object = |number| json!({ "type": "Take", "actor": scene.alice.actor(), "object": number });
    scene.serve_web_finger("href", web_finger_link(&format!("https://b.example/{long}")));
    scene.serve_web_finger(
        "name",
        StrangerAnswer {
            media_type: "application/jrd+json",
            body: format!(r#"{{"{long}":1,"{long}":2}}"#),
            ..StrangerAnswer::status(200)
        },
    );
    scene.actor("long", |document| document[&long] = json!({ "@graph": 1 }));
    let long_actor = format!("{}/users/long", scene.eve.origin);
    for asked in ["@href@b.example", "@name@b.example"] {
        for _ in 0..2 {
            let answer = scene
                .alice
                .call(Method::POST, "/user/alice/outbox", Body::Json(&object(asked)), Auth::Device)
                .await
                .unwrap();
            assert_eq!(answer.status, 502, "{asked}");
            assert!(answer.body.len() < SHORT, "{asked}: {} bytes", answer.body.len());
        }
    }
    assert_eq!(scene.alice_sends(&long_actor, &long_actor, 1).await, "502 remote-failed");
    // A report that is an answer, and the detail of a problem.
    for body in [format!(r#"{{"{long}":1,"{long}":2}}"#), json!({ "detail": long }).to_string()] {
        for status in [409, 422] {
            scene.eve.answer(StrangerAnswer { body: body.clone(), ..StrangerAnswer::status(status) });
            let create = json!({
                "type": "Create", "actor": scene.alice.actor(), "to": scene.eve.actor,
                "object": { "type": "SignalEnvelope", "id": envelope_id(2), "messages": [{
                    "to": format!("{}/device/1", scene.eve.actor), "from": scene.alice.address(),
                    "content": "c2VjcmV0",
                }] },
            });
            let answer =
                scene.alice.call(Method::POST, "/user/alice/outbox", Body::Json(&create), Auth::Device).await;
            let answer = answer.unwrap();
            assert_eq!(answer.status, 409, "{status}");
            assert!(answer.json().unwrap()["summary"].as_str().unwrap().len() <= 256);
        }
    }
    let stored = scene.world.stored().await;
    let lookups = stored.items.iter().filter(|((pk, _), _)| pk.starts_with("R#") || pk.starts_with("H#"));
    for (key, item) in lookups {
        assert!(item.len() < SHORT, "{key:?} has {} bytes", item.len());
    }
}
