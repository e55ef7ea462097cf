//! Connecting: the token, the subprotocol, pending and revoked devices, the number of sockets.

use eko_protocol::limits::MAX_CONNECTS;
use eko_testkit::{ChainChanges as _, World};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::{alice_and_bob, assert_ended, kinds};

fn headers(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
}

#[tokio::test]
async fn the_token_is_in_a_header_or_behind_the_subprotocol() {
    let (world, _alice, bob) = alice_and_bob().await;
    let token = bob.tokens().unwrap().access;
    for (headers, protocol) in [
        (headers("authorization", &format!("Bearer {token}")), None),
        (headers("sec-websocket-protocol", &format!("eko.v1, {token}")), Some("eko.v1")),
        (headers("sec-websocket-protocol", &format!("other,eko.v1,{token}")), Some("eko.v1")),
    ] {
        let mut socket = world.connect_with(&headers).await.map_err(|status| (status, protocol)).unwrap();
        assert_eq!(socket.protocol(), protocol);
        assert_eq!(kinds(&socket.fetch().await), ["QueueEmpty"]);
    }
    world.advance(900_000);
    for bad in [
        HeaderMap::new(),
        headers("authorization", &format!("Bearer {token}")),
        headers("authorization", "Bearer x"),
        headers("authorization", &token),
        headers("sec-websocket-protocol", &format!("eko.v1, {token}")),
        headers("sec-websocket-protocol", "eko.v1"),
        headers("sec-websocket-protocol", &token),
    ] {
        assert_eq!(world.connect_with(&bad).await.err(), Some(StatusCode::UNAUTHORIZED), "{bad:?}");
    }
}

#[tokio::test]
async fn a_revoked_device_is_refused_though_its_token_is_good() {
    let (world, _alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    bob.revoke(second.id()).await.unwrap();
    assert_eq!(world.connect(&second).await.err(), Some(StatusCode::FORBIDDEN));
    world.deliver().await;
}

/// The account's budget bounds how often its active devices connect. A device that waits, which may
/// be a thief's, uses up nothing of it, and has a budget of its own.
#[tokio::test]
async fn connecting_too_often_is_refused() {
    let world = World::with(|config| {
        World::give_sockets(config);
        config.limits.account_budget = 2;
    })
    .await;
    let bob = world.user("bob").await;
    let waiting = world.pending(&bob, "two").await;
    world.deliver().await;
    for _ in 0..MAX_CONNECTS {
        world.connect(&waiting).await.map(drop).unwrap();
    }
    assert_eq!(world.connect(&waiting).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
    for _ in 0..2 {
        world.connect(&bob).await.map(drop).unwrap();
    }
    assert_eq!(world.connect(&bob).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
    let other = world.pending(&bob, "three").await;
    world.deliver().await;
    world.connect(&other).await.map(drop).unwrap();
    world.advance(60_000);
    for device in [&bob, &waiting] {
        world.connect(device).await.map(drop).unwrap();
    }
}

#[tokio::test]
async fn a_fifth_socket_replaces_the_oldest_of_its_device() {
    let (world, _alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    let mut other = world.connect(&second).await.unwrap();
    let mut sockets = Vec::new();
    for _ in 0..6 {
        world.advance(1_000);
        sockets.push(world.connect(&bob).await.unwrap());
    }
    assert_ended(&mut sockets[0], "replaced");
    assert_ended(&mut sockets[1], "replaced");
    for socket in sockets[2..].iter_mut().chain([&mut other]) {
        assert_eq!(kinds(&socket.fetch().await), ["QueueEmpty"]);
    }
    // A socket that was closed by its client makes room.
    sockets.remove(2).close().await;
    let _fourth = world.connect(&bob).await.unwrap();
    assert_eq!(kinds(&sockets[2].fetch().await), ["QueueEmpty"]);
}

/// Sockets whose connections broke stay registered until a frame finds them gone, or for the time
/// that no connection outlasts.
#[tokio::test]
async fn sockets_that_nobody_closed_are_forgotten() {
    let (world, _alice, bob) = alice_and_bob().await;
    for _ in 0..2 {
        drop(world.connect(&bob).await.unwrap());
    }
    let count = async || {
        let live = world.state.store().live(&[bob.user()]).await.unwrap();
        live[bob.user()].sockets.len()
    };
    assert_eq!(count().await, 2);
    world.advance(7_800_000);
    bob.refresh().await.unwrap();
    let mut socket = world.connect(&bob).await.unwrap();
    assert_eq!(count().await, 1);
    assert_eq!(kinds(&socket.say(&json!({ "type": "Ping" })).await), ["Pong"]);
}

/// A device that waits for approval gets its approval, and nothing before it fetches.
#[tokio::test]
async fn a_pending_device_gets_its_approval() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.pending(&bob, "two").await;
    world.deliver().await;
    let mut socket = world.connect(&second).await.unwrap();
    let fetch = socket.say(&json!({ "type": "Fetch", "id": "1" })).await;
    assert_eq!(
        (kinds(&fetch), &fetch[0]["object"]),
        (vec!["Problem device-pending".to_owned()], &json!("1"))
    );
    assert_eq!(kinds(&socket.say(&json!({ "type": "Ping" })).await), ["Pong"]);

    bob.approve(second.id()).await.unwrap();
    world.deliver().await;
    let frames = socket.frames();
    let chain = world.state.store().chain(bob.user()).await.unwrap().stored().unwrap();
    assert_eq!(frames, [chain.last().unwrap().to_value()]);

    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), [] as [&str; 0]);
    assert_eq!(kinds(&socket.fetch().await), ["Create", "QueueEmpty"]);
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), ["Create"]);
}

/// Each connect brings a budget of frames, so the connects of each device are bounded too.
#[tokio::test]
async fn a_device_that_connects_too_often_is_refused() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    for _ in 0..MAX_CONNECTS {
        world.connect(&bob).await.map(drop).unwrap();
    }
    assert_eq!(world.connect(&bob).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
    // Its account may do everything else, and its other devices may connect.
    world.send(&bob, &[&alice]).await;
    world.connect(&second).await.map(drop).unwrap();
    world.advance(60_000);
    world.connect(&bob).await.map(drop).unwrap();
    world.deliver().await;
}
