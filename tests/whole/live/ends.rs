//! The end of sockets: revocation, reset, logout, expiry, another token.

use eko_client::device::JoinKind;
use eko_testkit::{BARE, ChainChanges as _, refused};
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
    world.advance(1);
    // Somebody signs the device in again before the order is carried out.
    bob.sign_in_again(&world.id_token(&bob).await).await.unwrap();
    let mut anew = world.connect(&bob).await.unwrap();
    world.deliver().await;
    assert_ended(&mut socket, "token-expired");
    for socket in [&mut other, &mut anew] {
        assert_eq!(kinds(&socket.fetch().await), ["QueueEmpty"]);
    }
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
