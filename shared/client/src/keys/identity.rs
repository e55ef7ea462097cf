use curve25519_dalek::montgomery::MontgomeryPoint;
use eko_protocol::Invalid;
use eko_protocol::key::{IdentityKey, Signature};
use xeddsa::Sign;
use xeddsa::xed25519::PrivateKey;

use crate::Environment;

/// A device's identity: a Curve25519 pair that agrees on secrets and signs (XEdDSA).
pub struct IdentityPair {
    /// Wipes itself when dropped.
    private: PrivateKey,
    public: IdentityKey,
}

impl IdentityPair {
    /// A fresh pair.
    ///
    /// # Errors
    /// None that can happen: the public half of a clamped scalar is a usable point.
    pub fn generate(environment: &Environment) -> Result<Self, Invalid> {
        Self::from_secret(environment.bytes())
    }

    /// The pair of a private half.
    ///
    /// # Errors
    /// None that can happen, as above.
    pub fn from_secret(secret: [u8; 32]) -> Result<Self, Invalid> {
        let private = PrivateKey(secret);
        let public = IdentityKey::from_bytes(&super::public_bytes(&private.0))?;
        Ok(Self { private, public })
    }

    /// The public half.
    pub fn public(&self) -> IdentityKey {
        self.public
    }

    /// The private half, for sessions: a Curve25519 scalar before clamping.
    pub fn secret(&self) -> &[u8; 32] {
        &self.private.0
    }

    /// Signs with sign 0, the one form that libsignal, the paper and this server all accept.
    ///
    /// # Errors
    /// None that can happen: a signature has its length.
    pub fn sign(&self, message: &[u8], environment: &Environment) -> Result<Signature, Invalid> {
        let bytes: [u8; 64] = self.private.sign(message, environment.rng());
        Signature::from_bytes(&bytes)
    }
}

/// The encoded public half of a scalar: 33 bytes, `0x05` first.
pub(super) fn public_bytes(secret: &[u8; 32]) -> [u8; 33] {
    let mut bytes = [0x05; 33];
    let point = MontgomeryPoint::mul_base_clamped(*secret).to_bytes();
    bytes.iter_mut().skip(1).zip(point).for_each(|(to, from)| *to = from);
    bytes
}
