use serde::Deserialize;

use super::*;

/// See `testdata/README.md`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    local: String,
    local_key: String,
    remote: String,
    remote_key: String,
    digits: String,
    scannable: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../testdata/fingerprints-libsignal.json")).unwrap()
}

fn key(text: &str) -> IdentityKey {
    IdentityKey::from_bytes(&hex::decode(text).unwrap()).unwrap()
}

fn without_spaces(text: &str) -> String {
    text.split(' ').inspect(|group| assert_eq!(group.len(), 5)).collect()
}

#[test]
fn it_is_libsignals() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let (local_key, remote_key) = (key(&vector.local_key), key(&vector.remote_key));
        let (local, remote) = ((vector.local.as_str(), &local_key), (vector.remote.as_str(), &remote_key));
        let number = SafetyNumber::new(local, remote);
        assert_eq!(without_spaces(&number.digits), vector.digits);
        assert_eq!(hex::encode(&number.scannable), vector.scannable);
        let mut halves = [fingerprint(local.0, local.1), fingerprint(remote.0, remote.1)];
        halves.sort();
        assert_eq!(halves.join(" "), number.digits);
    }
}

#[test]
fn both_ends_match_and_nobody_else() {
    let vectors = vectors();
    let (alice, bob) = (key(&vectors[0].local_key), key(&vectors[0].remote_key));
    let eve = key(&vectors[1].local_key);
    let (a, b) = ("https://a.example/user/alice", "https://b.example/user/bob");
    let at_alice = SafetyNumber::new((a, &alice), (b, &bob));
    let at_bob = SafetyNumber::new((b, &bob), (a, &alice));
    assert_eq!(at_alice.digits, at_bob.digits);
    assert!(at_alice.matches(&at_bob.scannable) && at_bob.matches(&at_alice.scannable));
    assert!(!at_alice.matches(&at_alice.scannable), "one's own code is not the other's");
    let to_eve = SafetyNumber::new((b, &bob), (a, &eve));
    assert_ne!(to_eve.digits, at_alice.digits);
    assert!(!at_alice.matches(&to_eve.scannable));
    for at in 0..at_bob.scannable.len() {
        let mut changed = at_bob.scannable.clone();
        changed[at] ^= 1;
        assert!(!at_alice.matches(&changed), "byte {at}");
        assert!(!at_alice.matches(&at_bob.scannable[..at]));
    }
}
