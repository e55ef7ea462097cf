//! Facts that are stated in several places: the routes, and the surroundings of the functions on
//! AWS. Each test asserts that all places agree.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod code;
mod deployed;
mod lifetimes;
mod live;
mod observed;
mod policies;
mod readers;
mod routes;

use std::path::PathBuf;

/// Returns the text of a file of the repository.
fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
