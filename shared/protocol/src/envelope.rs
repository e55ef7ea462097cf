//! Envelopes: `Create(SignalEnvelope)`, from a device or from another server (`docs/protocol.md`,
//! section 5).

mod create;
mod header;
mod message;

pub use create::{Create, NotYours};
pub use header::EnvelopeHeader;
pub(crate) use header::put_time;
pub use message::Message;
