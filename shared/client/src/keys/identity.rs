//! The identity of a device.

use eko_protocol::key::{IdentityKey, Signature};
use xeddsa::Sign;
use xeddsa::xed25519::PrivateKey;

use crate::Environment;

/// The identity of a device: a Curve25519 pair that agrees on secrets and signs (XEdDSA).
pub struct IdentityPair {
    /// The private half, which wipes itself when dropped.
    private: PrivateKey,
    public: IdentityKey,
}

impl IdentityPair {
    /// Returns a fresh pair.
    pub fn generate(environment: &Environment) -> Self {
        Self::from_secret(environment.bytes())
    }

    /// Returns the pair of a private half.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let private = PrivateKey(secret);
        let public = IdentityKey::of_secret(&private.0);
        Self { private, public }
    }

    /// Returns the public half.
    pub fn public(&self) -> IdentityKey {
        self.public
    }

    /// Returns the private half, which sessions need: a Curve25519 scalar before clamping.
    pub fn secret(&self) -> &[u8; 32] {
        &self.private.0
    }

    /// Signs a message by XEdDSA, with the sign bit 0: the form that libsignal, the XEdDSA paper
    /// and Eko's servers all accept.
    pub fn sign(&self, message: &[u8], environment: &Environment) -> Signature {
        let bytes: [u8; 64] = self.private.sign(message, environment.rng());
        bytes.into()
    }
}
