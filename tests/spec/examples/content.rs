//! Section 9: what clients encrypt.

use std::collections::{BTreeMap, BTreeSet};

use eko_client::attachment;
use eko_client::content::{
    Activity, ActivityContent, ActivityId, Decision, Decisions, DeviceName, GroupRef, HeadStatement,
    MissingMessages, MoveEvidence, Note, NoteId, Receipt, device_sets_hash, unpad,
};
use eko_client::group::{GroupChange, GroupControl, GroupState, Proposal, propose};
use eko_client::keys::IdentityPair;
use eko_client::sealed::{StateKey, StateKeys};
use eko_protocol::address::Origin;
use eko_protocol::block::BlockedParty;
use eko_protocol::chain::{ChainNode, ChainPosition, MoveTarget, NextNode, UnsignedNode};
use eko_protocol::device_set::DeviceSetRef;
use eko_testkit::START_MS;
use serde_json::Value;

use super::Examples;
use crate::cast::{ALINA, environment, signing, stopped};

const ALICE: &str = "https://eko.example/user/alice";
/// The address of Alice's phone.
const PHONE: &str = "https://eko.example/user/alice/device/a11ce001-5c1b-4e9a-9d2f-6b7c1a2e3d40";
const BOB: &str = "https://b.example/user/bob";
const CAROL: &str = "https://eko.example/user/carol";

/// Returns the activity as it is encrypted, without its padding.
fn plain(activity: &Activity) -> Value {
    serde_json::from_slice(unpad(&activity.to_plaintext().unwrap()).unwrap()).unwrap()
}

fn note(text: &str) -> Note {
    let id = NoteId::parse("urn:uuid:4f9a1d52-3b1e-4c55-8a4e-0d7a6f3b2c01").unwrap();
    Note { id, text: text.to_owned(), attachments: Vec::new() }
}

/// Returns an activity of Alice's phone, with its signed head and the hash of both device sets.
fn said(number: u8, to: &str, content: ActivityContent) -> Activity {
    let set = |length| DeviceSetRef::new(length, "0a".repeat(32)).unwrap();
    let sets = BTreeMap::from([(ALICE.to_owned(), set(2)), (BOB.to_owned(), set(1))]);
    let environment = environment("content heads", stopped());
    let phone = IdentityPair::from_secret(environment.bytes());
    let statement = HeadStatement { actor: ALICE, device: PHONE, published_ms: START_MS + 7 };
    Activity {
        id: ActivityId::parse(&format!("urn:uuid:1d2c3b4a-5f6e-4d7c-8b9a-0a1b2c3d4e{number:02}")).unwrap(),
        actor: ALICE.to_owned(),
        to: to.to_owned(),
        published_ms: START_MS + 7,
        sequence: None,
        void: Vec::new(),
        device_set: Some(statement.sign(set(2), &phone, &environment).unwrap()),
        device_sets_hash: Some(device_sets_hash(&sets).unwrap()),
        device_sets: BTreeMap::new(),
        group: None,
        content,
    }
}

/// Returns the evidence of Alice's move from the account `alina`: its chain of two nodes.
fn moved() -> MoveEvidence {
    let (origin, old) = (Origin::parse("https://eko.example").unwrap(), ALINA.user());
    let device = ALINA.new_device(&origin);
    let sign = |node: UnsignedNode, what: &str| {
        let signature = ALINA.sign(&node.signing_bytes().unwrap(), what);
        ChainNode::parse(&node.finish(&ALINA.device_id(), &signature)).unwrap()
    };
    let begin = NextNode::new(&origin, &old, &ChainPosition::default(), START_MS).begin(&device);
    let first = sign(begin, "first node");
    let target = MoveTarget { actor: ALICE.to_owned(), root: "0a".repeat(32) };
    let position = first.position();
    let leave = NextNode::new(&origin, &old, &position, START_MS).move_to(&device.id, &target);
    MoveEvidence::of(&[first, sign(leave, "move")]).unwrap()
}

pub(super) fn play(examples: &mut Examples) {
    let environment = environment("content", stopped());
    let mut hello = said(1, BOB, ActivityContent::Note(note("Hello Bob")));
    hello.sequence = Some(17);
    examples.document("note", &plain(&hello));
    let read = said(2, BOB, ActivityContent::Read(hello.id.clone()));
    examples.document("read", &plain(&read));
    examples.document("typing", &plain(&said(7, BOB, ActivityContent::Typing)));
    examples.document("typing ended", &plain(&said(8, BOB, ActivityContent::TypingEnded)));
    let mallory = BlockedParty::parse("https://b.example/user/mallory").unwrap();
    let block = said(9, ALICE, ActivityContent::Block(mallory.clone()));
    examples.document("block between devices", &plain(&block));
    let unblock = said(10, ALICE, ActivityContent::Unblock(mallory));
    examples.document("unblock between devices", &plain(&unblock));
    let people = vec![
        Decision { actor: BOB.to_owned(), is_accepted: true, declined_ms: None },
        Decision { actor: CAROL.to_owned(), is_accepted: false, declined_ms: Some(START_MS + 5) },
    ];
    let device_names = vec![DeviceName { device: PHONE.to_owned(), name: "Phone".to_owned() }];
    let decisions = Decisions { people, device_names };
    examples.document(
        "decisions between devices",
        &plain(&said(11, ALICE, ActivityContent::Decisions(decisions))),
    );
    examples.document("move", &plain(&said(12, BOB, ActivityContent::Move(moved()))));
    examples.document(
        "leave",
        &plain(&said(13, BOB, ActivityContent::Leave("https://eko.example/user/aline".to_owned()))),
    );
    let receipt = Receipt {
        received: vec![hello.id.clone()],
        missing: vec![MissingMessages {
            device: format!("{BOB}/device/b0b00001-5c1b-4e9a-9d2f-6b7c1a2e3d40"),
            conversation: ALICE.to_owned(),
            sequence: vec![4, 5],
        }],
        unreadable: Vec::new(),
    };
    examples.document("receipt", &plain(&said(4, BOB, ActivityContent::Receipt(receipt))));
    let sealed = attachment::seal(&[0x42; 1000], "a.png", "image/png", &environment).unwrap();
    examples.document("attachment", &sealed.inline().unwrap().to_value());

    let members = [BOB, CAROL].map(str::to_owned);
    let first = GroupState::create("Choir", members, ALICE, &environment).unwrap();
    let id = first.id().clone();
    let created = signing(ALICE, &environment, |signer| {
        GroupControl::seal(GroupChange::Created, None, &first, signer).unwrap()
    });
    examples.document("group created", &plain(&Activity::of_control(&created)));
    let mut current = first;
    for (title, proposal, by) in [
        ("group promoted", Proposal::Promote(BTreeSet::from([CAROL.to_owned()])), ALICE),
        ("group left", Proposal::Leave, BOB),
    ] {
        let (next, control) = signing(by, &environment, |signer| {
            let (change, next) = propose(&current, proposal, signer).unwrap();
            let control = GroupControl::seal(change, Some(&current), &next, signer).unwrap();
            (next, control)
        });
        examples.document(title, &plain(&Activity::of_control(&control)));
        current = next;
    }
    let mut hello = said(3, id.as_str(), ActivityContent::Note(note("Hello all")));
    hello.group = Some(GroupRef { id, epoch: 3, state: current.hash() });
    hello.sequence = Some(1);
    examples.document("group note", &plain(&hello));
    let mut join = said(5, hello.to.as_str(), ActivityContent::Join(hello.group.clone().unwrap().id));
    join.group = hello.group;
    examples.document("group join", &plain(&join));
    let announce = said(6, BOB, ActivityContent::Announce(Box::new(created)));
    examples.document("group announce", &plain(&announce));
    let mut keys = StateKeys::default();
    keys.add(StateKey::generate(1, &environment)).unwrap();
    let mut keys = said(7, ALICE, ActivityContent::StateKeys(keys));
    keys.device_sets_hash = None;
    examples.document("state keys", &plain(&keys));
}
