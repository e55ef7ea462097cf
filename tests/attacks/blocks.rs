//! Attempts of blocked actors of other servers to reach a user, or to find out that they are
//! blocked.

use eko_protocol::block::BlockedParty;
use eko_testkit::{COUNTS, Stranger, StrangerAnswer, World};
use serde_json::{Value, json};

use crate::scene::{AttackScene, SCHEMES};

const BOB: &str = "https://eko.example/user/bob/keyPackages";

async fn block(scene: &AttackScene, text: &str, is_undone: bool) {
    scene.bob.change_block(&BlockedParty::parse(text).unwrap(), is_undone).await.unwrap();
}

/// Returns the number of ciphertexts that have come to Bob.
async fn come(scene: &AttackScene) -> usize {
    scene.world.deliver().await;
    scene.world.messages(&scene.bob).await.len()
}

/// Delivers an envelope by a stranger, and returns status and body.
async fn sent_by(scene: &AttackScene, stranger: &Stranger, number: usize) -> (u16, Value) {
    let mut create = scene.envelope(&stranger.actor, number);
    create["id"] = json!(format!("{}/create/{number}", stranger.origin));
    stranger.deliver(&scene.world, "/inbox", &create).await
}

#[tokio::test]
async fn by_actor_domain_subdomain_and_port() {
    let scene = AttackScene::new().await;
    let shop = Stranger::new(&scene.internet, "shop.b.example").await;
    let other = Stranger::new(&scene.internet, "notb.example").await;
    let twin = scene.actor("twin", |_| {});
    let mut number = 0;
    for (text, reached) in [
        (scene.eve.actor.as_str(), [false, true, true, true]),
        (twin.as_str(), [true, false, true, true]),
        ("https://b.example", [false, false, false, true]),
        ("https://shop.b.example", [true, true, false, true]),
        ("https://b.example:8443", [true, true, true, true]),
        ("https://other.b.example", [true, true, true, true]),
    ] {
        block(&scene, text, false).await;
        let mut came = Vec::new();
        for sender in 0..4 {
            number += 1;
            let before = come(&scene).await;
            let status = match sender {
                0 => sent_by(&scene, &scene.eve, number).await,
                1 => {
                    let request = scene.signed(SCHEMES[number % 2], "/inbox", &scene.envelope(&twin, number));
                    scene.world.transport().json(request).await
                }
                2 => sent_by(&scene, &shop, number).await,
                _ => sent_by(&scene, &other, number).await,
            };
            assert_eq!(status, (202, Value::Null), "{text} {sender}");
            came.push(come(&scene).await > before);
        }
        assert_eq!(came, reached, "{text}");
        block(&scene, text, true).await;
    }
}

/// Answers of a scene in which Bob blocks Eve, beside one in which he blocks somebody else.
#[tokio::test]
async fn by_comparing_answers() {
    let mut scenes = Vec::new();
    for blocked in ["https://b.example", "https://c.example"] {
        let scene = AttackScene::with(COUNTS, |config| config.limits.sender_budget = 4).await;
        let second = scene.world.further(&scene.bob, "two").await;
        block(&scene, blocked, false).await;
        scenes.push((scene, second));
    }
    let mut told = Vec::new();
    for (scene, second) in &scenes {
        let mut answers = Vec::new();
        let half = scene.envelope(&scene.eve.actor, 1);
        let mut rest = half.clone();
        rest["object"]["messages"][0]["to"] = json!(second.address());
        let mut stale = scene.envelope(&scene.eve.actor, 2);
        let gone = "https://eko.example/user/bob/device/00000000-0000-4000-8000-000000000001";
        stale["object"]["messages"][0]["to"] = json!(gone);
        let mut nobody = scene.envelope(&scene.eve.actor, 3);
        nobody["to"] = json!("https://eko.example/user/nobody");
        nobody["object"]["messages"][0]["to"] =
            json!("https://eko.example/user/nobody/device/00000000-0000-4000-8000-000000000001");
        for activity in [&half, &half, &rest, &stale, &nobody, &half, &half] {
            scene.world.calls.reset();
            let (status, mut body) = scene.eve.deliver(&scene.world, "/inbox", activity).await;
            if let Some(members) = body.as_object_mut() {
                members.remove("instance");
            }
            let mut calls = scene.world.calls.made();
            calls.sort();
            answers.push((status, body, calls));
            scene.world.deliver().await;
        }
        told.push(answers);
    }
    let statuses: Vec<u16> = told[0].iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [207, 207, 202, 409, 404, 202, 429]);
    assert_eq!(told[0], told[1]);
    let (blocking, _) = &scenes[0];
    assert_eq!(come(blocking).await, 0);
    assert_eq!(come(&scenes[1].0).await, 1);
}

#[tokio::test]
async fn by_taking_keys() {
    let scene = AttackScene::with(COUNTS, |_| {}).await;
    block(&scene, "https://b.example", false).await;
    let left = scene.bob.fetch().await.unwrap().keys_left;
    let take = json!({ "type": "Take", "actor": scene.eve.actor, "object": BOB });
    for path in ["/inbox", "/user/bob/inbox"] {
        let (status, body) = scene.eve.deliver(&scene.world, path, &take).await;
        assert_eq!(status, 200, "{body}");
        let package = &body["items"][0];
        assert!(package["signedPreKey"].is_string() && package["kyberPreKey"].is_string(), "{body}");
        assert!(package.get("preKey").is_none(), "{body}");
    }
    assert_eq!(scene.bob.fetch().await.unwrap().keys_left, left);
}

/// A report, and the end of an actor, are no envelopes: they come, and tell nothing.
#[tokio::test]
async fn by_reports() {
    let scene = AttackScene::new().await;
    block(&scene, &scene.eve.actor, false).await;
    let to = format!("{}/device/1", scene.eve.actor);
    scene.eve.answer(StrangerAnswer::status(202));
    assert_eq!(scene.sends(&scene.bob, &scene.eve.actor, &to, 7).await, "201 Create");
    let delivered = json!({
        "type": ["Activity", "Delivered"], "actor": scene.eve.actor, "to": scene.bob.actor(),
        "object": crate::scene::envelope_id(7),
    });
    assert_eq!(scene.eve.deliver(&scene.world, "/inbox", &delivered).await, (202, Value::Null));
    scene.world.deliver().await;
    assert_eq!(scene.world.reports(&scene.bob).await.len(), 1);
}

/// Nobody sees whom a user blocks: neither in public documents nor in the posts of the server.
#[tokio::test]
async fn by_looking_for_the_block() {
    let scene = AttackScene::new().await;
    scene.internet.forget();
    block(&scene, &scene.eve.actor, false).await;
    block(&scene, "https://spam.example", false).await;
    settle(&scene.world).await;
    assert_eq!((scene.internet.resolved(), scene.eve.posts().len()), (vec![], 0));
    for path in ["/user/bob", "/user/bob/devices", "/user/bob/keyPackages", "/.well-known/ecp"] {
        let request = http::Request::get(path).body(bytes::Bytes::new()).unwrap();
        let (_, body) = scene.world.transport().json(request).await;
        let text = body.to_string();
        assert!(!text.contains("b.example") && !text.contains("spam.example"), "{path}: {text}");
    }
}

async fn settle(world: &World) {
    while world.federate().await + world.deliver().await > 0 {}
}
