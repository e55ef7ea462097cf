//! Paths, queries and methods that the server does not have, or cannot read.

use eko_client::{Auth, Body};
use eko_testkit::refusal;
use http::Method;

use super::BadInputScene;
use crate::requests::{get, get_public};

#[tokio::test]
async fn paths_and_queries_that_are_wrong() {
    let scene = BadInputScene::new().await;
    let inbox = "/user/alice/inbox";
    let zeros = format!("{}-{}", "0".repeat(12), "0".repeat(32));
    for query in [
        "after=x",
        "after=",
        &format!("after={}", zeros.to_uppercase().replace('0', "A")),
        "after=%FF",
        "after=a&after=b",
        &format!("after={zeros}&after={zeros}"),
    ] {
        assert_eq!(scene.get(&format!("{inbox}?{query}"), Auth::Device).await, "400 bad-request", "{query}");
    }
    assert!(scene.get(&format!("{inbox}?after={zeros}&unknown=1"), Auth::Device).await.starts_with("200 "));
    let webfinger = "/.well-known/webfinger";
    for (query, expected) in [
        ("", "400 bad-request"),
        ("?resource", "404 not-found"),
        ("?resource=%FF", "404 not-found"),
        ("?resource=acct:alice@eko.example&resource=acct:bob@eko.example", "400 bad-request"),
    ] {
        assert_eq!(scene.get(&format!("{webfinger}{query}"), Auth::Nobody).await, expected, "{query}");
    }
    for resource in [
        "acct:nobody@eko.example",
        "acct:alice@b.example",
        "acct:a@b@eko.example",
        "https://eko.example/user/Alice",
        "alice",
    ] {
        assert_eq!(
            scene.get(&format!("{webfinger}?resource={resource}"), Auth::Nobody).await,
            "404 not-found",
            "{resource}"
        );
    }
    for path in [
        "/",
        "/nothing",
        "/user",
        "/user/",
        "/user/alice/",
        "/user/nobody",
        "/user/%FF",
        "/user/a%2Fb",
        "/user/a%00b",
        "/user/al%20ice",
        "/user/alic%C3%A9",
        "/user/nobody/devices",
        "/user/nobody/keyPackages",
        "/user/%FF/devices",
        "/user/alice//devices",
        "/user/alice/keyPackage/x",
        "/user/alice/keyPackage/%FF",
        "/user/alice/keyPackage/00000000-0000-0000-0000-000000000000",
        &format!("/user/bob/keyPackage/{}", scene.alice.id()),
        "/user/alice/devices/0",
        "/user/../user/alice",
        &format!("/user/{}", "a".repeat(31)),
    ] {
        assert_eq!(scene.get(path, Auth::Nobody).await, "404 not-found", "{path}");
    }
    for path in ["/user/alice/inbox/x", "/user/alice/inbox/%FF", "/user/alice/inbox/"] {
        let answer = scene.alice.call(Method::DELETE, path, Body::Empty, Auth::Device).await.unwrap();
        assert_eq!(refusal(&answer), "404 not-found", "{path}");
    }
    for path in ["/user/%FF/inbox", "/user/a%2Fb/inbox"] {
        assert_eq!(scene.get(path, Auth::Device).await, "404 not-found", "{path}");
    }
    for (method, path) in [
        (Method::GET, "/auth/devices"),
        (Method::GET, "/user/alice/outbox"),
        (Method::PUT, "/user/alice/devices"),
        (Method::DELETE, inbox),
        (Method::POST, "/user/alice"),
        (Method::POST, "/.well-known/ecp"),
        (Method::PATCH, "/user/alice/keyPackages"),
    ] {
        let answer = scene.alice.call(method.clone(), path, Body::Empty, Auth::Device).await.unwrap();
        assert_eq!(refusal(&answer), "405 method-not-allowed", "{method} {path}");
    }
    // Other spellings of a user name are the same user. The answer has the normal spelling.
    for path in ["/user/alice", "/user/ALICE", "/user/%61lice", "/user/%41LICE"] {
        let answer = get_public(&scene.alice, path).await;
        assert_eq!(answer.json().unwrap()["id"], "https://eko.example/user/alice", "{path}");
        let answer = get(&scene.alice, &format!("{path}/inbox")).await;
        let page = answer.json().unwrap();
        assert_eq!(page["orderedItems"].as_array().unwrap().len(), 1);
        assert_eq!(page["id"], "https://eko.example/user/alice/inbox", "{path}");
        assert_eq!(scene.get("/user/bob/inbox", Auth::Device).await, "403 not-owner");
    }
    scene.assert_unchanged("a wrong path").await;
}
