//! Tests of the verdict on a control, by what the device knows.

use super::*;

/// Returns Alice's group with Bob as a second admin and Carol, and the state before that.
fn two_admins(environment: &Environment) -> KnownGroup {
    let before = choir(environment);
    let (current, _) = next(&before, Proposal::Promote(people([BOB])), ALICE, environment);
    known_after(current, seen(before))
}

#[test]
fn a_group_begins_with_an_admin_of_it_and_its_key() {
    let environment = repeatable(1);
    let state = choir(&environment);
    let control = seal(GroupChange::Created, None, &state, ALICE, &environment).unwrap();
    assert_eq!(judge_control(None, &control, ALICE, BOB), ControlVerdict::Join);
    assert_eq!(judge_control(None, &control, ALICE, DAVE), ControlVerdict::Refused(GroupError::NotForMe));
    let by_another = ControlVerdict::Refused(GroupError::OtherAuthor(ALICE.to_owned()));
    assert_eq!(judge_control(None, &control, BOB, BOB), by_another);
    let keyless =
        forged(&control, "/published", json!("2026-01-30T00:00:00Z"), &MasterKey::from_bytes([1; 32]));
    assert_eq!(
        judge_control(None, &keyless.unwrap(), ALICE, BOB),
        ControlVerdict::Refused(GroupError::WrongMac)
    );
    let known = KnownGroup::after(None, &control, &ControlVerdict::Join, BOB).unwrap();
    assert_eq!(judge_control(Some(&known), &control, ALICE, BOB), ControlVerdict::Same);
    assert_eq!(KnownGroup::after(Some(&known), &control, &ControlVerdict::Same, BOB), None);
}

#[test]
fn the_next_change_is_applied_and_older_ones_are_stale() {
    let environment = repeatable(1);
    let first = choir(&environment);
    let created = seal(GroupChange::Created, None, &first, ALICE, &environment).unwrap();
    let (second, renamed) = next(&first, rename("Band"), ALICE, &environment);
    let at_first = known(&first);
    assert_eq!(judge_control(Some(&at_first), &renamed, ALICE, BOB), ControlVerdict::Apply);
    let at_second = KnownGroup::after(Some(&at_first), &renamed, &ControlVerdict::Apply, BOB).unwrap();
    assert_eq!((&at_second.current, &at_second.before), (&second, &seen(first.clone())));
    assert_eq!((at_second.maker, at_second.past), (device_of(ALICE), vec![former(&first)]));
    let at_second = known_after(second, seen(first));
    assert_eq!(judge_control(Some(&at_second), &renamed, ALICE, BOB), ControlVerdict::Same);
    assert_eq!(judge_control(Some(&at_second), &created, ALICE, BOB), ControlVerdict::Older);
    let other = known(&choir(&environment));
    assert_eq!(
        judge_control(Some(&other), &renamed, ALICE, BOB),
        ControlVerdict::Refused(GroupError::OtherGroup)
    );
}

#[test]
fn only_an_admin_who_is_one_now_changes_it() {
    let environment = repeatable(1);
    let before = choir(&environment);
    let (_, added) = next(&before, Proposal::Add(people([DAVE])), ALICE, &environment);
    // Bob makes himself an admin in the state that he sends.
    let key = before.master_key();
    let as_bob = forged(&added, "/object/admins", json!([ALICE, BOB]), key);
    let as_bob = forged(&as_bob.unwrap(), "/actor", json!(BOB), key).unwrap();
    let refused = ControlVerdict::Refused(GroupError::NotAdmin(BOB.to_owned()));
    assert_eq!(judge_control(Some(&known(&before)), &as_bob, BOB, CAROL), refused);
    // Dave is not a member yet.
    let left = next(added.state(), Proposal::Leave, DAVE, &environment).1;
    let left = forged(&left, "/eko:previous", json!(before.hash()), key).unwrap();
    let refused = ControlVerdict::Refused(GroupError::NotMember(DAVE.to_owned()));
    assert_eq!(judge_control(Some(&known(&before)), &left, DAVE, CAROL), refused);
}

#[test]
fn the_key_before_authenticates_it() {
    let environment = repeatable(1);
    let before = choir(&environment);
    let (after, rekeyed) = next(&before, Proposal::Rekey, ALICE, &environment);
    let at_before = known(&before);
    assert_eq!(judge_control(Some(&at_before), &rekeyed, ALICE, BOB), ControlVerdict::Apply);
    let by_its_own = forged(&rekeyed, "/eko:later", json!(1), after.master_key()).unwrap();
    let wrong = ControlVerdict::Refused(GroupError::WrongMac);
    assert_eq!(judge_control(Some(&at_before), &by_its_own, ALICE, BOB), wrong);
}

#[test]
fn a_change_changes_what_it_names_and_nothing_else() {
    let environment = repeatable(1);
    let now = two_admins(&environment);
    let before = &now.current;
    let key = before.master_key();
    let other_key = MasterKey::from_bytes([1; 32]).to_base64();
    let control = |proposal, by: &str| next(before, proposal, by, &environment).1;
    let everyone = json!([ALICE, BOB, CAROL]);
    let cases = [
        (control(rename("Band"), BOB), "/object/name", json!("Choir")),
        (control(rename("Band"), BOB), "/object/members", json!([ALICE, BOB])),
        (control(rename("Band"), BOB), "/object/admins", everyone.clone()),
        (control(rename("Band"), BOB), "/object/groupMasterKey", json!(other_key)),
        (control(Proposal::Add(people([DAVE])), BOB), "/object/name", json!("Band")),
        (control(Proposal::Add(people([DAVE])), BOB), "/object/members", everyone.clone()),
        (control(Proposal::Add(people([DAVE])), BOB), "/object/members", json!([ALICE, BOB, DAVE])),
        (control(Proposal::Add(people([DAVE])), BOB), "/object/admins", json!([ALICE, BOB, DAVE])),
        (control(Proposal::Add(people([DAVE])), BOB), "/object/groupMasterKey", json!(other_key)),
        (control(Proposal::Remove(people([CAROL])), BOB), "/object/name", json!("Band")),
        (control(Proposal::Remove(people([CAROL])), BOB), "/object/members", everyone.clone()),
        (control(Proposal::Remove(people([CAROL])), BOB), "/object/members", json!([ALICE, BOB, DAVE])),
        (control(Proposal::Remove(people([CAROL])), BOB), "/object/admins", json!([BOB])),
        (control(Proposal::Remove(people([CAROL])), BOB), "/object/groupMasterKey", json!(key.to_base64())),
        (control(Proposal::Leave, CAROL), "/object/name", json!("Band")),
        (control(Proposal::Leave, CAROL), "/object/members", json!([ALICE, BOB, DAVE])),
        (control(Proposal::Leave, CAROL), "/object/admins", json!([ALICE])),
        (control(Proposal::Leave, CAROL), "/object/groupMasterKey", json!(other_key)),
        (control(Proposal::Promote(people([CAROL])), BOB), "/object/name", json!("Band")),
        (control(Proposal::Promote(people([CAROL])), BOB), "/object/admins", json!([BOB, CAROL])),
        (control(Proposal::Promote(people([CAROL])), BOB), "/object/admins", json!([ALICE, BOB])),
        (
            control(Proposal::Promote(people([CAROL])), BOB),
            "/object/members",
            json!([ALICE, BOB, CAROL, DAVE]),
        ),
        (control(Proposal::Promote(people([CAROL])), BOB), "/object/groupMasterKey", json!(other_key)),
        (control(Proposal::Rekey, BOB), "/object/name", json!("Band")),
        (control(Proposal::Rekey, BOB), "/object/members", json!([ALICE, BOB])),
        (control(Proposal::Rekey, BOB), "/object/admins", json!([BOB])),
        (control(Proposal::Rekey, BOB), "/object/admins", everyone.clone()),
        (control(Proposal::Rekey, BOB), "/object/groupMasterKey", json!(key.to_base64())),
        (control(Proposal::Rekey, BOB), "/eko:change", json!("added")),
    ];
    for (good, pointer, other) in cases {
        let author = good.author();
        assert_eq!(judge_control(Some(&now), &good, author, ALICE), ControlVerdict::Apply);
        let bad = forged(&good, pointer, other.clone(), key).unwrap();
        let refused = ControlVerdict::Refused(GroupError::NotThatChange(bad.change()));
        assert_eq!(
            judge_control(Some(&now), &bad, author, ALICE),
            refused,
            "{} {pointer} {other}",
            good.change()
        );
    }
    // One epoch is left out.
    let good = control(rename("Band"), BOB);
    let mut value = good.to_value();
    (value["object"]["epoch"], value["eko:group"]["epoch"]) = (json!(4), json!(4));
    let bad = proven(value, key).unwrap();
    let refused = ControlVerdict::Refused(GroupError::NotThatChange(GroupChange::Renamed));
    assert_eq!(judge_control(Some(&now), &bad, BOB, ALICE), refused);
    // It says that it adds somebody else than it does.
    let good = control(Proposal::Add(people([DAVE])), BOB);
    let bad = forged(&good, "/eko:added", json!([CAROL]), key).unwrap();
    let refused = ControlVerdict::Refused(GroupError::NotThatChange(GroupChange::Added));
    assert_eq!(judge_control(Some(&now), &bad, BOB, ALICE), refused);
    let good = control(Proposal::Remove(people([CAROL])), BOB);
    let mut value = good.to_value();
    (value["object"]["members"], value["object"]["admins"]) = (json!([ALICE]), json!([ALICE]));
    assert_eq!(proven(value, key).unwrap_err().pointer, "/actor", "nobody removes oneself");
}

#[test]
fn of_two_changes_at_once_the_lower_hash_wins() {
    let environment = repeatable(1);
    let now = two_admins(&environment);
    let one = next(&now.current, rename("Band"), ALICE, &environment);
    let two = next(&now.current, rename("Quartet"), BOB, &environment);
    let (low, high) = if one.0.hash() < two.0.hash() { (one, two) } else { (two, one) };
    let at = |state: &GroupState| known_after(state.clone(), seen(now.current.clone()));
    assert_eq!(judge_control(Some(&at(&high.0)), &low.1, low.1.author(), ALICE), ControlVerdict::Overtakes);
    assert_eq!(judge_control(Some(&at(&low.0)), &high.1, high.1.author(), ALICE), ControlVerdict::Overtaken);
    let after = KnownGroup::after(Some(&at(&high.0)), &low.1, &ControlVerdict::Overtakes, ALICE).unwrap();
    assert_eq!((after.current, after.before), (low.0.clone(), seen(now.current.clone())));
    assert_eq!(KnownGroup::after(Some(&at(&low.0)), &high.1, &ControlVerdict::Overtaken, ALICE), None);
    // A control with a lower hash is judged by the state before all the same.
    let key = MasterKey::from_bytes([1; 32]);
    let forged = forged(&low.1, "/eko:later", json!(1), &key).unwrap();
    let refused = ControlVerdict::Refused(GroupError::WrongMac);
    assert_eq!(judge_control(Some(&at(&high.0)), &forged, low.1.author(), ALICE), refused);
    let elsewhere = known_after(high.0, now.before.clone());
    let met = ControlVerdict::Conflict { wins: true };
    assert_eq!(judge_control(Some(&elsewhere), &low.1, low.1.author(), ALICE), met);
}

#[test]
fn what_comes_too_early_is_held() {
    let environment = repeatable(1);
    let first = choir(&environment);
    let (second, _) = next(&first, rename("Band"), ALICE, &environment);
    let (third, rekeyed) = next(&second, Proposal::Rekey, ALICE, &environment);
    let (_, left) = next(&third, Proposal::Leave, CAROL, &environment);
    for (control, author) in [(&rekeyed, ALICE), (&left, CAROL)] {
        assert_eq!(judge_control(None, control, author, BOB), ControlVerdict::Ahead);
    }
    assert_eq!(judge_control(Some(&known(&first)), &left, CAROL, BOB), ControlVerdict::Ahead);
}

#[test]
fn who_was_removed_is_added_again_by_an_admin() {
    let environment = repeatable(1);
    let first = choir(&environment);
    let (second, _) = next(&first, Proposal::Remove(people([CAROL])), ALICE, &environment);
    let (third, added) = next(&second, Proposal::Add(people([CAROL])), ALICE, &environment);
    // Carol was told of neither her removal nor the new key.
    let at_carol = known(&first);
    assert_eq!(judge_control(Some(&at_carol), &added, ALICE, CAROL), ControlVerdict::Jump);
    let forged = |by: &MasterKey| forged(&added, "/eko:later", json!(1), by).unwrap();
    assert_eq!(
        judge_control(Some(&at_carol), &forged(first.master_key()), ALICE, CAROL),
        ControlVerdict::Refused(GroupError::WrongMac)
    );
    // Carol does not know Bob as an admin. For her this is another history, which she may choose.
    let (_, promoted) = next(&third, Proposal::Promote(people([BOB])), ALICE, &environment);
    let (fifth, _) = next(promoted.state(), Proposal::Remove(people([CAROL])), BOB, &environment);
    let (_, by_bob) = next(&fifth, Proposal::Add(people([CAROL])), BOB, &environment);
    let other = ControlVerdict::Refused(GroupError::OtherHistory);
    assert_eq!(judge_control(Some(&at_carol), &by_bob, BOB, CAROL), other);
    // A member who left knows it, and joins anew.
    let (out, _) = next(&first, Proposal::Leave, CAROL, &environment);
    assert_eq!(judge_control(Some(&known(&out)), &by_bob, BOB, CAROL), ControlVerdict::Join);
    assert_eq!(
        judge_control(Some(&known(&out)), &promoted, ALICE, DAVE),
        ControlVerdict::Refused(GroupError::NotForMe)
    );
}

#[test]
fn who_joins_with_a_change_judges_the_ones_beside_it() {
    // Each seed makes other hashes, and so another order.
    (0..16).for_each(|seed| joins_beside_others(&repeatable(seed)));
}

fn joins_beside_others(environment: &Environment) {
    let now = two_admins(environment);
    let (_, added) = next(&now.current, Proposal::Add(people([DAVE])), ALICE, environment);
    let joined = KnownGroup::after(None, &added, &ControlVerdict::Join, DAVE).unwrap();
    let mut beside = [
        next(&now.current, Proposal::Rekey, ALICE, environment).1,
        next(&now.current, Proposal::Remove(people([CAROL])), BOB, environment).1,
        next(&now.current, Proposal::Leave, BOB, environment).1,
        added,
    ];
    let order = |control: &GroupControl| match control.change() {
        GroupChange::Removed => 0,
        GroupChange::Left => 1,
        _ => 2,
    };
    beside.sort_by_key(|control| (order(control), control.state().hash()));
    // From the last to the first, each control takes the place of the one before, even if that one
    // had another key. In the other order none does.
    let mut known = joined;
    for control in beside.iter().rev() {
        let verdict = judge_control(Some(&known), control, control.author(), DAVE);
        if control.state() != &known.current && verdict != ControlVerdict::Overtaken {
            assert_eq!(verdict, ControlVerdict::Overtakes, "{}", control.change());
            known = KnownGroup::after(Some(&known), control, &verdict, DAVE).unwrap();
        }
    }
    assert_eq!(&known.current, beside[0].state());
    for control in &beside[1..] {
        assert_eq!(judge_control(Some(&known), control, control.author(), DAVE), ControlVerdict::Overtaken);
    }
    // A control without the key before is refused. One on another state meets this history. One by
    // somebody who may have been an admin before waits for the state before.
    let key = now.current.master_key();
    let last = &beside[3];
    let refused = |control: GroupControl, error| {
        assert_eq!(
            judge_control(Some(&known), &control, control.author(), DAVE),
            ControlVerdict::Refused(error)
        );
    };
    refused(
        forged(last, "/eko:later", json!(1), &MasterKey::from_bytes([1; 32])).unwrap(),
        GroupError::WrongMac,
    );
    let renamed = next(&now.current, rename("Band"), BOB, environment).1;
    let elsewhere = forged(&renamed, "/eko:previous", json!("ab".repeat(32)), key).unwrap();
    let met = ControlVerdict::Conflict { wins: false };
    assert_eq!(judge_control(Some(&known), &elsewhere, BOB, DAVE), met, "the last change is a removal");
    let granted = forged(&renamed, "/object/admins", json!([ALICE, BOB, CAROL]), key).unwrap();
    let mut value = granted.to_value();
    value["actor"] = json!(CAROL);
    let by_carol = proven(value, key).unwrap();
    assert_eq!(judge_control(Some(&known), &by_carol, CAROL, DAVE), ControlVerdict::Ahead);
}

#[test]
fn who_leaves_on_one_device_leaves_on_another_that_knows_nothing_yet() {
    let environment = repeatable(1);
    let (_, left) = next(&choir(&environment), Proposal::Leave, CAROL, &environment);
    assert_eq!(judge_control(None, &left, CAROL, CAROL), ControlVerdict::Ahead, "until the group has come");
    assert_eq!(judge_control(None, &left, CAROL, DAVE), ControlVerdict::Refused(GroupError::NotForMe));
}

#[test]
fn who_came_back_with_a_change_that_lost_is_added_again() {
    let environment = repeatable(1);
    let now = two_admins(&environment);
    let (out, left) = next(&now.current, Proposal::Leave, CAROL, &environment);
    let known =
        KnownGroup::after(Some(&now), &left, &judge_control(Some(&now), &left, CAROL, CAROL), CAROL).unwrap();
    let (_, lost) = next(&out, Proposal::Add(people([CAROL])), ALICE, &environment);
    let verdict = judge_control(Some(&known), &lost, ALICE, CAROL);
    assert_eq!(verdict, ControlVerdict::Join);
    let known = KnownGroup::after(Some(&known), &lost, &verdict, CAROL).unwrap();
    // Carol is told nothing of the change that won, because she is not a member in it.
    let (won, _) = next(&out, Proposal::Add(people([DAVE])), BOB, &environment);
    let (_, again) = next(&won, Proposal::Add(people([CAROL])), ALICE, &environment);
    assert_eq!(judge_control(Some(&known), &again, ALICE, CAROL), ControlVerdict::Jump);
    // A member who was there all along does not wait for the control that is missing.
    let at_bob = known_after(lost.state().clone(), seen(now.current));
    assert_eq!(judge_control(Some(&at_bob), &again, ALICE, BOB), ControlVerdict::Jump);
}
