//! Curve25519 prekeys.

use eko_protocol::key::CurveKey;
use zeroize::Zeroizing;

use crate::Environment;

/// A Curve25519 prekey with its private half.
pub struct CurvePair {
    secret: Zeroizing<[u8; 32]>,
    public: CurveKey,
}

impl CurvePair {
    /// Returns a fresh pair.
    pub fn generate(environment: &Environment) -> Self {
        Self::from_secret(environment.bytes())
    }

    /// Returns the pair of a private half.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let secret = Zeroizing::new(secret);
        let public = CurveKey::of_secret(&secret);
        Self { secret, public }
    }

    /// Returns the public half.
    pub fn public(&self) -> CurveKey {
        self.public
    }

    /// Returns the private half, which sessions need: a scalar before clamping.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}
