//! Envelopes: `Create(SignalEnvelope)`, from a device or from another server (`docs/protocol.md`,
//! section 5).

mod ciphertext;
mod create;
mod header;

pub use ciphertext::AddressedCiphertext;
pub use create::{AuthorMismatch, Create, holds_messages};
pub use header::EnvelopeHeader;
pub(crate) use header::put_time;
