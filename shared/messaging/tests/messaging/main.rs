//! The verbs of messaging over the embedded engines, without HTTP and without functions.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod accepting;
mod acknowledging;
mod permitted;
mod reporting;
mod server;
mod waiting;
