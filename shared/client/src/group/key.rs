use aws_lc_rs::{hkdf, hmac};
use eko_protocol::Invalid;

use crate::Environment;
use crate::secret::Secret;

/// What sets the keys of controls apart from all others that are made of a master key.
const SIGNING: &[u8] = b"eko.group.signing";

/// What every member of a group knows and nobody else: 32 bytes, wiped when dropped and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKey(Secret);

impl MasterKey {
    /// A fresh key.
    pub fn generate(environment: &Environment) -> Self {
        Self::from_bytes(environment.bytes())
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Reads base64: standard alphabet, padded.
    ///
    /// # Errors
    /// Not base64, or not of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, Invalid> {
        Secret::from_base64(text).map(Self)
    }

    /// Writes base64: standard alphabet, padded.
    pub fn to_base64(&self) -> String {
        self.0.to_base64()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// HMAC-SHA-256 under the key's signing key.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Result<[u8; 32], Invalid> {
        let tag = self.context(parts)?.sign();
        <[u8; 32]>::try_from(tag.as_ref()).map_err(|_| failed())
    }

    /// Whether a MAC is right, in constant time.
    pub(super) fn verifies(&self, parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        self.context(parts).is_ok_and(|context| {
            aws_lc_rs::constant_time::verify_slices_are_equal(context.sign().as_ref(), mac).is_ok()
        })
    }

    /// HKDF-SHA-256 without a salt (RFC 5869), then HMAC-SHA-256 under the 32 bytes that it gives.
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

    /// By Python's `hmac` and `hashlib`, HKDF written out as RFC 5869 has it: `prk = hmac(32 zero bytes, key)`,
    /// `okm = hmac(prk, b"eko.group.signing\x01")`, `hmac(okm, b"one" + b"two")`, SHA-256 throughout.
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
