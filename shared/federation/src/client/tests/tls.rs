//! TLS: trusted and unknown authorities, names, and plain HTTP behind https.

use std::sync::Arc;

use http::HeaderValue;

use super::fake::{TestInternet, ok};
use super::{ACTIVITY_JSON, IMPATIENT, PUBLIC, body, error, get, get_within};
use crate::client::{ClientOptions, GuardedClient, PrivateHosts, UrlPolicy, public_roots};

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_for_the_name() {
    let world = TestInternet::new();
    world.site("a.example", PUBLIC, |_| ok(ACTIVITY_JSON, "{}")).await;
    assert_eq!(body(get(&world.client(false), "https://a.example/").await), "{}");
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let world = TestInternet::new();
    world.site("a.example", PUBLIC, |_| ok(ACTIVITY_JSON, "{}")).await;
    let stranger = TestInternet::new();
    let listener = stranger.https("a.example", |_| ok(ACTIVITY_JSON, "{}")).await;
    world.net.route("93.184.215.14:443", listener);
    let text = error(get(&world.client(false), "https://a.example/").await);
    assert!(text.starts_with("a.example could not be talked to: invalid peer certificate"), "{text}");
    assert_eq!(stranger.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let world = TestInternet::new();
    let listener = world.https("b.example", |_| ok(ACTIVITY_JSON, "{}")).await;
    world.net.name("a.example", &[PUBLIC]);
    world.net.route("93.184.215.14:443", listener);
    let text = error(get(&world.client(false), "https://a.example/").await);
    assert!(text.starts_with("a.example could not be talked to: invalid peer certificate"), "{text}");
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn plain_http_behind_https_is_refused() {
    let world = TestInternet::new();
    let listener = world.http(|_| ok(ACTIVITY_JSON, "{}")).await;
    world.net.name("a.example", &[PUBLIC]);
    world.net.route("93.184.215.14:443", listener);
    // The listener waits for the end of a request that never comes, or closes the connection.
    let failed = get_within(&world.client(false), "https://a.example/", &IMPATIENT).await;
    assert!(failed.unwrap_err().is_transient());
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn the_public_roots_are_many_and_not_ours() {
    let world = TestInternet::new();
    world.site("a.example", PUBLIC, |_| ok(ACTIVITY_JSON, "{}")).await;
    assert!(public_roots()().len() > 50);
    let options = ClientOptions {
        user_agent: HeaderValue::from_static("eko-test"),
        roots: public_roots(),
        urls: UrlPolicy::default(),
        private: PrivateHosts::default(),
    };
    let client = GuardedClient::new(Arc::clone(&world.net) as _, options);
    let text = error(get(&client, "https://a.example/").await);
    assert!(text.starts_with("a.example could not be talked to: invalid peer certificate"), "{text}");
}
