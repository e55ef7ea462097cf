//! Tests of sealed group records: what opens them, what they commit to, and which key seals the next.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::content::tests::repeatable;
use crate::group::tests::{device_of, signing};
use crate::group::{GroupChange, GroupControl, GroupState, KnownGroup};

const ALICE: &str = "https://a.example/user/alice";
const BOB: &str = "https://b.example/user/bob";
const PLACE: SealedPlace<'_> = SealedPlace { address: "https://a.example/user/alice/groupState/1", epoch: 3 };

/// Returns a record of Alice's group with some members of long names.
fn record(members: usize) -> GroupRecord {
    let environment = repeatable(7);
    let members = (0..members).map(|n| format!("https://b.example/user/{n:0>200}"));
    let state = GroupState::create("Choir", members, ALICE, &environment).unwrap();
    let control =
        signing(ALICE, &environment, |signer| GroupControl::seal(GroupChange::Created, None, &state, signer));
    let control = control.unwrap();
    let by = device_of(ALICE);
    let untold = BTreeSet::from([BOB.to_owned()]);
    GroupRecord { known: KnownGroup::created(state, &by), control, by, published_ms: 1_234, untold }
}

/// Returns a key that was made when the chain had this length, alone and with another one.
fn keys(length: u64) -> (StateKey, StateKeys) {
    let (key, mut keys) = (StateKey::generate(length, &repeatable(length)), StateKeys::default());
    keys.add(key.clone()).unwrap();
    keys.add(StateKey::generate(1, &repeatable(99))).unwrap();
    (key, keys)
}

#[test]
fn what_is_sealed_opens_in_its_place_only() {
    let (key, keys) = keys(1);
    let record = record(3);
    let sealed = seal(&record, PLACE, &key, &repeatable(1)).unwrap();
    assert_eq!(sealed.len(), RECORD_LENGTHS[1] + 45);
    assert_eq!(open(&sealed, PLACE, &keys), Ok(record.clone()));
    // Two records that are alike look different.
    assert_ne!(sealed, seal(&record, PLACE, &key, &repeatable(2)).unwrap());
    for place in [
        SealedPlace { epoch: 4, ..PLACE },
        SealedPlace { address: "https://a.example/user/alice/groupState/2", ..PLACE },
        SealedPlace { address: "https://b.example/user/alice/groupState/1", ..PLACE },
    ] {
        assert_eq!(open(&sealed, place, &keys), Err(OpenError::Forged), "{place:?}");
    }
    let mut others = StateKeys::default();
    others.add(StateKey::generate(1, &repeatable(98))).unwrap();
    assert_eq!(open(&sealed, PLACE, &others), Err(OpenError::UnknownKey));
    for at in [0, 1, 17, 29, 500, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(open(&changed, PLACE, &keys).is_err(), "{at}");
    }
    for length in [0, 1, 17, 29, 45, sealed.len() - 1] {
        assert!(open(&sealed[..length], PLACE, &keys).is_err(), "{length}");
    }
}

/// The length says the size of a group in coarse steps only, and a write of it is a whole number of
/// kilobytes.
#[test]
fn lengths_are_few() {
    let (key, keys) = keys(1);
    let mut lengths = BTreeSet::new();
    for members in [1, 2, 3, 60, 61, 150] {
        let sealed = seal(&record(members), PLACE, &key, &repeatable(1)).unwrap();
        assert_eq!(open(&sealed, PLACE, &keys).unwrap().known.current.members().len(), members + 1);
        lengths.insert(sealed.len() - 45);
    }
    assert!(lengths.is_subset(&RECORD_LENGTHS.into()), "{lengths:?}");
    assert_eq!(lengths.len(), 3, "{lengths:?}");
    const { assert!(MAX_RECORD + 45 <= eko_protocol::limits::MAX_GROUP_STATE_BYTES) };
}

#[test]
fn the_newest_key_seals_if_no_device_was_revoked_since() {
    let (key, keys) = keys(5);
    for length in [0, 4, 5] {
        assert_eq!(keys.newest(length), Some(&key), "{length}");
    }
    assert_eq!(keys.newest(6), None);
    assert_eq!(StateKeys::default().newest(0), None);
}

#[test]
fn keys_are_bounded_and_say_nothing_of_what_is_to_come() {
    let (_, mut kept) = keys(5);
    let mut others = StateKeys::default();
    for length in 1..=MOST_STATE_KEYS as u64 + 3 {
        others.add(StateKey::generate(length, &repeatable(100 + length))).unwrap();
    }
    let read = StateKeys::parse(&json!({ "object": others.to_value() })).unwrap();
    assert_eq!(read, others);
    assert_eq!(others.to_value().as_array().unwrap().len(), MOST_STATE_KEYS);
    // The chain has ten nodes. No key can have been made later, and none counts after a revocation.
    others.add(StateKey::generate(1 << 50, &repeatable(98))).unwrap();
    assert_eq!(kept.merge(&others, 10), Ok(true));
    assert_eq!(kept.newest(0).unwrap().length, 10);
    assert_eq!((kept.newest(11), kept.since(11)), (None, StateKeys::default()));
    assert_eq!(kept.since(0), kept);
    assert_eq!(kept.merge(&others, 10), Ok(false));
    for object in [json!([]), json!([{}]), json!([{ "key": "AA==", "length": 1 }]), json!(null)] {
        assert!(StateKeys::parse(&json!({ "object": object })).is_err(), "{object}");
    }
}

/// Nothing but a group's nonce and the user makes the id, so a server cannot compare two users' ids.
#[test]
fn each_user_has_another_id_for_a_group() {
    let state = record(1).known.current;
    assert_eq!(key_of(&state, ALICE), key_of(&state, ALICE));
    assert_ne!(key_of(&state, ALICE), key_of(&state, BOB));
    assert!(!state.id().as_str().ends_with(key_of(&state, ALICE).as_str()));
}

#[test]
fn a_record_of_another_state_is_refused() {
    let mut value = record(1).to_value();
    value["known"]["current"] = record(2).known.current.to_value();
    assert_eq!(GroupRecord::parse(&value).unwrap_err().pointer, "/known/current");
    for name in ["attributedTo", "published", "control", "known", "untold"] {
        let mut value = record(1).to_value();
        value.as_object_mut().unwrap().remove(name);
        assert!(GroupRecord::parse(&value).unwrap_err().pointer.starts_with(&format!("/{name}")), "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_opened_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(open(&bytes, PLACE, &keys(1).1).is_err());
    }
}
