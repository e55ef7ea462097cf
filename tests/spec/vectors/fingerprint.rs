//! The fingerprints of two users, and their safety number.

use eko_client::fingerprint::{SafetyNumber, SafetyNumberEnd};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::key::IdentityKey;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::{hex, origin, sha256};
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

/// One of the two users, with a chain of a given length.
struct User {
    actor: String,
    set: DeviceSetRef,
    anchor: IdentityKey,
}

impl User {
    fn of(role: &DeviceRole, length: u64) -> Self {
        let actor = origin().actor(&role.user());
        let set = DeviceSetRef::new(length, sha256(&actor)).unwrap();
        Self { actor, set, anchor: role.identity().public() }
    }

    fn end(&self) -> SafetyNumberEnd<'_> {
        SafetyNumberEnd { actor: &self.actor, set: &self.set, anchor: &self.anchor }
    }

    fn stable_id(&self) -> String {
        [&self.actor, &self.set.length.to_string(), &self.set.head].map(String::as_str).join("\n")
    }

    fn fingerprint(&self) -> String {
        digits(&self.stable_id(), &self.anchor)
    }
}

pub(super) fn vectors() -> Value {
    let users = [User::of(&ALICE, 3), User::of(&BOB, 1)];
    let [alice, bob] = users.each_ref().map(User::end);
    let (number, other) = (SafetyNumber::new(alice, bob), SafetyNumber::new(bob, alice));
    assert_eq!(number.digits, other.digits);
    assert!(number.matches(&other.scannable) && other.matches(&number.scannable));
    let mut halves = users.each_ref().map(User::fingerprint);
    halves.sort();
    assert_eq!(number.digits.replace(' ', ""), halves.concat());
    let users = users.each_ref().map(|user| {
        json!({
            "actor": user.actor, "deviceSet": user.set, "anchorKey": user.anchor.to_base64(),
            "stableId": user.stable_id(), "fingerprint": user.fingerprint(),
        })
    });
    json!({
        "users": users,
        "safetyNumber": number.digits,
        "scannableByFirst": hex(&number.scannable),
        "scannableBySecond": hex(&other.scannable),
    })
}
