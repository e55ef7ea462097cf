//! Envelopes: `Create(SignalEnvelope)`, from a device or from another server (`docs/protocol.md`,
//! section 5).

mod create;
mod message;

pub use create::{Create, NotYours};
pub use message::Message;
