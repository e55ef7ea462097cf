//! Tests of this project's client against Signal's own library.
//!
//! One side is [`eko_client::Messenger`] with [`eko_cli::LibSignal`]. The other side are Node
//! processes with Signal's published library and a client that shares no code with this project
//! (`tests/official`). They talk over HTTP on loopback. The names of test functions call this
//! project's devices "ours" and the official devices "theirs".
//!
//! These tests need Node and npm (CONTRIBUTING.md).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod activities;
mod chains;
mod conversation;
mod damage;
#[path = "../../../../tests/official/device.rs"]
#[expect(dead_code, reason = "the tests among official devices use more of it")]
mod device;
mod devices;
mod eko_device;
mod everyone;
mod keys;
#[path = "../../../../tests/peers/local_server.rs"]
#[expect(dead_code, reason = "the peers use more of it")]
mod local_server;
#[path = "../../../../tests/official/official.rs"]
#[expect(dead_code, reason = "the tests among official devices use more of it")]
mod official;
mod order;
mod ordered_transport;
mod receipts;
mod safety;
