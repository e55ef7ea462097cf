//! XEdDSA: signatures made step by step, and what a verifier accepts and refuses.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use eko_client::keys::IdentityPair;
use eko_protocol::key::{IdentityKey, Signature};
use eko_protocol::xeddsa;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::hex;
use crate::cast::{environment, stopped};

/// A signature and what it was made of.
struct SigningSteps {
    sign: u8,
    /// `a` as it is hashed.
    a: [u8; 32],
    big_a: [u8; 32],
    r: Scalar,
    big_r: [u8; 32],
    h: Scalar,
    signature: [u8; 64],
}

/// Signs as section 3 of the page says; `libsignal` keeps the key's sign instead of making it 0.
fn sign(private: [u8; 32], message: &[u8], random: &[u8; 64], libsignal: bool) -> SigningSteps {
    let clamped = clamp_integer(private);
    let k = Scalar::from_bytes_mod_order(clamped);
    let compressed = EdwardsPoint::mul_base(&k).compress().to_bytes();
    let sign = compressed[31] >> 7;
    let negates = sign == 1 && !libsignal;
    let (a, hashed) = if negates { (-k, (-k).to_bytes()) } else { (k, clamped) };
    let big_a = EdwardsPoint::mul_base(&a).compress().to_bytes();
    let mut prefix = [0xFF; 32];
    prefix[0] = 0xFE;
    let wide =
        Sha512::new().chain_update(prefix).chain_update(hashed).chain_update(message).chain_update(random);
    let r = Scalar::from_bytes_mod_order_wide(&wide.finalize().into());
    let big_r = EdwardsPoint::mul_base(&r).compress().to_bytes();
    let wide = Sha512::new().chain_update(big_r).chain_update(big_a).chain_update(message);
    let h = Scalar::from_bytes_mod_order_wide(&wide.finalize().into());
    let mut s = (r + h * a).to_bytes();
    s[31] |= big_a[31] & 0x80;
    let signature = [big_r, s].concat().try_into().unwrap();
    SigningSteps { sign, a: hashed, big_a, r, big_r, h, signature }
}

fn public(private: [u8; 32]) -> [u8; 33] {
    *IdentityPair::from_secret(private).public().as_bytes()
}

fn verifies(public: &[u8], message: &[u8], signature: &[u8; 64]) -> bool {
    IdentityKey::from_bytes(public)
        .is_ok_and(|key| xeddsa::verify(&key, message, &Signature::from_bytes(signature).unwrap()))
}

pub(super) fn vectors() -> Value {
    let (mut signing, mut verifying) = (Vec::new(), Vec::new());
    let mut signs = [0, 0];
    for number in 0.. {
        if signs == [2, 2] {
            break;
        }
        let environment = environment(&format!("XEdDSA {number}"), stopped());
        let private: [u8; 32] = environment.bytes();
        let random: [u8; 64] = environment.bytes();
        let message = format!("message {number}").into_bytes();
        let (steps, public) = (sign(private, &message, &random, false), public(private));
        // Two keys of each sign.
        match signs.get_mut(usize::from(steps.sign)) {
            Some(2) | None => continue,
            Some(count) => *count += 1,
        }
        assert!(verifies(&public, &message, &steps.signature));
        signing.push(json!({
            "private": hex(private), "public": hex(public), "message": hex(&message), "random": hex(random),
            "sign": steps.sign, "a": hex(steps.a), "A": hex(steps.big_a), "r": hex(steps.r.to_bytes()),
            "R": hex(steps.big_r), "h": hex(steps.h.to_bytes()), "signature": hex(steps.signature),
        }));
        // The client library signs the same, given the same random bytes.
        let identity = IdentityPair::from_secret(private);
        let given = eko_client::Environment {
            clock: stopped(),
            random: std::sync::Arc::new(move |bytes: &mut [u8]| bytes.copy_from_slice(&random)),
        };
        assert_eq!(identity.sign(&message, &given).as_bytes(), &steps.signature);

        let mut case = |what: &str, public: &[u8], message: &[u8], signature: &[u8; 64], valid: bool| {
            assert_eq!(verifies(public, message, signature), valid, "{what}");
            verifying.push(json!({
                "what": what, "public": hex(public), "message": hex(message), "signature": hex(signature),
                "valid": valid,
            }));
        };
        let libsignal = sign(private, &message, &random, true).signature;
        case("the sign bit as libsignal sets it", &public, &message, &libsignal, true);
        if number > 0 {
            continue;
        }
        let changed = |place: usize, mask: u8| {
            let mut signature = steps.signature;
            signature[place] ^= mask;
            signature
        };
        case("as the steps above make it", &public, &message, &steps.signature, true);
        case("another message", &public, b"message X", &steps.signature, false);
        case("a bit of R", &public, &message, &changed(0, 1), false);
        case("a bit of s", &public, &message, &changed(32, 1), false);
        case("the other sign bit", &public, &message, &changed(63, 0x80), false);
        case("the second-highest bit of s", &public, &message, &changed(63, 0x40), false);
        case("the third-highest bit of s", &public, &message, &changed(63, 0x20), false);
        // s + q, which is below 2^253, solves the same equation.
        let order = Scalar::ZERO - Scalar::ONE;
        let mut beyond = steps.signature;
        let (mut carry, mut sums) = (1_u16, [0; 32]);
        for (index, sum) in sums.iter_mut().enumerate() {
            let value = u16::from(beyond[32 + index]) + u16::from(order.as_bytes()[index]) + carry;
            (*sum, carry) = (value.to_le_bytes()[0], value >> 8);
        }
        beyond[32..].copy_from_slice(&sums);
        case("s + q in the place of s", &public, &message, &beyond, false);
        let mut zero = [0; 33];
        zero[0] = 5;
        case("a key of low order", &zero, &message, &steps.signature, false);
        let mut beyond = public;
        beyond[1..].copy_from_slice(&[0xFF; 32]);
        case("a key that is not canonical", &beyond, &message, &steps.signature, false);
        let twist = [&[5][..], &[2], &[0; 31]].concat();
        case("a key on the twist", &twist, &message, &steps.signature, false);
    }
    json!({ "signing": signing, "verifying": verifying })
}
