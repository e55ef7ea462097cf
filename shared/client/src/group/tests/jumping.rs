//! Tests of controls that come without those before them, and of histories that meet.

use super::*;

/// Returns the record of the group with Bob as a second admin, Carol and Dave.
fn four(environment: &Environment) -> KnownGroup {
    let (before, _) = next(&choir(environment), Proposal::Add(people([DAVE])), ALICE, environment);
    let (current, _) = next(&before, Proposal::Promote(people([BOB])), ALICE, environment);
    known_after(current, seen(before))
}

/// Judges controls as a device of `me` does, one after the other. Returns the verdicts too.
fn follow<const N: usize>(
    known: &KnownGroup,
    controls: [&GroupControl; N],
    me: &str,
) -> (KnownGroup, [ControlVerdict; N]) {
    let mut known = known.clone();
    let verdicts = controls.map(|control| {
        let verdict = judge_control(Some(&known), control, control.author(), me);
        known = KnownGroup::after(Some(&known), control, &verdict, me).unwrap_or(known.clone());
        verdict
    });
    (known, verdicts)
}

#[test]
fn a_known_admin_is_believed_without_what_was_between() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (second, renamed) = next(&known.current, rename("Band"), ALICE, &environment);
    let (third, rekeyed) = next(&second, Proposal::Rekey, BOB, &environment);
    let (at_carol, verdicts) = follow(&known, [&rekeyed, &renamed], CAROL);
    // The control that was missing comes late. It shows the state before, and changes nothing else.
    assert_eq!(verdicts, [ControlVerdict::Jump, ControlVerdict::Reveals]);
    assert_eq!((&at_carol.current, &at_carol.before), (&third, &seen(second)));
    assert_eq!(at_carol.past, [former(&known.current)]);
    // A member who is no admin is not believed.
    let (_, left) = next(&third, Proposal::Leave, DAVE, &environment);
    assert_eq!(judge_control(Some(&known), &left, DAVE, CAROL), ControlVerdict::Ahead);
}

#[test]
fn whoever_is_added_begins_within_the_first_million_epochs() {
    let environment = repeatable(1);
    let (_, added) = next(&choir(&environment), Proposal::Add(people([DAVE])), ALICE, &environment);
    let judged = |epoch: u64| {
        let mut value = added.to_value();
        (value["object"]["epoch"], value["eko:group"]["epoch"]) = (json!(epoch), json!(epoch));
        let control = proven(value, added.state().master_key()).unwrap();
        judge_control(None, &control, ALICE, DAVE)
    };
    assert_eq!(judged(MAX_FIRST_EPOCH), ControlVerdict::Join);
    assert_eq!(judged(MAX_FIRST_EPOCH + 1), ControlVerdict::Refused(GroupError::TooFarAhead));
}

#[test]
fn nobody_goes_further_than_a_thousand_epochs_at_once() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (_, renamed) = next(&known.current, rename("Band"), ALICE, &environment);
    let at = |epoch: u64| {
        let mut value = renamed.to_value();
        (value["object"]["epoch"], value["eko:group"]["epoch"]) = (json!(epoch), json!(epoch));
        value["eko:previous"] = json!("ab".repeat(32));
        proven(value, known.current.master_key())
    };
    let now = known.current.epoch();
    let judged = |epoch| judge_control(Some(&known), &at(epoch).unwrap(), ALICE, CAROL);
    assert_eq!(judged(now + MAX_EPOCH_JUMP), ControlVerdict::Jump);
    assert_eq!(judged(now + MAX_EPOCH_JUMP + 1), ControlVerdict::Refused(GroupError::TooFarAhead));
    assert_eq!(judged(MAX_EPOCH), ControlVerdict::Refused(GroupError::TooFarAhead));
    assert_eq!(at(MAX_EPOCH + 1).unwrap_err().pointer, "/eko:group/epoch");
    let parts = GroupParts { epoch: MAX_EPOCH + 1, ..known.current.parts().clone() };
    assert_eq!(GroupState::new(parts).unwrap_err().pointer, "/epoch");
}

/// The race that waiting for the missing control would never settle: one admin renews the key after
/// a departure, and the departure is overtaken for everybody else.
#[test]
fn a_departure_that_is_overtaken_after_the_renewal_ends_alike() {
    for seed in 0..16 {
        let environment = repeatable(seed);
        let known = four(&environment);
        let (_, left) = next(&known.current, Proposal::Leave, CAROL, &environment);
        let (_, won) = next(&known.current, Proposal::Remove(people([DAVE])), BOB, &environment);
        // Alice has seen the departure only, and renews the key.
        let (at_alice, _) = follow(&known, [&left], ALICE);
        let (rekeyed, renewal) = next(&at_alice.current, Proposal::Rekey, ALICE, &environment);
        let (at_alice, verdicts) = follow(&at_alice, [&renewal, &won], ALICE);
        assert_eq!(verdicts, [ControlVerdict::Apply, ControlVerdict::Older]);
        for order in [[&won, &left, &renewal], [&left, &renewal, &won], [&renewal, &won, &left]] {
            let (at_bob, _) = follow(&known, order, BOB);
            assert_eq!((&at_bob.current, at_bob.rekey_due()), (&rekeyed, false));
        }
        // The renewal has undone Bob's removal, which his device makes again.
        let (at_bob, _) = follow(&known, [&won, &left, &renewal], BOB);
        assert_eq!(at_bob.should_remove_again(BOB), people([DAVE]));
        for order in [[&left, &renewal], [&renewal, &left]] {
            let (at_dave, _) = follow(&known, order, DAVE);
            assert_eq!((&at_dave.current, at_dave.rekey_due()), (&rekeyed, false));
        }
        // Carol is not told of the renewal. Her device leaves again, which changes nothing.
        let (at_carol, _) = follow(&known, [&left, &won], CAROL);
        assert_eq!(at_carol.should_leave_again(CAROL), LeaveDecision::Leave);
        let (_, again) = next(&at_carol.current, Proposal::Leave, CAROL, &environment);
        assert_eq!(follow(&at_alice, [&again], ALICE), (at_alice.clone(), [ControlVerdict::Older]));
    }
}

/// The other such race: whether an `added` brings back a user who has left, or somebody else while
/// the departure was overtaken, shows in the control.
#[test]
fn an_added_tells_whom_it_adds_however_late_it_comes() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (out, left) = next(&known.current, Proposal::Leave, CAROL, &environment);
    let won = next(&known.current, Proposal::Remove(people([DAVE])), BOB, &environment);
    let (at_carol, _) = follow(&known, [&left], CAROL);
    // Two epochs later, on the state in which she is still a member.
    let (third, _) = next(&won.0, Proposal::Rekey, BOB, &environment);
    let eve = people(["https://e.example/user/eve"]);
    let (_, added) = next(&third, Proposal::Add(eve), ALICE, &environment);
    let (stays, verdicts) = follow(&at_carol, [&added], CAROL);
    assert_eq!((verdicts, stays.should_leave_again(CAROL)), ([ControlVerdict::Jump], LeaveDecision::Leave));
    // Two epochs later, on the state without her.
    let (third, _) = next(&out, Proposal::Rekey, BOB, &environment);
    let (fourth, _) = next(&third, rename("Band"), BOB, &environment);
    let (_, added) = next(&fourth, Proposal::Add(people([CAROL])), ALICE, &environment);
    let (back, verdicts) = follow(&at_carol, [&added], CAROL);
    assert_eq!((verdicts, back.should_leave_again(CAROL)), ([ControlVerdict::Join], LeaveDecision::NotDue));
}

#[test]
fn a_departure_that_was_skipped_makes_a_key_due_when_it_comes() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (out, left) = next(&known.current, Proposal::Leave, CAROL, &environment);
    let (second, _) = next(&out, rename("Band"), BOB, &environment);
    let (third, renamed) = next(&second, rename("Choir"), BOB, &environment);
    let (at_alice, verdicts) = follow(&known, [&renamed, &left], ALICE);
    assert_eq!(verdicts, [ControlVerdict::Jump, ControlVerdict::LateDeparture]);
    assert!(at_alice.rekey_due());
    // A departure under a key that has gone since does not.
    let (_, rekeyed) = next(&third, Proposal::Rekey, BOB, &environment);
    let (at_alice, verdicts) = follow(&known, [&rekeyed, &left], ALICE);
    assert_eq!((verdicts, at_alice.rekey_due()), ([ControlVerdict::Jump, ControlVerdict::Older], false));
}

#[test]
fn histories_that_meet_go_on_with_the_lower_hash() {
    for seed in 0..8 {
        let environment = repeatable(seed);
        let known = four(&environment);
        let branch = |name: &str, by: &str| {
            let (state, one) = next(&known.current, rename(name), by, &environment);
            let two = next(&state, Proposal::Rekey, by, &environment).1;
            [one, two]
        };
        let (hers, his) = (branch("hers", ALICE), branch("his", BOB));
        let (at_alice, _) = follow(&known, [&hers[0], &hers[1]], ALICE);
        let (at_bob, _) = follow(&known, [&his[0], &his[1]], BOB);
        let wins = his[1].state().hash() < hers[1].state().hash();
        let (at_alice, verdicts) = follow(&at_alice, [&his[1]], ALICE);
        assert_eq!(verdicts, [ControlVerdict::Conflict { wins }]);
        let (at_bob, verdicts) = follow(&at_bob, [&hers[1]], BOB);
        assert_eq!(verdicts, [ControlVerdict::Conflict { wins: !wins }]);
        assert_eq!(at_alice.current, at_bob.current);
        // Whoever is no admin begins no other history.
        let lost = if wins { &hers } else { &his };
        let (_, left) = next(lost[0].state(), Proposal::Leave, DAVE, &environment);
        let refused = ControlVerdict::Refused(GroupError::OtherHistory);
        assert_eq!(judge_control(Some(&at_alice), &left, DAVE, ALICE), refused);
    }
}

#[test]
fn two_stories_of_one_device_are_told_apart_from_two_changes_at_once() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (at_carol, _) = follow(&known, [&next(&known.current, rename("one"), ALICE, &environment).1], CAROL);
    let other = next(&known.current, rename("other"), ALICE, &environment).1;
    assert!(at_carol.is_second_story(&other));
    let at_once = next(&known.current, rename("his"), BOB, &environment).1;
    assert!(!at_carol.is_second_story(&at_once));
    let later = next(&at_carol.current, rename("later"), ALICE, &environment).1;
    assert!(!at_carol.is_second_story(&later));
}

#[test]
fn a_state_is_compared_with_those_that_were() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (second, renamed) = next(&known.current, rename("Band"), ALICE, &environment);
    let (at_carol, _) = follow(&known, [&renamed], CAROL);
    let agreement = |state: &GroupState| at_carol.agreement(state.epoch(), &state.hash());
    assert_eq!(agreement(&second), StateAgreement::Same);
    assert_eq!(agreement(&known.current), StateAgreement::Former);
    let (other, _) = next(&known.current, rename("Orchestra"), BOB, &environment);
    assert_eq!(agreement(&other), StateAgreement::Other);
    assert_eq!(agreement(&next(&second, Proposal::Rekey, ALICE, &environment).0), StateAgreement::Later);
    // Whoever changed the group has the state. The others have not shown it yet.
    assert_eq!(at_carol.unconfirmed(CAROL), people([BOB, DAVE]));
}

/// Mallory, a member, makes a `left` that leads newcomers and whoever has skipped a state
/// elsewhere.
#[test]
fn a_departure_rewrites_nothing_where_the_state_before_is_unknown() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (second, renamed) = next(&known.current, rename("Band"), ALICE, &environment);
    let eve = "https://e.example/user/eve";
    let (third, added) = next(&second, Proposal::Add(people([eve])), ALICE, &environment);
    let (_, left) = next(&second, Proposal::Leave, CAROL, &environment);
    let key = second.master_key();
    let mut members = third.members().clone();
    members.remove(CAROL);
    members.insert("https://m.example/user/mallory".to_owned());
    let false_left = forged(&left, "/object/members", json!(members), key).unwrap();
    let newcomer = KnownGroup::after(None, &added, &ControlVerdict::Join, eve).unwrap();
    let (jumped, _) = follow(&known, [&added], DAVE);
    for (known, me) in [(&newcomer, eve), (&jumped, DAVE)] {
        for control in [&left, &false_left] {
            let (after, verdicts) = follow(known, [control], me);
            assert_eq!((verdicts, &after), ([ControlVerdict::Ahead], known));
        }
    }
    // The state before shows which of them is right.
    let (revealed, _) = follow(&jumped, [&renamed], DAVE);
    let refused = ControlVerdict::Refused(GroupError::NotThatChange(GroupChange::Left));
    assert_eq!(judge_control(Some(&revealed), &false_left, CAROL, DAVE), refused);
    assert_eq!(judge_control(Some(&revealed), &left, CAROL, DAVE), ControlVerdict::Overtakes);
    // A device of the user has made this one, and it holds.
    let (_, own) = next(&second, Proposal::Leave, DAVE, &environment);
    assert_eq!(judge_control(Some(&jumped), &own, DAVE, DAVE), ControlVerdict::Overtakes);
}

/// Whoever shows the state before calls it a departure of somebody who does not have its key.
#[test]
fn a_state_that_is_shown_late_makes_no_key_due_by_a_false_word() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (second, renamed) = next(&known.current, rename("Band"), ALICE, &environment);
    let (_, rekeyed) = next(&second, rename("Choir"), BOB, &environment);
    let (at_carol, _) = follow(&known, [&rekeyed], CAROL);
    let mut word = renamed.to_value();
    let mallory = "https://m.example/user/mallory";
    (word["actor"], word["eko:change"]) = (json!(mallory), json!("left"));
    for (key, due) in [(MasterKey::from_bytes([7; 32]), false), (second.master_key().clone(), true)] {
        let left = proven(word.clone(), &key).unwrap();
        let (after, verdicts) = follow(&at_carol, [&left], CAROL);
        assert_eq!((verdicts, &after.before.clone()), ([ControlVerdict::Reveals], &after.before));
        assert!(matches!(&after.before, PreviousState::Seen { state, .. } if *state == second));
        assert_eq!(after.rekey_due(), due);
    }
}

/// Carol was removed, added again and made an admin, and a server has withheld all of that from
/// Dave.
#[test]
fn an_admin_vouches_for_somebody_who_was_removed_and_is_back() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (out, removed) = next(&known.current, Proposal::Remove(people([CAROL])), ALICE, &environment);
    let (at_dave, _) = follow(&known, [&removed], DAVE);
    let (back, _) = next(&out, Proposal::Add(people([CAROL])), ALICE, &environment);
    let (admin, _) = next(&back, Proposal::Promote(people([CAROL])), ALICE, &environment);
    let (_, renamed) = next(&admin, rename("Band"), CAROL, &environment);
    let refused = ControlVerdict::Refused(GroupError::OtherHistory);
    assert_eq!(judge_control(Some(&at_dave), &renamed, CAROL, DAVE), refused);
    let (device, identity) = (device_of(CAROL), identity_of(CAROL).public());
    let sender = ControlSender { actor: CAROL, device: &device, identity: &identity };
    let forwarded = |by| judge_forwarded_control(Some(&at_dave), &renamed, &sender, by, DAVE);
    assert_eq!(forwarded(ALICE), ControlVerdict::Jump);
    // Nobody vouches for oneself, and no member who is no admin for anybody.
    assert_eq!([CAROL, DAVE].map(forwarded), [refused.clone(), refused]);
}

#[test]
fn an_old_addition_by_somebody_who_is_no_admin_is_of_another_history() {
    let environment = repeatable(1);
    let known = four(&environment);
    let own = GroupState::new(GroupParts {
        admins: people([ALICE, DAVE]),
        grants: BTreeMap::from([(
            DAVE.to_owned(),
            signing(ALICE, &environment, |it| GroupGrant::sign(DAVE, known.current.id(), it)).unwrap(),
        )]),
        members: people([ALICE, BOB, DAVE]),
        ..known.current.parts().clone()
    });
    let (_, added) = next(&own.unwrap(), Proposal::Add(people([CAROL])), DAVE, &environment);
    let (second, one) = next(&known.current, rename("Band"), ALICE, &environment);
    let (third, two) = next(&second, Proposal::Rekey, ALICE, &environment);
    let (at_carol, _) = follow(&known, [&one, &two], CAROL);
    assert_eq!(at_carol.current, third);
    let refused = ControlVerdict::Refused(GroupError::OtherHistory);
    assert_eq!(judge_control(Some(&at_carol), &added, DAVE, CAROL), refused, "a member is no admin");
    // What the device followed itself is no other history, though its author is gone since.
    let (_, added) = next(&third, Proposal::Add(people(["https://e.example/user/eve"])), BOB, &environment);
    let (_, left) = next(added.state(), Proposal::Leave, BOB, &environment);
    let eve = "https://e.example/user/eve";
    let at_eve = KnownGroup::after(None, &added, &ControlVerdict::Join, eve).unwrap();
    let at_eve = KnownGroup { before: seen(third), ..at_eve };
    let (at_eve, _) = follow(&at_eve, [&left], eve);
    assert_eq!(judge_control(Some(&at_eve), &added, BOB, eve), ControlVerdict::Older);
}

/// A note that waited for two controls names a state that the device has skipped since.
#[test]
fn a_state_that_was_skipped_or_forgotten_is_no_other_history() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (second, _) = next(&known.current, rename("one"), ALICE, &environment);
    let (third, _) = next(&second, rename("two"), ALICE, &environment);
    let (_, fourth) = next(&third, rename("three"), ALICE, &environment);
    let (at_carol, _) = follow(&known, [&fourth], CAROL);
    let agreement = |state: &GroupState| at_carol.agreement(state.epoch(), &state.hash());
    assert_eq!(agreement(&second), StateAgreement::Unknown);
    assert_eq!(agreement(&third), StateAgreement::Former);
    assert_eq!(agreement(&next(&second, rename("other"), BOB, &environment).0), StateAgreement::Other);
    assert_eq!(agreement(&choir(&environment)), StateAgreement::Unknown, "the device came in later");
}
