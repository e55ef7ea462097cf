//! Tests of departures that were overtaken: who leaves again, and when nobody does.

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

/// Judges controls as a device of `me` does, one after the other.
fn follow<const N: usize>(known: &KnownGroup, controls: [&GroupControl; N], me: &str) -> KnownGroup {
    controls.into_iter().fold(known.clone(), |known, control| {
        let verdict = judge_control(Some(&known), control, control.author(), me);
        assert!(!matches!(verdict, ControlVerdict::Ahead | ControlVerdict::Refused(_)), "{verdict:?}");
        KnownGroup::after(Some(&known), control, &verdict, me).unwrap_or(known)
    })
}

/// Returns a control that Bob makes of the same state as a departure, and that wins over it.
fn race(before: &GroupState, whom: &str, environment: &Environment) -> GroupControl {
    change(before, Proposal::Remove(people([whom])), BOB, environment)
}

#[test]
fn of_two_who_leave_at_once_the_one_that_loses_leaves_again() {
    for seed in 0..16 {
        let environment = repeatable(seed);
        let known = four(&environment);
        let mut left = [CAROL, DAVE].map(|who| change(&known.current, Proposal::Leave, who, &environment));
        left.sort_by_key(|control| control.state().hash());
        let [won, lost] = &left;
        for order in [[won, lost], [lost, won]] {
            let decision = |me| follow(&known, order, me).should_leave_again(me);
            assert_eq!(decision(won.author()), LeaveDecision::NotDue);
            // It does not matter on which of the user's devices the control was made.
            assert_eq!(decision(lost.author()), LeaveDecision::Leave);
            assert_eq!([ALICE, BOB].map(decision), [LeaveDecision::NotDue; 2]);
        }
        // The state that follows does not settle it, but the second departure does.
        let rekeyed = change(won.state(), Proposal::Rekey, ALICE, &environment);
        let me = lost.author();
        let at_loser = follow(&known, [lost, won, &rekeyed], me);
        assert_eq!(at_loser.should_leave_again(me), LeaveDecision::Leave);
        let again = [(); 2].map(|()| change(&at_loser.current, Proposal::Leave, me, &environment));
        assert_eq!(again[0].state(), again[1].state(), "two devices of the user make the same state");
        let at_loser = follow(&at_loser, [&again[0], &again[1]], me);
        assert_eq!(at_loser.should_leave_again(me), LeaveDecision::NotDue);
        // The second departure may be overtaken too.
        let at_loser = follow(&at_loser, [&race(rekeyed.state(), ALICE, &environment)], me);
        assert_eq!(at_loser.should_leave_again(me), LeaveDecision::Leave);
        assert_eq!(KnownGroup::parse(&at_loser.to_value()), Ok(at_loser));
    }
}

#[test]
fn who_was_added_again_stays() {
    let environment = repeatable(1);
    let known = four(&environment);
    let left = change(&known.current, Proposal::Leave, CAROL, &environment);
    let rekeyed = change(left.state(), Proposal::Rekey, ALICE, &environment);
    let renamed = change(left.state(), rename("Band"), ALICE, &environment);
    let out = follow(&known, [&left], CAROL);
    // Carol's device is not told of the changes while she is out.
    for before in [left.state(), rekeyed.state(), renamed.state()] {
        let added = change(before, Proposal::Add(people([CAROL])), BOB, &environment);
        let known = follow(&out, [&added], CAROL);
        assert!(known.current.members().contains(CAROL));
        assert_eq!(known.should_leave_again(CAROL), LeaveDecision::NotDue);
        // The next departure counts like the first.
        let left = change(&known.current, Proposal::Leave, CAROL, &environment);
        let known = follow(&known, [&left, &race(&known.current, DAVE, &environment)], CAROL);
        assert_eq!(known.should_leave_again(CAROL), LeaveDecision::Leave);
    }
}

#[test]
fn who_sees_only_what_follows_the_control_that_won_leaves_again() {
    let environment = repeatable(1);
    let known = four(&environment);
    let left = change(&known.current, Proposal::Leave, CAROL, &environment);
    let won = race(&known.current, DAVE, &environment);
    let out = follow(&known, [&left], CAROL);
    // The control that won is still on its way to Carol's device.
    let eve = people(["https://e.example/user/eve"]);
    for proposal in [rename("Band"), Proposal::Add(eve), Proposal::Promote(people([CAROL]))] {
        let known = follow(&out, [&change(won.state(), proposal, ALICE, &environment)], CAROL);
        assert!(known.current.members().contains(CAROL));
        assert_eq!(known.should_leave_again(CAROL), LeaveDecision::Leave);
    }
}

#[test]
fn who_left_and_is_still_listed_is_not_kept_by_an_addition_that_skips_epochs() {
    let environment = repeatable(1);
    let known = four(&environment);
    let left = change(&known.current, Proposal::Leave, CAROL, &environment);
    let won = race(&known.current, DAVE, &environment);
    let listed = follow(&known, [&left, &won], CAROL);
    assert!(listed.current.members().contains(CAROL));
    assert_eq!(listed.should_leave_again(CAROL), LeaveDecision::Leave);
    // Carol's device is not told that Bob removes her, only that he adds her again.
    let removed = change(won.state(), Proposal::Remove(people([CAROL])), BOB, &environment);
    let added = change(removed.state(), Proposal::Add(people([CAROL])), BOB, &environment);
    assert!(added.brings_in(CAROL));
    let verdict = judge_control(Some(&listed), &added, BOB, CAROL);
    assert_eq!(verdict, ControlVerdict::Jump);
    let kept = follow(&listed, [&added], CAROL);
    assert_eq!(kept.current, *added.state());
    assert_eq!(kept.should_leave_again(CAROL), LeaveDecision::Leave);
}

#[test]
fn the_last_admin_leaves_when_there_is_another() {
    let environment = repeatable(1);
    let known = four(&environment);
    let mut left = [ALICE, BOB].map(|who| change(&known.current, Proposal::Leave, who, &environment));
    left.sort_by_key(|control| control.state().hash());
    let [won, lost] = &left;
    let me = lost.author();
    let known = follow(&known, [lost, won], me);
    assert_eq!(known.should_leave_again(me), LeaveDecision::LastAdmin);
    let promoted = change(&known.current, Proposal::Promote(people([CAROL])), me, &environment);
    assert_eq!(follow(&known, [&promoted], me).should_leave_again(me), LeaveDecision::Leave);
    let removed = change(&known.current, Proposal::Remove(people([CAROL, DAVE])), me, &environment);
    assert_eq!(follow(&known, [&removed], me).should_leave_again(me), LeaveDecision::Leave);
}
