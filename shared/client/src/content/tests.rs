//! Tests that activities are written as the protocol says, and that everything that is read is
//! checked.

mod any;
mod moving;
mod refused;

use std::sync::{Arc, Mutex};

use eko_protocol::limits::MAX_CONTENT_BYTES;
use eko_protocol::vocabulary::content_context;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Environment;
use crate::attachment;
use crate::group::tests::signing;
use crate::group::{GroupChange, GroupState};
use any::any_activity;
pub(crate) use any::{any_json, replaced};

const ALICE: &str = "https://a.example/user/alice";
const BOB: &str = "https://b.example/user/bob";
const URN: &str = "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11";
const OTHER_URN: &str = "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a12";

/// Returns an environment whose clock stands still, and whose random bytes follow from the seed.
pub(crate) fn repeatable(seed: u64) -> Environment {
    let drawn = Mutex::new(seed);
    let random = move |bytes: &mut [u8]| {
        let mut drawn = drawn.lock().unwrap();
        for byte in bytes {
            *drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = drawn.to_le_bytes()[7];
        }
    };
    Environment { clock: Arc::new(|| 1_769_715_000_000), random: Arc::new(random) }
}

fn activity(content: ActivityContent) -> Activity {
    let head = "ab".repeat(32);
    Activity {
        id: ActivityId::parse(URN).unwrap(),
        actor: ALICE.to_owned(),
        to: BOB.to_owned(),
        published_ms: 1_769_715_000_007,
        sequence: Some(17),
        void: Vec::new(),
        device_set: None,
        device_sets_hash: None,
        device_sets: BTreeMap::from([(BOB.to_owned(), DeviceSetRef::new(2, head).unwrap())]),
        group: None,
        content,
    }
}

fn note(text: &str) -> Note {
    Note { id: NoteId::parse(OTHER_URN).unwrap(), text: text.to_owned(), attachments: Vec::new() }
}

fn json_of(activity: &Activity) -> Value {
    serde_json::from_slice(unpad(&activity.to_plaintext().unwrap()).unwrap()).unwrap()
}

/// Returns the plaintext that holds this JSON.
fn plaintext(value: &Value) -> Vec<u8> {
    pad(value.to_string().as_bytes()).unwrap()
}

fn control() -> GroupControl {
    let environment = repeatable(1);
    let state = GroupState::create("Choir", [BOB.to_owned()], ALICE, &environment).unwrap();
    signing(ALICE, &environment, |signer| GroupControl::seal(GroupChange::Created, None, &state, signer))
        .unwrap()
}

#[test]
fn a_note_is_what_the_contract_says() {
    let mut said = activity(ActivityContent::Note(note("Hello")));
    let expected = json!({
        "@context": content_context(), "type": "Create", "id": URN, "actor": ALICE,
        "to": [BOB], "published": "2026-01-29T19:30:00.007Z", "eko:sequence": 17,
        "eko:deviceSets": { BOB: { "length": 2, "head": "ab".repeat(32) } },
        "object": { "type": "Note", "id": OTHER_URN, "content": "Hello", "mediaType": "text/plain" },
    });
    assert_eq!(json_of(&said), expected);
    let group = GroupId::parse(OTHER_URN).unwrap();
    said.to = OTHER_URN.to_owned();
    said.group = Some(GroupRef { id: group, epoch: 3, state: "cd".repeat(32) });
    let value = json_of(&said);
    assert_eq!(value["eko:group"], json!({ "id": OTHER_URN, "epoch": 3, "state": "cd".repeat(32) }));
    assert_eq!(value["to"], json!([OTHER_URN]));
}

/// A server that sees the lengths of ciphertexts cannot tell who talks to one person, and who to a
/// group.
#[test]
fn the_length_tells_no_group_from_a_person() {
    let head = DeviceSetRef::new(2, "ab".repeat(32)).unwrap();
    let signature = eko_protocol::key::Signature::from_bytes(&[7; 64]).unwrap();
    for text in ["", "Hello", &"long ".repeat(20)] {
        let mut said = activity(ActivityContent::Note(note(text)));
        said.device_sets = BTreeMap::new();
        said.device_set = Some(SignedHead { set: head.clone(), signature });
        said.device_sets_hash = Some("cd".repeat(32));
        assert_eq!(said.to_plaintext().unwrap().len(), PADDED_LENGTHS[0], "{text}");
        said.to = OTHER_URN.to_owned();
        let group = GroupId::parse(OTHER_URN).unwrap();
        said.group = Some(GroupRef { id: group, epoch: 1 << 32, state: "ef".repeat(32) });
        assert_eq!(said.to_plaintext().unwrap().len(), PADDED_LENGTHS[0], "{text}");
    }
}

#[test]
fn a_read_is_what_the_contract_says() {
    let mut read = activity(ActivityContent::Read(ActivityId::parse(OTHER_URN).unwrap()));
    (read.sequence, read.device_sets) = (None, BTreeMap::new());
    let expected = json!({
        "@context": content_context(), "type": "Read", "id": URN, "actor": ALICE,
        "to": [BOB], "published": "2026-01-29T19:30:00.007Z", "object": OTHER_URN,
    });
    assert_eq!(json_of(&read), expected);
}

#[test]
fn a_control_arrives_as_it_was_sealed() {
    let control = control();
    let activity = Activity::of_control(&control);
    assert_eq!((activity.actor.as_str(), activity.id.as_str()), (ALICE, control.id().as_str()));
    let read = Activity::from_plaintext(&activity.to_plaintext().unwrap()).unwrap();
    assert_eq!(read, activity);
    let ActivityContent::Control(read) = read.content else { panic!("{read:?}") };
    assert!(read.is_under(control.state().master_key()));
    // An activity that carries a control may have no members but those that were sealed.
    let beside = Activity { sequence: Some(1), ..activity };
    assert!(beside.to_plaintext().is_err());
}

#[test]
fn what_is_not_known_is_ignored_or_kept() {
    let said = activity(ActivityContent::Note(note("Hello")));
    let mut value = json_of(&said);
    value["eko:later"] = json!({ "a": [1] });
    value["object"]["summary"] = json!(7);
    value["to"] = json!(BOB);
    value["type"] = json!(["Activity", "Create"]);
    assert_eq!(Activity::from_plaintext(&plaintext(&value)), Ok(said));
    for (pointer, other) in
        [("/type", json!("Wave")), ("/object/type", json!("Video")), ("/object", Value::Null)]
    {
        let mut value = value.clone();
        *value.pointer_mut(pointer).unwrap() = other;
        let read = Activity::from_plaintext(&plaintext(&value)).unwrap();
        assert_eq!(read.content, ActivityContent::Other(value));
        assert_eq!(Activity::from_plaintext(&read.to_plaintext().unwrap()), Ok(read));
    }
}

#[test]
fn the_longest_leaves_room_for_signal() {
    assert_eq!(MAX_CONTENT_BYTES - MAX_PLAINTEXT, 4224);
    let empty = json_of(&activity(ActivityContent::Note(note("")))).to_string().len();
    let longest = activity(ActivityContent::Note(note(&"x".repeat(MAX_PLAINTEXT - 1 - empty))));
    let padded = longest.to_plaintext().unwrap();
    assert_eq!(padded.len(), MAX_PLAINTEXT);
    assert_eq!(Activity::from_plaintext(&padded), Ok(longest));
    let longer = activity(ActivityContent::Note(note(&"x".repeat(MAX_PLAINTEXT - empty))));
    assert!(longer.to_plaintext().is_err());
}

#[test]
fn the_longest_file_fits_beside_a_text() {
    let file = vec![7; attachment::INLINE_MAX - attachment::OVERHEAD];
    let sealed = attachment::seal(&file, "a.png", "image/png", &repeatable(1)).unwrap();
    let mut long = note(&"x".repeat(26 * 1024));
    long.attachments.push(sealed.inline().unwrap());
    assert!(activity(ActivityContent::Note(long)).to_plaintext().is_ok());
}

proptest! {
    #[test]
    fn round_trip(activity in any_activity()) {
        let padded = activity.to_plaintext().unwrap();
        prop_assert!(PADDED_LENGTHS.contains(&padded.len()));
        prop_assert_eq!(Activity::from_plaintext(&padded), Ok(activity));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Activity::from_plaintext(&bytes);
        let _ = Activity::from_plaintext(&pad(&bytes).unwrap());
    }

    #[test]
    fn any_json_is_read_without_panic(value in any_json()) {
        prop_assert!(Activity::from_plaintext(&plaintext(&value)).is_err());
    }

    /// Whatever is accepted can be sent on, and reads the same again.
    #[test]
    fn one_other_member_is_refused_or_read_for_good(
        activity in any_activity(),
        is_control in any::<bool>(),
        place in any::<usize>(),
        other in any_json(),
    ) {
        let activity = if is_control { Activity::of_control(&control()) } else { activity };
        let value = replaced(json_of(&activity), place, other);
        if let Ok(read) = Activity::from_plaintext(&plaintext(&value)) {
            prop_assert_eq!(Activity::from_plaintext(&read.to_plaintext().unwrap()), Ok(read));
        }
    }
}

/// The hash of the device sets stands for any number of members.
#[test]
fn the_size_does_not_tell_the_number_of_members() {
    let environment = repeatable(1);
    let identity = crate::keys::IdentityPair::generate(&environment);
    let sizes = [2, 3, 10, 50, 256].map(|members: u64| {
        let set = |length| DeviceSetRef::new(length, "ab".repeat(32)).unwrap();
        let actor = |n: u64| format!("https://chat.example.org/user/member{n}");
        let sets: BTreeMap<_, _> = (0..members).map(|n| (actor(n), set(n + 1))).collect();
        let statement =
            HeadStatement { actor: &actor(0), device: &actor(0), published_ms: 1_769_715_000_007 };
        let group = GroupRef { id: GroupId::parse(URN).unwrap(), epoch: members, state: "cd".repeat(32) };
        let group = (members > 2).then_some(group);
        let note = Note { id: NoteId::parse(URN).unwrap(), text: "well".to_owned(), attachments: Vec::new() };
        let activity = Activity {
            id: ActivityId::parse(URN).unwrap(),
            actor: actor(0),
            to: group.as_ref().map_or_else(|| actor(1), |group| group.id.to_string()),
            published_ms: statement.published_ms,
            sequence: Some(1_000),
            void: Vec::new(),
            device_set: Some(statement.sign(set(3), &identity, &environment).unwrap()),
            device_sets_hash: Some(device_sets_hash(&sets).unwrap()),
            device_sets: BTreeMap::new(),
            group,
            content: ActivityContent::Note(note),
        };
        activity.to_plaintext().unwrap().len()
    });
    assert_eq!(sizes, [1_536; 5]);
}
