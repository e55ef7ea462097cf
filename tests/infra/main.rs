//! What is said in more places than one is the same in all of them: the routes, and what the functions have around
//! them on AWS.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod code;
mod deployed;
mod policies;
mod routes;

use std::path::PathBuf;

/// A file of the repository.
fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
