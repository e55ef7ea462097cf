//! XEdDSA verification against libsignal's signatures, changed signatures, and unusable keys.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::signer::Signer;

/// The signatures that the official libsignal made; see `testdata/README.md`.
const VECTORS: &str = include_str!("../../testdata/xeddsa-libsignal.json");

/// The group order 2^252 + 27742317777372353535851937790883648493, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[derive(Deserialize)]
struct HexVector {
    pk: String,
    msg: String,
    sig: String,
}

struct Vector {
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let read = |text: &str| hex::decode(text).unwrap();
    serde_json::from_str::<Vec<HexVector>>(VECTORS)
        .unwrap()
        .iter()
        .map(|v| Vector { key: read(&v.pk), message: read(&v.msg), signature: read(&v.sig) })
        .collect()
}

/// Verifies as a server does: a key or a signature that cannot be read counts as a failure.
fn accepted(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (IdentityKey::from_bytes(key), Signature::from_bytes(signature)) else {
        return false;
    };
    verify(&key, message, &signature)
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn all_of_libsignals_are_accepted() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 100);
    let with_sign = vectors.iter().filter(|v| v.signature[63] & 0x80 != 0).count();
    assert!((30..=70).contains(&with_sign), "{with_sign}");
    for (index, v) in vectors.iter().enumerate() {
        assert!(accepted(&v.key, &v.message, &v.signature), "vector {index}");
    }
}

#[test]
fn one_bit_changed_is_refused() {
    for (index, v) in vectors().iter().enumerate() {
        // Every bit of the first vectors, every 13th of the others, at another offset each.
        let (first, step) = if index < 8 { (0, 1) } else { (index % 13, 13) };
        for bit in (first..v.key.len() * 8).step_by(step) {
            assert!(
                !accepted(&flipped(&v.key, bit), &v.message, &v.signature),
                "vector {index}, key bit {bit}"
            );
        }
        for bit in (first..v.signature.len() * 8).step_by(step) {
            assert!(
                !accepted(&v.key, &v.message, &flipped(&v.signature, bit)),
                "vector {index}, signature bit {bit}"
            );
        }
        for bit in (first..v.message.len() * 8).step_by(step) {
            assert!(
                !accepted(&v.key, &flipped(&v.message, bit), &v.signature),
                "vector {index}, message bit {bit}"
            );
        }
        assert!(!accepted(&v.key, &v.message, &flipped(&v.signature, 511)), "vector {index}, the other sign");
    }
}

#[test]
fn s_must_be_reduced() {
    for v in vectors() {
        let sign = v.signature[63] & 0x80;
        let mut signature = v.signature.clone();
        signature[63] &= 0x7F;
        let mut carry = 0u16;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        signature[63] |= sign;
        assert!(!accepted(&v.key, &v.message, &signature));
        for bit in [509, 510] {
            assert!(!accepted(&v.key, &v.message, &flipped(&v.signature, bit)));
        }
    }
}

#[test]
fn unusable_points_verify_nothing() {
    for point in test_points::unusable() {
        for sign in [0, 1] {
            assert!(to_edwards(&point, sign).is_none(), "{}", hex::encode(point));
        }
        assert!(!can_agree(&point), "{}", hex::encode(point));
    }
    // Under the neutral element R = sB would sign any message.
    let mut forged = [0; 64];
    forged[0] = 1;
    assert!(!accepted(&[&[5][..], &[0; 32]].concat(), b"x", &forged));
}

#[test]
fn r_of_low_order_is_refused() {
    let signer = Signer::new(5);
    let key = signer.identity();
    assert!(!verify(&key, b"x", &signer.sign_with_nonce(b"x", 0)), "R is the neutral element");
    assert!(verify(&key, b"x", &signer.sign_with_nonce(b"x", 1)));
}

#[test]
fn canonical_below_p_only() {
    let mut p = [0xFF; 32];
    (p[0], p[31]) = (0xED, 0x7F);
    assert!(!is_canonical(&p));
    p[0] = 0xEC;
    assert!(is_canonical(&p));
    p[0] = 0xFF;
    p[17] = 0xFE;
    assert!(is_canonical(&p));
    assert!(!is_canonical(&[0xFF; 32]));
    assert!(is_canonical(&[0; 32]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_signs_are_accepted_and_nothing_else(
        seed in any::<u64>(),
        message in proptest::collection::vec(any::<u8>(), 0..80),
        bit in 0usize..512,
    ) {
        let signer = Signer::new(seed);
        for signature in [signer.sign(&message), signer.sign_without_sign_bit(&message)] {
            prop_assert!(verify(&signer.identity(), &message, &signature));
            let other = Signature::from_bytes(&flipped(signature.as_bytes(), bit)).unwrap();
            prop_assert!(!verify(&signer.identity(), &message, &other));
            prop_assert!(!verify(&Signer::new(seed ^ 1).identity(), &message, &signature));
        }
    }

    #[test]
    fn random_bytes_never_verify(seed in any::<u64>(), bytes in proptest::collection::vec(any::<u8>(), 64)) {
        prop_assert!(!verify(&Signer::new(seed).identity(), b"x", &Signature::from_bytes(&bytes).unwrap()));
    }
}
