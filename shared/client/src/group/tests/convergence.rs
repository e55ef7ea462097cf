//! Properties of whole lives of groups: devices that were sent the same controls end in the same
//! state, in whatever order the controls arrived.

use proptest::collection::vec;
use proptest::sample::Index;

use super::*;

const EVE: &str = "https://e.example/user/eve";
const EVERYONE: [&str; 5] = [ALICE, BOB, CAROL, DAVE, EVE];

/// The actors who try changes. The admins are more frequent, because little comes of what others
/// try.
const TRYING: [&str; 9] = [ALICE, ALICE, ALICE, BOB, BOB, BOB, CAROL, DAVE, EVE];

/// A change that one actor tries at one epoch.
type ChangeAttempt = (Index, u8, Index);

/// The controls of a group's whole life, and the state in which it ends.
struct GroupLife {
    controls: Vec<(GroupControl, BTreeSet<String>)>,
    end: GroupState,
    /// The actors who left with the master key of that state.
    departed: BTreeSet<String>,
}

impl GroupLife {
    /// Plays a life. Alice and Bob begin as admins. At each epoch several actors make changes at
    /// once without having seen each other's; then all have seen them, and go on from the one that
    /// won. Nobody tries what `allowed` denies.
    fn lived(epochs: &[Vec<ChangeAttempt>], seed: u64, allowed: impl Fn(&Proposal, &str) -> bool) -> Self {
        let environment = repeatable(seed);
        let state = GroupState::create("Choir", people([BOB]), ALICE, &environment).unwrap();
        let first = seal(GroupChange::Created, None, &state, ALICE, &environment).unwrap();
        let (end, second) = next(&state, Proposal::Promote(people([BOB])), ALICE, &environment);
        let mut life = Self { controls: Vec::new(), end, departed: BTreeSet::new() };
        life.send(first, &state);
        life.send(second, &state);
        for (epoch, attempts) in epochs.iter().enumerate() {
            let before = life.end.clone();
            let mut states = Vec::new();
            for (by, kind, whom) in attempts {
                let (by, whom) = (*by.get(&TRYING), *whom.get(&EVERYONE));
                let proposal = proposal(*kind, whom, epoch);
                if !allowed(&proposal, by) {
                    continue;
                }
                let Ok((change, state)) = propose(&before, proposal, by, &environment) else { continue };
                let control = seal(change, Some(&before), &state, by, &environment).unwrap();
                life.send(control, &before);
                states.push((change, state, by));
            }
            // A removal wins, and then a departure.
            let order = |change| match change {
                GroupChange::Removed => 0,
                GroupChange::Left => 1,
                _ => 2,
            };
            let won = states.into_iter().min_by_key(|(change, state, _)| (order(*change), state.hash()));
            if let Some((change, end, by)) = won {
                if end.master_key() != before.master_key() {
                    life.departed.clear();
                } else if change == GroupChange::Left {
                    life.departed.insert(by.to_owned());
                }
                life.end = end;
            }
        }
        life
    }

    /// True if somebody who left and is no member has the master key of the state in the end.
    fn rekey_due(&self) -> bool {
        !self.departed.is_subset(self.end.members())
    }

    /// Sends a control to all members after it, and to an actor who left by it, but not to those it
    /// removed.
    fn send(&mut self, control: GroupControl, before: &GroupState) {
        let mut to = control.state().members().clone();
        if control.change() == GroupChange::Left {
            to.extend(before.members().iter().filter(|member| **member == control.author()).cloned());
        }
        self.controls.push((control, to));
    }

    /// Returns what a device of `me` knows in the end, if the controls sent to it came in this
    /// order, and then once more.
    fn followed(&self, me: &str, order: &[Index]) -> Option<KnownGroup> {
        let mut mine: Vec<_> = self.controls.iter().filter(|(_, to)| to.contains(me)).collect();
        for (at, with) in order.iter().enumerate().take(mine.len()) {
            let with = with.index(mine.len());
            mine.swap(at, with);
        }
        let mut known: Option<KnownGroup> = None;
        let mut held: Vec<&GroupControl> = Vec::new();
        let again = mine.clone();
        for (control, _) in mine.into_iter().chain(again) {
            held.push(control);
            // Each change may let a held control through.
            while let Some(next) = follow(&mut held, known.as_ref(), me) {
                known = Some(next);
            }
        }
        known
    }
}

/// Judges the held controls until one of them changes something. Keeps those that are still ahead.
fn follow(held: &mut Vec<&GroupControl>, known: Option<&KnownGroup>, me: &str) -> Option<KnownGroup> {
    let mut changed = None;
    held.retain(|control| {
        if changed.is_some() {
            return true;
        }
        let verdict = judge_control(known, control, control.author(), me);
        changed = KnownGroup::after(known, control, &verdict, me);
        verdict == ControlVerdict::Ahead
    });
    changed
}

fn proposal(kind: u8, whom: &str, epoch: usize) -> Proposal {
    match kind % 8 {
        0 => rename(&format!("{kind} at {epoch}")),
        1..=3 => Proposal::Add(people([whom])),
        4 => Proposal::Remove(people([whom])),
        5 => Proposal::Leave,
        6 => Proposal::Promote(people([whom])),
        _ => Proposal::Rekey,
    }
}

fn any_life() -> impl Strategy<Value = Vec<Vec<ChangeAttempt>>> {
    vec(vec(any::<ChangeAttempt>(), 1..5), 0..12)
}

fn any_order() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 60)
}

/// True if the proposal lets Alice and Bob stay.
fn they_stay(proposal: &Proposal, by: &str) -> bool {
    match proposal {
        Proposal::Leave => by != ALICE && by != BOB,
        Proposal::Remove(gone) => !gone.contains(ALICE) && !gone.contains(BOB),
        _ => true,
    }
}

proptest! {
    #[test]
    fn two_members_end_alike(
        life in any_life(),
        seed in any::<u64>(),
        (alice, bob) in (any_order(), any_order()),
    ) {
        let life = GroupLife::lived(&life, seed, they_stay);
        let end = |me, order: &[Index]| life.followed(me, order).map(|known| known.current);
        prop_assert_eq!((end(ALICE, &alice), end(BOB, &bob)), (Some(life.end.clone()), Some(life.end)));
    }

    /// A device that was sent everything in order knows whether a new key is due. A device that was
    /// not never takes it to be due without reason.
    #[test]
    fn a_new_key_is_due_alike(life in any_life(), seed in any::<u64>(), order in any_order()) {
        let life = GroupLife::lived(&life, seed, they_stay);
        for me in [ALICE, BOB] {
            prop_assert_eq!(life.followed(me, &[]).map(|known| known.rekey_due()), Some(life.rekey_due()));
        }
        for me in EVERYONE {
            let known = life.followed(me, &order);
            let at_end = known.filter(|known| known.current == life.end);
            prop_assert!(at_end.is_none_or(|known| !known.rekey_due() || life.rekey_due()));
        }
    }

    /// The members in the end have the same state, however often they were added, removed and gone
    /// before. This holds as long as nobody becomes an admin while others are out, because those
    /// are not told.
    #[test]
    fn who_comes_and_goes_ends_with_the_others(life in any_life(), seed in any::<u64>(), order in any_order()) {
        let life = GroupLife::lived(&life, seed, |proposal, by| {
            they_stay(proposal, by) && !matches!(proposal, Proposal::Promote(_))
        });
        for me in EVERYONE {
            if life.end.members().contains(me) {
                let known = life.followed(me, &order);
                prop_assert_eq!(known.map(|known| known.current), Some(life.end.clone()));
            }
        }
    }
}

/// The properties above would also hold for lives in which nothing happens.
#[test]
fn lives_are_full() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut controls, mut forks, mut members) = (0, 0, 0);
    for seed in 0..50 {
        let life = any_life().new_tree(&mut runner).unwrap().current();
        let life = GroupLife::lived(&life, seed, they_stay);
        let epochs: BTreeSet<_> = life.controls.iter().map(|(control, _)| control.state().epoch()).collect();
        controls += life.controls.len();
        forks += life.controls.len() - epochs.len();
        members += life.end.members().len();
    }
    assert!(controls > 250 && forks > 50 && members > 125, "{controls} {forks} {members}");
}
