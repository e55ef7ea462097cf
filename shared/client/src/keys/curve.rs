use eko_protocol::Invalid;
use eko_protocol::key::CurveKey;
use zeroize::Zeroizing;

use super::public_bytes;
use crate::Environment;

/// A Curve25519 prekey with its private half.
pub struct CurvePair {
    secret: Zeroizing<[u8; 32]>,
    public: CurveKey,
}

impl CurvePair {
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
        let secret = Zeroizing::new(secret);
        let public = CurveKey::from_bytes(&public_bytes(&secret))?;
        Ok(Self { secret, public })
    }

    /// The public half.
    pub fn public(&self) -> CurveKey {
        self.public
    }

    /// The private half, for sessions: a scalar before clamping.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}
