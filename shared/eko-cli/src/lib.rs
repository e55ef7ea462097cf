//! The parts of the command `eko`, for its executable and for tests.
//!
//! What a client does is in `eko_client`; here are Signal's sessions ([`LibSignal`]), which it leaves open, and what
//! a person sees of it.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod libsignal;
pub mod oidc;

pub use libsignal::LibSignal;
