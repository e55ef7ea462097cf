//! Attempts to drain one-time keys: by one actor, by a server with many actors, by replays, and
//! without a signature.

use eko_client::KeyCounts;
use eko_protocol::http_signature::Scheme;
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_service::config::Config;
use eko_testkit::{COUNTS, Stranger, StrangerAnswer};
use serde_json::{Value, json};

use crate::scene::{AttackScene, SCHEMES, web_finger_link};

/// The paths at which another server may take packages.
const PATHS: [&str; 2] = ["/user/bob/inbox", "/inbox"];

/// Starts a scene in which Bob has one-time keys, and whose configuration `change` may change.
async fn scene_with(change: impl FnOnce(&mut Config)) -> AttackScene {
    AttackScene::with(COUNTS, change).await
}

/// Returns a `Take` of this object by this actor.
fn take(actor: &str, object: impl Into<Value>) -> Value {
    json!({ "type": "Take", "actor": actor, "object": object.into() })
}

/// The address of Bob's key packages.
const BOB: &str = "https://eko.example/user/bob/keyPackages";

/// Returns true if the package that is taken has a one-time key. Asserts that the package is there,
/// and usable without one.
async fn has_one_time_key(scene: &AttackScene, request: http::Request<bytes::Bytes>) -> bool {
    let (status, body) = scene.world.transport().json(request).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["items"].as_array().map(Vec::len), Some(1), "{body}");
    let package = &body["items"][0];
    for member in ["identityKey", "signedPreKey", "signedPreKeySignature", "kyberPreKey"] {
        assert!(package[member].is_string(), "{member}: {body}");
    }
    for member in ["eko:preKeyCount", "eko:kyberPreKeyCount"] {
        let tells = [&body, package].iter().any(|shown| shown.get(member).is_some());
        assert!(!tells, "how many are left is the owner's: {body}");
    }
    package["preKey"].is_string()
}

/// Has an actor take Bob's packages at one of the paths, in turn, and returns true if a one-time
/// key was among them.
async fn gives_one_time_key(scene: &AttackScene, actor: &str, number: usize) -> bool {
    let path = PATHS[number % PATHS.len()];
    has_one_time_key(scene, scene.signed(SCHEMES[number / 2 % 2], path, &take(actor, BOB))).await
}

#[tokio::test]
async fn by_one_actor() {
    let scene = scene_with(|config| config.limits.take_budget = 2).await;
    let mut given = Vec::new();
    for number in 0..6 {
        given.push(gives_one_time_key(&scene, &scene.eve.actor, number).await);
    }
    assert_eq!(given, [true, true, false, false, false, false]);
    assert_eq!(scene.bob.fetch().await.unwrap().keys_left.pre_keys, 1);
    // Another server still gets what is left.
    let other = Stranger::new(&scene.internet, "c.example").await;
    assert!(gives_one_time_key(&scene, &other.actor, 0).await);
    assert!(!gives_one_time_key(&scene, &other.actor, 0).await, "the pool is empty");
}

#[tokio::test]
async fn by_a_server_with_many_actors() {
    let scene = scene_with(|config| config.limits.take_server_budget = 2).await;
    let mut given = Vec::new();
    for number in 0..6 {
        given.push(gives_one_time_key(&scene, &scene.actor(&format!("a{number}"), |_| {}), number).await);
    }
    assert_eq!(given, [true, true, false, false, false, false]);
    let other = Stranger::new(&scene.internet, "c.example").await;
    assert!(gives_one_time_key(&scene, &other.actor, 0).await);
}

/// Whoever has one domain has as many servers as they like, and no more keys for it.
#[tokio::test]
async fn by_the_servers_of_one_domain() {
    let scene = scene_with(|config| config.limits.take_server_budget = 2).await;
    let mut given = Vec::new();
    for number in 0..4 {
        let other = Stranger::new(&scene.internet, &format!("c{number}.evil.example")).await;
        given.push(gives_one_time_key(&scene, &other.actor, number).await);
    }
    assert_eq!(given, [true, true, false, false]);
    let other = Stranger::new(&scene.internet, "c.example").await;
    assert!(gives_one_time_key(&scene, &other.actor, 0).await);
}

/// All other servers together leave a quarter of an hour's keys to the users of this one.
#[tokio::test]
async fn by_other_servers_from_users_here() {
    let keys = KeyCounts { pre_keys: 5, ..COUNTS };
    let scene = AttackScene::with(keys, |config| config.limits.take_total_budget = 4).await;
    let mut given = Vec::new();
    for number in 0..4 {
        let other = Stranger::new(&scene.internet, &format!("c{number}.example")).await;
        given.push(gives_one_time_key(&scene, &other.actor, number).await);
    }
    assert_eq!(given, [true, true, true, false]);
    let packages = scene.alice.take(scene.bob.user()).await.unwrap();
    assert!(packages.packages.iter().all(|package| package.pre_key.is_some()));
}

#[tokio::test]
async fn by_many_servers() {
    let scene = scene_with(|config| config.limits.take_total_budget = 2).await;
    let mut given = Vec::new();
    for number in 0..4 {
        let other = Stranger::new(&scene.internet, &format!("c{number}.example")).await;
        given.push(gives_one_time_key(&scene, &other.actor, number).await);
    }
    assert_eq!(given, [true, true, false, false]);
    // The takes of users of this server count as well.
    let packages = scene.alice.take(scene.bob.user()).await.unwrap();
    assert!(packages.packages.iter().all(|package| package.pre_key.is_none()));
    assert_eq!(scene.bob.fetch().await.unwrap().keys_left.pre_keys, 1);
}

/// Whoever gets no one-time keys uses up none of those that others may take in the hour: strangers, whom
/// only an acceptance lets write, and senders who are blocked.
#[tokio::test]
async fn by_takers_from_whom_keys_are_withheld() {
    let keys = KeyCounts { pre_keys: 5, ..COUNTS };
    let scene = AttackScene::with(keys, |config| config.limits.take_total_budget = 4).await;
    let settings = AccountSettings { who_may_write: WhoMayWrite::Known };
    scene.bob.change_settings(settings).await.unwrap();
    scene.bob.accept_actor(&scene.alice.actor()).await.unwrap();
    scene.bob.accept_actor(&scene.eve.actor).await.unwrap();
    for number in 0..12 {
        let other = Stranger::new(&scene.internet, &format!("c{number}.example")).await;
        assert!(!gives_one_time_key(&scene, &other.actor, number).await);
    }
    assert!(gives_one_time_key(&scene, &scene.eve.actor, 0).await);
    let packages = scene.alice.take(scene.bob.user()).await.unwrap();
    assert!(packages.packages.iter().all(|package| package.pre_key.is_some()));
    // The record of the device counts those takes in one place, however many take.
    let stored = scene.world.stored().await;
    let record = &stored.items[&(format!("D#bob#{}", scene.bob.id()), "DEVICE".to_owned())];
    assert!(record.matches("\"B").count() <= 5, "{record}");
}

#[tokio::test]
async fn by_replays() {
    let scene = scene_with(|config| config.limits.take_budget = 2).await;
    let request = scene.signed(Scheme::Cavage, PATHS[0], &take(&scene.eve.actor, BOB));
    let mut given = Vec::new();
    for _ in 0..4 {
        given.push(has_one_time_key(&scene, request.clone()).await);
    }
    assert_eq!(given, [true, true, false, false], "a replay is counted like any other");
    scene.world.advance(301_000);
    assert_eq!(scene.send(request).await, "401 bad-signature");
}

#[tokio::test]
async fn by_naming_packages_in_other_ways() {
    let scene = scene_with(|config| config.limits.take_budget = 1).await;
    let package = format!("https://eko.example/user/bob/keyPackage/{}", scene.bob.id());
    let objects = [
        json!(package),
        json!([package]),
        json!(BOB),
        json!("@bob@eko.example"),
        json!("acct:BOB@EKO.example"),
    ];
    let mut given = Vec::new();
    for object in objects {
        let request = scene.signed(Scheme::Rfc9421, "/inbox", &take(&scene.eve.actor, object));
        given.push(has_one_time_key(&scene, request).await);
    }
    assert_eq!(given, [true, false, false, false, false]);
}

#[tokio::test]
async fn without_a_good_signature() {
    let scene = scene_with(|_| {}).await;
    let eve = scene.eve.actor.as_str();
    let right = take(eve, BOB);
    for path in PATHS {
        let mut unsigned = scene.signed(Scheme::Cavage, path, &right);
        unsigned.headers_mut().remove("signature");
        assert_eq!(scene.send(unsigned).await, "401 bad-signature", "{path}: unsigned");
        for scheme in SCHEMES {
            for other in PATHS.iter().chain(&["/user/bob/keyPackages"]).filter(|other| **other != path) {
                let mut request = scene.signed(scheme, other, &right);
                *request.uri_mut() = path.parse().unwrap();
                assert_eq!(scene.send(request).await, "401 bad-signature", "{path}: signed for {other}");
            }
            let mut changed =
                scene.signed(scheme, path, &take(eve, "https://eko.example/user/alice/keyPackages"));
            *changed.body_mut() = right.to_string().into();
            assert_eq!(scene.send(changed).await, "401 bad-signature", "{path}: another body");
            let stolen =
                scene.signed_bytes(scheme, path, eve, take("https://c.example/users/eve", BOB).to_string());
            assert_eq!(scene.send(stolen).await, "401 bad-signature", "{path}: another actor");
        }
    }
    scene.assert_unchanged("a Take without a good signature").await;
}

#[tokio::test]
async fn of_what_is_not_there() {
    let scene = scene_with(|_| {}).await;
    let eve = scene.eve.actor.as_str();
    let id = "00000000-0000-4000-8000-000000000001";
    let package = format!("https://eko.example/user/bob/keyPackage/{}", scene.bob.id());
    let alices = format!("https://eko.example/user/alice/keyPackage/{}", scene.alice.id());
    let cases = [
        ("nobody's", json!("https://eko.example/user/nobody/keyPackages"), "404 not-found"),
        ("another server's", json!("https://c.example/user/x/keyPackages"), "422 invalid #/object"),
        ("a handle elsewhere", json!("@x@c.example"), "422 invalid #/object"),
        (
            "an unknown device's",
            json!(format!("https://eko.example/user/bob/keyPackage/{id}")),
            "422 invalid #/object/0",
        ),
        ("one twice", json!([package, package]), "422 invalid #/object/1"),
        ("two users'", json!([package, alices]), "422 invalid #/object/1"),
        ("too many", json!(vec![package.clone(); 17]), "422 invalid #/object"),
        ("none", json!([]), "422 invalid #/object"),
        ("an object", json!({ "href": BOB }), "422 invalid #/object/0"),
        ("with a query", json!(format!("{BOB}?x")), "422 invalid #/object"),
        ("an actor", json!(scene.bob.actor()), "422 invalid #/object"),
    ];
    for (name, object, expected) in cases {
        let request = scene.signed(Scheme::Cavage, "/inbox", &take(eve, object));
        assert_eq!(scene.send(request).await, expected, "{name}");
    }
    let request = scene.signed(Scheme::Cavage, "/user/alice/inbox", &take(eve, BOB));
    assert_eq!(scene.send(request).await, "422 invalid #/object");
    scene.assert_unchanged("a Take of what is not there").await;
}

/// The collection is for devices, which have a token. No signature is read there, and nobody is
/// asked about one.
#[tokio::test]
async fn at_the_collection_instead_of_an_inbox() {
    let scene = scene_with(|_| {}).await;
    let eve = scene.eve.actor.as_str();
    for kind in ["Take", "Add", "Check", "Create", "Delete", "Like"] {
        let activity = json!({ "type": kind, "actor": eve, "object": BOB });
        for scheme in SCHEMES {
            let request = scene.signed(scheme, "/user/bob/keyPackages", &activity);
            assert_eq!(scene.send(request).await, "401 unauthenticated", "{kind} {scheme:?}");
        }
    }
    assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]));
    scene.assert_unchanged("a Take at the collection").await;
}

/// This server takes at the inbox as well: the one that the actor names, or the one of its layout.
#[tokio::test]
async fn of_this_server_go_to_the_inbox() {
    let scene = scene_with(|_| {}).await;
    let packages = format!("{}/user/eve/keyPackages", scene.eve.origin);
    scene.actor("eve", |document| document["eko:keyPackages"] = json!(packages));
    scene.serve_web_finger("eve", web_finger_link(&scene.eve.actor));
    for object in ["@eve@b.example", packages.as_str()] {
        scene.eve.answer(StrangerAnswer::status(404));
        assert_eq!(scene.alice_takes(object).await, "404 not-found", "{object}");
    }
    let posts = scene.eve.posts();
    let targets: Vec<&str> = posts.iter().map(|post| post.target.as_str()).collect();
    assert_eq!(targets, ["/users/eve/inbox", "/user/eve/inbox"]);
    for post in &posts {
        assert_eq!(post.json()["object"], packages);
    }
}
