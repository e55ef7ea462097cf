//! Tests of the executable `eko`, as a person or a script runs it, against a server on this
//! machine.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod account;
mod again;
mod anew;
mod blocks;
mod clocks;
mod deadly_line;
mod devices;
mod ended;
mod export;
mod following;
mod groups;
mod interrupted;
mod kept;
mod keys;
mod moving;
mod people;
mod profile;
mod relaying;
mod reporting;
mod requests;
mod signing_in;
mod stoppable;
mod stores;
mod talking;
mod terminal;
mod test_home;
mod typing;
mod usage;
mod verify;
