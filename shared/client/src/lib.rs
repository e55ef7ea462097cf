//! The reference client library of Eko Messages: a device signs in, keeps its keys and its place in the
//! device chain, sends and fetches.
//!
//! A [`Device`] is one device of one user. Each of its methods is one HTTP call (some read the chain first)
//! and answers what the server said as a type, or a [`ClientError`]. It trusts the server with nothing that it
//! can check: chains are replayed, signatures over keys verified.
//!
//! There is no ratchet in here: no permissively licensed crate speaks Signal's sessions, so they come in behind
//! [`SignalSessions`], from another package.
//!
//! What the words mean is settled in `docs/protocol.md`; the sections named in these comments are its.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod attachment;
pub mod capabilities;
pub mod content;
pub mod device;
pub mod environment;
mod error;
pub mod exchange;
pub mod fingerprint;
pub mod group;
pub mod keys;
pub mod messenger;
mod problem;
mod secret;
pub mod sessions;
pub mod store;
pub mod transport;

pub use device::Device;
pub use environment::Environment;
pub use error::ClientError;
pub use exchange::{Auth, Body, Exchange};
pub use keys::{DeviceKeys, KeyCounts};
pub use messenger::{Messenger, MessengerError};
pub use problem::ProblemDetails;
pub use sessions::{SessionError, SignalSessions};
pub use store::DeviceStore;
pub use transport::{HttpTransport, Transport, TransportError};
