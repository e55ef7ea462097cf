//! Prekeys, as a device publishes them.

use serde::{Deserialize, Serialize};

use crate::json::only_as_object;
use crate::key::{CurveKey, IdentityKey, KeyId, KyberKey, Signature};
use crate::{Invalid, xeddsa};

/// A signed Curve25519 prekey, `{"keyId","key","signature"}`. The device replaces it from time to
/// time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct SignedPreKey {
    /// The key's id. Ids grow.
    #[serde(rename = "keyId")]
    pub id: KeyId,
    /// The key.
    pub key: CurveKey,
    /// The identity key's signature over the 33 bytes of the key.
    pub signature: Signature,
}

only_as_object!(SignedPreKey);

impl SignedPreKey {
    /// Verifies the signature.
    ///
    /// # Errors
    /// [`Invalid`] at `/signature` if the signature is not the identity key's.
    pub fn verify(&self, identity: &IdentityKey) -> Result<(), Invalid> {
        verify(identity, self.key.as_bytes(), &self.signature)
    }
}

/// A signed Kyber-1024 prekey, `{"keyId","key","signature"}`: a one-time key or the last-resort key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct KyberPreKey {
    /// The key's id. Ids grow; the last-resort key and the one-time keys share one sequence.
    #[serde(rename = "keyId")]
    pub id: KeyId,
    /// The key.
    pub key: KyberKey,
    /// The identity key's signature over the 1569 bytes of the key.
    pub signature: Signature,
}

only_as_object!(KyberPreKey);

impl KyberPreKey {
    /// Verifies the signature.
    ///
    /// # Errors
    /// [`Invalid`] at `/signature` if the signature is not the identity key's.
    pub fn verify(&self, identity: &IdentityKey) -> Result<(), Invalid> {
        verify(identity, self.key.as_bytes(), &self.signature)
    }
}

/// A one-time Curve25519 prekey, `{"keyId","key"}`. It is not signed, and one `Take` consumes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct OneTimePreKey {
    /// The key's id. Ids grow.
    #[serde(rename = "keyId")]
    pub id: KeyId,
    /// The key.
    pub key: CurveKey,
}

only_as_object!(OneTimePreKey);

fn verify(identity: &IdentityKey, key: &[u8], signature: &Signature) -> Result<(), Invalid> {
    if xeddsa::verify(identity, key, signature) {
        Ok(())
    } else {
        Err(Invalid::at("/signature", "is not the identity key's signature over the encoded key"))
    }
}
