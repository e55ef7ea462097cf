//! Strategies of proptest for activities, and for the JSON that an attacker may send in their
//! place.

use eko_protocol::id::EnvelopeId;
use eko_protocol::key::Signature;
use proptest::collection::{btree_map, vec};
use proptest::option;

use super::*;
use crate::attachment::Attachment;

const LATEST_MS: i64 = 253_402_300_799_999;

fn any_urn() -> impl Strategy<Value = String> {
    (1u128..).prop_map(|bits| format!("urn:uuid:{}", uuid::Uuid::from_u128(bits)))
}

fn any_actor() -> impl Strategy<Value = String> {
    "https://[a-z]{1,8}\\.example/user/[a-z0-9_]{1,8}"
}

fn any_set() -> impl Strategy<Value = DeviceSetRef> {
    (1u64..1 << 53, "[0-9a-f]{64}").prop_map(|(length, head)| DeviceSetRef::new(length, head).unwrap())
}

pub(super) fn any_attachment() -> impl Strategy<Value = Attachment> {
    (vec(any::<u8>(), 0..100), "\\PC{1,20}", option::of("[a-z]{1,9}"), any::<u64>()).prop_map(
        |(bytes, name, path, seed)| {
            let sealed = attachment::seal(&bytes, &name, "image/png", &repeatable(seed)).unwrap();
            match path {
                Some(path) => sealed.at(&format!("https://files.example/{path}?signature=%2B1")).unwrap(),
                None => sealed.inline().unwrap(),
            }
        },
    )
}

fn any_content() -> impl Strategy<Value = ActivityContent> {
    let note =
        (any_urn(), any::<String>(), vec(any_attachment(), 0..3)).prop_map(|(id, text, attachments)| {
            ActivityContent::Note(Note { id: NoteId::parse(&id).unwrap(), text, attachments })
        });
    let read = any_urn().prop_map(|id| ActivityContent::Read(ActivityId::parse(&id).unwrap()));
    let typing = prop_oneof![Just(ActivityContent::Typing), Just(ActivityContent::TypingEnded)];
    let block = (any_actor(), any::<bool>()).prop_map(|(actor, is_undone)| {
        let party = BlockedParty::parse(&actor).unwrap();
        if is_undone { ActivityContent::Unblock(party) } else { ActivityContent::Block(party) }
    });
    let receipt = any_receipt().prop_map(ActivityContent::Receipt);
    let decision = (any_actor(), any::<bool>(), option::of(0..=LATEST_MS)).prop_map(
        |(actor, is_accepted, declined_ms)| Decision {
            actor,
            is_accepted: is_accepted || declined_ms.is_none(),
            declined_ms,
        },
    );
    let name = (1u128.., "\\PC{1,20}").prop_map(|(id, name)| DeviceName {
        device: format!("https://a.example/user/alice/device/{}", uuid::Uuid::from_u128(id)),
        name,
    });
    let decisions = (vec(decision, 1..4), vec(name, 0..3))
        .prop_map(|(people, device_names)| ActivityContent::Decisions(Decisions { people, device_names }));
    prop_oneof![note, read, typing, block, decisions, receipt]
}

fn any_receipt() -> impl Strategy<Value = Receipt> {
    let missing = (any_actor(), any_actor(), vec(1u64..1 << 53, 1..4))
        .prop_map(|(device, conversation, sequence)| MissingMessages { device, conversation, sequence });
    let unreadable = (any_actor(), any_urn())
        .prop_map(|(device, id)| UnreadableEnvelope { device, envelope: EnvelopeId::parse(&id).unwrap() });
    (vec(any_urn(), 1..4), vec(missing, 0..3), vec(unreadable, 0..3)).prop_map(
        |(received, missing, unreadable)| {
            let received = received.iter().map(|id| ActivityId::parse(id).unwrap()).collect();
            Receipt { received, missing, unreadable }
        },
    )
}

fn any_head() -> impl Strategy<Value = SignedHead> {
    (any_set(), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(set, one, other)| {
        let signature = [one, other].concat();
        SignedHead { set, signature: Signature::from_bytes(&signature).unwrap() }
    })
}

/// Generates a note, a read receipt, a block, decisions or a receipt, to somebody or to a group.
pub(super) fn any_activity() -> impl Strategy<Value = Activity> {
    let head = (any_urn(), any_actor(), any_actor(), 0..=LATEST_MS);
    let sets = (option::of(any_head()), option::of("[0-9a-f]{64}"), btree_map(any_actor(), any_set(), 0..3));
    let void = vec((1u64..1 << 53, 1u64..1 << 53), 0..3);
    let rest = (option::of(1u64..1 << 53), void, sets);
    let group = option::of((any_urn(), 1u64..=1 << 32, "[0-9a-f]{64}"));
    (head, rest, group, any_content()).prop_map(|((id, actor, to, published_ms), rest, group, content)| {
        let group =
            group.map(|(id, epoch, state)| GroupRef { id: GroupId::parse(&id).unwrap(), epoch, state });
        let to = group.as_ref().map_or(to, |group| group.id.to_string());
        let id = ActivityId::parse(&id).unwrap();
        let (sequence, void, (device_set, device_sets_hash, device_sets)) = rest;
        // Each range is before the number.
        let before = |(one, other): (u64, u64)| {
            let most = sequence.filter(|sequence| *sequence > 1)? - 1;
            let (one, other) = (1 + one % most, 1 + other % most);
            Some(NumberRange { first: one.min(other), last: one.max(other) })
        };
        let void = void.into_iter().filter_map(before).collect();
        Activity {
            id,
            actor,
            to,
            published_ms,
            sequence,
            void,
            device_set,
            device_sets_hash,
            device_sets,
            group,
            content,
        }
    })
}

/// Generates any JSON. The words of the protocol are more frequent than others.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        "(Create|Update|Read|Delivered|Join|Announce|Note|Document|GroupControl|GroupState|created|added|text/plain)",
        any_urn(),
        any_actor(),
        ".{0,12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let name = "(type|id|actor|to|published|object|content|eko:(group|epoch|mac|change|deviceSets?|deviceSetsHash|signature|missing|unreadable|sequence|void)|first|last|[a-z]{0,3})";
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(name, inner, 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Replaces the value at one place of a JSON document. `place` selects it.
pub(crate) fn replaced(mut value: Value, place: usize, other: Value) -> Value {
    let mut pointers = Vec::new();
    collect(&value, String::new(), &mut pointers);
    let pointer = &pointers[place % pointers.len()];
    *value.pointer_mut(pointer).unwrap() = other;
    value
}

fn collect(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, item)| collect(item, format!("{pointer}/{at}"), pointers));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            collect(member, format!("{pointer}/{name}"), pointers);
        }),
        _ => {}
    }
    pointers.push(pointer);
}
