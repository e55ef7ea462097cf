//! A group record: sealed under a key and a nonce that are given.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eko_client::Environment;
use eko_client::group::{GroupChange, GroupControl, GroupState, KnownGroup};
use eko_client::sealed::{GroupRecord, RECORD_LENGTHS, SealedPlace, StateKey, StateKeys, key_of, open, seal};
use serde_json::{Value, json};

use super::{hex, hkdf, hmac};
use crate::cast::{environment, signing, stopped};

const ALICE: &str = "https://eko.example/user/alice";
const BOB: &str = "https://b.example/user/bob";

pub(super) fn vectors() -> Value {
    let seeds = environment("group state", stopped());
    let state = GroupState::create("Choir", [BOB.to_owned()], ALICE, &seeds).unwrap();
    let control = signing(ALICE, &seeds, |signer| {
        GroupControl::seal(GroupChange::Created, None, &state, signer).unwrap()
    });
    let (by, published_ms) = (control.device().to_owned(), control.published_ms());
    let known = KnownGroup::created(state.clone(), &by);
    let record = GroupRecord { by, published_ms, control, known, untold: BTreeSet::from([BOB.to_owned()]) };

    let (secret, nonce): ([u8; 32], [u8; 12]) = (seeds.bytes(), seeds.bytes());
    let drawn = AtomicUsize::new(0);
    // The key is drawn first, and then the nonce.
    let given = Environment {
        clock: stopped(),
        random: Arc::new(move |bytes: &mut [u8]| match drawn.fetch_add(1, Ordering::Relaxed) {
            0 => bytes.copy_from_slice(&secret),
            1 => bytes.copy_from_slice(&nonce),
            _ => panic!("a third draw"),
        }),
    };
    let key = StateKey::generate(1, &given);
    let id = key_of(&state, ALICE);
    let address = format!("{ALICE}/groupState/{id}");
    let place = SealedPlace { address: &address, epoch: 7 };
    let sealed = seal(&record, place, &key, &given).unwrap();
    let mut keys = StateKeys::default();
    keys.add(key).unwrap();
    assert_eq!(open(&sealed, place, &keys).unwrap(), record);

    let key_id = &hkdf(&secret, "eko-group-state-v1 id")[..16];
    let seal_key = hkdf(&secret, &format!("eko-group-state-v1 seal\0{address}"));
    assert_eq!(sealed[..1], [1]);
    assert_eq!(sealed[1..17], *key_id);
    assert_eq!(sealed[17..29], nonce);
    let padded = sealed.len() - 45;
    assert!(RECORD_LENGTHS.contains(&padded));
    let additional = [format!("eko-group-state-v1\0{address}\0").as_bytes(), &7_u64.to_be_bytes()].concat();
    let origin = state.parts().origin.nonce;
    let mut mac = hmac(&origin, format!("eko-group-state-id-v1\0{ALICE}").as_bytes());
    (mac[6], mac[8]) = (mac[6] & 0x0F | 0x80, mac[8] & 0x3F | 0x80);
    assert_eq!(hex(&mac[..16]), id.as_str().replace('-', ""));
    json!({
        "record": record.to_value(),
        "key": hex(secret),
        "keys": keys.to_value(),
        "keyId": hex(key_id),
        "groupNonce": hex(origin),
        "actor": ALICE,
        "address": address,
        "epoch": 7,
        "sealKey": hex(seal_key),
        "additionalData": hex(additional),
        "nonce": hex(nonce),
        "paddedLength": padded,
        "sealed": hex(&sealed),
    })
}
