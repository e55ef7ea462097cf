//! Lost answers to refreshes and logouts.

use eko_testkit::{BARE, World, lose_each_answer, refused};

use super::told;

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
