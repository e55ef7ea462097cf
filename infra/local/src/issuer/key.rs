//! The issuer's signing key: a P-256 key, which a file keeps if there is a data folder.

use std::fs::read;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::secrets::write_private;

/// The name of the key's file in the data folder. Its content is PKCS #8 in DER.
const FILE: &str = "issuer-key.p8";

/// The key pair.
pub(super) struct IssuerKey {
    signing: EncodingKey,
    /// The JWK thumbprint (RFC 7638).
    id: String,
    /// The coordinates of the public key, in base64url.
    x: String,
    y: String,
}

impl IssuerKey {
    /// Reads the key of a folder. Makes it if there is none.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no P-256 key.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        let pkcs8 = match read(&path) {
            Ok(pkcs8) => pkcs8,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let pkcs8 = generate()?;
                write_private(dir, FILE, &pkcs8)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                pkcs8
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Self::from_pkcs8(&pkcs8).with_context(|| {
            format!(
                "the file {} holds no P-256 key: put it back from a copy, or delete it, and nobody can use an ID token \
                 that was issued before",
                path.display()
            )
        })
    }

    /// Makes a new key.
    ///
    /// # Errors
    /// The key cannot be generated.
    pub(super) fn generate() -> anyhow::Result<Self> {
        Self::from_pkcs8(&generate()?)
    }

    /// Parses a key.
    fn from_pkcs8(pkcs8: &[u8]) -> anyhow::Result<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)?;
        // An uncompressed point is the byte 4, then x, then y.
        let coordinates = pair.public_key().as_ref().split_first_chunk::<33>();
        let (x, y) = coordinates.ok_or_else(|| anyhow!("the public key is no point"))?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(&x[1..]), URL_SAFE_NO_PAD.encode(y));
        // The JWK thumbprint hashes the required members in this order (RFC 7638).
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        Ok(Self { signing: EncodingKey::from_ec_der(pkcs8), id: URL_SAFE_NO_PAD.encode(thumbprint), x, y })
    }

    /// Returns a signed JWT with these claims.
    ///
    /// # Errors
    /// The claims cannot be signed.
    pub(super) fn sign(&self, claims: &impl Serialize) -> jsonwebtoken::errors::Result<String> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.signing)
    }

    /// Returns the public key as a JWK.
    pub(super) fn jwk(&self) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": self.x, "y": self.y
        })
    }
}

/// Generates a key pair in PKCS #8.
fn generate() -> anyhow::Result<Vec<u8>> {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .map_err(|_| anyhow!("cannot generate the issuer's key"))?;
    Ok(pkcs8.as_ref().to_vec())
}
