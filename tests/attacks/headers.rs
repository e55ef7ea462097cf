//! Headers that a gateway adds, or a sender that pretends to be one. They change neither which
//! signature is good nor whose budget is spent.

use eko_protocol::http_signature::Scheme;
use eko_testkit::BARE;

use crate::scene::{AttackScene, SCHEMES};

/// Headers that name the origin or the target of a request.
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
    let mut scene = AttackScene::with(BARE, |config| config.limits.sender_budget = 2).await;
    for number in 1..=2 {
        assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, number)).await, "202");
    }
    scene.world.deliver().await;
    scene.take_baseline().await;
    for (number, name) in FORWARDED.into_iter().enumerate() {
        for (scheme, value) in SCHEMES.into_iter().zip(["for=198.51.100.7", "203.0.113.9, 127.0.0.1"]) {
            let envelope = scene.envelope(&scene.eve.actor, 10 + number);
            let mut request = scene.signed(scheme, "/inbox", &envelope);
            request.headers_mut().insert(name, value.parse().unwrap());
            assert_eq!(scene.send(request).await, "429 too-many", "{name}");
        }
    }
    scene.assert_unchanged("an envelope over the budget").await;
    // The budget is of one author and one recipient for a minute: another actor has another budget,
    // and so has the next minute.
    let neighbour = scene.actor("neighbour", |_| {});
    assert_eq!(scene.deliver(&scene.envelope(&neighbour, 1)).await, "202");
    scene.world.advance(60_000);
    assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, 3)).await, "202");
    scene.world.deliver().await;
}

/// Other servers have three quarters of the bytes.
#[tokio::test]
async fn bytes_are_counted_for_all_authors() {
    let mut scene = AttackScene::with(BARE, |config| config.limits.recipient_bytes_budget = 16).await;
    let actors = ["one", "two", "three"].map(|name| scene.actor(name, |_| {}));
    for actor in &actors[..2] {
        assert_eq!(scene.deliver(&scene.envelope(actor, 1)).await, "202");
    }
    scene.world.deliver().await;
    scene.take_baseline().await;
    assert_eq!(scene.deliver(&scene.envelope(&actors[2], 1)).await, "429 too-many");
    scene.assert_unchanged("an envelope over the budget").await;
}

#[tokio::test]
async fn the_host_that_is_signed_is_ours_whatever_the_header_says() {
    let scene = AttackScene::new().await;
    let envelope = scene.envelope(&scene.eve.actor, 1);
    // A gateway may replace the header `host`. The signature covers the host of this server.
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
    let scene = AttackScene::new().await;
    // RFC 9421 covers the target URI, which is built from this server's own origin, not from
    // headers.
    for (number, name) in ["host", "x-forwarded-host", "x-forwarded-proto"].into_iter().enumerate() {
        let envelope = scene.envelope(&scene.eve.actor, number);
        let mut request = scene.signed(Scheme::Rfc9421, "/inbox", &envelope);
        request.headers_mut().insert(name, "x1y2.execute-api.eu-central-1.amazonaws.com".parse().unwrap());
        assert_eq!(scene.send(request).await, "202", "{name}");
    }
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 3);
}

/// The actors of other servers share a budget for each recipient, three quarters of it, and no
/// counter grows beyond it.
#[tokio::test]
async fn many_actors_share_a_recipients_budget() {
    let mut scene = AttackScene::with(BARE, |config| config.limits.recipient_budget = 6).await;
    let mut answer = Vec::new();
    for number in 0..8 {
        let actor = scene.actor(&format!("one-of-many-{number}"), |_| {});
        answer.push(scene.deliver(&scene.envelope(&actor, number)).await);
    }
    assert_eq!(answer, [["202"; 5].as_slice(), ["429 too-many"; 3].as_slice()].concat());
    scene.world.deliver().await;
    scene.take_baseline().await;
    assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, 9)).await, "429 too-many");
    scene.assert_unchanged("an envelope over the budget").await;
    scene.world.advance(60_000);
    assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, 9)).await, "202");
    scene.world.deliver().await;
}
