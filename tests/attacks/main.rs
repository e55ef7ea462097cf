//! Attacks that servers like this one have fallen to, against the whole server: requests that strangers sign,
//! documents that they serve, addresses that they and our own clients name. Each is refused (never with a 500),
//! leaves nothing behind but what is remembered of other servers, and connects to no address that is forbidden.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod draft;
mod scene;

mod addresses;
mod answers;
mod documents;
mod headers;
mod identity;
mod keys;
mod names;
mod outward;
mod policy;
mod redirects;
mod replays;
mod reports;
mod rotation;
mod signatures;
mod takes;
