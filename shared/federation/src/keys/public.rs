//! Public keys of other servers' actors.

use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rsa::pkcs1::{ALGORITHM_ID, RsaPublicKeyRef};
use rsa::pkcs8::SubjectPublicKeyInfoRef;

use super::{KeyFault, check_numbers, pem};

/// The RSA public key of an actor on another server.
#[derive(Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Reads the `publicKeyPem` of an actor: one block, `PUBLIC KEY` (SubjectPublicKeyInfo, RFC
    /// 5280) or `RSA PUBLIC KEY` (RFC 8017), with a modulus of 2048 to 8192 bits and an odd
    /// exponent of at least 65537 and at most 33 bits.
    ///
    /// # Errors
    /// [`KeyFault`] for any other text.
    pub fn from_pem(text: &str) -> Result<Self, KeyFault> {
        let (label, der) = pem::read(text)?;
        let content = match label {
            "PUBLIC KEY" => {
                let info = SubjectPublicKeyInfoRef::try_from(der.as_slice());
                let info = info.map_err(|_| KeyFault::NotRsa)?;
                // A key for RSASSA-PSS only has another algorithm.
                if info.algorithm != ALGORITHM_ID {
                    return Err(KeyFault::NotRsa);
                }
                info.subject_public_key.as_bytes().ok_or(KeyFault::NotRsa)?
            }
            "RSA PUBLIC KEY" => der.as_slice(),
            _ => return Err(KeyFault::Label),
        };
        let numbers = RsaPublicKeyRef::try_from(content).map_err(|_| KeyFault::NotRsa)?;
        check_numbers(numbers.modulus.as_bytes(), numbers.public_exponent.as_bytes())?;
        // AWS-LC refuses an even modulus.
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, content);
        Ok(Self { key: key.map_err(|_| KeyFault::NotRsa)? })
    }

    /// True if the signature (RSASSA-PKCS1-v1_5 with SHA-256) was made with this key over exactly
    /// these bytes.
    pub fn verify(&self, base: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(base, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").finish_non_exhaustive()
    }
}
