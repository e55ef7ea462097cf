//! Sockets that are cut while messages flow, in the full size.
//!
//! `cargo bench -p eko-cli --bench cuts` opens a thousand sockets at a local server, of as many
//! accounts, and cuts a hundred of them at random bytes while everybody writes to two others. It
//! fails unless the client library shows every message once, in order. Nothing here asserts a time.
//! `cargo bench -p eko-cli --bench cuts -- 7` draws the cuts by the seed 7.

#![expect(clippy::unwrap_used, reason = "a panic is a failure")]

#[path = "../tests/messenger/cuts/cut_scene.rs"]
mod cut_scene;

use std::time::Instant;

use cut_scene::{CutScene, PlayedScene};
use eko_client::Environment;

/// The number of accounts, each with one open socket.
const ACCOUNTS: usize = 1_000;
/// The number of sockets that are cut.
const CUTS: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let seed = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from_le_bytes(Environment::system().bytes()));
    let started = Instant::now();
    let PlayedScene { messages, connections } =
        CutScene { accounts: ACCOUNTS, cuts: CUTS, seed }.play().await;
    println!(
        "{ACCOUNTS} sockets, {CUTS} of them cut, {connections} connections: {messages} messages were shown once \
         and in order, in {} s",
        started.elapsed().as_secs()
    );
}
