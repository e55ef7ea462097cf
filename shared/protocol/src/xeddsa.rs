//! XEdDSA verification, in the form that libsignal makes (`docs/protocol.md`, section 3): the Edwards sign
//! bit travels in the top bit of `s`, where the paper always has 0.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity;
use ed25519_dalek::VerifyingKey;

use crate::key::{IdentityKey, Signature};

#[cfg(test)]
pub(crate) mod test_points;

/// Whether the signature is the key's, over exactly this message.
///
/// The Montgomery point becomes the Edwards point with the sign from the top bit of `s`; that bit is cleared;
/// then strict Ed25519: `s` below the group order, no key and no `R` of low order, no cofactor.
pub fn verify(key: &IdentityKey, message: &[u8], signature: &Signature) -> bool {
    let mut bytes = *signature.as_bytes();
    let [.., last] = &mut bytes;
    let sign = *last >> 7;
    *last &= 0x7F;
    if *last & 0x60 != 0 {
        return false;
    }
    let Some(point) = to_edwards(key.point(), sign) else { return false };
    let Ok(key) = VerifyingKey::from_bytes(&point.compress().to_bytes()) else { return false };
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&bytes)).is_ok()
}

/// Whether signatures under this u-coordinate mean anything.
pub(crate) fn can_verify(u: &[u8; 32]) -> bool {
    to_edwards(u, 0).is_some()
}

/// Whether a key agreement with this u-coordinate gives a secret: canonical, and not of low order on the
/// curve or its twist (8 times the point is not the neutral element).
pub(crate) fn can_agree(u: &[u8; 32]) -> bool {
    is_canonical(u) && !MontgomeryPoint(*u).mul_bits_be([true, false, false, false].into_iter()).is_identity()
}

fn to_edwards(u: &[u8; 32], sign: u8) -> Option<EdwardsPoint> {
    if !is_canonical(u) {
        return None;
    }
    MontgomeryPoint(*u).to_edwards(sign).filter(|point| !point.is_small_order())
}

/// Whether the little-endian number is below 2^255 - 19: the one spelling of its point.
fn is_canonical([low, middle @ .., high]: &[u8; 32]) -> bool {
    *high < 0x7F || (*high == 0x7F && (middle.iter().any(|b| *b != 0xFF) || *low < 0xED))
}

#[cfg(test)]
mod tests;
