//! The fingerprints of two users, and their safety number.

use eko_client::fingerprint::{SafetyNumber, SafetyNumberEnd};
use eko_protocol::key::IdentityKey;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::{hex, origin};
use crate::cast::{ALICE, BOB, DeviceRole};

/// The fingerprint as section 9 of the page says, in one word.
fn digits(stable_id: &str, key: &IdentityKey) -> String {
    let key = key.as_bytes();
    let first =
        Sha512::new().chain_update([0, 0]).chain_update(key).chain_update(stable_id).chain_update(key);
    let mut hash = first.finalize();
    for _ in 1..5200 {
        hash = Sha512::new().chain_update(hash).chain_update(key).finalize();
    }
    let number =
        |chunk: &[u8]| chunk.iter().fold(0_u64, |number, byte| (number << 8) + u64::from(*byte)) % 100_000;
    hash[..30].chunks(5).map(|chunk| format!("{:05}", number(chunk))).collect()
}

pub(super) fn vectors() -> Value {
    let user = |role: &DeviceRole| (origin().actor(&role.user()), role.identity().public());
    let ends = [user(&ALICE), user(&BOB)];
    let [alice, bob] = &ends;
    let number = SafetyNumber::new(
        SafetyNumberEnd { actor: &alice.0, identity: &alice.1 },
        SafetyNumberEnd { actor: &bob.0, identity: &bob.1 },
    );
    let other = SafetyNumber::new(
        SafetyNumberEnd { actor: &bob.0, identity: &bob.1 },
        SafetyNumberEnd { actor: &alice.0, identity: &alice.1 },
    );
    assert_eq!(number.digits, other.digits);
    assert!(number.matches(&other.scannable) && other.matches(&number.scannable));
    let mut halves = ends.each_ref().map(|(actor, key)| digits(actor, key));
    halves.sort();
    assert_eq!(number.digits.replace(' ', ""), halves.concat());
    let users = ends.each_ref().map(|(actor, key)| {
        json!({ "actor": actor, "identityKey": key.to_base64(), "fingerprint": digits(actor, key) })
    });
    json!({
        "users": users,
        "safetyNumber": number.digits,
        "scannableByFirst": hex(&number.scannable),
        "scannableBySecond": hex(&other.scannable),
    })
}
