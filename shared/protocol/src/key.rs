//! Public keys and signatures as they travel, and the numbers that go with them
//! (`docs/protocol.md`, section 4).
//!
//! Keys and signatures are bytes of fixed length. JSON carries them in base64 (RFC 4648, section 4:
//! standard alphabet, padded).
//!
//! ```text
//! identity key, Curve25519 prekey:  0x05, then the u-coordinate, 32 bytes little-endian
//! Kyber-1024 key:                   0x08, then the encoded key, 1568 bytes
//! signature (XEdDSA):               R, 32 bytes, then s, 32 bytes little-endian; sign bit on top of s
//! MAC of joining (HMAC-SHA256):    32 bytes
//! random part of a sign-in nonce:  32 bytes
//! key, tag and MAC of franking:    32 bytes
//! ```

mod base64_text;
mod curve;
mod franking;
mod kyber;
mod mac;
mod nonce_random;
mod number;
mod signature;

pub(crate) use base64_text::{decode, encode};
pub use curve::{CurveKey, IdentityKey};
pub use franking::{FrankingKey, FrankingMac, FrankingTag};
pub use kyber::KyberKey;
pub use mac::JoiningMac;
pub use nonce_random::NonceRandom;
pub use number::{KeyId, RegistrationId};
pub use signature::Signature;
