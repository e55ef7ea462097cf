//! Tests of when a new master key is due, and of who makes it.

use super::*;

/// Returns Alice's group with Bob and Carol, in which Bob is a second admin.
fn two_admins(environment: &Environment) -> KnownGroup {
    let before = choir(environment);
    let (current, _) = next(&before, Proposal::Promote(people([BOB])), ALICE, environment);
    known_after(current, seen(before))
}

/// Returns the control of a change.
fn change(known: &KnownGroup, proposal: Proposal, by: &str, environment: &Environment) -> GroupControl {
    next(&known.current, proposal, by, environment).1
}

/// Judges a control as Alice's device does. Returns the verdict and the record afterwards.
fn follow(known: &KnownGroup, control: &GroupControl) -> (ControlVerdict, KnownGroup) {
    let verdict = judge_control(Some(known), control, control.author(), ALICE);
    let after = KnownGroup::after(Some(known), control, &verdict, ALICE);
    (verdict, after.unwrap_or_else(|| known.clone()))
}

/// Judges a control that must be the next one.
fn applied(known: &KnownGroup, control: &GroupControl) -> KnownGroup {
    let (verdict, after) = follow(known, control);
    assert_eq!(verdict, ControlVerdict::Apply);
    after
}

#[test]
fn a_departure_makes_it_due_for_admins() {
    let environment = repeatable(1);
    let known = two_admins(&environment);
    for who in [ALICE, BOB, CAROL] {
        assert_eq!(known.should_rekey(who), RekeyDecision::NotDue);
    }
    let known = applied(&known, &change(&known, Proposal::Add(people([DAVE])), ALICE, &environment));
    let known = applied(&known, &change(&known, Proposal::Leave, CAROL, &environment));
    assert!(known.rekey_due());
    assert_eq!([ALICE, BOB].map(|who| known.should_rekey(who)), [RekeyDecision::Rekey; 2]);
    // The others are a member who is no admin, a member who left, and a stranger.
    let others = [DAVE, CAROL, "https://e.example/user/eve"];
    assert_eq!(others.map(|who| known.should_rekey(who)), [RekeyDecision::LeftToAdmins; 3]);
}

#[test]
fn only_a_new_key_settles_it() {
    let environment = repeatable(1);
    let known = two_admins(&environment);
    let known = applied(&known, &change(&known, Proposal::Add(people([DAVE])), ALICE, &environment));
    let mut known = applied(&known, &change(&known, Proposal::Leave, CAROL, &environment));
    let left_key = known.current.master_key().clone();
    for (proposal, by) in
        [(rename("Band"), BOB), (Proposal::Promote(people([DAVE])), BOB), (Proposal::Leave, DAVE)]
    {
        known = applied(&known, &change(&known, proposal.clone(), by, &environment));
        assert!(known.rekey_due(), "{proposal:?}");
        assert_eq!(known.current.master_key(), &left_key);
    }
    // Who is back may have it. Dave is not.
    known = applied(&known, &change(&known, Proposal::Add(people([CAROL])), BOB, &environment));
    assert_eq!(known.outsiders.departed, people([DAVE]));
    for (proposal, by) in
        [(Proposal::Rekey, ALICE), (Proposal::Rekey, BOB), (Proposal::Remove(people([CAROL])), BOB)]
    {
        let settled = applied(&known, &change(&known, proposal.clone(), by, &environment));
        assert!(!settled.rekey_due(), "{proposal:?}");
        assert_ne!(settled.current.master_key(), &left_key);
        // The next departure makes a key due again.
        assert!(applied(&settled, &change(&settled, Proposal::Leave, BOB, &environment)).rekey_due());
    }
}

/// A key that was made at the same time as a departure was not made after it. The departure wins.
#[test]
fn a_key_that_was_made_at_once_with_a_departure_settles_nothing() {
    for seed in 0..16 {
        let environment = repeatable(seed);
        let known = two_admins(&environment);
        let left = change(&known, Proposal::Leave, CAROL, &environment);
        let rekeyed = change(&known, Proposal::Rekey, BOB, &environment);
        for order in [[&left, &rekeyed], [&rekeyed, &left]] {
            let known = order.iter().fold(known.clone(), |known, control| follow(&known, control).1);
            assert!(!known.current.members().contains(CAROL) && known.rekey_due());
        }
    }
}

#[test]
fn of_two_departures_at_once_the_one_that_wins_makes_it_due() {
    for seed in 0..16 {
        let environment = repeatable(seed);
        let known = two_admins(&environment);
        let departures = [BOB, CAROL].map(|who| change(&known, Proposal::Leave, who, &environment));
        for order in [[0, 1], [1, 0]] {
            let known = order.iter().fold(known.clone(), |known, at| follow(&known, &departures[*at]).1);
            assert_eq!((known.current.members().len(), known.rekey_due()), (2, true));
        }
    }
}

#[test]
fn a_renewal_that_is_overtaken_is_due_again() {
    let mut overtaken = 0;
    for seed in 0..16 {
        let environment = repeatable(seed);
        let known = two_admins(&environment);
        let known = applied(&known, &change(&known, Proposal::Leave, CAROL, &environment));
        let rekeyed = change(&known, Proposal::Rekey, ALICE, &environment);
        let renamed = change(&known, rename("Band"), BOB, &environment);
        for order in [[&rekeyed, &renamed], [&renamed, &rekeyed]] {
            let known = order.iter().fold(known.clone(), |known, control| follow(&known, control).1);
            assert_eq!(known.rekey_due(), known.current.name() == "Band");
            overtaken += usize::from(known.rekey_due());
        }
    }
    assert!((1..32).contains(&overtaken), "{overtaken}");
}

#[test]
fn two_renewals_at_once_end_in_one_key() {
    for seed in 0..16 {
        let environment = repeatable(seed);
        let known = two_admins(&environment);
        let known = applied(&known, &change(&known, Proposal::Leave, CAROL, &environment));
        let renewals = [ALICE, BOB].map(|who| change(&known, Proposal::Rekey, who, &environment));
        let end = |order: [usize; 2]| {
            order.iter().fold(known.clone(), |known, at| follow(&known, &renewals[*at]).1)
        };
        assert_eq!(end([0, 1]).current, end([1, 0]).current);
        assert_eq!([[0, 1], [1, 0]].map(|order| end(order).rekey_due()), [false; 2]);
        assert_ne!(end([0, 1]).current.master_key(), known.current.master_key());
    }
}

#[test]
fn who_joins_leaves_it_to_those_who_saw_the_departure() {
    let environment = repeatable(1);
    let known = two_admins(&environment);
    let known = applied(&known, &change(&known, Proposal::Leave, CAROL, &environment));
    let added = change(&known, Proposal::Add(people([DAVE])), BOB, &environment);
    let at_dave = KnownGroup::after(None, &added, &ControlVerdict::Join, DAVE).unwrap();
    assert_eq!((at_dave.rekey_due(), applied(&known, &added).rekey_due()), (false, true));
    // A departure beside the change that it joined with is known to Dave's device.
    let beside = change(&known, Proposal::Leave, BOB, &environment);
    let at_dave = KnownGroup::after(Some(&at_dave), &beside, &ControlVerdict::Overtakes, DAVE).unwrap();
    assert!(at_dave.rekey_due());
}
