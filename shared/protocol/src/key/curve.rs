//! Curve25519 public keys.

use curve25519_dalek::montgomery::MontgomeryPoint;
use serde::{Deserialize, Serialize};

use super::base64_text::base64_text;
use crate::{Invalid, xeddsa};

/// The type byte of a Curve25519 public key, as libsignal writes it.
const TYPE: u8 = 0x05;

/// A device's identity key: 33 bytes, `0x05` and the u-coordinate of a Curve25519 point.
///
/// Signatures are verified under this key, so the point must be canonical, on the curve and not on
/// its twist, and not of low order.
///
/// ```
/// use eko_protocol::key::IdentityKey;
///
/// let key = IdentityKey::from_base64("BYZ3rBvGACeK43gLvILkUArkwbiA8gmAmiHTg01zguEB")?;
/// assert_eq!(key.as_bytes()[0], 0x05);
///
/// // A point of low order: anyone could sign under it.
/// assert!(IdentityKey::from_base64("BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityKey([u8; 33]);

impl IdentityKey {
    /// Reads a key from its 33 bytes: the type byte `0x05`, then the u-coordinate.
    ///
    /// # Errors
    /// [`Invalid`] for another length, another type byte, or a point under which signatures prove
    /// nothing.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let key = Self(encoded(bytes)?);
        if xeddsa::can_verify(key.point()) {
            Ok(key)
        } else {
            Err(Invalid::whole(
                "is not a usable identity key: low order, not canonical, or not on Curve25519",
            ))
        }
    }

    /// Returns the public key of a private key: 32 bytes, which are clamped as X25519 does (RFC
    /// 7748). The public key is on the curve, canonical and not of low order.
    pub fn of_secret(secret: &[u8; 32]) -> Self {
        Self(public(secret))
    }

    /// Returns the 33 bytes, type byte first.
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// Returns the u-coordinate, little-endian.
    pub(crate) fn point(&self) -> &[u8; 32] {
        point(&self.0)
    }
}

base64_text!(IdentityKey);

/// A Curve25519 public prekey: 33 bytes, `0x05` and a canonical u-coordinate that is not of low
/// order. It is used for key agreement, so it may be on the twist.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CurveKey([u8; 33]);

impl CurveKey {
    /// Reads a key from its 33 bytes: the type byte `0x05`, then the u-coordinate.
    ///
    /// # Errors
    /// [`Invalid`] for another length, another type byte, or a point with which every key agreement
    /// gives the same secret.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let key = Self(encoded(bytes)?);
        if xeddsa::can_agree(point(&key.0)) {
            Ok(key)
        } else {
            Err(Invalid::whole("is not a usable Curve25519 key: low order or not canonical"))
        }
    }

    /// Returns the public key of a private key: 32 bytes, which are clamped as X25519 does (RFC
    /// 7748). The public key is on the curve, canonical and not of low order.
    pub fn of_secret(secret: &[u8; 32]) -> Self {
        Self(public(secret))
    }

    /// Returns the 33 bytes, type byte first.
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }
}

base64_text!(CurveKey);

/// Returns the encoded public half of a scalar.
fn public(secret: &[u8; 32]) -> [u8; 33] {
    let mut bytes = [TYPE; 33];
    let point = MontgomeryPoint::mul_base_clamped(*secret).to_bytes();
    bytes.iter_mut().skip(1).zip(point).for_each(|(to, from)| *to = from);
    bytes
}

/// Checks length and type byte.
fn encoded(bytes: &[u8]) -> Result<[u8; 33], Invalid> {
    <[u8; 33]>::try_from(bytes)
        .ok()
        .filter(|[first, ..]| *first == TYPE)
        .ok_or_else(|| Invalid::whole("must be a Curve25519 key of 33 bytes, the first 0x05"))
}

/// Drops the type byte.
fn point([_, point @ ..]: &[u8; 33]) -> &[u8; 32] {
    point
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::Signer;
    use proptest::prelude::*;

    #[test]
    fn wrong_length_or_type_is_refused() {
        let good = *Signer::new(1).identity().as_bytes();
        assert!(IdentityKey::from_bytes(&good).is_ok() && CurveKey::from_bytes(&good).is_ok());
        let mut other_type = good;
        other_type[0] = 0x08;
        for bytes in [&good[1..], &good[..32], &[], &other_type[..], &[&good[..], &[0]].concat()] {
            assert!(IdentityKey::from_bytes(bytes).is_err());
            assert!(CurveKey::from_bytes(bytes).is_err());
        }
    }

    #[test]
    fn points_without_a_secret_are_refused() {
        for point in crate::xeddsa::test_points::unusable() {
            let bytes = [&[TYPE][..], &point].concat();
            assert!(IdentityKey::from_bytes(&bytes).is_err(), "{}", hex::encode(point));
            assert!(CurveKey::from_bytes(&bytes).is_err(), "{}", hex::encode(point));
        }
    }

    proptest! {
        #[test]
        fn every_secret_has_a_usable_public_half(secret in any::<[u8; 32]>()) {
            let (identity, curve) = (IdentityKey::of_secret(&secret), CurveKey::of_secret(&secret));
            prop_assert_eq!(IdentityKey::from_bytes(identity.as_bytes()), Ok(identity));
            prop_assert_eq!(CurveKey::from_bytes(curve.as_bytes()), Ok(curve));
        }

        #[test]
        fn round_trip(seed in any::<u64>()) {
            let key = Signer::new(seed).identity();
            prop_assert_eq!(IdentityKey::from_base64(&key.to_base64()), Ok(key));
            let json = serde_json::to_value(key).unwrap();
            prop_assert_eq!(serde_json::from_value::<IdentityKey>(json.clone()).unwrap(), key);
            prop_assert_eq!(serde_json::from_value::<CurveKey>(json).unwrap().to_base64(), key.to_base64());
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 30..36),
            point in any::<[u8; 32]>(),
        ) {
            let _ = (IdentityKey::from_bytes(&bytes), CurveKey::from_bytes(&bytes));
            let encoded = [&[TYPE][..], &point].concat();
            let _ = (IdentityKey::from_bytes(&encoded), CurveKey::from_bytes(&encoded));
        }
    }
}
