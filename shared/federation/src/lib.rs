//! Talking to other servers.

pub mod address_guard;
pub mod client;
pub mod keys;
pub mod network;
