//! Whole-system tests: the router of all functions over the embedded engines, or others where the
//! environment names them (CONTRIBUTING.md), driven by the client library. A fresh server a test; they run in parallel.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod bad_input;
mod costs;
mod coverage;
mod devices;
mod faults;
mod inbox;
mod keys;
mod knocks;
mod message;
mod outcomes;
mod races;
mod sessions;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
