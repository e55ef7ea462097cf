//! Tests of one whole server: the router of all functions, driven by the client library.
//!
//! Each test starts a fresh server, and tests run in parallel. The server's table and queues are
//! the embedded engines, or the engines that the environment names (CONTRIBUTING.md, "Against other
//! engines").

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod bad_input;
mod blocks;
mod costs;
mod coverage;
mod deletion;
mod devices;
mod documents;
mod export;
mod faults;
mod flags;
mod full;
mod group_states;
mod inbox;
mod keys;
mod knocks;
mod known;
mod live;
mod losses;
mod mailboxes;
mod message;
mod outcomes;
mod people;
mod problems;
mod profile;
mod push;
mod races;
mod redactions;
mod requests;
mod sessions;
mod variants;
mod waits;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
