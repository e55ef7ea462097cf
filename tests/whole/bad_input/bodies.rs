//! What is judged before anyone reads what a body says.

use eko_client::{Auth, Body};
use eko_testkit::World;

use super::{ACTIVITY, Scene};

const MIB: usize = 1 << 20;

/// Every endpoint that reads a body: its path for Alice, whose token it wants, how many bytes it takes.
async fn endpoints(world: &World) -> Vec<(&'static str, Option<String>, usize)> {
    let id_token = Some(world.id_token("alice").await);
    vec![
        ("/auth/devices", id_token, MIB),
        ("/auth/refresh", None, MIB),
        ("/auth/logout", None, MIB),
        ("/user/alice/devices", None, MIB),
        ("/user/alice/keyPackages", None, MIB),
        ("/user/alice/outbox", None, 5 * MIB / 2),
    ]
}

#[tokio::test]
async fn every_body_is_judged_alike() {
    let scene = Scene::new().await;
    let nested = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    let bodies = [
        ("nothing", String::new(), "400 not-json"),
        ("half", r#"{"type":"#.to_owned(), "400 not-json"),
        ("two documents", "{} {}".to_owned(), "400 not-json"),
        ("a lone surrogate", r#"{"a":"\ud800"}"#.to_owned(), "400 not-json"),
        ("a number beyond all", r#"{"a":1e999}"#.to_owned(), "400 not-json"),
        ("a member twice", r#"{"a":{"b":1,"b":2}}"#.to_owned(), "422 invalid #/a/b"),
        ("a member twice, spelt otherwise", r#"{"type":1,"\u0074ype":2}"#.to_owned(), "422 invalid #/type"),
        ("@graph", r#"{"@graph":[]}"#.to_owned(), "422 invalid #/@graph"),
        ("@reverse", r#"{"object":[{"@reverse":{}}]}"#.to_owned(), "422 invalid #/object/0/@reverse"),
        ("@included", r#"{"@included":[]}"#.to_owned(), "422 invalid #/@included"),
        ("an alias", r#"{"@context":{"kind":"@type"}}"#.to_owned(), "422 invalid #/@context/kind"),
        ("a term of ours", r#"{"@context":[{"actor":"x:y"}]}"#.to_owned(), "422 invalid #/@context/0/actor"),
        ("depth", nested(32), &format!("422 invalid #/a{}", "/0".repeat(31))),
        ("much depth", nested(100_000), &format!("422 invalid #/a{}", "/0".repeat(31))),
    ];
    for (path, token, limit) in endpoints(&scene.world).await {
        let auth = token.as_deref().map_or(Auth::Device, Auth::Token);
        for (name, body, expected) in &bodies {
            let body = Body::Raw(Some(ACTIVITY), body.clone().into());
            assert_eq!(scene.post(path, body, auth).await, *expected, "{path}: {name}");
        }
        for shape in ["{}", "[]", "3", "null", "\"text\"", r#"{"type":"Create"}"#, r#"{"type":["Add"]}"#] {
            let said = scene.post(path, Body::Raw(Some(ACTIVITY), shape.into()), auth).await;
            assert!(said.starts_with("422 invalid #"), "{path}: {shape}: {said}");
        }
        for media_type in [
            None,
            Some("text/plain"),
            Some("application/jose+json"),
            Some("application/activity+jsonx"),
            Some(""),
        ] {
            let body = Body::Raw(media_type, "{}".into());
            assert_eq!(
                scene.post(path, body, auth).await,
                "415 unsupported-media-type",
                "{path}: {media_type:?}"
            );
        }
        for media_type in [
            "application/json",
            "application/ld+json; profile=\"x\"",
            "APPLICATION/Activity+JSON;charset=utf-8",
        ] {
            let said = scene.post(path, Body::Raw(Some(media_type), "{}".into()), auth).await;
            assert!(said.starts_with("422 "), "{path}: {media_type}: {said}");
        }
        // White space: nothing but the length is wrong with it, or nothing at all.
        let padded =
            |length: usize| Body::Raw(Some(ACTIVITY), format!("{}{{}}", " ".repeat(length - 2)).into());
        assert_eq!(scene.post(path, padded(limit + 1), auth).await, "413 body-too-large", "{path}");
        assert!(scene.post(path, padded(limit), auth).await.starts_with("422 "), "{path}");
    }
    scene.unchanged("a bad body").await;
}
