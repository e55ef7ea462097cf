//! A group that undergoes every change, with state hashes and MACs.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_client::group::{
    ControlVerdict, GroupChange, GroupControl, GroupId, GroupState, KnownGroup, MasterKey, Proposal,
    judge_control, propose,
};
use serde_json::{Value, json};

use super::{hex, hmac, sha256, text};
use crate::cast::{environment, stopped};

const ALICE: &str = "https://eko.example/user/alice";
const BOB: &str = "https://b.example/user/bob";
const CAROL: &str = "https://eko.example/user/carol";
const DAVE: &str = "https://b.example/user/dave";

/// The key of controls: HKDF-SHA-256 (RFC 5869) of a master key, with one block of output.
fn signing_key(master: &MasterKey) -> [u8; 32] {
    let pseudorandom = hmac(&[0; 32], master.as_bytes());
    hmac(&pseudorandom, b"eko.group.signing\x01")
}

fn shown(control: &GroupControl, master: &MasterKey) -> Value {
    let value = control.to_value();
    let key = signing_key(master);
    let signed = [b"eko-group-control-v1\0", control.canonical()].concat();
    assert_eq!(value["eko:mac"], STANDARD.encode(hmac(&key, &signed)));
    assert_eq!(sha256(control.state().canonical()), control.state().hash());
    json!({
        "change": control.change().as_str(),
        "control": value,
        "canonical": text(control.canonical()),
        "macKey": hex(key),
        "stateCanonical": text(control.state().canonical()),
        "stateHash": control.state().hash(),
    })
}

pub(super) fn vectors() -> Value {
    let environment = environment("group", stopped());
    let set = |actors: &[&str]| actors.iter().map(|actor| (*actor).to_owned()).collect::<BTreeSet<String>>();
    let id = GroupId::parse("urn:uuid:6a1f0c3e-2d4b-4e5f-8a6b-7c8d9e0f1a2b").unwrap();
    let key = MasterKey::from_bytes(environment.bytes());
    let members = set(&[ALICE, BOB, CAROL]);
    let first = GroupState::new(id, 1, "Choir".to_owned(), members, set(&[ALICE]), key).unwrap();
    let created = GroupControl::seal(GroupChange::Created, None, &first, ALICE, &environment).unwrap();
    let mut controls = vec![shown(&created, first.master_key())];
    let mut known = KnownGroup::created(first);
    for (proposal, by) in [
        (Proposal::Rename("Chamber choir".to_owned()), ALICE),
        (Proposal::Add(set(&[DAVE])), ALICE),
        (Proposal::Promote(set(&[BOB])), ALICE),
        (Proposal::Leave, CAROL),
        (Proposal::Rekey, BOB),
        (Proposal::Remove(set(&[DAVE])), ALICE),
    ] {
        let (change, next) = propose(&known.current, proposal, by, &environment).unwrap();
        let control = GroupControl::seal(change, Some(&known.current), &next, by, &environment).unwrap();
        assert_eq!(judge_control(Some(&known), &control, by, ALICE), ControlVerdict::Apply);
        controls.push(shown(&control, known.current.master_key()));
        known = KnownGroup::after(Some(&known), &control, &ControlVerdict::Apply, ALICE).unwrap();
    }

    // Two admins change the same state: the lower state hash wins on every device.
    let race = [("Alice's choir", ALICE), ("Bob's choir", BOB)].map(|(name, by)| {
        let (change, next) =
            propose(&known.current, Proposal::Rename(name.to_owned()), by, &environment).unwrap();
        GroupControl::seal(change, Some(&known.current), &next, by, &environment).unwrap()
    });
    let hashes = race.each_ref().map(|control| control.state().hash());
    let wins = usize::from(hashes[1] < hashes[0]);
    for (first, second) in [(0, 1), (1, 0)] {
        let one = KnownGroup::after(Some(&known), &race[first], &ControlVerdict::Apply, CAROL);
        let due = if second == wins { ControlVerdict::Overtakes } else { ControlVerdict::Overtaken };
        assert_eq!(judge_control(one.as_ref(), &race[second], race[second].author(), CAROL), due);
    }
    let race = race.each_ref().map(|control| shown(control, known.current.master_key()));
    json!({ "controls": controls, "race": { "controls": race, "wins": wins } })
}
