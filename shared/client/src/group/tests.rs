//! Tests of groups: the form of states and controls, and the fixtures of the tests in the
//! submodules.

mod changes;
mod convergence;
mod judging;
mod leaving;
mod rekeying;

use std::collections::BTreeSet;

use eko_protocol::Invalid;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Environment;
use crate::content::tests::{any_json, repeatable, replaced};

const ALICE: &str = "https://a.example/user/alice";
const BOB: &str = "https://b.example/user/bob";
const CAROL: &str = "https://c.example/user/carol";
const DAVE: &str = "https://d.example/user/dave";

fn people<const N: usize>(people: [&str; N]) -> BTreeSet<String> {
    people.map(str::to_owned).into()
}

/// Returns Alice's group with Bob and Carol.
fn choir(environment: &Environment) -> GroupState {
    GroupState::create("Choir", people([BOB, CAROL]), ALICE, environment).unwrap()
}

/// Returns the state that a proposal makes, and its control.
fn next(
    before: &GroupState,
    proposal: Proposal,
    by: &str,
    environment: &Environment,
) -> (GroupState, GroupControl) {
    let (change, state) = propose(before, proposal, by, environment).unwrap();
    let control = GroupControl::seal(change, Some(before), &state, by, environment).unwrap();
    (state, control)
}

fn rename(name: &str) -> Proposal {
    Proposal::Rename(name.to_owned())
}

/// Returns the previous state of a record in which nobody has left.
fn seen(state: GroupState) -> PreviousState {
    PreviousState::Seen { state, rekey_due: false }
}

/// Returns a control with another value at one place, and a MAC under this key.
fn forged(
    control: &GroupControl,
    pointer: &str,
    other: Value,
    key: &MasterKey,
) -> Result<GroupControl, Invalid> {
    let mut value = control.to_value();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[name] = other;
    if let (true, Ok(state)) = (pointer.starts_with("/object"), GroupState::parse(&value["object"])) {
        value["eko:group"]["state"] = json!(state.hash());
    }
    let unsealed = GroupControl::parse(&value)?;
    let mac = key.mac(&[b"eko-group-control-v1\0", unsealed.canonical()])?;
    value["eko:mac"] = json!(MasterKey::from_bytes(mac).to_base64());
    GroupControl::parse(&value)
}

#[test]
fn a_control_is_what_the_contract_says() {
    let environment = repeatable(1);
    let before = choir(&environment);
    let (state, control) = next(&before, rename("Band"), ALICE, &environment);
    let mut value = control.to_value();
    let mac = value.as_object_mut().unwrap().remove("eko:mac").unwrap();
    let expected = json!({
        "@context": "https://www.w3.org/ns/activitystreams", "type": ["Update", "GroupControl"],
        "id": control.id(), "actor": ALICE, "to": [before.id()], "published": "2026-01-29T19:30:00Z",
        "eko:group": { "id": before.id(), "epoch": 2, "state": state.hash() },
        "object": {
            "type": ["Object", "GroupState"], "id": before.id(), "epoch": 2, "name": "Band",
            "members": [ALICE, BOB, CAROL], "admins": [ALICE],
            "groupMasterKey": before.master_key().to_base64(),
        },
        "eko:change": "renamed", "eko:previous": before.hash(),
    });
    assert_eq!(value, expected);
    let canonical = eko_protocol::json::canonical(&expected).unwrap();
    let expected = before.master_key().mac(&[b"eko-group-control-v1\0", &canonical]).unwrap();
    assert_eq!(mac, MasterKey::from_bytes(expected).to_base64());
    let object = eko_protocol::json::canonical(&value["object"]).unwrap();
    assert_eq!(state.hash(), hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &object)));
    let created = GroupControl::seal(GroupChange::Created, None, &before, ALICE, &environment).unwrap();
    let value = created.to_value();
    assert_eq!((&value["type"], &value["eko:previous"]), (&json!(["Create", "GroupControl"]), &Value::Null));
    assert!(created.is_under(before.master_key()));
}

#[test]
fn the_key_of_a_control_is_the_one_before() {
    let environment = repeatable(1);
    let before = choir(&environment);
    let (state, control) = next(&before, Proposal::Rekey, ALICE, &environment);
    assert!(control.is_under(before.master_key()) && !control.is_under(state.master_key()));
}

#[test]
fn the_mac_is_over_what_came() {
    let environment = repeatable(1);
    let (_, control) = next(&choir(&environment), rename("Band"), ALICE, &environment);
    let key = control.state().master_key();
    let mut value = control.to_value();
    value["eko:later"] = json!({ "known": false });
    assert!(!GroupControl::parse(&value).unwrap().is_under(key), "a member was added");
    let later = forged(&control, "/eko:later", json!({ "known": false }), key).unwrap();
    assert!(later.is_under(key));
    assert_eq!(later.state(), control.state());
    let later = GroupControl::parse(&later.to_value()).unwrap();
    assert!(later.is_under(key), "what is not known was kept");
}

#[test]
fn nothing_shows_the_key() {
    let environment = repeatable(1);
    let before = choir(&environment);
    let (_, control) = next(&before, Proposal::Rekey, ALICE, &environment);
    for state in [&before, control.state()] {
        let (base64, bytes) =
            (state.master_key().to_base64(), format!("{:?}", state.master_key().as_bytes()));
        let canonical = format!("{:?}", state.canonical());
        let known = KnownGroup::created(state.clone());
        let verdict = judge_control(Some(&known), &control, ALICE, BOB);
        for shown in
            [format!("{state:?}"), format!("{control:?}"), format!("{known:?}"), format!("{verdict:?}")]
        {
            assert!(
                !shown.contains(&base64) && !shown.contains(&bytes) && !shown.contains(&canonical),
                "{shown}"
            );
        }
    }
}

proptest! {
    #[test]
    fn states_and_controls_round_trip(
        name in "\\PC{1,128}",
        members in proptest::collection::btree_set("https://[a-z]{1,8}\\.example/user/[a-z0-9_]{1,8}", 0..8),
        seed in any::<u64>(),
    ) {
        let environment = repeatable(seed);
        let state = GroupState::create(&name, members, ALICE, &environment).unwrap();
        prop_assert_eq!(GroupState::parse(&state.to_value()), Ok(state.clone()));
        let control = GroupControl::seal(GroupChange::Created, None, &state, ALICE, &environment).unwrap();
        prop_assert_eq!(GroupControl::parse(&control.to_value()), Ok(control));
    }

    #[test]
    fn what_is_known_is_read_again(place in any::<usize>(), other in any_json(), (rekey_due, left) in any::<(bool, bool)>()) {
        let environment = repeatable(1);
        let before = choir(&environment);
        let (current, control) = next(&before, Proposal::Rekey, ALICE, &environment);
        let joined = PreviousState::Unseen { hash: before.hash(), joined: control.state().clone() };
        let departure = if left { OwnDeparture::Made } else { OwnDeparture::NotMade };
        for before in [PreviousState::Nothing, seen(before), joined] {
            let known = KnownGroup { current: current.clone(), rekey_due, departure, before };
            prop_assert_eq!(KnownGroup::parse(&known.to_value()), Ok(known.clone()));
            if let Ok(read) = KnownGroup::parse(&replaced(known.to_value(), place, other.clone())) {
                prop_assert_eq!(KnownGroup::parse(&read.to_value()), Ok(read));
            }
        }
    }

    /// A control that is changed in any way has a wrong MAC, and no device follows it.
    #[test]
    fn any_json_is_judged_without_panic(place in any::<usize>(), other in any_json()) {
        let environment = repeatable(1);
        let before = choir(&environment);
        let (_, control) = next(&before, rename("Band"), ALICE, &environment);
        let value = replaced(control.to_value(), place, other);
        if let Ok(changed) = GroupControl::parse(&value) {
            prop_assert_eq!(GroupControl::parse(&changed.to_value()), Ok(changed.clone()));
            let known = KnownGroup::created(before);
            let verdict = judge_control(Some(&known), &changed, ALICE, BOB);
            let follows = matches!(verdict, ControlVerdict::Join | ControlVerdict::Apply | ControlVerdict::Overtakes);
            prop_assert!(!follows || changed == control, "{:?}", verdict);
            let _ = judge_control(None, &changed, ALICE, BOB);
        }
    }
}
