//! Keys and signatures as they travel: bytes of fixed length, written in base64 (standard alphabet, padded),
//! and the numbers that go with them (`docs/protocol.md`, section 4).

mod base64_text;
mod curve;
mod kyber;
mod number;
mod signature;

pub(crate) use base64_text::decode;
pub use curve::{CurveKey, IdentityKey};
pub use kyber::KyberKey;
pub use number::{KeyId, RegistrationId};
pub use signature::Signature;
