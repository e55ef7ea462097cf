//! The documents that anyone may read, whole, and the headers that browsers and other servers
//! depend on.

use eko_client::Transport as _;
use eko_client::transport::Bytes;
use eko_testkit::World;
use http::Request;

use crate::redactions::redacted;
use crate::requests::get_public;

#[tokio::test]
async fn public_documents() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let _redacted = redacted();
    for (name, path, media_type) in [
        ("webfinger", "/.well-known/webfinger?resource=acct:bob@eko.example", "application/jrd+json"),
        ("user", "/user/bob", "application/activity+json"),
        ("devices", "/user/bob/devices", "application/activity+json"),
        ("key_packages", "/user/bob/keyPackages", "application/activity+json"),
        ("server", "/actor", "application/activity+json"),
        (
            "webfinger_of_the_server",
            "/.well-known/webfinger?resource=https://eko.example/",
            "application/jrd+json",
        ),
        ("nodeinfo_links", "/.well-known/nodeinfo", "application/json"),
        ("nodeinfo", "/nodeinfo/2.1", "application/json"),
        ("capabilities", "/.well-known/ecp", "application/json"),
    ] {
        let answer = get_public(&bob, path).await;
        assert_eq!(answer.headers["content-type"], media_type, "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        insta::assert_json_snapshot!(name, answer.json().unwrap(), { ".software.version" => "[version]" });
    }
    // A browser gets an HTML page. A reader of linked data gets the same document under the other
    // media type.
    let accepting = async |accept: &str| {
        let request = Request::get("https://eko.example/user/bob").header("accept", accept);
        world.transport().send(request.body(Bytes::new()).unwrap()).await.unwrap()
    };
    let page = accepting("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(String::from_utf8_lossy(page.body()).contains("<h1>@bob@eko.example</h1>"));
    let linked_data = r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#;
    let linked = accepting(&format!("{linked_data}, application/activity+json")).await;
    assert_eq!(linked.headers()["content-type"], linked_data);
}

#[tokio::test]
async fn a_preflight_is_answered_to_any_origin_without_a_token() {
    let world = World::new().await;
    let request = Request::options("https://eko.example/user/alice/outbox")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let preflight = world.transport().send(request.body(Bytes::new()).unwrap()).await.unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-headers"], "authorization,content-type,accept");
    assert!(!preflight.headers().contains_key("access-control-allow-credentials"));
}
