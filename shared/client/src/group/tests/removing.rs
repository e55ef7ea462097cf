//! Tests of removals that meet other changes: none is undone by a change that was made without
//! knowing of it.

use super::*;

/// Returns Alice's group with Bob, Carol and Dave, in which Bob is a second admin.
fn four(environment: &Environment) -> KnownGroup {
    let (before, _) = next(&choir(environment), Proposal::Add(people([DAVE])), ALICE, environment);
    let (current, _) = next(&before, Proposal::Promote(people([BOB])), ALICE, environment);
    known_after(current, seen(before))
}

/// Returns the control of a change.
fn change(state: &GroupState, proposal: Proposal, by: &str, environment: &Environment) -> GroupControl {
    next(state, proposal, by, environment).1
}

fn removal(state: &GroupState, whom: &str, by: &str, environment: &Environment) -> GroupControl {
    change(state, Proposal::Remove(people([whom])), by, environment)
}

/// Judges a control as a device of `me` does. Returns the record, and what is undone of the user's.
fn step(known: &KnownGroup, control: &GroupControl, me: &str) -> (KnownGroup, Option<UndoneChange>) {
    let verdict = judge_control(Some(known), control, control.author(), me);
    let Some(after) = KnownGroup::after(Some(known), control, &verdict, me) else {
        return (known.clone(), None);
    };
    let undone = known.undone_in(&after, &verdict, me);
    (after, undone)
}

fn follow<const N: usize>(known: &KnownGroup, controls: [&GroupControl; N], me: &str) -> KnownGroup {
    controls.into_iter().fold(known.clone(), |known, control| step(&known, control, me).0)
}

#[test]
fn a_removal_wins_over_every_change_that_was_made_without_it() {
    for seed in 0..8 {
        let environment = repeatable(seed);
        let known = four(&environment);
        let removed = removal(&known.current, CAROL, ALICE, &environment);
        let eve = people(["https://e.example/user/eve"]);
        let others = [rename("Band"), Proposal::Add(eve), Proposal::Promote(people([DAVE])), Proposal::Rekey];
        for proposal in others {
            let other = change(&known.current, proposal.clone(), BOB, &environment);
            for order in [[&removed, &other], [&other, &removed]] {
                for me in [ALICE, BOB, DAVE] {
                    let known = follow(&known, order, me);
                    assert_eq!(&known.current, removed.state(), "{proposal:?}");
                }
            }
            // Bob, whose change has lost, is told of what does not hold. The removal renews the
            // key, too.
            let undone = step(&follow(&known, [&other], BOB), &removed, BOB).1;
            let undone = undone.map(|undone| (undone.change, undone.remedy, undone.lost));
            let lost = GroupDifference::between(&known.current, other.state());
            let remedy = if other.change() == GroupChange::Added { Remedy::Again } else { Remedy::ByUser };
            let expected = (other.change(), remedy, lost);
            assert_eq!(undone, (proposal != Proposal::Rekey).then_some(expected));
        }
        let left = change(&known.current, Proposal::Leave, DAVE, &environment);
        let at_dave = follow(&known, [&left], DAVE);
        let (at_dave, undone) = step(&at_dave, &removed, DAVE);
        let undone = undone.unwrap();
        assert_eq!((undone.change, undone.remedy), (GroupChange::Left, Remedy::Again));
        assert_eq!(undone.lost.removed, people([DAVE]));
        assert_eq!(at_dave.should_leave_again(DAVE), LeaveDecision::Leave);
    }
}

/// Two removals in a row undo an addition. The device adds once more, and then leaves it to the user.
#[test]
fn an_addition_that_loses_twice_is_left_to_the_user() {
    let environment = repeatable(1);
    let mut known = four(&environment);
    let eve = "https://e.example/user/eve";
    for (gone, remedy) in [(CAROL, Remedy::Again), (DAVE, Remedy::ByUser)] {
        let added = change(&known.current, Proposal::Add(people([eve])), BOB, &environment);
        let removed = removal(&known.current, gone, ALICE, &environment);
        let (after, undone) = step(&follow(&known, [&added], BOB), &removed, BOB);
        assert_eq!(undone.map(|undone| undone.remedy), Some(remedy));
        let due = if remedy == Remedy::Again { people([eve]) } else { people([]) };
        assert_eq!((after.should_add_again(BOB), after.should_add_again(DAVE)), (due, people([])));
        // A device of the user to which the addition comes last finds the same.
        let late = follow(&known, [&removed, &added], BOB);
        assert_eq!(late.should_add_again(BOB), after.should_add_again(BOB));
        known = after;
    }
}

/// Whoever is taken out by a later change was removed on purpose, or may have been.
#[test]
fn who_was_added_and_removed_on_purpose_stays_out() {
    let environment = repeatable(1);
    let known = four(&environment);
    let eve = "https://e.example/user/eve";
    let added = change(&known.current, Proposal::Add(people([eve])), BOB, &environment);
    let removed = removal(added.state(), eve, ALICE, &environment);
    let renamed = change(removed.state(), rename("Band"), ALICE, &environment);
    for controls in [vec![&added, &removed, &renamed], vec![&added, &renamed, &removed]] {
        let known = controls.into_iter().fold(known.clone(), |known, it| step(&known, it, BOB).0);
        assert_eq!((&known.current, known.should_add_again(BOB)), (renamed.state(), people([])));
    }
}

/// The server passes a change of the same epoch on before the removal, which is no next change then.
#[test]
fn who_was_added_and_removed_on_purpose_stays_out_in_whatever_order_that_comes() {
    let environment = repeatable(1);
    let known = four(&environment);
    let eve = "https://e.example/user/eve";
    let added = change(&known.current, Proposal::Add(people([eve])), BOB, &environment);
    let removed = removal(added.state(), eve, ALICE, &environment);
    let left = change(&known.current, Proposal::Leave, CAROL, &environment);
    let (at_bob, undone) = step(&follow(&known, [&added], BOB), &left, BOB);
    assert_eq!(undone.map(|undone| undone.remedy), Some(Remedy::Again));
    assert_eq!(at_bob.should_add_again(BOB), people([eve]));
    let (at_bob, undone) = step(&at_bob, &removed, BOB);
    assert_eq!((&at_bob.current, at_bob.should_add_again(BOB)), (removed.state(), people([])));
    // He was told that his device adds her, which it does not.
    let undone = undone.unwrap();
    assert_eq!((undone.change, undone.remedy), (GroupChange::Added, Remedy::ByUser));
    assert_eq!(undone.lost.added, people([eve]));
}

/// Bob has left, and was overtaken. The other admin leaves in the next change.
#[test]
fn whoever_becomes_the_last_admin_is_told_by_whatever_change_that_is() {
    let environment = repeatable(1);
    let known = four(&environment);
    let left = change(&known.current, Proposal::Leave, BOB, &environment);
    let removed = removal(&known.current, CAROL, ALICE, &environment);
    let last = change(removed.state(), Proposal::Leave, ALICE, &environment);
    let (at_bob, undone) = step(&follow(&known, [&left], BOB), &removed, BOB);
    assert_eq!(undone.map(|undone| undone.remedy), Some(Remedy::Again));
    let (at_bob, undone) = step(&at_bob, &last, BOB);
    assert_eq!(at_bob.should_leave_again(BOB), LeaveDecision::LastAdmin);
    let undone = undone.unwrap();
    assert_eq!((undone.change, undone.remedy), (GroupChange::Left, Remedy::AnotherAdmin));
    // Once is enough.
    let left = change(&at_bob.current, Proposal::Leave, DAVE, &environment);
    assert_eq!(step(&at_bob, &left, BOB).1, None);
}

#[test]
fn of_two_removals_at_once_the_one_that_loses_is_made_again_once() {
    for seed in 0..8 {
        let environment = repeatable(seed);
        let known = four(&environment);
        let mut both =
            [(ALICE, CAROL), (BOB, DAVE)].map(|(by, whom)| removal(&known.current, whom, by, &environment));
        both.sort_by_key(|control| control.state().hash());
        let [won, lost] = &both;
        let (winner, loser) = (won.author(), lost.author());
        let gone: BTreeSet<_> = known.current.members().difference(lost.state().members()).cloned().collect();
        let at_winner = follow(&known, [won, lost], winner);
        assert_eq!(at_winner.should_remove_again(winner), people([]));
        let (at_loser, undone) = step(&follow(&known, [lost], loser), won, loser);
        let undone = undone.unwrap();
        assert_eq!((undone.change, undone.remedy), (GroupChange::Removed, Remedy::Again));
        assert_eq!(undone.lost.removed, gone);
        assert_eq!(at_loser.should_remove_again(loser), gone);
        // It does not matter on which of the user's devices the control was made.
        assert_eq!(follow(&known, [won, lost], loser).should_remove_again(loser), gone);
        assert_eq!(KnownGroup::parse(&at_loser.to_value()), Ok(at_loser.clone()));
        // Somebody who is no admin any more removes nobody.
        let demoted = KnownGroup { current: known.current.clone(), ..at_loser.clone() };
        assert_eq!(demoted.should_remove_again(DAVE), people([]));
        // The second one is made once. Whoever undoes it too has the user decide.
        let again = change(&at_loser.current, Proposal::Remove(gone.clone()), loser, &environment);
        let at_loser = follow(&at_loser, [&again], loser);
        assert_eq!(at_loser.should_remove_again(loser), people([]));
        let (second, _) = next(won.state(), rename("Band"), winner, &environment);
        let (_, third) = next(&second, Proposal::Rekey, winner, &environment);
        let (at_loser, undone) = step(&at_loser, &third, loser);
        assert_eq!(at_loser.should_remove_again(loser), people([]));
        let undone = undone.unwrap();
        assert_eq!((undone.change, undone.remedy), (GroupChange::Removed, Remedy::ByUser));
        assert_eq!(undone.lost.removed, gone);
    }
}

/// Bob has not looked, and makes several changes. The later epoch goes on everywhere.
#[test]
fn a_removal_that_a_longer_history_undoes_is_made_again() {
    let environment = repeatable(1);
    let known = four(&environment);
    let removed = removal(&known.current, CAROL, ALICE, &environment);
    let (second, first_of_bob) = next(&known.current, rename("Band"), BOB, &environment);
    let (_, second_of_bob) = next(&second, rename("Quartet"), BOB, &environment);
    let at_alice = follow(&known, [&removed, &first_of_bob], ALICE);
    assert_eq!(&at_alice.current, removed.state());
    let (at_alice, undone) = step(&at_alice, &second_of_bob, ALICE);
    assert_eq!(&at_alice.current, second_of_bob.state());
    assert_eq!(undone.map(|undone| undone.remedy), Some(Remedy::Again));
    assert_eq!(at_alice.should_remove_again(ALICE), people([CAROL]));
    let again = removal(&at_alice.current, CAROL, ALICE, &environment);
    for me in [ALICE, BOB, DAVE] {
        let known = follow(&known, [&first_of_bob, &second_of_bob, &removed, &again], me);
        assert_eq!(&known.current, again.state());
    }
}

#[test]
fn whoever_is_added_on_purpose_stays() {
    let environment = repeatable(1);
    let known = four(&environment);
    let removed = removal(&known.current, CAROL, ALICE, &environment);
    let added = change(removed.state(), Proposal::Add(people([CAROL])), BOB, &environment);
    let (at_alice, undone) = step(&follow(&known, [&removed], ALICE), &added, ALICE);
    assert_eq!((undone, at_alice.should_remove_again(ALICE)), (None, people([])));
    // What follows it ends nothing that is ended.
    let renamed = change(added.state(), rename("Band"), BOB, &environment);
    assert_eq!(follow(&at_alice, [&renamed], ALICE).should_remove_again(ALICE), people([]));
}

/// Bob was led away before the removal. However far that was, it does not undo the removal.
#[test]
fn a_jump_that_lists_whoever_was_removed_ends_no_removal() {
    let environment = repeatable(1);
    let known = four(&environment);
    let removed = removal(&known.current, CAROL, ALICE, &environment);
    let epoch = removed.state().epoch() + 3 * MAX_RACE;
    let far = GroupState::new(GroupParts { epoch, ..known.current.parts().clone() }).unwrap();
    let rekeyed = change(&far, Proposal::Rekey, BOB, &environment);
    let (at_alice, undone) = step(&follow(&known, [&removed], ALICE), &rekeyed, ALICE);
    let undone = undone.unwrap();
    assert_eq!((undone.change, undone.remedy), (GroupChange::Removed, Remedy::Again));
    assert_eq!(undone.lost.removed, people([CAROL]));
    // A change that comes before she is removed again ends nothing either.
    let renamed = change(rekeyed.state(), rename("Band"), BOB, &environment);
    for at_alice in [&at_alice, &follow(&at_alice, [&renamed], ALICE)] {
        assert_eq!(at_alice.should_remove_again(ALICE), people([CAROL]));
    }
    // It is made again once.
    let again = removal(rekeyed.state(), CAROL, ALICE, &environment);
    let at_alice = follow(&at_alice, [&again, &renamed], ALICE);
    assert_eq!((&at_alice.current, at_alice.should_remove_again(ALICE)), (again.state(), people([])));
}

/// A device that was revoked has the key of the state before, too, to which the group may go back.
#[test]
fn a_revocation_is_not_forgotten_with_the_change_that_is_undone() {
    let environment = repeatable(1);
    let known = four(&environment);
    let rekeyed = change(&known.current, Proposal::Rekey, ALICE, &environment);
    let left = change(&known.current, Proposal::Leave, CAROL, &environment);
    let known = follow(&known, [&rekeyed], ALICE).with_revoked_device();
    let known = follow(&known, [&left], ALICE);
    assert_eq!((&known.current, known.outsiders.revoked), (left.state(), true));
}

/// The control of somebody who has led a device elsewhere and left shows the other history still.
#[test]
fn a_departure_does_not_hide_who_led_elsewhere() {
    let environment = repeatable(1);
    let known = four(&environment);
    let mut state = known.current.clone();
    let mut jump = None;
    for name in ["one", "two"] {
        let (next, control) = next(&state, rename(name), BOB, &environment);
        (state, jump) = (next, Some(control));
    }
    let left = change(&state, Proposal::Leave, BOB, &environment);
    let removed = removal(&known.current, BOB, ALICE, &environment);
    let at_dave = follow(&known, [&jump.unwrap(), &left], DAVE);
    let verdict = judge_control(Some(&at_dave), &removed, ALICE, DAVE);
    assert_eq!(verdict, ControlVerdict::Refused(GroupError::OtherHistory));
}

/// Alice's tablet has seen Bob's addition of Eve before her phone's removal takes its place.
#[test]
fn a_removal_records_nobody_whom_a_change_that_lost_has_added() {
    let environment = repeatable(1);
    let known = four(&environment);
    let eve = "https://e.example/user/eve";
    let added = change(&known.current, Proposal::Add(people([eve])), BOB, &environment);
    let removed = removal(&known.current, CAROL, ALICE, &environment);
    let tablet = follow(&known, [&added, &removed], ALICE);
    assert!(tablet.removals.0.keys().eq([CAROL]));
    // Bob's device adds Eve again. The tablet misses that, and sees the change after it.
    let (again, _) = next(removed.state(), Proposal::Add(people([eve])), BOB, &environment);
    let renamed = change(&again, rename("Band"), BOB, &environment);
    let tablet = follow(&tablet, [&renamed], ALICE);
    assert_eq!(tablet.should_remove_again(ALICE), people([]));
}

/// Alice removes Carol and then Dave. An admin who has not looked brings both back.
#[test]
fn a_second_removal_does_not_forget_the_first() {
    let environment = repeatable(1);
    let known = four(&environment);
    let carol = removal(&known.current, CAROL, ALICE, &environment);
    let dave = removal(carol.state(), DAVE, ALICE, &environment);
    let (mut state, mut last) = (known.current.clone(), None);
    for name in ["one", "two", "three"] {
        let (next, control) = next(&state, rename(name), BOB, &environment);
        (state, last) = (next, Some(control));
    }
    let last = last.unwrap();
    let (at_alice, undone) = step(&follow(&known, [&carol, &dave], ALICE), &last, ALICE);
    let undone = undone.unwrap();
    assert_eq!((undone.lost.removed, undone.remedy), (people([CAROL, DAVE]), Remedy::Again));
    assert_eq!(at_alice.should_remove_again(ALICE), people([CAROL, DAVE]));
    assert_eq!(KnownGroup::parse(&at_alice.to_value()), Ok(at_alice.clone()));
    // No number of changes ends one. An addition does.
    let mut at_alice = follow(&known, [&carol, &dave], ALICE);
    for _ in 0..3 * MAX_RACE {
        let name = at_alice.current.epoch().to_string();
        at_alice = follow(&at_alice, [&change(&at_alice.current, rename(&name), BOB, &environment)], ALICE);
    }
    assert!(at_alice.removals.0.keys().eq([CAROL, DAVE]));
    let added = change(&at_alice.current, Proposal::Add(people([CAROL])), BOB, &environment);
    assert!(follow(&at_alice, [&added], ALICE).removals.0.keys().eq([DAVE]));
}
