//! Tests that fingerprints and safety numbers equal those of libsignal.

use serde::Deserialize;

use super::*;

/// The output of libsignal for a pair of identities. The test `official` of `eko-cli` computes it
/// again and compares.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FingerprintVector {
    a: VectorEnd,
    b: VectorEnd,
    displayable: String,
    scannable_by_a: String,
    scannable_by_b: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VectorEnd {
    actor: String,
    device_set: DeviceSetRef,
    identity_key: IdentityKey,
}

fn vectors() -> Vec<FingerprintVector> {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/vectors/fingerprints.json")).unwrap();
    serde_json::from_value(vectors["pairs"].clone()).unwrap()
}

impl VectorEnd {
    fn end(&self) -> SafetyNumberEnd<'_> {
        SafetyNumberEnd { actor: &self.actor, set: &self.device_set, anchor: &self.identity_key }
    }
}

fn set(length: u64, head: &str) -> DeviceSetRef {
    DeviceSetRef::new(length, head.to_owned()).unwrap()
}

fn without_spaces(text: &str) -> String {
    text.split(' ').inspect(|group| assert_eq!(group.len(), 5)).collect()
}

#[test]
fn it_is_libsignals() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 5);
    for FingerprintVector { a, b, displayable, scannable_by_a, scannable_by_b } in vectors {
        let (at_a, at_b) = (SafetyNumber::new(a.end(), b.end()), SafetyNumber::new(b.end(), a.end()));
        assert_eq!(without_spaces(&at_a.digits), displayable);
        assert_eq!(without_spaces(&at_b.digits), displayable);
        assert_eq!(hex::encode(&at_a.scannable), scannable_by_a);
        assert_eq!(hex::encode(&at_b.scannable), scannable_by_b);
    }
}

#[test]
fn both_ends_match_and_nobody_else() {
    let vectors = vectors();
    let (alice, bob) = (vectors[0].a.end(), vectors[0].b.end());
    let at_alice = SafetyNumber::new(alice, bob);
    let at_bob = SafetyNumber::new(bob, alice);
    assert_eq!(at_alice.digits, at_bob.digits);
    assert!(at_alice.matches(&at_bob.scannable) && at_bob.matches(&at_alice.scannable));
    assert!(!at_alice.matches(&at_alice.scannable), "one's own code is not the other's");
    // Another key, another length and another head are another Alice.
    let (longer, forked) = (set(alice.set.length + 1, &alice.set.head), set(alice.set.length, &bob.set.head));
    let others = [
        SafetyNumberEnd { anchor: &vectors[1].a.identity_key, ..alice },
        SafetyNumberEnd { set: &longer, ..alice },
        SafetyNumberEnd { set: &forked, ..alice },
    ];
    for eve in others {
        let to_eve = SafetyNumber::new(bob, eve);
        assert_ne!(to_eve.digits, at_alice.digits);
        assert!(!at_alice.matches(&to_eve.scannable));
    }
    for at in 0..at_bob.scannable.len() {
        let mut changed = at_bob.scannable.clone();
        changed[at] ^= 1;
        assert!(!at_alice.matches(&changed), "byte {at}");
        assert!(!at_alice.matches(&at_bob.scannable[..at]));
    }
}
