//! Tests of who may make which change.

use super::*;

fn after(before: &GroupState, proposal: Proposal, by: &str) -> Result<(GroupChange, GroupState), GroupError> {
    propose(before, proposal, by, &repeatable(7))
}

/// Returns Alice's group with Bob as a second admin, and Carol.
fn with_two_admins() -> GroupState {
    after(&choir(&repeatable(1)), Proposal::Promote(people([BOB])), ALICE).unwrap().1
}

#[test]
fn each_change_does_one_thing() {
    let before = with_two_admins();
    let by = |proposal, by| after(&before, proposal, by).unwrap();
    let (change, state) = by(rename("Band"), BOB);
    assert_eq!((change, state.name(), state.epoch()), (GroupChange::Renamed, "Band", 3));
    let (change, state) = by(Proposal::Add(people([CAROL, DAVE])), BOB);
    assert_eq!((change, state.members()), (GroupChange::Added, &people([ALICE, BOB, CAROL, DAVE])));
    assert_eq!((state.admins(), state.master_key()), (before.admins(), before.master_key()));
    let (change, state) = by(Proposal::Remove(people([ALICE, CAROL])), BOB);
    assert_eq!(
        (change, state.members(), state.admins()),
        (GroupChange::Removed, &people([BOB]), &people([BOB]))
    );
    assert_ne!(state.master_key(), before.master_key());
    let (change, state) = by(Proposal::Leave, CAROL);
    assert_eq!((change, state.members()), (GroupChange::Left, &people([ALICE, BOB])));
    assert_eq!(state.master_key(), before.master_key());
    let (change, state) = by(Proposal::Promote(people([CAROL])), ALICE);
    assert_eq!((change, state.admins()), (GroupChange::Promoted, before.members()));
    let (change, state) = by(Proposal::Rekey, ALICE);
    assert_eq!((change, state.members(), state.name()), (GroupChange::Rekeyed, before.members(), "Choir"));
    assert_ne!(state.master_key(), before.master_key());
}

#[test]
fn only_admins_change_and_anyone_leaves() {
    let before = choir(&repeatable(1));
    for proposal in [
        rename("Band"),
        Proposal::Add(people([DAVE])),
        Proposal::Remove(people([ALICE])),
        Proposal::Promote(people([BOB])),
        Proposal::Rekey,
    ] {
        assert_eq!(after(&before, proposal.clone(), BOB), Err(GroupError::NotAdmin(BOB.to_owned())));
        assert_eq!(after(&before, proposal, DAVE), Err(GroupError::NotAdmin(DAVE.to_owned())));
    }
    assert!(after(&before, Proposal::Leave, BOB).is_ok());
    assert_eq!(after(&before, Proposal::Leave, DAVE), Err(GroupError::NotMember(DAVE.to_owned())));
}

#[test]
fn the_last_admin_leaves_last() {
    let before = choir(&repeatable(1));
    assert_eq!(after(&before, Proposal::Leave, ALICE), Err(GroupError::LastAdmin));
    assert!(after(&with_two_admins(), Proposal::Leave, ALICE).is_ok());
    let alone = after(&before, Proposal::Remove(people([BOB, CAROL])), ALICE).unwrap().1;
    let (_, empty) = after(&alone, Proposal::Leave, ALICE).unwrap();
    assert!(empty.members().is_empty() && empty.admins().is_empty());
    let control = seal(GroupChange::Left, Some(&alone), &empty, ALICE, &repeatable(2)).unwrap();
    let known = known(&alone);
    assert_eq!(
        judge_control(Some(&known), &control, ALICE, ALICE),
        ControlVerdict::Apply,
        "on her other devices"
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let before = with_two_admins();
    for (proposal, error) in [
        (rename("Choir"), GroupError::Unchanged),
        (Proposal::Add(people([CAROL])), GroupError::Unchanged),
        (Proposal::Add(people([])), GroupError::Unchanged),
        (Proposal::Remove(people([])), GroupError::Unchanged),
        (Proposal::Promote(people([BOB])), GroupError::Unchanged),
        (Proposal::Remove(people([ALICE])), GroupError::RemovesOneself),
        (Proposal::Remove(people([BOB, DAVE])), GroupError::NotMember(DAVE.to_owned())),
        (Proposal::Promote(people([DAVE])), GroupError::NotMember(DAVE.to_owned())),
    ] {
        assert_eq!(after(&before, proposal.clone(), ALICE), Err(error), "{proposal:?}");
    }
    let crowd = (0..254).map(|n| format!("https://e.example/user/{n}")).collect();
    for (proposal, pointer) in [
        (rename(""), "/name"),
        (rename("a\u{7f}"), "/name"),
        (rename(&"ä".repeat(129)), "/name"),
        (Proposal::Add(people(["dave"])), "/members"),
        (Proposal::Add(crowd), "/members"),
    ] {
        let Err(GroupError::Invalid(invalid)) = after(&before, proposal.clone(), ALICE) else {
            panic!("{proposal:?}")
        };
        assert_eq!(invalid.pointer, pointer);
    }
    assert!(after(&before, rename(&"ä".repeat(128)), ALICE).is_ok());
    let room = (0..253).map(|n| format!("https://e.example/user/{n}")).collect();
    assert_eq!(after(&before, Proposal::Add(room), ALICE).unwrap().1.members().len(), MAX_MEMBERS);
}

#[test]
fn the_first_control_is_the_only_one_with_nothing_before() {
    let environment = repeatable(1);
    let before = choir(&environment);
    let (change, state) = after(&before, rename("Band"), ALICE).unwrap();
    assert!(seal(change, None, &state, ALICE, &environment).is_err());
    assert!(seal(GroupChange::Created, Some(&before), &state, ALICE, &environment).is_err());
    assert!(seal(GroupChange::Created, None, &before, BOB, &environment).is_err(), "not its admin");
}
