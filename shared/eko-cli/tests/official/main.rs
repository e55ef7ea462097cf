//! Our client against Signal's own: users of [`eko_client::Messenger`] with [`eko_cli::LibSignal`],
//! and users whose devices are processes of Node's with Signal's published library and a client
//! that shares no code with ours (`tests/official`). All of it over HTTP on loopback.
//!
//! It needs Node and npm (CONTRIBUTING.md).

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
#[path = "../../../../tests/peers/here.rs"]
#[expect(dead_code, reason = "the peers use more of it")]
mod here;
mod keys;
#[path = "../../../../tests/official/official.rs"]
#[expect(dead_code, reason = "the tests among official devices use more of it")]
mod official;
mod order;
mod ordered_transport;
mod safety;
