//! Bodies that are refused before any member is read: no JSON, the wrong media type, too long, too
//! deep.

use eko_client::{Auth, Body, Transport as _};
use http::Method;

use super::{ACTIVITY, BadInputScene};

const MIB: usize = 1 << 20;
const GROUP_STATE: &str = "/user/alice/groupState/00000000-0000-8000-8000-000000000001";

/// An endpoint that reads a body.
struct BodyEndpoint {
    method: Method,
    path: &'static str,
    /// The bearer token, where it is not the device's access token.
    token: Option<String>,
    /// The length of the longest body that the endpoint reads, in bytes.
    limit: usize,
}

/// Lists the endpoints that read a body, with their paths for Alice.
async fn endpoints(scene: &BadInputScene) -> Vec<BodyEndpoint> {
    let id_token = Some(scene.world.id_token(&scene.alice).await.text().to_owned());
    vec![
        BodyEndpoint { method: Method::POST, path: "/auth/devices", token: id_token, limit: MIB },
        BodyEndpoint { method: Method::POST, path: "/auth/refresh", token: None, limit: MIB },
        BodyEndpoint { method: Method::POST, path: "/auth/logout", token: None, limit: MIB },
        BodyEndpoint { method: Method::POST, path: "/user/alice/devices", token: None, limit: MIB },
        BodyEndpoint { method: Method::POST, path: "/user/alice/keyPackages", token: None, limit: MIB },
        BodyEndpoint { method: Method::POST, path: "/user/alice/push", token: None, limit: MIB },
        BodyEndpoint { method: Method::PUT, path: "/user/alice/settings", token: None, limit: MIB },
        BodyEndpoint { method: Method::PUT, path: GROUP_STATE, token: None, limit: MIB },
        BodyEndpoint { method: Method::POST, path: "/user/alice/outbox", token: None, limit: 5 * MIB / 2 },
    ]
}

/// A server that decoded it would have two sizes to limit, and a digest of either.
#[tokio::test]
async fn a_compressed_body_is_named_as_such() {
    let scene = BadInputScene::new().await;
    for BodyEndpoint { method, path, token, .. } in endpoints(&scene).await {
        let token = token.unwrap_or_else(|| scene.alice.tokens().unwrap().access);
        for (coding, status) in [("gzip", 415), ("identity, br", 415), ("deflate", 415)] {
            let request = http::Request::builder()
                .method(method.clone())
                .uri(format!("https://eko.example{path}"))
                .header("content-type", ACTIVITY)
                .header("content-encoding", coding)
                .header("authorization", format!("Bearer {token}"));
            let answer =
                scene.world.transport().send(request.body(vec![0x1f, 0x8b].into()).unwrap()).await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{path} {coding}");
            assert_eq!(answer.headers()["accept-encoding"], "identity", "{path} {coding}");
        }
        for coding in ["", "identity", "Identity, "] {
            let request = http::Request::builder()
                .method(method.clone())
                .uri(format!("https://eko.example{path}"))
                .header("content-type", ACTIVITY)
                .header("content-encoding", coding);
            let answer = scene.world.transport().send(request.body("{}".into()).unwrap()).await.unwrap();
            assert_ne!(answer.status().as_u16(), 415, "{path} {coding}");
        }
    }
}

#[tokio::test]
async fn every_body_is_judged_alike() {
    let scene = BadInputScene::new().await;
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
    for BodyEndpoint { method, path, token, limit } in endpoints(&scene).await {
        let auth = token.as_deref().map_or(Auth::Device, Auth::Token);
        for (name, body, expected) in &bodies {
            let body = Body::Raw(Some(ACTIVITY), body.clone().into());
            assert_eq!(scene.ask(&method, path, body, auth).await, *expected, "{path}: {name}");
        }
        for shape in ["{}", "[]", "3", "null", "\"text\"", r#"{"type":"Create"}"#, r#"{"type":["Add"]}"#] {
            let answer = scene.ask(&method, path, Body::Raw(Some(ACTIVITY), shape.into()), auth).await;
            assert!(answer.starts_with("422 invalid #"), "{path}: {shape}: {answer}");
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
                scene.ask(&method, path, body, auth).await,
                "415 unsupported-media-type",
                "{path}: {media_type:?}"
            );
        }
        for media_type in [
            "application/json",
            "application/ld+json; profile=\"x\"",
            "APPLICATION/Activity+JSON;charset=utf-8",
        ] {
            let answer = scene.ask(&method, path, Body::Raw(Some(media_type), "{}".into()), auth).await;
            assert!(answer.starts_with("422 "), "{path}: {media_type}: {answer}");
        }
        // The body is padded with white space, so that only its length can be wrong.
        let padded =
            |length: usize| Body::Raw(Some(ACTIVITY), format!("{}{{}}", " ".repeat(length - 2)).into());
        assert_eq!(scene.ask(&method, path, padded(limit + 1), auth).await, "413 body-too-large", "{path}");
        assert!(scene.ask(&method, path, padded(limit), auth).await.starts_with("422 "), "{path}");
    }
    scene.assert_unchanged("a bad body").await;
}
