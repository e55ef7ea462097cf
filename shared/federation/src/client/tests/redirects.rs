//! Redirects of fetches: the kinds that are followed, the check of targets, and their number.

use http::header::DATE;
use http::{HeaderName, HeaderValue};

use super::fake::{Reply, TestInternet, answer, ok, redirect};
use super::{ACTIVITY_JSON, PATIENT, PUBLIC, PUBLIC_TOO, body, error, get};
use crate::client::{FetchOutcome, GuardedClient, MediaTypes};

/// Returns a server that redirects every path to `location`, except `/there` and some others with
/// documents.
async fn redirecting(location: &'static str) -> (TestInternet, GuardedClient) {
    let world = TestInternet::new();
    let reply = move |path: &str| match path {
        "/there" | "/deep/there" | "/deep/there?x=y" => ok(ACTIVITY_JSON, path),
        _ => redirect(302, location),
    };
    world.site("a.example", PUBLIC, reply).await;
    world.site("b.example", PUBLIC_TOO, |_| ok(ACTIVITY_JSON, "b")).await;
    let client = world.client(false);
    (world, client)
}

#[tokio::test]
async fn each_kind_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let world = TestInternet::new();
        let reply = move |path: &str| match path {
            "/" => redirect(status, "/there"),
            _ => ok(ACTIVITY_JSON, path),
        };
        world.site("a.example", PUBLIC, reply).await;
        assert_eq!(body(get(&world.client(false), "https://a.example/").await), "/there", "{status}");
    }
}

#[tokio::test]
async fn other_statuses_with_a_location_are_not() {
    for status in [201, 300, 304, 305, 306] {
        let world = TestInternet::new();
        world.site("a.example", PUBLIC, move |_| redirect(status, "/there")).await;
        let text = error(get(&world.client(false), "https://a.example/").await);
        assert!(text.starts_with(&format!("a.example answered {status}")), "{text}");
        assert_eq!(world.asked().len(), 1);
    }
}

#[tokio::test]
async fn locations_are_read_against_the_current_url() {
    for (location, arrives) in [
        ("https://a.example/there", "https://a.example/there"),
        ("//a.example/there", "https://a.example/there"),
        ("/there", "https://a.example/there"),
        ("there?x=y", "https://a.example/deep/there?x=y"),
        ("../there", "https://a.example/there"),
        ("/there#fragment", "https://a.example/there"),
        ("https://b.example/", "https://b.example/"),
    ] {
        let (_world, client) = redirecting(location).await;
        match get(&client, "https://a.example/deep/start#here").await {
            Ok(FetchOutcome::Document(document)) => assert_eq!(document.url.as_str(), arrives),
            other => panic!("{location}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn targets_are_judged_like_first_urls() {
    for (location, text) in [
        ("http://b.example/", "b.example may only be asked over https, not http"),
        ("http://a.example/", "a.example may only be asked over https, not http"),
        ("ftp://b.example/", "b.example may only be asked over https, not ftp"),
        ("https://u:p@b.example/", "the URL of b.example carries credentials"),
        ("https://10.0.0.1/", "10.0.0.1 is an address, not a domain name"),
        ("https://0x0a.1/", "10.0.0.1 is an address, not a domain name"),
        ("https://[::1]/", "[::1] is an address, not a domain name"),
        ("//169.254.169.254/latest/", "169.254.169.254 is an address, not a domain name"),
        ("https://localhost/", "localhost is not a public domain name"),
        ("https://b.example./", "the name b.example. ends in a dot"),
        ("https://inside.example/", "inside.example has no public address"),
        ("file:///etc/passwd", "that is not an absolute URL"),
        ("https://", "a.example redirects without a usable Location"),
    ] {
        let (world, client) = redirecting(location).await;
        world.net.name("inside.example", &["10.0.0.1"]);
        let refused = get(&client, "https://a.example/").await.unwrap_err();
        assert_eq!(refused.to_string(), text);
        assert!(!refused.is_transient());
        assert_eq!(world.net.dialled().len(), 1, "{location}");
    }
}

#[tokio::test]
async fn a_redirect_needs_a_location() {
    for headers in [&[][..], &[("Location", "\u{e4}")]] {
        let world = TestInternet::new();
        let reply = answer("302 Found", headers, "");
        world.site("a.example", PUBLIC, move |_| reply.clone()).await;
        assert_eq!(
            error(get(&world.client(false), "https://a.example/").await),
            "a.example redirects without a usable Location"
        );
    }
}

/// Answers `/3` with a redirect to `/2`, and so on. `/0` is a document.
fn countdown(path: &str) -> Reply {
    match path[1..].parse::<u32>().unwrap() {
        0 => ok(ACTIVITY_JSON, "arrived"),
        left => redirect(307, &format!("/{}", left - 1)),
    }
}

#[tokio::test]
async fn three_are_followed_and_no_more() {
    let world = TestInternet::new();
    world.site("a.example", PUBLIC, countdown).await;
    assert_eq!(body(get(&world.client(false), "https://a.example/3").await), "arrived");

    let world = TestInternet::new();
    world.site("a.example", PUBLIC, countdown).await;
    assert_eq!(
        error(get(&world.client(false), "https://a.example/4").await),
        "a.example redirects too often"
    );
    assert_eq!(world.asked().len(), 4);
}

#[tokio::test]
async fn a_loop_ends() {
    let (world, client) = redirecting("/").await;
    assert_eq!(error(get(&client, "https://a.example/").await), "a.example redirects too often");
    assert_eq!(world.asked().len(), 4);
}

#[tokio::test]
async fn every_request_is_signed_for_its_own_url() {
    let (world, client) = redirecting("https://b.example/bob#key").await;
    let sign = |url: &url::Url| {
        let value = HeaderValue::from_str(url.as_str()).unwrap();
        Ok(vec![(DATE, HeaderValue::from_static("now")), (HeaderName::from_static("signature"), value)])
    };
    let fetched = client.get_json("https://a.example/bob#key", MediaTypes::ACTIVITY, sign, &PATIENT).await;
    assert_eq!(body(fetched), "b");
    let signatures: Vec<_> = world
        .asked()
        .iter()
        .map(|request| request.lines().find(|line| line.starts_with("signature: ")).unwrap().to_owned())
        .collect();
    assert_eq!(signatures, ["signature: https://a.example/bob", "signature: https://b.example/bob"]);
}
