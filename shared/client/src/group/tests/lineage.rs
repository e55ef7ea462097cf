//! Tests of what proves that a group is the one that its creator began.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Returns the identity of a device, as the chains of these users show it.
fn shown(actor: &str, device: &str) -> Option<eko_protocol::key::IdentityKey> {
    (device == device_of(actor)).then(|| identity_of(actor).public())
}

/// Returns Alice's group in which Alice made Bob an admin, and Bob made Carol one.
fn three_admins(environment: &Environment) -> GroupState {
    let (second, _) = next(&choir(environment), Proposal::Promote(people([BOB])), ALICE, environment);
    next(&second, Proposal::Promote(people([CAROL])), BOB, environment).0
}

/// Returns the refusal of a state in which one member is another.
fn refusal(state: &GroupState, name: &str, other: Value) -> String {
    let mut value = state.to_value();
    value[name] = other;
    GroupState::parse(&value).unwrap_err().pointer
}

#[test]
fn the_id_commits_to_the_creator_and_the_nonce() {
    let state = choir(&repeatable(1));
    let nonce = STANDARD.encode([7; 32]);
    let of =
        |creator: &str| GroupId::of(&GroupOrigin { creator: creator.to_owned(), nonce: [7; 32] }).unwrap();
    let canonical = format!("{{\"creator\":\"{ALICE}\",\"nonce\":\"{nonce}\"}}");
    let hash = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        &[b"eko-group-id-v1\0", canonical.as_bytes()].concat(),
    );
    let mut bytes: [u8; 16] = hash.as_ref()[..16].try_into().unwrap();
    bytes[6] = (bytes[6] & 0x0F) | 0x80;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    assert_eq!(of(ALICE).as_str(), format!("urn:uuid:{}", uuid::Uuid::from_bytes(bytes)));
    assert_ne!(of(ALICE), of(BOB));
    // Nobody else can have begun a group of this id.
    assert_eq!(refusal(&state, "nonce", json!(nonce)), "/id");
    let mut value = state.to_value();
    (value["creator"], value["admins"]) = (json!(BOB), json!([BOB]));
    assert_eq!(GroupState::parse(&value).unwrap_err().pointer, "/id");
}

#[test]
fn each_admin_is_granted_by_another_up_to_the_creator() {
    let environment = repeatable(1);
    let state = three_admins(&environment);
    let by: Vec<_> = state.grants().map(|grant| (grant.admin.as_str(), grant.by.as_str())).collect();
    assert_eq!(by, [(BOB, ALICE), (CAROL, BOB)]);
    assert_eq!(check_lineage(&state, shown), Ok(()));
    // The grant of a former admin stays, as a link, and falls away when nobody needs it.
    let (without_bob, _) = next(&state, Proposal::Remove(people([BOB])), CAROL, &environment);
    assert_eq!((without_bob.grants().count(), check_lineage(&without_bob, shown)), (2, Ok(())));
    let (again, _) = next(&without_bob, Proposal::Add(people([BOB])), CAROL, &environment);
    let (again, promoted) = next(&again, Proposal::Promote(people([BOB])), CAROL, &environment);
    assert_eq!((again.grants().count(), check_lineage(&again, shown)), (2, Ok(())), "no circle");
    assert_eq!(judge_control(Some(&known(&again)), &promoted, CAROL, ALICE), ControlVerdict::Same);
    let (alone, _) = next(&without_bob, Proposal::Leave, CAROL, &environment);
    assert_eq!(alone.grants().count(), 0);
}

#[test]
fn grants_lead_to_the_creator_and_are_no_more_than_needed() {
    let environment = repeatable(1);
    let state = three_admins(&environment);
    let grants: Vec<Value> = state.grants().map(GroupGrant::to_value).collect();
    let with = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut grants = grants.clone();
        change(&mut grants);
        refusal(&state, "grants", json!(grants))
    };
    assert_eq!(with(&|grants| drop(grants.pop())), "/grants");
    assert_eq!(with(&|grants| grants.swap(0, 1)), "/grants");
    assert_eq!(with(&|grants| grants.push(grants[1].clone())), "/grants");
    assert_eq!(with(&|grants| grants[0]["by"] = json!(CAROL)), "/grants", "a circle");
    assert_eq!(with(&|grants| grants[0]["device"] = json!(ALICE)), "/grants/0/device");
    assert_eq!(with(&|grants| grants[0]["signature"] = json!("z")), "/grants/0/signature");
    let more = |grants: &mut Vec<Value>| {
        let mut grant = grants[0].clone();
        grant["admin"] = json!(DAVE);
        grants.push(grant);
    };
    assert_eq!(with(&more), "/grants", "Dave is no admin");
    let crowd: Vec<Value> = (0..65).map(|_| grants[0].clone()).collect();
    assert_eq!(refusal(&state, "grants", json!(crowd)), "/grants");
}

#[test]
fn a_grant_that_nobody_signed_is_found() {
    let environment = repeatable(1);
    let state = three_admins(&environment);
    let mut value = state.to_value();
    value["grants"][1]["signature"] = value["grants"][0]["signature"].clone();
    let forged = GroupState::parse(&value).unwrap();
    assert_eq!(check_lineage(&forged, shown), Err(GroupError::FalseGrant(CAROL.to_owned())));
    let nobody = |actor: &str, device: &str| shown(actor, device).filter(|_| actor != ALICE);
    assert_eq!(check_lineage(&state, nobody), Err(GroupError::FalseGrant(BOB.to_owned())));
    // A grant counts in its own group only.
    let other = three_admins(&repeatable(2));
    let mut value = state.to_value();
    value["grants"] = other.to_value()["grants"].clone();
    let forged = GroupState::parse(&value).unwrap();
    assert_eq!(check_lineage(&forged, shown), Err(GroupError::FalseGrant(BOB.to_owned())));
}

#[test]
fn an_admin_grants_in_the_own_name_only() {
    let environment = repeatable(1);
    let before = three_admins(&environment);
    let before = next(&before, Proposal::Add(people([DAVE])), ALICE, &environment).0;
    let (_, promoted) = next(&before, Proposal::Promote(people([DAVE])), CAROL, &environment);
    let key = before.master_key();
    let at_bob = known(&before);
    assert_eq!(judge_control(Some(&at_bob), &promoted, CAROL, BOB), ControlVerdict::Apply);
    let refused = ControlVerdict::Refused(GroupError::FalseGrant(DAVE.to_owned()));
    let granted = |name: &str, other: Value| {
        let mut value = promoted.to_value();
        value["object"]["grants"][2][name] = other;
        proven(value, key).unwrap()
    };
    for bad in [
        granted("by", json!(BOB)),
        granted("device", json!(device_of(BOB))),
        granted("signature", promoted.to_value()["object"]["grants"][0]["signature"].clone()),
    ] {
        assert_eq!(judge_control(Some(&at_bob), &bad, CAROL, BOB), refused);
    }
}

#[test]
fn a_control_is_of_the_device_that_sent_it() {
    let environment = repeatable(1);
    let before = choir(&environment);
    let (_, control) = next(&before, rename("Band"), ALICE, &environment);
    let known = known(&before);
    let judged = |device: &str, identity: &eko_protocol::key::IdentityKey| {
        let sender = ControlSender { actor: ALICE, device, identity };
        super::super::judge_control(Some(&known), &control, &sender, BOB)
    };
    let (device, identity) = (device_of(ALICE), identity_of(ALICE).public());
    assert_eq!(judged(&device, &identity), ControlVerdict::Apply);
    let other = device.replace("0f3c", "0f3d");
    let refused = ControlVerdict::Refused(GroupError::OtherAuthor(ALICE.to_owned()));
    assert_eq!(judged(&other, &identity), refused);
    let refused = ControlVerdict::Refused(GroupError::WrongSignature);
    assert_eq!(judged(&device, &identity_of(BOB).public()), refused);
}

#[test]
fn a_grant_in_the_name_of_another_admin_is_false_whoever_signs_it() {
    let environment = repeatable(1);
    let before = three_admins(&environment);
    let before = next(&before, Proposal::Add(people([DAVE])), ALICE, &environment).0;
    let (_, promoted) = next(&before, Proposal::Promote(people([DAVE])), CAROL, &environment);
    // Carol signs with the key of her own device what names Bob's.
    let (device, identity) = (device_of(BOB), identity_of(CAROL));
    let as_bob = GroupSigner {
        actor: BOB,
        device: &device,
        identity: &identity,
        device_set: None,
        environment: &environment,
    };
    let mut value = promoted.to_value();
    value["object"]["grants"][2] = GroupGrant::sign(DAVE, before.id(), &as_bob).unwrap().to_value();
    let control = proven(value, before.master_key()).unwrap();
    let refused = ControlVerdict::Refused(GroupError::FalseGrant(DAVE.to_owned()));
    assert_eq!(judge_control(Some(&known(&before)), &control, CAROL, BOB), refused);
}

#[test]
fn no_change_touches_a_grant_that_was_there() {
    let environment = repeatable(1);
    let before = three_admins(&environment);
    let before = next(&before, Proposal::Add(people([DAVE])), ALICE, &environment).0;
    for proposal in [
        rename("Band"),
        Proposal::Add(people(["https://e.example/user/eve"])),
        Proposal::Remove(people([DAVE])),
        Proposal::Promote(people([DAVE])),
        Proposal::Rekey,
    ] {
        let (_, control) = next(&before, proposal, CAROL, &environment);
        let mut value = control.to_value();
        let grants = &mut value["object"]["grants"];
        grants[0]["signature"] = grants[1]["signature"].clone();
        let other = proven(value, before.master_key()).unwrap();
        let refused = ControlVerdict::Refused(GroupError::NotThatChange(control.change()));
        let judge = |control| judge_control(Some(&known(&before)), control, CAROL, BOB);
        assert_eq!([judge(&control), judge(&other)], [ControlVerdict::Apply, refused]);
    }
}
