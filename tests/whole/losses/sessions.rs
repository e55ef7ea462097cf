//! Lost answers to refreshes and logouts.

use eko_testkit::{BARE, World, lose_each_answer, refused};

use super::told;

/// The device repeats the refresh with the old token, and goes on with the new ones.
#[tokio::test]
async fn a_refresh() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let alice = world.user_with("alice", BARE).await;
            (world, alice)
        },
        |(world, _)| &world.calls,
        async |(_, alice), _| told(alice.refresh().await),
        async |(world, alice), run| {
            world.advance(10 * 60_000);
            alice.fetch().await.expect(run);
            alice.refresh().await.expect(run);
        },
    )
    .await;
}

/// The device repeats a refresh late, and repeats that.
#[tokio::test]
async fn a_late_repetition() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let alice = world.user_with("alice", BARE).await;
            let tokens = alice.tokens();
            alice.refresh().await.unwrap();
            alice.set_tokens(tokens);
            world.advance(10 * 60_000);
            (world, alice)
        },
        |(world, _)| &world.calls,
        async |(_, alice), _| told(alice.refresh().await),
        async |(world, alice), run| {
            alice.refresh().await.expect(run);
            world.advance(10 * 60_000);
            alice.fetch().await.expect(run);
            alice.refresh().await.expect(run);
        },
    )
    .await;
}

/// The device repeats the logout. Its session and its sockets have ended then.
#[tokio::test]
async fn a_logout() {
    lose_each_answer(
        async || {
            let world = World::live().await;
            let alice = world.user_with("alice", BARE).await;
            let tokens = alice.tokens();
            let socket = tokio::sync::Mutex::new(world.connect(&alice).await.unwrap());
            (world, alice, tokens, socket)
        },
        |(world, ..)| &world.calls,
        async |(_, alice, ..), _| told(alice.logout().await),
        async |(world, alice, tokens, socket), run| {
            alice.set_tokens(tokens.clone());
            assert_eq!(refused(alice.refresh().await), "401 unauthenticated", "{run}");
            world.deliver().await;
            assert!(socket.lock().await.is_closed(), "{run}");
        },
    )
    .await;
}
