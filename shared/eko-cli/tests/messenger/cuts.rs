//! Real sockets to a real server are cut at random bytes while messages flow: every message is shown
//! once, in order. `cargo bench -p eko-cli --bench cuts` plays it with a thousand sockets.

mod cut_scene;

use cut_scene::CutScene;

/// The seed of the places of the cuts.
const SEED: u64 = 15;

#[tokio::test]
async fn a_hundred_sockets_are_cut_and_every_message_is_shown_once_in_order() {
    let played = CutScene { accounts: 20, cuts: 100, seed: SEED }.play().await;
    println!("{} messages on {} connections", played.messages, played.connections);
}
