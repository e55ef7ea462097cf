//! Tests of the client library with real Signal sessions, on servers of the test's own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod added;
mod blind;
mod challenges;
mod changes;
mod controls;
mod distrust;
mod envelopes;
mod forced;
mod forging;
mod forked;
mod friends;
mod full;
mod gaps;
mod gossip;
mod groups;
mod joining;
mod keeping;
mod leaving;
mod lineages;
mod people;
mod phantoms;
mod queue;
mod races;
mod reach;
mod reading;
mod receipts;
mod rekeying;
mod removing;
mod requests;
mod resets;
mod restarting;
mod revoked;
mod senders;
mod spent;
mod squatting;
mod stale;
mod stories;
mod takeover;
mod talk;
mod test_network;
mod thousand;
mod untold;
mod withheld;
