//! `docs/protocol.md` says what the server and the client library do: every example on the page is
//! made again and compared, every table that has numbers or statuses is played, and every test
//! vector is made again.
//!
//! `EKO_WRITE_SPEC=1 cargo test -p eko-tests --test spec` writes the examples into the page and the
//! vectors into their files. Whoever runs it reads the difference before committing it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod attackers;
mod cast;
mod examples;
mod limits;
mod media_types;
mod members;
mod page;
mod problems;
mod recorder;
mod render;
mod vectors;

/// True if the page and the vectors are to be written instead of compared.
fn writes() -> bool {
    std::env::var("EKO_WRITE_SPEC").is_ok_and(|value| value == "1")
}
