//! Attacks that servers like this one have fallen to: requests that strangers sign, documents that
//! they serve, and addresses that they and our own clients name.
//!
//! Each attack is refused, and never with a 500. It leaves nothing in the store but what is
//! remembered of other servers, and makes the server connect to no forbidden address.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod draft;
mod scene;

mod addresses;
mod answers;
mod blocks;
mod breaker;
mod budgets;
mod documents;
mod echoes;
mod flags;
mod handles;
mod headers;
mod identity;
mod keys;
mod lookups;
mod mailboxes;
mod names;
mod outward;
mod policy;
mod proxy;
mod push;
mod redirects;
mod relays;
mod replays;
mod reports;
mod rotation;
mod signatures;
mod sockets;
mod takes;
mod thief;
mod unverified;
