//! The master key of a group, and the MACs under it.

use aws_lc_rs::{hkdf, hmac};
use eko_protocol::Invalid;

use crate::Environment;
use crate::secret::Secret;

/// The HKDF info that separates the keys of controls from other keys made of the master key.
const SIGNING: &[u8] = b"eko.group.signing";

/// The secret that every member of a group shares: 32 bytes, wiped when dropped and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKey(Secret);

impl MasterKey {
    /// Returns a fresh key.
    pub fn generate(environment: &Environment) -> Self {
        Self::from_bytes(environment.bytes())
    }

    /// Returns the key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Reads base64 (standard alphabet, padded).
    ///
    /// # Errors
    /// [`Invalid`] if it is not base64, or not of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, Invalid> {
        Secret::from_base64(text).map(Self)
    }

    /// Returns base64 (standard alphabet, padded).
    pub fn to_base64(&self) -> String {
        self.0.to_base64()
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Returns the MAC of the parts: HMAC-SHA-256 under the signing key.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Result<[u8; 32], Invalid> {
        let tag = self.context(parts)?.sign();
        <[u8; 32]>::try_from(tag.as_ref()).map_err(|_| failed())
    }

    /// True if a MAC is right. Compares in constant time.
    pub(super) fn verifies(&self, parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        self.context(parts).is_ok_and(|context| {
            aws_lc_rs::constant_time::verify_slices_are_equal(context.sign().as_ref(), mac).is_ok()
        })
    }

    /// Derives the signing key by HKDF-SHA-256 without a salt (RFC 5869), and begins HMAC-SHA-256
    /// under its 32 bytes.
    fn context(&self, parts: &[&[u8]]) -> Result<hmac::Context, Invalid> {
        let pseudorandom = hkdf::Salt::none(hkdf::HKDF_SHA256).extract(self.as_bytes());
        let key = pseudorandom.expand(&[SIGNING], hmac::HMAC_SHA256).map_err(|_| failed())?;
        let mut context = hmac::Context::with_key(&hmac::Key::from(key));
        parts.iter().for_each(|part| context.update(part));
        Ok(context)
    }
}

fn failed() -> Invalid {
    Invalid::whole("cannot be authenticated: the cryptographic library failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown() {
        assert_eq!(format!("{:?}", MasterKey::from_bytes([7; 32])), "MasterKey(hidden)");
    }

    /// The expected MAC was computed by Python's `hmac` and `hashlib`, with HKDF written out as in
    /// RFC 5869: `prk = hmac(32 zero bytes, key)`, `okm = hmac(prk, b"eko.group.signing\x01")`,
    /// `hmac(okm, b"one" + b"two")`, with SHA-256 throughout.
    #[test]
    fn macs_are_fixed_for_ever() {
        let key = MasterKey::from_bytes(std::array::from_fn(|index| index as u8));
        let mac = key.mac(&[b"one", b"two"]).unwrap();
        assert_eq!(hex::encode(mac), "145024210dfceaa54f601c1baa3c44207c98e77821d5cc675097cf5aa9d18fcf");
        assert!(key.verifies(&[b"onetwo"], &mac));
        assert!(!key.verifies(&[b"onetwo "], &mac));
        assert!(!MasterKey::from_bytes([7; 32]).verifies(&[b"onetwo"], &mac));
    }
}
