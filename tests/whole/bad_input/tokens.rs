//! Requests without a token, with a token that is not good, or with another user's token.

use http::{Method, Request, header};
use serde_json::json;

use super::{ACTIVITY, BadInputScene};

#[tokio::test]
async fn nobody_without_a_token_of_their_own() {
    let scene = BadInputScene::new().await;
    let good = scene.alice.tokens().unwrap();
    let theirs = scene.bob.tokens().unwrap().access;
    let entry = scene.alice.fetch().await.unwrap().entries[0].address.clone();
    let requests = [
        (Method::POST, "/user/alice/devices"),
        (Method::GET, "/user/alice/devices/pending"),
        (Method::GET, "/user/alice/blocked"),
        (Method::GET, "/user/alice/settings"),
        (Method::PUT, "/user/alice/settings"),
        (Method::GET, "/user/alice/export"),
        (Method::POST, "/user/alice/outbox"),
        (Method::GET, "/user/alice/inbox"),
        (Method::DELETE, entry.strip_prefix("https://eko.example").unwrap()),
        (Method::POST, "/user/alice/keyPackages"),
        (Method::GET, "/user/alice/groupState"),
        (Method::PUT, "/user/alice/groupState/00000000-0000-8000-8000-000000000001"),
        (Method::DELETE, "/user/alice/groupState/00000000-0000-8000-8000-000000000001?epoch=1"),
        (Method::POST, "/auth/devices"),
    ];
    let add = json!({ "type": "Add", "object": scene.alice.keys().first() }).to_string();
    for (method, path) in requests {
        let request = || {
            let uri = format!("https://eko.example{path}");
            Request::builder().method(method.clone()).uri(uri).header(header::CONTENT_TYPE, ACTIVITY)
        };
        let with = |value: &str| request().header(header::AUTHORIZATION, value);
        let bearer = format!("Bearer {}", good.access);
        let cases = [
            ("none", request()),
            ("empty", with("")),
            ("no token", with("Bearer ")),
            ("no scheme", with(&good.access)),
            ("another scheme", with("Basic YWxpY2U6cGFzc3dvcmQ=")),
            ("garbage", with("Bearer garbage")),
            ("three parts of garbage", with("Bearer e30.e30.e30")),
            ("a refresh token", with(&format!("Bearer {}", good.refresh))),
            ("two headers", with(&bearer).header(header::AUTHORIZATION, &bearer)),
            ("two tokens", with(&format!("{bearer} {}", good.access))),
            ("not text", request().header(header::AUTHORIZATION, &b"Bearer \xff"[..])),
        ];
        for (name, request) in cases {
            assert_eq!(scene.raw(request, &add).await, "401 unauthenticated", "{method} {path}: {name}");
        }
        // Bob's token is good, but these paths are Alice's. An access token does not register a
        // device.
        let expected = if path == "/auth/devices" { "401 unauthenticated" } else { "403 not-owner" };
        // The name of the scheme is case-insensitive (RFC 9110, section 11.1).
        for scheme in ["Bearer", "bEARER"] {
            let answer = scene.raw(with(&format!("{scheme} {theirs}")), &add).await;
            assert_eq!(answer, expected, "{method} {path}");
        }
    }
    scene.assert_unchanged("a stranger's request").await;
}
