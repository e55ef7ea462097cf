//! A group that undergoes every change, with its id, grants, state hashes, MACs and signatures, and an
//! announcement of one of them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_client::content::{Activity, ActivityContent, ActivityId, HeadStatement, device_sets_hash, unpad};
use eko_client::group::{
    ControlSender, ControlVerdict, GroupChange, GroupControl, GroupState, KnownGroup, MasterKey, Proposal,
    check_lineage, judge_control, propose,
};
use serde_json::{Value, json};

use super::{hex, hmac, sha256, text};
use crate::cast::{environment, member_device, member_identity, member_set, signing, stopped};

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
    let signed = [b"eko-group-control-v2\0", control.canonical()].concat();
    assert_eq!(value["eko:mac"], STANDARD.encode(hmac(&key, &signed)));
    assert_eq!(sha256(control.state().canonical()), control.state().hash());
    json!({
        "change": control.change().as_str(),
        "control": value,
        "canonical": text(control.canonical()),
        "macKey": hex(key),
        "identityKey": member_identity(control.author()).public(),
        "stateCanonical": text(control.state().canonical()),
        "stateHash": control.state().hash(),
    })
}

/// Returns the SHA-256 of which the first 16 bytes make the group's id, and the text under it.
fn id(state: &GroupState) -> Value {
    let object = state.to_value();
    let canonical = format!(
        "{{\"creator\":\"{}\",\"nonce\":\"{}\"}}",
        object["creator"].as_str().unwrap(),
        object["nonce"].as_str().unwrap()
    );
    let hash = sha256([b"eko-group-id-v1\0", canonical.as_bytes()].concat());
    json!({ "canonical": canonical, "hash": hash, "id": state.id() })
}

/// Returns the next state and its control.
fn next(
    current: &GroupState,
    proposal: Proposal,
    by: &str,
    environment: &eko_client::Environment,
) -> (GroupState, GroupControl) {
    signing(by, environment, |signer| {
        let (change, next) = propose(current, proposal, signer).unwrap();
        let control = GroupControl::seal(change, Some(current), &next, signer).unwrap();
        (next, control)
    })
}

fn judge(known: Option<&KnownGroup>, control: &GroupControl, me: &str) -> ControlVerdict {
    let identity = member_identity(control.author()).public();
    let sender = ControlSender { actor: control.author(), device: control.device(), identity: &identity };
    judge_control(known, control, &sender, me)
}

/// Returns the activity by which Bob forwards a control to Carol, with what its head signs and its hash
/// stands for.
fn announce(control: &GroupControl, environment: &eko_client::Environment) -> Value {
    let (device, published_ms) = (member_device(BOB), environment.now_ms());
    let identity = member_identity(BOB);
    let sets = BTreeMap::from([BOB, CAROL].map(|actor| (actor.to_owned(), member_set(actor))));
    let statement = HeadStatement { actor: BOB, device: &device, published_ms };
    let head = statement.sign(member_set(BOB), &identity, environment).unwrap();
    let activity = Activity {
        id: ActivityId::generate(environment),
        actor: BOB.to_owned(),
        to: CAROL.to_owned(),
        published_ms,
        sequence: None,
        void: Vec::new(),
        device_set: Some(head.clone()),
        device_sets_hash: Some(device_sets_hash(&sets).unwrap()),
        device_sets: BTreeMap::new(),
        group: None,
        content: ActivityContent::Announce(Box::new(control.clone())),
    };
    let padded = activity.to_plaintext().unwrap();
    let value: Value = serde_json::from_slice(unpad(&padded).unwrap()).unwrap();
    assert_eq!(value["object"], control.to_value());
    let canonical = format!(
        r#"{{"actor":"{BOB}","device":"{device}","head":"{}","length":1,"published":{}}}"#,
        head.set.head, value["published"]
    );
    let signed = format!("eko-device-head-v1\0{canonical}");
    assert!(eko_protocol::xeddsa::verify(&identity.public(), signed.as_bytes(), &head.signature));
    let sets_canonical = text(&eko_protocol::json::canonical(&json!(sets)).unwrap());
    assert_eq!(value["eko:deviceSetsHash"], sha256(&sets_canonical));
    json!({
        "activity": value,
        "device": device,
        "identityKey": identity.public(),
        "canonical": canonical,
        "signed": hex(&signed),
        "deviceSets": sets,
        "deviceSetsCanonical": sets_canonical,
        "paddedLength": padded.len(),
    })
}

pub(super) fn vectors() -> Value {
    let environment = environment("group", stopped());
    let set = |actors: &[&str]| actors.iter().map(|actor| (*actor).to_owned()).collect::<BTreeSet<String>>();
    let first = GroupState::create("Choir", set(&[BOB, CAROL]), ALICE, &environment).unwrap();
    let created = signing(ALICE, &environment, |signer| {
        GroupControl::seal(GroupChange::Created, None, &first, signer).unwrap()
    });
    let id = id(&first);
    let mut controls = vec![shown(&created, first.master_key())];
    let mut known = KnownGroup::created(first, created.device());
    for (proposal, by) in [
        (Proposal::Rename("Chamber choir".to_owned()), ALICE),
        (Proposal::Add(set(&[DAVE])), ALICE),
        (Proposal::Promote(set(&[BOB])), ALICE),
        (Proposal::Leave, CAROL),
        (Proposal::Rekey, BOB),
        (Proposal::Remove(set(&[DAVE])), ALICE),
    ] {
        let (_, control) = next(&known.current, proposal, by, &environment);
        assert_eq!(judge(Some(&known), &control, ALICE), ControlVerdict::Apply);
        controls.push(shown(&control, known.current.master_key()));
        known = KnownGroup::after(Some(&known), &control, &ControlVerdict::Apply, ALICE).unwrap();
    }
    let identity = |actor: &str, _: &str| Some(member_identity(actor).public());
    assert_eq!(check_lineage(&known.current, identity), Ok(()));

    // Two admins change the same state: the lower state hash wins on every device.
    let race = [("Alice's choir", ALICE), ("Bob's choir", BOB)]
        .map(|(name, by)| next(&known.current, Proposal::Rename(name.to_owned()), by, &environment).1);
    let hashes = race.each_ref().map(|control| control.state().hash());
    let wins = usize::from(hashes[1] < hashes[0]);
    for (first, second) in [(0, 1), (1, 0)] {
        let one = KnownGroup::after(Some(&known), &race[first], &ControlVerdict::Apply, CAROL);
        let due = if second == wins { ControlVerdict::Overtakes } else { ControlVerdict::Overtaken };
        assert_eq!(judge(one.as_ref(), &race[second], CAROL), due);
    }
    let (_, latest) = next(&known.current, Proposal::Rename("Choir".to_owned()), ALICE, &environment);
    let announce = announce(&latest, &environment);
    let race = race.each_ref().map(|control| shown(control, known.current.master_key()));
    json!({ "id": id, "controls": controls, "announce": announce, "race": { "controls": race, "wins": wins } })
}
