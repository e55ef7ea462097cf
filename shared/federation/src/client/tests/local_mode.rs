//! The switch for local mode: http to this machine, and to nothing else.

use super::fake::{TestInternet, ok, redirect};
use super::{ACTIVITY_JSON, PUBLIC, body, error, get};

/// Starts a server of this machine at the ports of the URLs below.
async fn local(world: &TestInternet) {
    let listener = world
        .http(|path| match path {
            "/out" => redirect(302, "http://a.example/"),
            "/in" => redirect(302, "http://b.localhost:8080/"),
            _ => ok(ACTIVITY_JSON, "local"),
        })
        .await;
    for address in ["127.0.0.1:80", "127.0.0.1:8080", "[::1]:80", "[::1]:8080"] {
        world.net.route(address, listener);
    }
    world.net.name("localhost", &["::1", "127.0.0.1"]);
    world.net.name("b.localhost", &["127.0.0.1"]);
}

#[tokio::test]
async fn the_switch_lets_http_reach_this_machine() {
    let world = TestInternet::new();
    local(&world).await;
    let client = world.client(true);
    for url in [
        "http://localhost:8080/",
        "http://localhost/",
        "http://b.localhost:8080/",
        "http://127.0.0.1:8080/",
        "http://localhost:8080/in",
    ] {
        assert_eq!(body(get(&client, url).await), "local", "{url}");
    }
    let text = "a.example may only be asked over https, not http";
    assert_eq!(error(get(&client, "http://localhost/out").await), text);
}

#[tokio::test]
async fn without_it_no_http_at_all() {
    let world = TestInternet::new();
    local(&world).await;
    let client = world.client(false);
    for url in ["http://localhost:8080/", "http://b.localhost/", "http://127.0.0.1/", "http://a.example/"] {
        assert!(error(get(&client, url).await).ends_with("may only be asked over https, not http"), "{url}");
    }
    assert_eq!((world.net.resolved(), world.net.dialled()), (vec![], vec![]));
}

#[tokio::test]
async fn names_of_this_machine_must_lead_to_it() {
    let world = TestInternet::new();
    local(&world).await;
    for address in [PUBLIC, "10.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
        let host = format!("h{}.localhost", address.len());
        world.net.name(&host, &[address]);
        assert_eq!(
            error(get(&world.client(true), &format!("http://{host}/")).await),
            format!("the address {address} of {host} is not a loopback address")
        );
    }
    assert_eq!(world.net.dialled(), []);
}

#[tokio::test]
async fn https_still_needs_public_addresses() {
    let world = TestInternet::new();
    local(&world).await;
    world.net.name("evil.example", &["127.0.0.1"]);
    let client = world.client(true);
    assert_eq!(error(get(&client, "https://evil.example/").await), "evil.example has no public address");
    assert_eq!(error(get(&client, "https://localhost/").await), "localhost is not a public domain name");
    assert_eq!(world.net.dialled(), []);
}

#[tokio::test]
async fn a_stranger_cannot_redirect_into_this_machine() {
    let world = TestInternet::new();
    local(&world).await;
    world.site("a.example", PUBLIC, |_| redirect(302, "http://localhost/")).await;
    assert_eq!(
        error(get(&world.client(true), "https://a.example/").await),
        "localhost may only be asked over https, not http"
    );
    assert_eq!(world.net.resolved(), ["a.example"]);
}
