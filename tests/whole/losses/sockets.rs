//! Lost answers around sockets: connecting, delivering to a socket, acknowledging on it, ending it.

use eko_testkit::{ChainChanges as _, World, envelope, lose_each_answer};
use serde_json::json;

use super::{deliver_later, told};

/// Whatever is lost, a device that connects and then fetches has the message, and can acknowledge
/// it.
#[tokio::test]
async fn a_message_to_a_socket() {
    lose_each_answer(
        async || {
            let world = World::live().await;
            let (alice, bob) = (world.user("alice").await, world.user("bob").await);
            let outgoing = envelope(&alice, &[&bob]);
            (world, alice, bob, outgoing)
        },
        |(world, ..)| &world.calls,
        async |(world, alice, bob, outgoing), attempt| {
            if attempt > 0 {
                deliver_later(world).await;
            }
            let mut socket = world.connect(bob).await.map_err(|status| status.to_string())?;
            told(alice.send(outgoing).await)?;
            world.deliver().await;
            let frames = [socket.frames(), socket.fetch().await].concat();
            let entries: Vec<&str> = frames.iter().filter_map(|frame| frame["eko:entry"].as_str()).collect();
            if let Some(entry) = entries.first() {
                socket.say(&json!({ "type": "Delivered", "object": entry })).await;
            }
            socket.close().await;
            Ok(())
        },
        async |(world, alice, bob, _), run| {
            deliver_later(world).await;
            world.confirm(bob).await;
            world.deliver().await;
            assert_eq!(world.reports(alice).await.len(), 1, "{run}");
            // Sockets of processes that died are forgotten by the first post to them.
            world.advance(15_000);
            world.send(alice, &[bob]).await;
            world.deliver().await;
            let live = world.state.store().live(&[bob.user()]).await.unwrap();
            assert!(live.get(bob.user()).is_none_or(|live| live.sockets.is_empty()), "{run}: {live:?}");
        },
    )
    .await;
}

/// A device that was approved fetches on its socket, and gets entries from then on.
#[tokio::test]
async fn a_fetch_after_the_approval() {
    lose_each_answer(
        async || {
            let world = World::live().await;
            let (alice, bob) = (world.user("alice").await, world.user("bob").await);
            let second = world.pending(&bob, "two").await;
            world.deliver().await;
            let socket = tokio::sync::Mutex::new(world.connect(&second).await.unwrap());
            bob.approve(second.id()).await.unwrap();
            world.deliver().await;
            (world, alice, bob, second, socket)
        },
        |(world, ..)| &world.calls,
        async |(.., socket), _| {
            let frames = socket.lock().await.fetch().await;
            let is_answered = frames.iter().any(|frame| frame["type"] == "QueueEmpty");
            if is_answered { Ok(()) } else { Err(format!("{frames:?}")) }
        },
        async |(world, alice, bob, second, socket), run| {
            let mut socket = socket.lock().await;
            socket.frames();
            world.send(alice, &[bob, second]).await;
            deliver_later(world).await;
            let frames = socket.frames();
            assert!(frames.iter().any(|frame| frame.get("eko:entry").is_some()), "{run}: {frames:?}");
        },
    )
    .await;
}

/// The socket of a revoked device ends at once, or with the erasure that was ordered before.
#[tokio::test]
async fn a_revocation() {
    lose_each_answer(
        async || {
            let world = World::live().await;
            let bob = world.user("bob").await;
            let second = world.further(&bob, "two").await;
            world.deliver().await;
            let socket = tokio::sync::Mutex::new(world.connect(&second).await.unwrap());
            (world, bob, second, socket)
        },
        |(world, ..)| &world.calls,
        async |(world, bob, second, _), attempt| {
            if attempt > 0 {
                deliver_later(world).await;
            }
            let revoked = told(bob.revoke(second.id()).await);
            world.deliver().await;
            // A device that was revoked by the first attempt cannot be revoked again.
            if attempt == 0 { revoked } else { Ok(()) }
        },
        async |(world, _, _, socket), run| {
            world.erase().await;
            let mut socket = socket.lock().await;
            assert!(socket.is_closed(), "{run}");
            let frames = socket.frames();
            assert!(frames.iter().all(|frame| frame["reason"] == "device-revoked"), "{run}: {frames:?}");
        },
    )
    .await;
}
