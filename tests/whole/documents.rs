//! The documents that anyone may read, whole, and the headers that browsers and other servers
//! depend on.

use eko_client::Transport as _;
use eko_client::transport::Bytes;
use eko_testkit::{Internet, World};
use http::{Method, Request};

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
        (
            "nodeinfo",
            "/nodeinfo/2.1",
            r#"application/json; profile="http://nodeinfo.diaspora.software/ns/schema/2.1#""#,
        ),
        (
            "nodeinfo_2_0",
            "/nodeinfo/2.0",
            r#"application/json; profile="http://nodeinfo.diaspora.software/ns/schema/2.0#""#,
        ),
        ("host_meta_json", "/.well-known/host-meta.json", "application/jrd+json"),
        ("capabilities", "/.well-known/ecp", "application/json"),
    ] {
        let answer = get_public(&bob, path).await;
        assert_eq!(answer.headers["content-type"], media_type, "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        insta::assert_json_snapshot!(name, answer.json().unwrap(), { ".software.version" => "[version]" });
    }
}

/// Asks for a path of the server with this `Accept`.
async fn accepting(world: &World, path: &str, accept: &str) -> http::Response<Bytes> {
    let request = Request::get(format!("https://eko.example{path}")).header("accept", accept);
    world.transport().send(request.body(Bytes::new()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn every_variant_tells_caches_that_accept_decides() {
    let world = World::new().await;
    world.user("bob").await;
    let linked_data = r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#;
    for (path, accept, media_type) in [
        ("/user/bob", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("/user/bob", "Text/HTML;q=1.0, application/activity+json;q=0.9", "text/html; charset=utf-8"),
        ("/user/bob", "text/html;q=0.5, Application/Activity+JSON", "application/activity+json"),
        ("/user/bob", "application/ld+json;q=0.9, text/html;q=0.1", linked_data),
        ("/user/bob", linked_data, linked_data),
        ("/user/bob", "image/png", "application/activity+json"),
        ("/actor", "text/html, application/ld+json;q=0.1", linked_data),
        ("/user/bob/devices", linked_data, linked_data),
        ("/user/bob/keyPackages", "text/html", "application/activity+json"),
        ("/.well-known/host-meta", "*/*", "application/xrd+xml"),
        ("/.well-known/host-meta", "application/json", "application/jrd+json"),
    ] {
        let answer = accepting(&world, path, accept).await;
        assert_eq!(answer.headers()["content-type"], media_type, "{path} {accept}");
        let vary = answer.headers().get_all("vary").iter();
        let names = vary.flat_map(|value| value.to_str().unwrap().split(',').map(str::trim));
        assert!(names.into_iter().any(|name| name.eq_ignore_ascii_case("accept")), "{path} {accept}");
    }
}

#[tokio::test]
async fn the_page_links_the_actor_document() {
    let world = World::new().await;
    world.user("bob").await;
    let page = accepting(&world, "/user/bob", "text/html").await;
    let text = String::from_utf8_lossy(page.body()).into_owned();
    assert!(text.contains("<h1>@bob@eko.example</h1>"), "{text}");
    let link =
        r#"<link rel="alternate" type="application/activity+json" href="https://eko.example/user/bob">"#;
    assert!(text.contains(link), "{text}");
    assert_eq!(
        page.headers()["link"],
        r#"<https://eko.example/user/bob>; rel="alternate"; type="application/activity+json""#
    );
}

#[tokio::test]
async fn host_metadata_leads_to_webfinger() {
    let world = World::new().await;
    let xml = accepting(&world, "/.well-known/host-meta", "application/xrd+xml").await;
    let template = "https://eko.example/.well-known/webfinger?resource={uri}";
    let text = String::from_utf8_lossy(xml.body()).into_owned();
    assert!(text.contains(&format!(r#"<Link rel="lrdd" template="{template}"/>"#)), "{text}");
}

/// RFC 7565, section 4, and RFC 3986, section 6.2.2: URIs are compared, not strings.
#[tokio::test]
async fn webfinger_finds_every_spelling_of_a_resource() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    for resource in [
        "acct:bob@eko.example",
        "ACCT:bob@eko.example",
        "acct:b%6Fb@eko.example",
        "acct:%62ob@EKO.example",
        "acct:Bob@Eko.Example",
        "@bob@eko.example",
        "bob@EKO.example",
        "https://eko.example/user/bob",
        "HTTPS://Eko.Example/user/bob",
        "https://eko.example/user/b%6fb",
        "https://eko.example:443/user/bob",
        "https://eko.example/user/x/../bob",
        "acct:bob@eko.example:443",
    ] {
        // `%` stands for itself in the resource, so it is encoded once more in the query.
        let query = resource.replace('%', "%25");
        let answer = get_public(&bob, &format!("/.well-known/webfinger?resource={query}")).await;
        assert_eq!(answer.status, 200, "{resource}");
        assert_eq!(answer.json().unwrap()["aliases"][0], "https://eko.example/user/bob", "{resource}");
    }
    for resource in ["HTTPS://EKO.example", "ACCT:eko.example@EKO.example", "https://eko.example:443/actor"] {
        let answer = get_public(&bob, &format!("/.well-known/webfinger?resource={resource}")).await;
        assert_eq!(answer.status, 200, "{resource}");
        assert_eq!(answer.json().unwrap()["aliases"][1], "https://eko.example/actor", "{resource}");
    }
    for resource in ["acct:bob%2Fx@eko.example", "acct:bob%40eko.example", "ftp://eko.example/user/bob"] {
        let query = resource.replace('%', "%25");
        let answer = get_public(&bob, &format!("/.well-known/webfinger?resource={query}")).await;
        assert_eq!(answer.status, 404, "{resource}");
    }
}

/// A server with an internationalised name is found by its U-labels as by its A-labels.
#[tokio::test]
async fn webfinger_finds_a_name_in_u_labels() {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "xn--bcher-kva.example").await;
    let bob = world.user("bob").await;
    for resource in [
        "acct:bob@b%C3%BCcher.example",
        "acct:bob@B%C3%9CCHER.example",
        "bob@b%C3%BCcher.example",
        "https://b%C3%BCcher.example/user/bob",
        "HTTPS://B%C3%9CCHER.example:443/user/b%256fb",
        "https://xn--bcher-kva.example/user/bob",
    ] {
        let answer = get_public(&bob, &format!("/.well-known/webfinger?resource={resource}")).await;
        assert_eq!(answer.status, 200, "{resource}");
        assert_eq!(answer.json().unwrap()["subject"], "acct:bob@xn--bcher-kva.example", "{resource}");
    }
    let server = get_public(&bob, "/.well-known/webfinger?resource=https://b%C3%BCcher.example").await;
    assert_eq!(server.json().unwrap()["aliases"][0], "https://xn--bcher-kva.example");
}

/// HEAD is answered like GET, without a body: by each route, and also by a problem.
#[tokio::test]
async fn head_is_get_without_a_body() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let keys = format!("/user/bob/keyPackage/{}", bob.id());
    for path in [
        "/.well-known/webfinger?resource=acct:bob@eko.example",
        "/.well-known/webfinger?resource=acct:nobody@eko.example",
        "/.well-known/webfinger",
        "/.well-known/host-meta",
        "/.well-known/host-meta.json",
        "/.well-known/nodeinfo",
        "/nodeinfo/2.0",
        "/nodeinfo/2.1",
        "/.well-known/ecp",
        "/ns",
        "/actor",
        "/user/bob",
        "/user/nobody",
        "/user/bob/keyPackages",
        keys.as_str(),
        "/user/bob/devices",
        "/user/bob/devices/pending",
        "/user/bob/blocked",
        "/user/bob/settings",
        "/user/bob/export",
        "/user/bob/inbox",
        "/nothing",
        "/user/bob/outbox",
    ] {
        let ask = async |method: Method| {
            let request = Request::builder().method(method).uri(format!("https://eko.example{path}"));
            world.transport().send(request.body(Bytes::new()).unwrap()).await.unwrap()
        };
        let (get, head) = (ask(Method::GET).await, ask(Method::HEAD).await);
        assert_eq!(head.status(), get.status(), "{path}");
        assert!(head.body().is_empty() && !get.body().is_empty(), "{path}: {:?}", head.body());
        let length = get.body().len().to_string();
        assert_eq!(head.headers()["content-length"], length.as_str(), "{path}");
        for name in ["content-type", "vary", "cache-control", "allow", "www-authenticate", "link"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{path}: {name}");
        }
    }
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
