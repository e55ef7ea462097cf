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

#[tokio::test]
async fn a_logout() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let alice = world.user_with("alice", BARE).await;
            let tokens = alice.tokens();
            (world, alice, tokens)
        },
        |(world, ..)| &world.calls,
        async |(_, alice, _), _| told(alice.logout().await),
        async |(_, alice, tokens), run| {
            alice.set_tokens(tokens.clone());
            assert_eq!(refused(alice.refresh().await), "401 unauthenticated", "{run}");
        },
    )
    .await;
}
