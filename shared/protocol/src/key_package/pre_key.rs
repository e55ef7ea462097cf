use serde::{Deserialize, Serialize};

use crate::json::only_as_object;
use crate::key::{CurveKey, IdentityKey, KeyId, KyberKey, Signature};
use crate::{Invalid, xeddsa};

/// A signed Curve25519 prekey, renewed now and then: `{"id","key","signature"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct SignedPreKey {
    /// Its id, growing.
    pub id: KeyId,
    /// The key.
    pub key: CurveKey,
    /// By the identity key, over the key's 33 bytes.
    pub signature: Signature,
}

only_as_object!(SignedPreKey);

impl SignedPreKey {
    /// Checks the signature.
    ///
    /// # Errors
    /// At `/signature`: it is not the identity key's.
    pub fn verify(&self, identity: &IdentityKey) -> Result<(), Invalid> {
        verify(identity, self.key.as_bytes(), &self.signature)
    }
}

/// A signed Kyber-1024 prekey, one-time or last-resort: `{"id","key","signature"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct KyberPreKey {
    /// Its id, growing; last-resort and one-time keys share the numbers.
    pub id: KeyId,
    /// The key.
    pub key: KyberKey,
    /// By the identity key, over the key's 1569 bytes.
    pub signature: Signature,
}

only_as_object!(KyberPreKey);

impl KyberPreKey {
    /// Checks the signature.
    ///
    /// # Errors
    /// At `/signature`: it is not the identity key's.
    pub fn verify(&self, identity: &IdentityKey) -> Result<(), Invalid> {
        verify(identity, self.key.as_bytes(), &self.signature)
    }
}

/// A one-time Curve25519 prekey, unsigned and handed out once: `{"id","key"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct OneTimePreKey {
    /// Its id, growing.
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
