//! Tests of the keys of a device.

use eko_protocol::key::{CurveKey, IdentityKey};
use eko_protocol::limits::MAX_REGISTRATION_ID;
use eko_protocol::xeddsa;
use ml_kem::kem::KeyExport;
use ml_kem::{DecapsulationKey1024, Seed};

use super::*;
use crate::content::tests::repeatable;

const FEW: KeyCounts = KeyCounts { pre_keys: 3, kyber_pre_keys: 2, last_resort: true };

fn ids<'a>(ids: impl Iterator<Item = &'a KeyId>) -> Vec<u32> {
    ids.map(|id| id.get()).collect()
}

#[test]
fn what_is_published_first_is_what_a_server_accepts() {
    let environment = Environment::system();
    let keys = DeviceKeys::generate(FEW, &environment).unwrap();
    let first = keys.first();
    assert_eq!(first.validate(&keys.identity().public()), Ok(()));
    assert_eq!(first.signed_pre_key.as_ref(), Some(keys.signed_pre_key()));
    assert_eq!(ids(first.pre_keys.iter().map(|key| &key.id)), [1, 2, 3]);
    assert_eq!(first.last_resort.as_ref().map(|key| key.id.get()), Some(1));
    assert_eq!(ids(first.kyber_pre_keys.iter().map(|key| &key.id)), [2, 3]);
    assert!((1..=MAX_REGISTRATION_ID).contains(&keys.registration_id().get()));
}

#[test]
fn signatures_are_the_identity_keys_and_have_sign_0() {
    let environment = Environment::system();
    for _ in 0..20 {
        let identity = IdentityPair::generate(&environment);
        let signature = identity.sign(b"message", &environment);
        assert!(xeddsa::verify(&identity.public(), b"message", &signature));
        assert!(!xeddsa::verify(&identity.public(), b"massage", &signature));
        assert_eq!(signature.as_bytes()[63] & 0x80, 0);
    }
}

#[test]
fn the_private_halves_belong_to_the_public_ones() {
    let environment = Environment::system();
    let keys = DeviceKeys::generate(FEW, &environment).unwrap();
    for key in &keys.first().pre_keys {
        let pair = keys.one_time_pair(key.id).unwrap();
        assert_eq!(CurveKey::of_secret(pair.secret()), key.key);
    }
    let signed = keys.signed_pre_key();
    assert_eq!(CurveKey::of_secret(keys.signed_pair(signed.id).unwrap().secret()), signed.key);
    assert_eq!(IdentityKey::of_secret(keys.identity().secret()), keys.identity().public());
    for key in keys.first().kyber_pre_keys.iter().chain(keys.last_resort()) {
        let seed = Seed::from(*keys.kyber_pair(key.id).unwrap().seed());
        let public = DecapsulationKey1024::from_seed(seed).encapsulation_key().to_bytes();
        assert_eq!(key.key.as_bytes()[0], 0x08);
        assert_eq!(key.key.as_bytes()[1..], public[..]);
        // An expanded ML-KEM private key holds the decryption key, the public key, its hash, and
        // `z` (FIPS 203).
        let expanded = keys.kyber_pair(key.id).unwrap().expanded();
        assert_eq!(expanded.len(), 3168);
        assert_eq!(expanded[1536..3104], public[..]);
        assert_eq!(expanded[3136..], keys.kyber_pair(key.id).unwrap().seed()[32..]);
    }
    assert!(keys.kyber_pair(KeyId::new(4).unwrap()).is_none());
}

#[test]
fn ids_grow_and_what_was_replaced_is_kept() {
    let environment = Environment::system();
    let mut keys = DeviceKeys::generate(FEW, &environment).unwrap();
    let old = keys.signed_pre_key().id;
    let more = keys.more(2, 1, &environment).unwrap();
    assert_eq!(ids(more.pre_keys.iter().map(|key| &key.id)), [4, 5]);
    assert_eq!(ids(more.kyber_pre_keys.iter().map(|key| &key.id)), [4]);
    assert!(more.signed_pre_key.is_none() && more.last_resort.is_none());
    let rotated = keys.rotate(&environment).unwrap();
    assert_eq!(rotated.signed_pre_key.as_ref().map(|key| key.id.get()), Some(2));
    assert_eq!(rotated.last_resort.as_ref().map(|key| key.id.get()), Some(5));
    assert_eq!(rotated.validate(&keys.identity().public()), Ok(()));
    assert!(keys.signed_pair(old).is_some());
}

#[test]
fn without_kyber_keys_it_is_the_legacy_profile() {
    let counts = KeyCounts { pre_keys: 1, kyber_pre_keys: 0, last_resort: false };
    let mut keys = DeviceKeys::generate(counts, &Environment::system()).unwrap();
    assert!(keys.first().last_resort.is_none() && keys.last_resort().is_none());
    assert!(keys.rotate(&Environment::system()).unwrap().last_resort.is_none());
}

#[test]
fn everything_comes_from_the_random_source_it_is_given() {
    let generate = || DeviceKeys::generate(FEW, &repeatable(1)).unwrap();
    assert_eq!(generate().first(), generate().first());
    assert_ne!(generate().first(), DeviceKeys::generate(FEW, &Environment::system()).unwrap().first());
}
