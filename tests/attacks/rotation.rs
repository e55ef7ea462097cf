//! Keys that change, actors that are gone, and servers out of reach: forged signatures make this
//! server ask them once a minute at most.

use std::sync::Arc;

use eko_federation::keys::SigningKey;
use eko_protocol::http_signature::Scheme;
use eko_testkit::{Stranger, StrangerAnswer, signing_key};
use serde_json::{Value, json};

use crate::scene::{AttackScene, actor_document, like};

/// Delivers an activity signed by this key under its actor's key id, and returns the answer in one
/// line.
async fn deliver_by(scene: &AttackScene, key: &SigningKey, activity: &Value) -> String {
    let key_id = format!("{}#main-key", activity["actor"].as_str().unwrap());
    scene.send(scene.signed_by(key, &key_id, Scheme::Rfc9421, activity.to_string())).await
}

/// Returns a key that no actor has published.
fn forger() -> Arc<SigningKey> {
    signing_key("forger").1
}

/// Delivers a hundred forged envelopes and returns the answers, without repetitions.
async fn flood(scene: &AttackScene, actor: &str) -> Vec<String> {
    let mut answer = Vec::new();
    for number in 0..100 {
        answer.push(deliver_by(scene, &forger(), &scene.envelope(actor, number)).await);
    }
    answer.dedup();
    answer
}

#[tokio::test]
async fn a_new_key() {
    let scene = AttackScene::new().await;
    let eve = scene.eve.actor.clone();
    let next = signing_key("next").1;
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    scene.eve.document("/users/eve", StrangerAnswer::activity(200, &actor_document(&eve, next.public_pem())));
    assert_eq!(
        deliver_by(&scene, &next, &like(&eve)).await,
        "401 bad-signature",
        "a copy that is new is believed"
    );
    assert_eq!(scene.eve.asked().len(), 1);
    scene.world.advance(60_000);
    assert_eq!(deliver_by(&scene, &next, &like(&eve)).await, "202");
    assert_eq!(scene.eve.asked().len(), 2, "one fetch more");
    // The old key is no longer accepted.
    assert_eq!(scene.deliver(&scene.envelope(&eve, 1)).await, "401 bad-signature");
    scene.world.advance(60_000);
    assert_eq!(scene.deliver(&scene.envelope(&eve, 1)).await, "401 bad-signature");
    assert_eq!(scene.eve.asked().len(), 3);
    assert_eq!(deliver_by(&scene, &next, &like(&eve)).await, "202");
    assert_eq!(scene.eve.asked().len(), 3);
    scene.assert_unchanged("an envelope under an old key").await;
}

#[tokio::test]
async fn no_storm_of_fetches() {
    let scene = AttackScene::new().await;
    let eve = scene.eve.actor.clone();
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    let asked = || scene.eve.asked().len();
    assert_eq!(asked(), 1);
    assert_eq!(flood(&scene, &eve).await, ["401 bad-signature"]);
    assert_eq!(asked(), 1, "a copy that is new is believed");
    for minute in 1..=3 {
        scene.world.advance(60_000);
        assert_eq!(flood(&scene, &eve).await, ["401 bad-signature"]);
        assert_eq!(asked(), 1 + minute, "once a minute");
    }
    // The same holds while the server is out of reach, and good signatures by the known key are
    // still accepted.
    scene.internet.unplug(scene.eve.address);
    scene.eve.document("/users/eve", StrangerAnswer::status(503));
    for minute in 1..=7 {
        scene.world.advance(60_000);
        scene.internet.forget();
        let asked = scene.eve.asked().len();
        let answer = flood(&scene, &eve).await;
        assert_eq!(answer, ["503 remote-unreachable", "401 bad-signature"], "{minute}");
        assert!(scene.dialled().len() + scene.eve.asked().len() - asked <= 1, "once a minute");
        assert_eq!(scene.deliver(&like(&eve)).await, "202", "{minute}");
    }
    scene.assert_unchanged("a forged envelope").await;
}

#[tokio::test]
async fn an_old_copy_serves_while_its_server_is_out_of_reach() {
    let scene = AttackScene::new().await;
    let eve = scene.eve.actor.clone();
    scene.eve.document(
        "/users/eve",
        StrangerAnswer::activity(200, &scene.eve.actor_document()).with("connection", "close"),
    );
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    scene.internet.unplug(scene.eve.address);
    scene.world.advance(7 * 3_600_000);
    scene.internet.forget();
    for _ in 0..20 {
        assert_eq!(scene.deliver(&like(&eve)).await, "202");
    }
    assert_eq!(scene.dialled().len(), 1, "it is not asked for each request");
    // After a week the key may have been replaced long ago.
    scene.world.advance(161 * 3_600_000 + 300_000);
    assert_eq!(scene.deliver(&like(&eve)).await, "503 remote-unreachable");
    scene.assert_unchanged("an activity without an effect").await;
}

#[tokio::test]
async fn an_unknown_actor_of_a_server_out_of_reach() {
    let scene = AttackScene::new().await;
    scene.internet.unplug(scene.eve.address);
    for minute in 0..3 {
        for (actor, dials) in [(scene.eve.actor.as_str(), 1), ("https://nowhere.example/users/eve", 0)] {
            assert_eq!(flood(&scene, actor).await, ["503 remote-unreachable"], "{minute}");
            assert_eq!(scene.internet.resolved().len(), 1, "{actor}: looked up once a minute");
            assert_eq!(scene.dialled().len(), dials, "{actor}: dialled once a minute");
        }
        scene.world.advance(60_000);
    }
    // The forged requests do not keep out the real actor when its server is back.
    scene.internet.plug(scene.eve.address);
    assert_eq!(scene.deliver(&like(&scene.eve.actor)).await, "202");
    scene.assert_unchanged("a forged envelope").await;
}

#[tokio::test]
async fn actors_that_cannot_be_had() {
    let scene = AttackScene::new().await;
    scene.eve.document("/users/gone", StrangerAnswer::status(410));
    scene
        .eve
        .document("/users/page", StrangerAnswer { media_type: "text/html", ..StrangerAnswer::status(200) });
    for (name, remembered_ms) in [("gone", 600_000), ("missing", 600_000), ("page", 600_000)] {
        let actor = format!("{}/users/{name}", scene.eve.origin);
        let asked = || scene.eve.asked().len();
        let before = asked();
        assert_eq!(flood(&scene, &actor).await, ["401 bad-signature"], "{name}");
        assert_eq!(asked(), before + 1, "{name}");
        scene.world.advance(remembered_ms - 1);
        assert_eq!(flood(&scene, &actor).await, ["401 bad-signature"], "{name}");
        assert_eq!(asked(), before + 1, "{name}");
        scene.world.advance(1);
        assert_eq!(flood(&scene, &actor).await, ["401 bad-signature"], "{name}");
        assert_eq!(asked(), before + 2, "{name}");
    }
    scene.assert_unchanged("a forged envelope").await;
}

/// Returns the ids of the actors of which a copy is stored.
async fn copies(scene: &AttackScene) -> Vec<String> {
    let stored = scene.world.stored().await;
    stored.keys("R#", "").into_iter().map(|(pk, _)| pk.replacen("R#", "", 1)).collect()
}

#[tokio::test]
async fn deletions() {
    let scene = AttackScene::new().await;
    let delete = |actor: &str, object: Value| json!({ "type": "Delete", "actor": actor, "object": object });
    let eve = scene.eve.actor.clone();
    // A deletion of an actor that is gone, or never was, is accepted under any signature, since
    // nobody can verify it.
    scene.eve.document("/users/gone", StrangerAnswer::status(410));
    for name in ["gone", "never"] {
        let actor = format!("{}/users/{name}", scene.eve.origin);
        let tombstone = json!({ "type": "Tombstone", "id": actor });
        for object in [json!(actor), json!([actor]), tombstone] {
            assert_eq!(deliver_by(&scene, &forger(), &delete(&actor, object)).await, "202", "{name}");
        }
        for other in [
            delete(&actor, json!(eve)),
            delete(&actor, json!([actor, actor])),
            delete(&actor, json!(format!("{actor}/note"))),
            scene.envelope(&actor, 1),
            like(&actor),
        ] {
            assert_eq!(deliver_by(&scene, &forger(), &other).await, "401 bad-signature", "{name}: {other}");
        }
    }
    // A deletion of an actor that is there needs a signature of its own.
    let neighbour = scene.actor("neighbour", |_| {});
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    assert_eq!(scene.deliver(&like(&neighbour)).await, "202");
    assert_eq!(deliver_by(&scene, &forger(), &delete(&eve, json!(eve))).await, "401 bad-signature");
    assert_eq!(scene.deliver(&delete(&neighbour, json!(eve))).await, "202");
    assert_eq!(scene.deliver(&delete(&neighbour, json!(scene.bob.actor()))).await, "202");
    assert!(copies(&scene).await.contains(&eve));
    let mallory = Stranger::new(&scene.internet, "c.example").await;
    assert_eq!(scene.deliver(&delete(&mallory.actor, json!(eve))).await, "202");
    assert!(copies(&scene).await.contains(&eve) && copies(&scene).await.contains(&neighbour));
    assert_eq!(scene.deliver(&delete(&eve, json!(eve))).await, "202");
    assert!(!copies(&scene).await.contains(&eve));
    // An actor that is gone by now: the key of the stored copy is not trusted for long.
    scene.eve.document("/users/neighbour", StrangerAnswer::status(410));
    scene.world.advance(60_000);
    assert_eq!(deliver_by(&scene, &forger(), &delete(&neighbour, json!(neighbour))).await, "202");
    assert_eq!(scene.deliver(&scene.envelope(&neighbour, 1)).await, "401 bad-signature");
    scene.assert_unchanged("a deletion").await;
}

/// Sends a `Like` of an actor under this key to another process of the function, and returns the
/// status.
async fn second_answer(
    scene: &AttackScene,
    second: &eko_testkit::DirectTransport,
    key: &SigningKey,
    actor: &str,
) -> u16 {
    let key_id = format!("{actor}#main-key");
    let request = scene.signed_by(key, &key_id, Scheme::Rfc9421, like(actor).to_string());
    second.json(request).await.0
}

/// An actor says that it has changed, or is gone. The old key counts no more here, and in other
/// processes as soon as they forget it.
#[tokio::test]
async fn an_old_key_after_the_actor_said_so() {
    for kind in ["Update", "Delete"] {
        for whole in [true, false] {
            let scene = AttackScene::new().await;
            let (eve, old, next) = (scene.eve.actor.clone(), scene.eve.key.clone(), signing_key("next").1);
            let second = scene.world.second_inbox();
            assert_eq!(scene.deliver(&like(&eve)).await, "202");
            assert_eq!(second_answer(&scene, &second, &old, &eve).await, 202);
            let document = actor_document(&eve, next.public_pem());
            scene.eve.document("/users/eve", StrangerAnswer::activity(200, &document));
            let object = if whole { document } else { json!(eve) };
            let change = json!({ "type": kind, "actor": eve, "object": object });
            // A forged one, and one about somebody else, have no effect.
            assert_eq!(deliver_by(&scene, &forger(), &change).await, "401 bad-signature", "{kind}");
            let other = json!({ "type": kind, "actor": eve, "object": scene.bob.actor() });
            assert_eq!(scene.deliver(&other).await, "202");
            assert_eq!(scene.deliver(&like(&eve)).await, "202", "nothing has changed");
            assert_eq!(scene.deliver(&change).await, "202", "{kind}");
            assert!(!copies(&scene).await.contains(&eve));
            assert_eq!(scene.deliver(&scene.envelope(&eve, 1)).await, "401 bad-signature", "{kind}");
            assert_eq!(deliver_by(&scene, &next, &like(&eve)).await, "202", "{kind}");
            // The memory of the other process lasts for five minutes, however busy it is.
            for _ in 0..5 {
                assert_eq!(second_answer(&scene, &second, &old, &eve).await, 202);
                scene.world.advance(60_000);
            }
            assert_eq!(second_answer(&scene, &second, &old, &eve).await, 401);
            assert_eq!(second_answer(&scene, &second, &next, &eve).await, 202);
            scene.assert_unchanged("an envelope under an old key").await;
        }
    }
}

/// A signature verifies only with a newer key. That replaces the old one, in all processes.
#[tokio::test]
async fn an_old_key_after_a_newer_one_was_seen() {
    let scene = AttackScene::new().await;
    let (eve, old, next) = (scene.eve.actor.clone(), scene.eve.key.clone(), signing_key("next").1);
    let second = scene.world.second_inbox();
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    assert_eq!(second_answer(&scene, &second, &old, &eve).await, 202);
    scene.eve.document("/users/eve", StrangerAnswer::activity(200, &actor_document(&eve, next.public_pem())));
    scene.world.advance(60_000);
    assert_eq!(deliver_by(&scene, &next, &like(&eve)).await, "202");
    assert_eq!(scene.deliver(&like(&eve)).await, "401 bad-signature");
    scene.world.advance(240_000);
    assert_eq!(second_answer(&scene, &second, &old, &eve).await, 401);
    assert_eq!(
        scene.world.second_inbox().json(scene.signed(Scheme::Cavage, "/inbox", &like(&eve))).await.0,
        401
    );
}

/// An actor replaces the key and says nothing. The old one counts for six hours at most.
#[tokio::test]
async fn an_old_key_that_nobody_spoke_of() {
    let scene = AttackScene::new().await;
    let (eve, next) = (scene.eve.actor.clone(), signing_key("next").1);
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    scene.eve.document("/users/eve", StrangerAnswer::activity(200, &actor_document(&eve, next.public_pem())));
    scene.world.advance(6 * 3_600_000 - 1);
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    scene.world.advance(1);
    assert_eq!(scene.deliver(&scene.envelope(&eve, 1)).await, "401 bad-signature");
    assert_eq!(deliver_by(&scene, &next, &like(&eve)).await, "202");
    scene.assert_unchanged("an envelope under an old key").await;
}

/// Names are invented on a server that nobody can connect to: it is tried once a minute, however
/// many names there are.
#[tokio::test]
async fn many_names_on_a_dead_server() {
    let scene = AttackScene::new().await;
    scene.internet.unplug(scene.eve.address);
    for minute in 0..3 {
        scene.internet.forget();
        for number in 0..50 {
            let actor = format!("https://b.example/users/nobody{minute}x{number}");
            let answer = deliver_by(&scene, &forger(), &scene.envelope(&actor, number)).await;
            assert_eq!(answer, "503 remote-unreachable", "{actor}");
        }
        assert_eq!(scene.dialled().len(), 1, "minute {minute}");
        scene.world.advance(60_000);
    }
    // A server that answers again is accepted at once.
    scene.internet.plug(scene.eve.address);
    assert_eq!(scene.deliver(&like(&scene.eve.actor)).await, "202");
    scene.assert_unchanged("an envelope of nobody").await;
}
