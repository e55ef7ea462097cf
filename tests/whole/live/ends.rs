//! The end of sockets: revocation, reset, logout, expiry, another token.

use eko_client::device::JoinKind;
use eko_store::device::DeviceAddress;
use eko_store::live::{ConnectionId, Socket};
use eko_testkit::{BARE, CallFault, ChainChanges as _, refused};
use http::StatusCode;
use serde_json::json;

use super::{alice_and_bob, assert_ended, kinds};

#[tokio::test]
async fn revocation_rejection_and_reset_end_sockets_at_once() {
    let (world, _alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    let third = world.pending(&bob, "three").await;
    world.deliver().await;
    world.empty(&bob).await;
    let mut own = world.connect(&bob).await.unwrap();
    let mut revoked = world.connect(&second).await.unwrap();
    let mut turned_away = world.connect(&third).await.unwrap();
    bob.revoke(second.id()).await.unwrap();
    world.deliver().await;
    assert_ended(&mut revoked, "device-revoked");
    bob.turn_away(third.id()).await.unwrap();
    world.deliver().await;
    assert_ended(&mut turned_away, "device-revoked");
    assert_eq!(kinds(&own.fetch().await), ["QueueEmpty"]);

    let anew = world.device("bob", "anew", BARE);
    anew.register(&world.id_token(&anew).await, JoinKind::Reset).await.unwrap();
    let mut after = world.connect(&anew).await.unwrap();
    world.deliver().await;
    assert_ended(&mut own, "device-revoked");
    assert_eq!(kinds(&after.fetch().await), ["QueueEmpty"]);
    world.erase().await;
}

/// The order that ends sockets at once may be lost with the process. The erasure, which was ordered
/// before the revocation, ends them as well.
#[tokio::test]
async fn the_erasure_ends_what_the_revocation_left() {
    let (world, _alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    let mut revoked = world.connect(&second).await.unwrap();
    // The first order is the erasure's.
    let held = world.calls.hold("SendMessageBatch", 1);
    tokio::select! {
        biased;
        _ = bob.revoke(second.id()) => panic!("the order is held"),
        () = held.reached() => {}
    }
    world.deliver().await;
    assert!(!revoked.is_closed());
    // Whatever the socket asks for, it gets nothing more.
    assert_eq!(kinds(&revoked.fetch().await), ["Problem device-revoked", "Terminated device-revoked"]);
    assert!(revoked.is_closed());

    let third = world.further(&bob, "three").await;
    let mut silent = world.connect(&third).await.unwrap();
    let held = world.calls.hold("SendMessageBatch", 1);
    tokio::select! {
        biased;
        _ = bob.revoke(third.id()) => panic!("the order is held"),
        () = held.reached() => {}
    }
    world.erase().await;
    assert_ended(&mut silent, "device-revoked");
}

#[tokio::test]
async fn a_logout_ends_the_sockets_that_are_open() {
    let (world, _alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    let (mut socket, mut other) = (world.connect(&bob).await.unwrap(), world.connect(&second).await.unwrap());
    bob.logout().await.unwrap();
    // More than clocks differ.
    world.advance(1_001);
    // Somebody signs the device in again before the order is carried out.
    bob.sign_in_again(&world.id_token(&bob).await).await.unwrap();
    let mut anew = world.connect(&bob).await.unwrap();
    world.deliver().await;
    // The log-out and the sign-in each order the end, and both orders may tell the device.
    let mut told = kinds(&socket.frames());
    told.dedup();
    assert_eq!(told, ["Terminated token-expired"]);
    assert!(socket.is_closed());
    for socket in [&mut other, &mut anew] {
        assert_eq!(kinds(&socket.fetch().await), ["QueueEmpty"]);
    }
}

/// The function that opened the socket may have a clock that is ahead of the one that logs out.
#[tokio::test]
async fn a_logout_ends_a_socket_of_a_clock_that_is_ahead() {
    let (world, _alice, bob) = alice_and_bob().await;
    let connection = world.engines.connections().open();
    connection.establish();
    let record = world.state.store().device_record(DeviceAddress::new(bob.user(), bob.id())).await.unwrap();
    let socket = Socket {
        connection: ConnectionId::parse(&connection.id).unwrap(),
        user: bob.user().clone(),
        device: bob.id().clone(),
        expires_s: i64::MAX,
        opened_ms: world.now_ms() + 60_000,
        family: record.unwrap().family.unwrap(),
        is_pending: false,
        behind: None,
    };
    world.state.store().open_socket(&socket).await.unwrap();
    bob.logout().await.unwrap();
    world.deliver().await;
    assert!(connection.is_deleted());
}

/// The access token of a device that has signed out is good until it expires, but opens and
/// continues no socket.
#[tokio::test]
async fn a_device_that_has_signed_out_neither_connects_nor_continues() {
    let (world, _alice, bob) = alice_and_bob().await;
    let second = world.pending(&bob, "two").await;
    world.deliver().await;
    for device in [&bob, &second] {
        let mut socket = world.connect(device).await.unwrap();
        let tokens = device.tokens();
        device.logout().await.unwrap();
        device.set_tokens(tokens);
        let token = device.tokens().unwrap().access;
        let told = socket.say(&json!({ "type": "Authenticate", "id": "t", "token": token })).await;
        assert_eq!(
            (kinds(&told), &told[0]["object"]),
            (vec!["Problem unauthenticated".to_owned()], &json!("t"))
        );
        assert_eq!(world.connect(device).await.err(), Some(StatusCode::UNAUTHORIZED));
        world.deliver().await;
        assert_ended(&mut socket, "token-expired");
        world.advance(2_000);
        device.sign_in_again(&world.id_token(device).await).await.unwrap();
        world.connect(device).await.map(drop).unwrap();
    }
    world.deliver().await;
}

/// The frames of a socket are handled side by side. An approval and a fresh token do not undo each
/// other, whatever each has seen of the socket before.
#[tokio::test]
async fn an_approval_and_a_fresh_token_do_not_undo_each_other() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.pending(&bob, "two").await;
    world.deliver().await;
    let mut socket = world.connect(&second).await.unwrap();
    let connection = ConnectionId::parse(socket.id()).unwrap();
    let (store, messaging) = (world.state.store(), world.state.messaging());
    let seen = store.socket(&connection, world.now_ms()).await.unwrap().unwrap();
    let held = world.calls.hold("UpdateItem", 0);
    let mut authentication = std::pin::pin!(messaging.continue_socket(&seen, seen.expires_s + 600));
    tokio::select! {
        biased;
        _ = &mut authentication => panic!("it is held"),
        () = held.reached() => {}
    }
    bob.approve(second.id()).await.unwrap();
    world.deliver().await;
    held.release();
    let backlog = messaging.backlog(&seen, None);
    let (continued, backlog) = tokio::join!(authentication, backlog);
    continued.unwrap();
    backlog.unwrap();
    // A token that expires sooner comes late.
    messaging.continue_socket(&seen, seen.expires_s + 300).await.unwrap();
    messaging.backlog(&seen, None).await.unwrap();
    let expected = Socket { expires_s: seen.expires_s + 600, is_pending: false, ..seen.clone() };
    assert_eq!(store.socket(&connection, world.now_ms()).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(store.live(&[bob.user()]).await.unwrap()[bob.user()].sockets, [expected]);
    socket.frames();
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), ["Create"]);
}

/// A refresh token of a sign-in that was followed by another one ends no sockets of that one, whether
/// it comes to log out or a second time.
#[tokio::test]
async fn an_old_refresh_token_ends_no_sockets_of_a_later_sign_in() {
    let (world, _alice, bob) = alice_and_bob().await;
    let used = bob.tokens();
    bob.refresh().await.unwrap();
    let last = bob.tokens();
    bob.sign_in_again(&world.id_token(&bob).await).await.unwrap();
    let new = bob.tokens();
    let mut socket = world.connect(&bob).await.unwrap();
    world.advance(60_000);
    bob.set_tokens(used);
    assert_eq!(refused(bob.refresh().await), "401 unauthenticated");
    bob.set_tokens(last);
    bob.logout().await.unwrap();
    bob.set_tokens(new);
    world.deliver().await;
    assert_eq!(kinds(&socket.fetch().await), ["QueueEmpty"]);
}

/// A refresh token that comes twice may be a thief's, and so may be the sockets.
#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_the_sockets() {
    let (world, _alice, bob) = alice_and_bob().await;
    let stolen = bob.tokens();
    bob.refresh().await.unwrap();
    bob.refresh().await.unwrap();
    let mut socket = world.connect(&bob).await.unwrap();
    world.advance(60_000);
    bob.set_tokens(stolen);
    assert_eq!(refused(bob.refresh().await), "401 unauthenticated");
    world.deliver().await;
    assert_ended(&mut socket, "token-expired");
}

#[tokio::test]
async fn a_fresh_token_continues_the_socket() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    let mut socket = world.connect(&bob).await.unwrap();
    world.advance(600_000);
    bob.refresh().await.unwrap();
    second.refresh().await.unwrap();
    alice.refresh().await.unwrap();
    let authenticate = |token: String| json!({ "type": "Authenticate", "id": "t", "token": token });
    let own = bob.tokens().unwrap().access;
    assert_eq!(socket.say(&authenticate(own)).await, [json!({ "type": "Accept", "object": "t" })]);
    for (other, problem) in [
        (second.tokens().unwrap().access, "Problem not-yours"),
        (alice.tokens().unwrap().access, "Problem not-yours"),
        ("x".to_owned(), "Problem unauthenticated"),
    ] {
        assert_eq!(kinds(&socket.say(&authenticate(other)).await), [problem]);
    }
    world.advance(899_000);
    assert_eq!(kinds(&socket.say(&json!({ "type": "Ping" })).await), ["Pong"]);
    world.advance(1_000);
    assert_eq!(kinds(&socket.say(&json!({ "type": "Ping" })).await), ["Terminated token-expired"]);
    assert!(socket.is_closed());
}

/// A device that was revoked cannot continue its socket.
#[tokio::test]
async fn a_revoked_device_cannot_continue() {
    let (world, _alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    let mut socket = world.connect(&second).await.unwrap();
    bob.revoke(second.id()).await.unwrap();
    let token = second.tokens().unwrap().access;
    let told = socket.say(&json!({ "type": "Authenticate", "token": token })).await;
    assert_eq!(kinds(&told), ["Problem device-revoked", "Terminated device-revoked"]);
    world.deliver().await;
}

/// A socket whose token has expired gets no announcement and no approval. It ends instead.
#[tokio::test]
async fn orders_end_a_socket_whose_token_has_expired() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.pending(&bob, "two").await;
    world.deliver().await;
    world.empty(&bob).await;
    let mut announced = world.connect(&bob).await.unwrap();
    let mut approved = world.connect(&second).await.unwrap();
    world.advance(896_000);
    for device in [&alice, &bob] {
        device.refresh().await.unwrap();
    }
    world.send(&alice, &[&bob]).await;
    world.calls.fail("PostToConnection", CallFault::Down, 2);
    world.deliver().await;
    world.advance(5_000);
    bob.approve(second.id()).await.unwrap();
    world.deliver().await;
    assert_ended(&mut announced, "token-expired");
    assert_ended(&mut approved, "token-expired");
}

/// A connect that has read the device's record before a log-out registers its socket after the
/// order to end sockets. The second order ends it.
#[tokio::test]
async fn a_logout_ends_the_socket_of_a_connect_that_was_under_way() {
    let (world, _alice, bob) = alice_and_bob().await;
    let held = world.calls.hold("PutItem", 0);
    let mut connecting = std::pin::pin!(world.connect(&bob));
    tokio::select! {
        biased;
        _ = &mut connecting => panic!("it is held"),
        () = held.reached() => {}
    }
    bob.logout().await.unwrap();
    world.deliver().await;
    held.release();
    let mut socket = connecting.await.unwrap();
    world.advance(30_000);
    world.deliver().await;
    assert_ended(&mut socket, "token-expired");
}
