//! Published keys: members, shapes and rules.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::key::Signature;
use crate::signer::{Signer, kyber};

fn id(n: u64) -> KeyId {
    KeyId::new(n).unwrap()
}

fn one_time(n: u64) -> OneTimePreKey {
    OneTimePreKey { id: id(n), key: Signer::new(n).curve() }
}

fn signed_kyber(signer: &Signer, n: u64) -> KyberPreKey {
    let key = kyber(n.to_le_bytes()[0]);
    let signature = signer.sign(key.as_bytes());
    KyberPreKey { id: id(n), key, signature }
}

fn keys(signer: &Signer) -> PublishedKeys {
    let key = Signer::new(99).curve();
    PublishedKeys {
        signed_pre_key: Some(SignedPreKey { id: id(1), key, signature: signer.sign(key.as_bytes()) }),
        last_resort: Some(signed_kyber(signer, 7)),
        pre_keys: vec![one_time(1003), one_time(1001), one_time(1002)],
        kyber_pre_keys: vec![signed_kyber(signer, 2002), signed_kyber(signer, 2001)],
    }
}

#[test]
fn the_members_of_section_10() {
    let signer = Signer::new(1);
    let keys = keys(&signer);
    let value = json!({
        "username": "alice",
        "signedPreKey": keys.signed_pre_key, "lastResortKyberPreKey": keys.last_resort,
        "preKeys": keys.pre_keys, "kyberPreKeys": keys.kyber_pre_keys,
    });
    assert_eq!(PublishedKeys::parse(&value), Ok(keys.clone()));
    assert_eq!(keys.validate(&signer.identity()), Ok(()));
    let sorted = keys.sorted();
    assert_eq!(sorted.pre_keys.iter().map(|key| key.id.get()).collect::<Vec<_>>(), [1001, 1002, 1003]);
    assert_eq!(sorted.kyber_pre_keys.iter().map(|key| key.id.get()).collect::<Vec<_>>(), [2001, 2002]);
    assert!(PublishedKeys::parse(&json!({})).unwrap().is_empty());
}

#[test]
fn shapes_are_refused_where_they_stand() {
    let good = serde_json::to_value(one_time(1)).unwrap();
    for (value, pointer) in [
        (json!({"preKeys": [good, {"keyId": -1, "key": good["key"]}]}), "/preKeys/1/keyId"),
        (json!({"preKeys": [good, {"keyId": 1, "key": "AAAA"}]}), "/preKeys/1/key"),
        (json!({"preKeys": [[1, good["key"]]]}), "/preKeys/0"),
        (json!({"preKeys": good}), "/preKeys"),
        (json!({"preKeys": null}), "/preKeys"),
        (json!({"signedPreKey": good}), "/signedPreKey/signature"),
        (
            json!({"lastResortKyberPreKey": {"keyId": 1, "key": good["key"], "signature": ""}}),
            "/lastResortKyberPreKey/key",
        ),
        (json!([]), ""),
    ] {
        assert_eq!(PublishedKeys::parse(&value).unwrap_err().pointer, pointer, "{value}");
    }
}

#[test]
fn rules_are_broken_where_they_stand() {
    let signer = Signer::new(1);
    let other = Signer::new(2);
    type KeyChange = fn(&mut PublishedKeys, &Signer);
    let cases: [(KeyChange, &str); 9] = [
        (|keys, _| keys.pre_keys.push(one_time(1001)), "/preKeys/3/keyId"),
        (|keys, _| keys.kyber_pre_keys.push(keys.kyber_pre_keys[0].clone()), "/kyberPreKeys/2/keyId"),
        (|keys, _| keys.kyber_pre_keys.insert(0, keys.last_resort.clone().unwrap()), "/kyberPreKeys/0/keyId"),
        (|keys, _| keys.pre_keys = (0..101).map(one_time).collect(), "/preKeys"),
        (|keys, _| keys.kyber_pre_keys = vec![keys.kyber_pre_keys[0].clone(); 101], "/kyberPreKeys"),
        (|keys, other| keys.kyber_pre_keys[1] = signed_kyber(other, 2001), "/kyberPreKeys/1/signature"),
        (|keys, other| keys.last_resort = Some(signed_kyber(other, 7)), "/lastResortKyberPreKey/signature"),
        (|keys, _| keys.last_resort.as_mut().unwrap().key = kyber(200), "/lastResortKyberPreKey/signature"),
        (
            |keys, _| {
                keys.signed_pre_key.as_mut().unwrap().signature = Signature::from_bytes(&[0; 64]).unwrap()
            },
            "/signedPreKey/signature",
        ),
    ];
    for (change, pointer) in cases {
        let mut keys = keys(&signer);
        change(&mut keys, &other);
        assert_eq!(keys.validate(&signer.identity()).unwrap_err().pointer, pointer);
    }
    let full = PublishedKeys { pre_keys: (0..100).map(one_time).collect(), ..PublishedKeys::default() };
    assert_eq!(full.validate(&signer.identity()), Ok(()));
}

#[test]
fn ids_jump_no_further_than_they_may() {
    for (ids, highest, due) in [
        (vec![0, 1, 4000], None, Ok(())),
        (vec![1, 4001], None, Err("/1/keyId")),
        (vec![4007, 8], Some(7), Ok(())),
        (vec![4008, 8], Some(7), Err("/0/keyId")),
        (vec![0x7FFF_FFFF], Some(0x7FFF_FFFF), Ok(())),
        (vec![0x7FFF_FFFF], Some(0x7FFF_FFFF - 4000), Ok(())),
        (vec![0x7FFF_FFFF], Some(0x7FFF_FFFF - 4001), Err("/0/keyId")),
    ] {
        let checked = check_jump(ids.iter().copied().map(id), highest.map(id));
        assert_eq!(checked.map_err(|fault| fault.pointer), due.map_err(str::to_owned), "{ids:?}");
    }
    let mut keys = keys(&Signer::new(1));
    assert_eq!(keys.check_first_ids(), Ok(()));
    keys.kyber_pre_keys[1].id = id(4001);
    assert_eq!(keys.check_first_ids().unwrap_err().pointer, "/kyberPreKeys/1/keyId");
    keys.pre_keys[0].id = id(4001);
    assert_eq!(keys.check_first_ids().unwrap_err().pointer, "/preKeys/0/keyId");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn round_trip(seed in any::<u64>()) {
        let keys = keys(&Signer::new(seed));
        prop_assert_eq!(PublishedKeys::parse(&serde_json::to_value(&keys).unwrap()), Ok(keys));
    }
}
