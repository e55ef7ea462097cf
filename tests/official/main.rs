//! Tests with Signal's own library as the users of local servers: devices in Node (`official.rs`),
//! whose client of the API shares no code with this project's. They talk over HTTP on loopback.
//!
//! The tests need Node and npm (CONTRIBUTING.md).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod conversation;
mod device;
mod devices;
mod fingerprints;
mod keys;
#[path = "../peers/local_server.rs"]
#[expect(dead_code, reason = "the peers use more of it")]
mod local_server;
mod official;
mod order;
mod signatures;
mod sync;
