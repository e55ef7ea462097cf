//! Signal's sessions behind the client library's seam, between two ends that keep nothing but bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod beginning;
mod conversation;
mod endpoint;
mod post_quantum;
mod refusals;
mod replays;
