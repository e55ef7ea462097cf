//! Tests of the ways by which a control would make somebody a member who is none.

use super::*;

/// Returns the record of the group with Bob as a second admin, Carol and Dave.
fn four(environment: &Environment) -> KnownGroup {
    let (before, _) = next(&choir(environment), Proposal::Add(people([DAVE])), ALICE, environment);
    let (current, _) = next(&before, Proposal::Promote(people([BOB])), ALICE, environment);
    known_after(current, seen(before))
}

/// Returns the record of a device of Carol's after a control.
fn followed(known: &KnownGroup, control: &GroupControl) -> KnownGroup {
    let verdict = judge_control(Some(known), control, control.author(), CAROL);
    KnownGroup::after(Some(known), control, &verdict, CAROL).unwrap()
}

/// Returns the verdict of a device of Carol's, and the way in which she would be a member by it.
fn entry(known: &KnownGroup, control: &GroupControl) -> (ControlVerdict, GroupEntry) {
    let verdict = judge_control(Some(known), control, control.author(), CAROL);
    let entry = entry_by(Some(known), control, &verdict, CAROL);
    (verdict, entry)
}

#[test]
fn only_a_race_brings_back_whoever_has_left() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (left, control) = next(&known.current, Proposal::Leave, CAROL, &environment);
    let out = followed(&known, &control);
    let removed = next(&known.current, Proposal::Remove(people([DAVE])), BOB, &environment);
    assert_eq!(entry(&out, &removed.1), (ControlVerdict::Overtakes, GroupEntry::Race));
    let (_, renamed) = next(&removed.0, rename("Band"), BOB, &environment);
    assert_eq!(entry(&out, &renamed), (ControlVerdict::Jump, GroupEntry::Race));
    let (_, added) = next(&left, Proposal::Add(people([CAROL])), BOB, &environment);
    assert_eq!(entry(&out, &added), (ControlVerdict::Join, GroupEntry::Invitation));
    // Another history of the epoch of the departure.
    let never = GroupState::new(GroupParts { name: "Never".to_owned(), ..known.current.parts().clone() });
    let (_, other) = next(&never.unwrap(), Proposal::Remove(people([DAVE])), BOB, &environment);
    let conflict = ControlVerdict::Conflict { wins: true };
    assert_eq!(entry(&out, &other), (conflict, GroupEntry::Invitation));
    // Whoever is a member is no newcomer, and nobody is brought in who stays out.
    assert_eq!(entry(&known, &renamed).1, GroupEntry::NoEntry);
    let (_, rekeyed) = next(&left, Proposal::Rekey, BOB, &environment);
    assert_eq!(entry(&out, &rekeyed).1, GroupEntry::NoEntry);
}

/// Alice removes Carol and adds her again. Carol has seen Bob's changes instead, and has left.
#[test]
fn whoever_has_left_a_history_that_lost_is_invited_by_the_one_that_holds() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (without, removed) = next(&known.current, Proposal::Remove(people([CAROL])), ALICE, &environment);
    let (back, added) = next(&without, Proposal::Add(people([CAROL])), ALICE, &environment);
    for changes in 0..3 {
        let (mut out, mut state) = (known.clone(), known.current.clone());
        for change in 0..changes {
            let (after, renamed) = next(&state, rename(&format!("his {change}")), BOB, &environment);
            (out, state) = (followed(&out, &renamed), after);
        }
        let (gone, left) = next(&state, Proposal::Leave, CAROL, &environment);
        let out = followed(&out, &left);
        // Her departure is of an earlier epoch than the addition, of the same one, or of a later one.
        assert_eq!(gone.epoch() + 1, back.epoch() + changes);
        assert_eq!(entry(&out, &added), (ControlVerdict::Join, GroupEntry::Invitation), "{changes}");
        let at_alice =
            |known, control| KnownGroup::after(Some(known), control, &ControlVerdict::Apply, ALICE).unwrap();
        let without_her = at_alice(&known, &removed);
        let with_her = at_alice(&without_her, &added);
        let verdicts = [without_her, with_her].map(|known| judge_control(Some(&known), &left, CAROL, ALICE));
        let expected = match changes {
            0 => [ControlVerdict::Overtaken, ControlVerdict::Older],
            1 => [ControlVerdict::Ahead, ControlVerdict::Older],
            _ => [ControlVerdict::Ahead, ControlVerdict::Ahead],
        };
        assert_eq!(verdicts, expected, "{changes}");
        // She joins, and leaves. The addition that she has seen is no other invitation.
        let joined = KnownGroup::after(Some(&out), &added, &ControlVerdict::Join, CAROL).unwrap();
        let out = followed(&joined, &next(&back, Proposal::Leave, CAROL, &environment).1);
        assert_eq!(entry(&out, &added), (ControlVerdict::Older, GroupEntry::NoEntry), "{changes}");
    }
}

/// A race has won, and Carol's device has not left again yet.
#[test]
fn whoever_has_left_stays_no_member_by_what_follows_a_race() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (_, control) = next(&known.current, Proposal::Leave, CAROL, &environment);
    let removed = next(&known.current, Proposal::Remove(people([DAVE])), BOB, &environment);
    let listed = followed(&followed(&known, &control), &removed.1);
    for proposal in [Proposal::Add(people([DAVE])), Proposal::Promote(people([CAROL])), rename("Band")] {
        let (_, following) = next(&removed.0, proposal, BOB, &environment);
        assert_eq!(entry(&listed, &following), (ControlVerdict::Apply, GroupEntry::Stay));
    }
    let (_, gone) = next(&removed.0, Proposal::Remove(people([CAROL])), BOB, &environment);
    assert_eq!(entry(&listed, &gone).1, GroupEntry::NoEntry);
    assert_eq!(entry(&listed, &removed.1), (ControlVerdict::Same, GroupEntry::NoEntry));
}

/// Carol was removed. Whatever would bring her back is an invitation.
#[test]
fn whoever_was_removed_is_invited() {
    for seed in 0..8 {
        let environment = repeatable(seed);
        let known = four(&environment);
        let removal = |whom| next(&known.current, Proposal::Remove(people([whom])), BOB, &environment);
        let (own, other) = (removal(CAROL), removal(DAVE));
        let out = followed(&known, &own.1);
        let expected = match other.0.hash() < own.0.hash() {
            true => (ControlVerdict::Overtakes, GroupEntry::Invitation),
            false => (ControlVerdict::Overtaken, GroupEntry::NoEntry),
        };
        assert_eq!(entry(&out, &other.1), expected);
        let (_, renamed) = next(&other.0, rename("Band"), BOB, &environment);
        assert_eq!(entry(&out, &renamed), (ControlVerdict::Jump, GroupEntry::Invitation));
    }
}

/// A device of Carol's has left with a state before of which it knows the hash only. An admin could show
/// it any state, and remove somebody from that.
#[test]
fn whoever_is_out_takes_no_note_of_a_state_before() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (before, rekeyed) = next(&known.current, Proposal::Rekey, BOB, &environment);
    let (left, _) = next(&before, Proposal::Leave, CAROL, &environment);
    let (hash, master_key) = (before.hash(), Some(before.master_key().clone()));
    let unseen = PreviousState::Unseen { hash, joined: before.clone(), master_key };
    let (departure, change) = (OwnDeparture::Made, GroupChange::Left);
    let out = KnownGroup { departure, change, ..known_after(left, unseen) };
    assert_eq!(entry(&out, &rekeyed), (ControlVerdict::Older, GroupEntry::NoEntry));
    let (_, removed) = next(&before, Proposal::Remove(people([DAVE])), BOB, &environment);
    assert_eq!(entry(&out, &removed), (ControlVerdict::Overtakes, GroupEntry::Invitation));
}

/// Bob has led Carol's device on, until she chose Alice's history. He is an admin in both.
#[test]
fn no_state_that_a_device_had_leads_it_back() {
    let environment = repeatable(1);
    let known = four(&environment);
    let (mut elsewhere, mut his) = (known.clone(), Vec::new());
    for name in ["one", "two", "three", "four"] {
        his.push(next(&elsewhere.current, rename(name), BOB, &environment).1);
        elsewhere = followed(&elsewhere, his.last().unwrap());
    }
    let (hers, renamed) = next(&known.current, rename("hers"), ALICE, &environment);
    let chosen = KnownGroup::after(None, &renamed, &ControlVerdict::Join, CAROL).unwrap();
    let chosen = chosen.in_place_of(&elsewhere);
    let refused = ControlVerdict::Refused(GroupError::OtherHistory);
    let (device, identity) = (device_of(BOB), identity_of(BOB).public());
    let sender = ControlSender { actor: BOB, device: &device, identity: &identity };
    for control in &his[1..] {
        assert_eq!(entry(&chosen, control), (refused.clone(), GroupEntry::NoEntry));
        let forwarded = judge_forwarded_control(Some(&chosen), control, &sender, ALICE, CAROL);
        assert_eq!(forwarded, refused);
    }
    // What he makes anew is followed.
    let (_, anew) = next(&elsewhere.current, rename("five"), BOB, &environment);
    assert_eq!(entry(&chosen, &anew), (ControlVerdict::Jump, GroupEntry::NoEntry));
    // Once she is out, it is no invitation either.
    let out = followed(&chosen, &next(&hers, Proposal::Leave, CAROL, &environment).1);
    assert_eq!(entry(&out, &his[3]), (ControlVerdict::Older, GroupEntry::NoEntry));
}
