//! The check of addresses: before a connection, after name resolution, and at each new resolution.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;

use super::fake::{TestInternet, ok};
use super::{ACTIVITY_JSON, PATIENT, PUBLIC, body, error, get};
use crate::client::{FetchError, PrivateHosts};

fn sockets(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_name_of_an_address_inside_is_never_dialled() {
    for address in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "192.0.0.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        let world = TestInternet::new();
        world.net.name("evil.example", &[address]);
        let refused = get(&world.client(false), "https://evil.example/").await.unwrap_err();
        assert_eq!(refused.to_string(), "evil.example has no public address");
        assert!(!refused.is_transient());
        assert_eq!(world.net.dialled(), []);
    }
}

#[tokio::test]
async fn a_host_that_the_operator_names_may_be_inside() {
    let world = TestInternet::new();
    world.site("push.lan", "10.0.0.7", |_| ok(ACTIVITY_JSON, "inside")).await;
    world.net.name("evil.lan", &["10.0.0.7"]);
    let client = world.client_exempting(false, PrivateHosts::list("push.lan:443").unwrap());
    let request = |url: &str| Request::post(url).body(Bytes::new()).unwrap();
    let answer = client.send(request("https://push.lan/1"), &PATIENT).await.unwrap();
    assert_eq!(answer.read().await.into_body().unwrap(), "inside");
    // A port that is named must match.
    let refused = client.send(request("https://push.lan:8443/1"), &PATIENT).await.unwrap_err();
    assert_eq!(refused.to_string(), "push.lan has no public address");
    let refused = client.send(request("https://evil.lan/"), &PATIENT).await.unwrap_err();
    assert_eq!(refused.to_string(), "evil.lan has no public address");
    let strict = error(get(&world.client(false), "https://push.lan/1").await);
    assert_eq!(strict, "push.lan has no public address");
    assert_eq!(world.net.dialled(), sockets(&["10.0.0.7:443"]));
}

#[tokio::test]
async fn a_refused_url_is_not_even_resolved() {
    let world = TestInternet::new();
    for url in [
        "http://a.example/",
        "https://2130706433/",
        "http://2130706434/",
        "http://0xa9fea9fe/latest/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://localhost/",
        "https://localhost./",
        "https://a.example./",
        "https://u:p@a.example/",
        "https://intranet/",
        "https://metadata.google.internal/",
    ] {
        for client in [world.client(false), world.client(true)] {
            assert!(matches!(get(&client, url).await, Err(FetchError::Refused(_))), "{url}");
        }
    }
    assert_eq!((world.net.resolved(), world.net.dialled()), (vec![], vec![]));
}

#[tokio::test]
async fn of_a_public_and_a_private_address_only_the_public_one_is_dialled() {
    let world = TestInternet::new();
    world.site("a.example", PUBLIC, |_| ok(ACTIVITY_JSON, "{}")).await;
    for addresses in [["127.0.0.1", PUBLIC], [PUBLIC, "127.0.0.1"]] {
        world.net.name("mixed.example", &addresses);
    }
    let client = world.client(false);
    for _ in 0..2 {
        // The certificate is for another name, so the request fails. The test is about the
        // connections.
        let failed = get(&client, "https://mixed.example/").await.unwrap_err();
        assert_eq!(failed.unconnected(), Some("mixed.example"));
    }
    assert_eq!(world.net.dialled(), sockets(&["93.184.215.14:443", "93.184.215.14:443"]));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_is_dead() {
    let world = TestInternet::new();
    let listener = world.https("a.example", |_| ok(ACTIVITY_JSON, "{}")).await;
    world.net.name("a.example", &["1.1.1.1", "10.0.0.1", "2606:4700::1", "8.8.8.8"]);
    world.net.route("[2606:4700::1]:443", listener);
    assert_eq!(body(get(&world.client(false), "https://a.example/").await), "{}");
    assert_eq!(world.net.dialled(), sockets(&["1.1.1.1:443", "[2606:4700::1]:443"]));
}

#[tokio::test]
async fn another_answer_of_the_resolver_is_judged_anew() {
    let world = TestInternet::new();
    world.site("rebound.example", PUBLIC, |_| ok(ACTIVITY_JSON, "{}")).await;
    world.net.name("rebound.example", &["127.0.0.1"]);
    let client = world.client(false);

    assert_eq!(body(get(&client, "https://rebound.example/").await), "{}");
    // The checked address is the one that was used: one lookup, one connection.
    assert_eq!(world.net.resolved(), ["rebound.example"]);
    assert_eq!(world.net.dialled(), sockets(&["93.184.215.14:443"]));

    assert_eq!(
        error(get(&client, "https://rebound.example/").await),
        "rebound.example has no public address"
    );
    assert_eq!(world.net.dialled(), sockets(&["93.184.215.14:443"]));
}

#[tokio::test]
async fn names_and_servers_that_are_not_there() {
    let world = TestInternet::new();
    world.net.name("empty.example", &[]);
    world.net.name("dead.example", &[PUBLIC]);
    let client = world.client(false);
    for (url, text) in [
        ("https://nowhere.example/", "the name nowhere.example could not be resolved: no such name"),
        ("https://empty.example/", "the name empty.example could not be resolved: it has no address"),
        ("https://dead.example/", "dead.example could not be talked to: connection refused"),
    ] {
        let failed = get(&client, url).await.unwrap_err();
        assert!(failed.is_transient());
        assert_eq!(failed.to_string(), text);
    }
}
