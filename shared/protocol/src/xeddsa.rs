//! XEdDSA verification (`docs/protocol.md`, section 3).
//!
//! XEdDSA signs with a Curve25519 key (<https://signal.org/docs/specifications/xeddsa/>). This
//! module accepts libsignal's form, in which the sign bit of the Edwards point travels in the top
//! bit of `s`:
//!
//! ```text
//! byte 0              31 32              63
//!      ├─ R ───────────┤ ├─ s ───────────┤   little-endian
//!                                       └── bit 7: sign of the public key; bits 5 and 6: always 0
//! ```
//!
//! In the specification's form, bit 7 is 0. That is libsignal's form for a key whose sign is 0, so
//! this module accepts it for such a key.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity;
use ed25519_dalek::VerifyingKey;

use crate::key::{IdentityKey, Signature};

#[cfg(test)]
pub(crate) mod test_points;

/// True if the signature was made with the key over exactly this message.
///
/// The Montgomery point is converted to the Edwards point whose sign is the top bit of `s`, and
/// that bit is cleared. Then the signature is verified as strict Ed25519: `s` is below the group
/// order, neither the key nor `R` is of low order, and the equation holds without the cofactor.
///
/// ```
/// use eko_protocol::key::{IdentityKey, Signature};
/// use eko_protocol::xeddsa;
///
/// // Made by libsignal; the first of `testdata/xeddsa-libsignal.json`.
/// let key = hex::decode("058677ac1bc600278ae3780bbc82e4500ae4c1b880f209809a21d3834d7382e101")?;
/// let signature = hex::decode(
///     "6975d8958370f75ca5450cf1d4bb36bcd41d9fb18ad6fda3587482e7cd0002cd\
///      f981cb6657acafe574d4bb1ab8fe831a4d1ccd35b6bf4a0a7c81deed05370d02",
/// )?;
/// let (key, signature) = (IdentityKey::from_bytes(&key)?, Signature::from_bytes(&signature)?);
/// assert!(xeddsa::verify(&key, b"S", &signature));
/// assert!(!xeddsa::verify(&key, b"T", &signature));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// True if signatures under this u-coordinate prove something: it is canonical, on the curve, and
/// not of low order.
pub(crate) fn can_verify(u: &[u8; 32]) -> bool {
    to_edwards(u, 0).is_some()
}

/// True if a key agreement with the public key `u` gives a shared secret. The u-coordinate must be
/// canonical, and its point must not be of low order: 8 times the point is not the neutral element.
/// The point may be on the curve or on its twist.
pub(crate) fn can_agree(u: &[u8; 32]) -> bool {
    is_canonical(u) && !MontgomeryPoint(*u).mul_bits_be([true, false, false, false].into_iter()).is_identity()
}

/// Converts a u-coordinate to the Edwards point with this sign bit; `None` if the point is
/// unusable.
fn to_edwards(u: &[u8; 32], sign: u8) -> Option<EdwardsPoint> {
    if !is_canonical(u) {
        return None;
    }
    MontgomeryPoint(*u).to_edwards(sign).filter(|point| !point.is_small_order())
}

/// True if the little-endian number is below 2^255 - 19. Each point has exactly one such spelling.
fn is_canonical([low, middle @ .., high]: &[u8; 32]) -> bool {
    *high < 0x7F || (*high == 0x7F && (middle.iter().any(|b| *b != 0xFF) || *low < 0xED))
}

#[cfg(test)]
mod tests;
