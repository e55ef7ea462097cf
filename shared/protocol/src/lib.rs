//! The Eko protocol as pure code: names and addresses, strict JSON, keys and signatures, the device chain,
//! key packages, envelopes, coverage, and the bodies that clients and servers exchange.
//!
//! Values in, values out: no clock, no randomness, no I/O, no panics. Time comes in as epoch milliseconds.
//! What the words mean is settled in `docs/protocol.md`; the sections named in these comments are its.
//!
//! A body travels through here in three steps:
//!
//! 1. [`json::parse`] reads the bytes strictly (duplicate keys, depth, JSON-LD restructuring);
//! 2. a decoder such as [`envelope::Create::parse`] or [`chain::ChainNode::parse`] reads the shape, and
//!    answers [`Invalid`] with a JSON pointer where it is wrong;
//! 3. a decision such as [`chain::verify_next`] or [`coverage::check`] judges it against the state that the
//!    caller read from its store.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unreachable))]

pub mod activity;
pub mod actor;
pub mod address;
pub mod chain;
pub mod collection;
pub mod coverage;
pub mod device_set;
pub mod envelope;
pub mod http_signature;
pub mod id;
mod invalid;
pub mod json;
pub mod key;
pub mod key_package;
pub mod limits;
pub mod multibase;
#[cfg(test)]
mod signer;
pub mod timestamp;
pub mod xeddsa;

pub use invalid::Invalid;
