//! Public keys of other servers' actors.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};

use super::{KeyFault, check_numbers, pem};

/// The RSA public key of an actor on another server.
#[derive(Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Reads the `publicKeyPem` of an actor: one block, `PUBLIC KEY` (SubjectPublicKeyInfo, RFC
    /// 5280) or `RSA PUBLIC KEY` (RFC 8017), with a modulus of 2048 to 8192 bits and an odd
    /// exponent of at least 65537.
    ///
    /// # Errors
    /// [`KeyFault`] for any other text.
    pub fn from_pem(text: &str) -> Result<Self, KeyFault> {
        let (label, der) = pem::read(text)?;
        if !matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY") {
            return Err(KeyFault::Label);
        }
        let key = rsa::PublicKey::from_der(&der).map_err(|_| KeyFault::NotRsa)?;
        // AWS-LC reads either encoding and ignores what follows. The key is written again and
        // compared, so that the encoding is that of the label and nothing follows it.
        let spki: PublicKeyX509Der<'_> = key.as_der().map_err(|_| KeyFault::Library)?;
        let again = if label == "PUBLIC KEY" { spki.as_ref() } else { key.as_ref() };
        if again != der {
            return Err(KeyFault::NotRsa);
        }
        check_numbers(&key)?;
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki.as_ref());
        Ok(Self { key: key.map_err(|_| KeyFault::Library)? })
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
