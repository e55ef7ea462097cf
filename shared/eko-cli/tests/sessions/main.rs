//! Tests of `LibSignal`: Signal sessions between two endpoints that keep nothing but bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod beginning;
mod conversation;
mod endpoint;
mod post_quantum;
mod refusals;
mod replays;
