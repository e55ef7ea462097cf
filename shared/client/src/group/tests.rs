//! Tests of groups: the form of states and controls, and the fixtures of the tests in the
//! submodules.

mod changes;
mod consent;
mod convergence;
mod forwarding;
mod judging;
mod jumping;
mod leaving;
mod lineage;
mod rekeying;
mod removing;

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::vocabulary::content_context;
use eko_protocol::{Invalid, multibase};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Environment;
use crate::content::tests::{any_json, repeatable, replaced};
use crate::content::{Activity, ActivityContent};
use crate::keys::IdentityPair;

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

/// Returns the address of an actor's only device.
pub(crate) fn device_of(actor: &str) -> String {
    format!("{actor}/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11")
}

/// Returns the identity of that device.
pub(crate) fn identity_of(actor: &str) -> IdentityPair {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, actor.as_bytes());
    IdentityPair::from_secret(hash.as_ref().try_into().unwrap())
}

/// Has an actor's only device sign.
pub(crate) fn signing<R>(
    actor: &str,
    environment: &Environment,
    work: impl FnOnce(&GroupSigner<'_>) -> R,
) -> R {
    let (device, identity) = (device_of(actor), identity_of(actor));
    work(&GroupSigner { actor, device: &device, identity: &identity, device_set: None, environment })
}

fn propose(
    before: &GroupState,
    proposal: Proposal,
    by: &str,
    environment: &Environment,
) -> Result<(GroupChange, GroupState), GroupError> {
    signing(by, environment, |signer| super::propose(before, proposal, signer))
}

fn seal(
    change: GroupChange,
    previous: Option<&GroupState>,
    state: &GroupState,
    by: &str,
    environment: &Environment,
) -> Result<GroupControl, Invalid> {
    signing(by, environment, |signer| GroupControl::seal(change, previous, state, signer))
}

/// Judges a control that the only device of `author` sent.
fn judge_control(
    known: Option<&KnownGroup>,
    control: &GroupControl,
    author: &str,
    me: &str,
) -> ControlVerdict {
    let (device, identity) = (device_of(author), identity_of(author).public());
    let sender = ControlSender { actor: author, device: &device, identity: &identity };
    super::judge_control(known, control, &sender, me)
}

/// Returns the record of a group that Alice began with this state.
fn known(current: &GroupState) -> KnownGroup {
    KnownGroup::created(current.clone(), &device_of(ALICE))
}

/// Returns a record whose last change was made by Alice.
fn known_after(current: GroupState, before: PreviousState) -> KnownGroup {
    KnownGroup { before, ..known(&current) }
}

/// Returns the state that a proposal makes, and its control.
fn next(
    before: &GroupState,
    proposal: Proposal,
    by: &str,
    environment: &Environment,
) -> (GroupState, GroupControl) {
    let (change, state) = propose(before, proposal, by, environment).unwrap();
    let control = seal(change, Some(before), &state, by, environment).unwrap();
    (state, control)
}

fn rename(name: &str) -> Proposal {
    Proposal::Rename(name.to_owned())
}

/// Returns what a record remembers of a former state.
fn former(state: &GroupState) -> FormerState {
    FormerState { epoch: state.epoch(), hash: state.hash(), left: None }
}

/// Returns the previous state of a record in which nobody has left.
fn seen(state: GroupState) -> PreviousState {
    PreviousState::Seen { state, outsiders: Outsiders::default() }
}

/// Returns a control with another value at one place, with a MAC under this key and the signature
/// of the author's device. New admins get grants by the author.
fn forged(
    control: &GroupControl,
    pointer: &str,
    other: Value,
    key: &MasterKey,
) -> Result<GroupControl, Invalid> {
    let mut value = control.to_value();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[name] = other;
    proven(value, key)
}

/// Returns the control of this JSON, with proofs by its author's device.
fn proven(mut value: Value, key: &MasterKey) -> Result<GroupControl, Invalid> {
    let environment = repeatable(77);
    let author = value["actor"].as_str().unwrap().to_owned();
    value["eko:device"] = json!(device_of(&author));
    let texts = |value: &Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let admins = texts(&value["object"]["admins"]);
    let id = GroupId::parse(value["object"]["id"].as_str().unwrap()).unwrap();
    let creator = value["object"]["creator"].as_str().unwrap().to_owned();
    let held = value["object"]["grants"].as_array().unwrap().iter().map(|it| GroupGrant::parse(it).unwrap());
    let mut grants: BTreeMap<String, GroupGrant> = held.map(|it| (it.admin.clone(), it)).collect();
    for admin in admins.iter().filter(|admin| **admin != creator) {
        if !grants.contains_key(admin) {
            let grant = signing(&author, &environment, |signer| GroupGrant::sign(admin, &id, signer));
            grants.insert(admin.clone(), grant.unwrap());
        }
    }
    let grants = grant::needed(&grants, &admins, &creator);
    if value["eko:change"] == "added" {
        let members = texts(&value["object"]["members"]);
        let added = value.get("eko:added").map(texts).unwrap_or_default();
        let within: BTreeSet<_> = added.intersection(&members).collect();
        value["eko:added"] = if within.is_empty() { json!(members) } else { json!(within) };
    }
    value["object"]["grants"] = grants.values().map(GroupGrant::to_value).collect();
    if let Ok(state) = GroupState::parse(&value["object"]) {
        value["eko:group"]["state"] = json!(state.hash());
    }
    let unsealed = GroupControl::parse(&value)?;
    let mac = key.mac(&[b"eko-group-control-v2\0", unsealed.canonical()])?;
    value["eko:mac"] = json!(MasterKey::from_bytes(mac).to_base64());
    let signed = [b"eko-group-control-v2\0", unsealed.canonical()].concat();
    value["eko:signature"] = json!(multibase::encode(&identity_of(&author).sign(&signed, &environment)));
    GroupControl::parse(&value)
}

#[test]
fn a_control_is_what_the_contract_says() {
    let environment = repeatable(1);
    let before = choir(&environment);
    let (state, control) = next(&before, rename("Band"), ALICE, &environment);
    let mut value = control.to_value();
    let mac = value.as_object_mut().unwrap().remove("eko:mac").unwrap();
    let signature = value.as_object_mut().unwrap().remove("eko:signature").unwrap();
    let expected = json!({
        "@context": content_context(), "type": ["Update", "GroupControl"],
        "id": control.id(), "actor": ALICE, "to": [before.id()], "published": "2026-01-29T19:30:00Z",
        "eko:group": { "id": before.id(), "epoch": 2, "state": state.hash() },
        "object": {
            "type": ["Object", "GroupState"], "id": before.id(), "epoch": 2, "name": "Band",
            "creator": ALICE, "nonce": before.to_value()["nonce"],
            "members": [ALICE, BOB, CAROL], "admins": [ALICE], "grants": [],
            "groupMasterKey": before.master_key().to_base64(),
        },
        "eko:change": "renamed", "eko:previous": before.hash(), "eko:device": device_of(ALICE),
    });
    assert_eq!(value, expected);
    let canonical = eko_protocol::json::canonical(&expected).unwrap();
    let expected = before.master_key().mac(&[b"eko-group-control-v2\0", &canonical]).unwrap();
    assert_eq!(mac, MasterKey::from_bytes(expected).to_base64());
    let signature = multibase::decode(signature.as_str().unwrap()).unwrap();
    let signed = [b"eko-group-control-v2\0", &canonical[..]].concat();
    assert!(eko_protocol::xeddsa::verify(&identity_of(ALICE).public(), &signed, &signature));
    let object = eko_protocol::json::canonical(&value["object"]).unwrap();
    assert_eq!(state.hash(), hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &object)));
    let created = seal(GroupChange::Created, None, &before, ALICE, &environment).unwrap();
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

/// A group of the greatest size, with the most grants, fits into a message, also where a control of
/// it is forwarded.
#[test]
fn the_largest_group_fits() {
    let environment = repeatable(1);
    let crowd = (1..MAX_MEMBERS).map(|n| format!("https://chat.example.org/user/somebody_{n:03}"));
    let state = GroupState::create(&"ä".repeat(MAX_NAME_CHARS), crowd, ALICE, &environment).unwrap();
    let most: BTreeSet<String> = state.members().iter().take(MAX_GRANTS + 1).cloned().collect();
    let (state, control) = next(&state, Proposal::Promote(most.clone()), ALICE, &environment);
    assert_eq!((state.members().len(), state.grants().count()), (MAX_MEMBERS, MAX_GRANTS));
    let activity = Activity::of_control(&control);
    assert!(activity.to_plaintext().is_ok());
    let content = ActivityContent::Announce(Box::new(control));
    let forwarded = Activity { to: BOB.to_owned(), group: None, content, ..activity };
    assert!(forwarded.to_plaintext().is_ok());
    let one_more: BTreeSet<String> = state.members().difference(&most).take(1).cloned().collect();
    let refused = propose(&state, Proposal::Promote(one_more), ALICE, &environment);
    assert!(matches!(refused, Err(GroupError::Invalid(fault)) if fault.pointer == "/grants"));
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
        let known = known(state);
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
        let control = seal(GroupChange::Created, None, &state, ALICE, &environment).unwrap();
        prop_assert_eq!(GroupControl::parse(&control.to_value()), Ok(control));
    }

    #[test]
    fn what_is_known_is_read_again(place in any::<usize>(), other in any_json(), (revoked, left) in any::<(bool, bool)>()) {
        let environment = repeatable(1);
        let before = choir(&environment);
        let (current, control) = next(&before, Proposal::Rekey, ALICE, &environment);
        let (hash, joined) = (before.hash(), control.state().clone());
        let renewed = PreviousState::Unseen { hash: hash.clone(), joined: joined.clone(), master_key: None };
        let kept = PreviousState::Unseen { hash, master_key: Some(joined.master_key().clone()), joined };
        let departure = if left { OwnDeparture::Made } else { OwnDeparture::NotMade };
        for before in [PreviousState::Nothing, seen(before), renewed, kept] {
            let past = vec![former(&current)];
            let confirmed = people([BOB]);
            let known = known(&current);
            let outsiders = Outsiders { departed: people([CAROL]), revoked };
            let removal = left.then(|| (DAVE.to_owned(), OwnChange { epoch: 3, again: revoked }));
            let removals = OwnRemovals(removal.into_iter().collect());
            let additions = OwnAdditions(removals.0.clone());
            let known = KnownGroup { outsiders, departure, removals, additions, before, confirmed, past, ..known };
            prop_assert_eq!(KnownGroup::parse(&known.to_value()), Ok(known.clone()));
            if let Ok(read) = KnownGroup::parse(&replaced(known.to_value(), place, other.clone())) {
                prop_assert_eq!(KnownGroup::parse(&read.to_value()), Ok(read));
            }
        }
    }

    /// A control that is changed in any way has a wrong signature, and no device follows it.
    #[test]
    fn any_json_is_judged_without_panic(place in any::<usize>(), other in any_json()) {
        let environment = repeatable(1);
        let before = choir(&environment);
        let (_, control) = next(&before, rename("Band"), ALICE, &environment);
        let value = replaced(control.to_value(), place, other);
        if let Ok(changed) = GroupControl::parse(&value) {
            prop_assert_eq!(GroupControl::parse(&changed.to_value()), Ok(changed.clone()));
            let known = known(&before);
            let verdict = judge_control(Some(&known), &changed, ALICE, BOB);
            let follows = KnownGroup::after(Some(&known), &changed, &verdict, BOB).is_some();
            prop_assert!(!follows || changed == control, "{:?}", verdict);
            let _ = judge_control(None, &changed, ALICE, BOB);
        }
    }
}
