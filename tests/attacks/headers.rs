//! Headers that a gateway, or whoever pretends to be one, adds: they change neither what was signed nor whose budget is spent.

use eko_protocol::http_signature::Scheme;
use eko_testkit::BARE;

use crate::scene::{SCHEMES, Scene};

/// Headers that tell where a request came from, or was for.
const FORWARDED: [&str; 7] = [
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "x-forwarded-host",
    "x-forwarded-proto",
    "true-client-ip",
    "cf-connecting-ip",
];

#[tokio::test]
async fn no_header_is_another_budget() {
    let mut scene = Scene::with(BARE, |config| config.sender_budget = 2).await;
    for number in 1..=2 {
        assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, number)).await, "202");
    }
    scene.world.deliver().await;
    scene.settle().await;
    for (number, name) in FORWARDED.into_iter().enumerate() {
        for (scheme, value) in SCHEMES.into_iter().zip(["for=198.51.100.7", "203.0.113.9, 127.0.0.1"]) {
            let envelope = scene.envelope(&scene.eve.actor, 10 + number);
            let mut request = scene.signed(scheme, "/inbox", &envelope);
            request.headers_mut().insert(name, value.parse().unwrap());
            assert_eq!(scene.send(request).await, "429 too-many", "{name}");
        }
    }
    scene.unchanged("an envelope over the budget").await;
    // The budget is one author's to one recipient: another actor has its own, and so has the next minute.
    let neighbour = scene.actor("neighbour", |_| {});
    assert_eq!(scene.deliver(&scene.envelope(&neighbour, 1)).await, "202");
    scene.world.advance(60_000);
    assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, 3)).await, "202");
    scene.world.deliver().await;
}

#[tokio::test]
async fn bytes_are_counted_for_all_authors() {
    let mut scene = Scene::with(BARE, |config| config.recipient_bytes_budget = 12).await;
    let actors = ["one", "two", "three"].map(|name| scene.actor(name, |_| {}));
    for actor in &actors[..2] {
        assert_eq!(scene.deliver(&scene.envelope(actor, 1)).await, "202");
    }
    scene.world.deliver().await;
    scene.settle().await;
    assert_eq!(scene.deliver(&scene.envelope(&actors[2], 1)).await, "429 too-many");
    scene.unchanged("an envelope over the budget").await;
}

#[tokio::test]
async fn the_host_that_is_signed_is_ours_whatever_the_header_says() {
    let scene = Scene::new().await;
    let envelope = scene.envelope(&scene.eve.actor, 1);
    // A gateway may have put its own there: the signature is over ours.
    for host in ["other.example", "eko.example.", "eko.example:8443", "eko.example@other.example", ""] {
        let mut request = scene.signed(Scheme::Cavage, "/inbox", &envelope);
        request.headers_mut().insert("host", host.parse().unwrap());
        assert_eq!(scene.send(request).await, "202", "{host:?}");
    }
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 1);
    let before = scene.world.stored().await;
    let mut twice = scene.signed(Scheme::Cavage, "/inbox", &scene.envelope(&scene.eve.actor, 2));
    twice.headers_mut().append("host", "eko.example".parse().unwrap());
    assert_eq!(scene.send(twice).await, "401 bad-signature");
    assert_eq!(scene.world.stored().await.difference(&before), []);
}

#[tokio::test]
async fn a_host_that_is_not_signed_does_not_count() {
    let scene = Scene::new().await;
    // By RFC 9421 the target is signed, rebuilt from what this server is; the gateway's own name is no matter.
    for (number, name) in ["host", "x-forwarded-host", "x-forwarded-proto"].into_iter().enumerate() {
        let envelope = scene.envelope(&scene.eve.actor, number);
        let mut request = scene.signed(Scheme::Rfc9421, "/inbox", &envelope);
        request.headers_mut().insert(name, "x1y2.execute-api.eu-central-1.amazonaws.com".parse().unwrap());
        assert_eq!(scene.send(request).await, "202", "{name}");
    }
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 3);
}

/// A server has as many actors as it likes; a recipient gets so many envelopes all the same, and no counter grows
/// beyond that.
#[tokio::test]
async fn many_actors_share_a_recipients_budget() {
    let mut scene = Scene::with(BARE, |config| config.recipient_budget = 5).await;
    let mut said = Vec::new();
    for number in 0..8 {
        let actor = scene.actor(&format!("one-of-many-{number}"), |_| {});
        said.push(scene.deliver(&scene.envelope(&actor, number)).await);
    }
    assert_eq!(said, [["202"; 5].as_slice(), ["429 too-many"; 3].as_slice()].concat());
    scene.world.deliver().await;
    scene.settle().await;
    assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, 9)).await, "429 too-many");
    scene.unchanged("an envelope over the budget").await;
    scene.world.advance(60_000);
    assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, 9)).await, "202");
    scene.world.deliver().await;
}
