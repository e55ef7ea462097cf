//! Hostile clients of sockets: strangers, thieves who wait for approval, sockets without end, and
//! clients that ask for more than they may.

use eko_protocol::limits::{FETCH_BURST, FRAME_BURST, MAX_CONNECTS, MAX_SOCKETS};
use eko_testkit::{ChainChanges as _, TestSocket, World};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// Returns the types of frames.
fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

/// Whoever has no token is refused before anything is read or stored.
#[tokio::test]
async fn a_stranger_costs_no_call() {
    let world = World::live().await;
    let elsewhere = World::with(|config| {
        World::give_sockets(config);
        config.token_keys[0].secret = vec![8; 32];
    });
    let foreign = elsewhere.await.user("bob").await.tokens().unwrap().access;
    world.calls.reset();
    for (name, value) in [
        ("authorization", "Bearer x".to_owned()),
        ("authorization", format!("Bearer {foreign}")),
        ("authorization", "x".repeat(10_000)),
        ("sec-websocket-protocol", format!("eko.v1, {foreign}")),
        ("sec-websocket-protocol", "eko.v1,".repeat(1_000)),
        ("cookie", format!("access_token={foreign}")),
    ] {
        let name = HeaderName::from_static(name);
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(&value).unwrap())]);
        assert_eq!(world.connect_with(&headers).await.err(), Some(StatusCode::UNAUTHORIZED), "{value}");
    }
    assert_eq!(world.calls.made(), [] as [&str; 0]);
    assert_eq!(world.engines.connections().count(), 0);
}

/// Whoever signs in as Bob at his issuer has a device that waits. Its socket shows nothing of what
/// Bob gets, whatever it sends, and ends when Bob turns it away.
#[tokio::test]
async fn a_thief_who_waits_for_approval_sees_nothing() {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let thief = world.pending(&bob, "thief").await;
    world.deliver().await;
    world.empty(&bob).await;
    let mut socket = world.connect(&thief).await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    let entry = bob.fetch().await.unwrap().entries[0].address.clone();
    let token = thief.tokens().unwrap().access;
    for frame in [
        json!({ "type": "Fetch" }),
        json!({ "type": "Delivered", "object": entry }),
        json!({ "type": "Authenticate", "token": token }),
        json!({ "type": "Fetch" }),
    ] {
        let told = socket.say(&frame).await;
        let expected: &[&str] = if frame["type"] == "Authenticate" { &[] } else { &["Problem"] };
        assert_eq!(kinds(&told), expected, "{frame}");
    }
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    assert_eq!(socket.frames(), [] as [Value; 0]);
    assert_eq!(bob.fetch().await.unwrap().entries.len(), 2, "nothing was acknowledged");
    bob.turn_away(thief.id()).await.unwrap();
    world.deliver().await;
    assert_eq!(socket.frames(), [json!({ "type": "Terminated", "reason": "device-revoked" })]);
    assert_eq!(world.connect(&thief).await.err(), Some(StatusCode::FORBIDDEN));
}

/// A device that opens sockets without end, and closes none, has four. A delivery posts to no more.
#[tokio::test]
async fn sockets_without_end_are_four() {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut sockets: Vec<TestSocket> = Vec::new();
    for _ in 0..4 {
        for _ in 0..MAX_CONNECTS {
            sockets.push(world.connect(&bob).await.unwrap());
        }
        world.advance(60_000);
    }
    // Of connections at the same time, each sees the others.
    let together = futures_util::future::join_all((0..10).map(|_| world.connect(&bob))).await;
    sockets.extend(together.into_iter().map(Result::unwrap));
    world.advance(60_000);
    sockets.push(world.connect(&bob).await.unwrap());
    let live = world.state.store().live(&[bob.user()]).await.unwrap();
    assert_eq!(live[bob.user()].sockets.len(), MAX_SOCKETS);
    // One that was replaced before it was established ends with its first frame.
    for socket in &mut sockets {
        socket.fetch().await;
    }
    assert_eq!(sockets.iter().filter(|socket| !socket.is_closed()).count(), MAX_SOCKETS);
    world.send(&alice, &[&bob]).await;
    world.calls.reset();
    world.deliver().await;
    let posts = world.calls.made().iter().filter(|call| *call == "PostToConnection").count();
    assert_eq!(posts, MAX_SOCKETS);
}

/// A client that only asks for its mailbox costs no more than its budget of frames allows, and its
/// socket is told why it ends.
#[tokio::test]
async fn asking_without_end_ends_the_socket() {
    let world = World::live().await;
    let bob = world.user("bob").await;
    let mut socket = world.connect(&bob).await.unwrap();
    world.calls.reset();
    for _ in 0..FRAME_BURST + 20 {
        socket.fetch().await;
    }
    let reads = world.calls.made().iter().filter(|call| *call == "Query").count();
    assert_eq!(u64::try_from(reads).unwrap(), FETCH_BURST, "the others are announced only");
    assert!(socket.is_closed());
}

/// A device acknowledges nothing of another device of its own user: entries have the same addresses
/// there, and each device has its own mailbox.
#[tokio::test]
async fn a_device_acknowledges_for_itself_only() {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let mut socket = world.connect(&second).await.unwrap();
    let entry = socket.fetch().await[0]["eko:entry"].clone();
    socket.say(&json!({ "type": "Delivered", "object": entry })).await;
    assert_eq!(second.fetch().await.unwrap().entries, []);
    assert_eq!(bob.fetch().await.unwrap().entries.len(), 1);
    world.deliver().await;
}
