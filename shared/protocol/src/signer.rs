//! A deterministic XEdDSA signer for the tests of this crate. It signs in libsignal's form, with
//! the sign bit of the key in `s`, and in the paper's form, in which that bit is 0.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha2::{Digest, Sha512};

use crate::key::{CurveKey, IdentityKey, KyberKey, Signature};

/// A key pair that is derived from a number.
pub(crate) struct Signer {
    secret: Scalar,
    identity: IdentityKey,
}

impl Signer {
    pub(crate) fn new(seed: u64) -> Self {
        let hash = Sha512::digest(seed.to_le_bytes());
        let half: [u8; 32] = hash[..32].try_into().unwrap();
        let secret = Scalar::from_bytes_mod_order(clamp_integer(half));
        let point = EdwardsPoint::mul_base(&secret).to_montgomery().to_bytes();
        let identity = IdentityKey::from_bytes(&[&[5][..], &point].concat()).unwrap();
        Self { secret, identity }
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        self.identity
    }

    /// Returns the public key as a Curve25519 prekey.
    pub(crate) fn curve(&self) -> CurveKey {
        CurveKey::from_bytes(self.identity.as_bytes()).unwrap()
    }

    /// Signs in libsignal's form: with the key as it is, and its sign bit in the top bit of `s`.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let nonce = Scalar::from_bytes_mod_order_wide(
            &Sha512::new().chain_update(self.secret.as_bytes()).chain_update(message).finalize().into(),
        );
        signature(self.secret, message, nonce, true)
    }

    /// Signs in the paper's form: with the one of the key and its negative whose sign bit is 0.
    pub(crate) fn sign_without_sign_bit(&self, message: &[u8]) -> Signature {
        let sign = EdwardsPoint::mul_base(&self.secret).compress().to_bytes()[31] >> 7;
        let secret = if sign == 1 { -self.secret } else { self.secret };
        signature(secret, message, Scalar::from(77u8), false)
    }

    /// Signs in libsignal's form with a chosen nonce, so that a test can make an `R` of low order.
    pub(crate) fn sign_with_nonce(&self, message: &[u8], nonce: u8) -> Signature {
        signature(self.secret, message, Scalar::from(nonce), true)
    }
}

fn signature(secret: Scalar, message: &[u8], nonce: Scalar, with_sign: bool) -> Signature {
    let key = EdwardsPoint::mul_base(&secret).compress().to_bytes();
    let r = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    let mut s = (nonce + Scalar::from_bytes_mod_order_wide(&hash.into()) * secret).to_bytes();
    if with_sign {
        s[31] |= key[31] & 0x80;
    }
    Signature::from_bytes(&[r, s].concat()).unwrap()
}

/// Returns bytes in the shape of a Kyber-1024 public key.
pub(crate) fn kyber(fill: u8) -> KyberKey {
    let mut bytes = vec![fill; 1569];
    bytes[0] = 8;
    KyberKey::from_bytes(&bytes).unwrap()
}
