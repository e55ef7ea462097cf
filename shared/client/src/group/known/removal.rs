//! The removals of members by a device's user that a change of another admin has undone, and what
//! the user is told of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{KnownGroup, LeaveDecision, OwnDeparture, PreviousState, RekeyDecision};
use crate::group::{ControlVerdict, GroupChange, GroupControl, GroupDifference, GroupState, MAX_MEMBERS};

/// The number of epochs after a change in which another may have been made without knowing of it.
pub const MAX_RACE: u64 = 8;

/// The removal or the addition of one member by a device's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnChange {
    /// The epoch of the change.
    pub epoch: u64,
    /// True if it was made once more already.
    pub again: bool,
}

/// The removals by a device's user, each with the actor who was removed. They are 256 at most.
///
/// The [module](crate::group#removing-again) says when one is recorded and when it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnRemovals(pub BTreeMap<String, OwnChange>);

/// The way in which a change that was undone comes about all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Remedy {
    /// The user's device makes the change again by itself.
    Again,
    /// The user makes the change again, if it is still wanted.
    ByUser,
    /// An admin makes the change. The user is none any more.
    ByAdmin,
    /// The user makes another member an admin. Then the user's device leaves by itself.
    AnotherAdmin,
}

/// A change of a device's user that another change has undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoneChange {
    /// The change.
    pub change: GroupChange,
    /// The parts of it that do not hold.
    pub lost: GroupDifference,
    /// The way in which it comes about all the same.
    pub remedy: Remedy,
}

impl OwnChange {
    /// Returns the newest of these changes, as many as a group has members.
    pub(super) fn newest(mut changes: BTreeMap<String, Self>) -> BTreeMap<String, Self> {
        while changes.len() > MAX_MEMBERS {
            let oldest = changes.iter().min_by_key(|(_, change)| change.epoch);
            let Some(oldest) = oldest.map(|(actor, _)| actor.clone()) else { break };
            changes.remove(&oldest);
        }
        changes
    }
}

impl OwnRemovals {
    /// Returns these and what a control of the user `me` removes from `before`, if it is a removal.
    fn with(&self, control: &GroupControl, before: &GroupState, me: &str) -> Option<Self> {
        if control.change() != GroupChange::Removed || control.author() != me {
            return None;
        }
        let (mut removals, epoch) = (self.0.clone(), control.state().epoch());
        for actor in before.members().difference(control.state().members()) {
            let again = removals.contains_key(actor);
            removals.insert(actor.clone(), OwnChange { epoch, again });
        }
        Some(Self(OwnChange::newest(removals)))
    }

    /// Returns these and what an overtaken control of the user `me` removes from `before`. Returns
    /// `None` if that adds nobody: who is recorded already was removed by the control that has won
    /// or by a later one.
    pub(super) fn with_overtaken(
        &self,
        control: &GroupControl,
        before: &GroupState,
        me: &str,
    ) -> Option<Self> {
        let mut removals = self.with(control, before, me)?.0;
        removals.extend(self.0.clone());
        (removals.len() > self.0.len()).then_some(Self(removals))
    }

    /// Returns the removals that are recorded after a control that counts.
    pub(super) fn after(known: Option<&KnownGroup>, control: &GroupControl, me: &str) -> Self {
        let Some(known) = known else { return Self::default() };
        let before = match &known.before {
            // Of two changes of one state, the other one does not count.
            PreviousState::Seen { state, .. } if control.previous() == Some(&state.hash()) => state,
            _ => &known.current,
        };
        let recorded = &known.removals;
        let Self(mut removals) = recorded.with(control, before, me).unwrap_or(recorded.clone());
        // Whoever is added to a state without him is added on purpose. Nothing else ends a removal,
        // however late it is and however many epochs it skips: its author may have been led away before.
        removals.retain(|actor, _| !control.brings_in(actor) || before.members().contains(actor));
        Self(removals)
    }
}

impl KnownGroup {
    /// Returns the members whom the device of the user `me` removes once more now.
    pub fn should_remove_again(&self, me: &str) -> BTreeSet<String> {
        if !self.current.admins().contains(me) {
            return BTreeSet::new();
        }
        let due = self.removals.0.iter().filter(|(_, removal)| !removal.again).map(|(actor, _)| actor);
        due.filter(|actor| *actor != me && self.current.members().contains(*actor)).cloned().collect()
    }

    /// Returns the parts of the last change that do not hold in `next`, which takes its place.
    pub fn lost_in(&self, next: &GroupState) -> GroupDifference {
        let current = &self.current;
        let PreviousState::Seen { state: before, .. } = &self.before else {
            return GroupDifference::between(next, current);
        };
        let made = GroupDifference::between(before, current);
        let without = |actors: BTreeSet<String>, holds: &BTreeSet<String>| {
            actors.into_iter().filter(|actor| !holds.contains(actor)).collect()
        };
        let within = |actors: BTreeSet<String>, still: &BTreeSet<String>| {
            actors.into_iter().filter(|actor| still.contains(actor)).collect()
        };
        let name = made.name.filter(|name| name != next.name());
        GroupDifference {
            added: without(made.added, next.members()),
            removed: within(made.removed, next.members()),
            promoted: without(made.promoted, next.admins()),
            demoted: within(made.demoted, next.admins()),
            former_name: made.former_name.filter(|_| name.is_some()),
            name,
            rekeyed: made.rekeyed && next.master_key() == before.master_key(),
        }
    }

    /// Returns the parts of a control that do not hold, because the last change has won over it.
    pub fn lost_of(&self, control: &GroupControl) -> GroupDifference {
        Self { current: control.state().clone(), ..self.clone() }.lost_in(&self.current)
    }

    /// True if a device of the user `me` made the last change.
    pub fn is_made_by(&self, me: &str) -> bool {
        self.maker.strip_prefix(me).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Returns the change of the user `me` that is undone in `next`, the record after this one.
    pub fn undone_in(&self, next: &Self, verdict: &ControlVerdict, me: &str) -> Option<UndoneChange> {
        let takes_place =
            matches!(verdict, ControlVerdict::Overtakes | ControlVerdict::Conflict { wins: true });
        let comes_back = |actor: &&String| {
            !self.current.members().contains(*actor) && next.current.members().contains(*actor)
        };
        let becomes_last_admin = [self, next]
            .map(|known| known.should_leave_again(me) == LeaveDecision::LastAdmin)
            == [false, true];
        let (change, lost) = if takes_place && self.is_made_by(me) {
            (self.change, self.lost_in(&next.current))
        } else if becomes_last_admin || (next.departure == OwnDeparture::Made && comes_back(&&me.to_owned()))
        {
            (GroupChange::Left, GroupDifference { removed: [me.to_owned()].into(), ..Default::default() })
        } else {
            let removed: BTreeSet<String> = next.removals.0.keys().filter(comes_back).cloned().collect();
            // The user was told that the device adds them again.
            let (promised, due) = (self.should_add_again(me), next.should_add_again(me));
            let is_given_up =
                |actor: &&String| !due.contains(*actor) && !next.current.members().contains(*actor);
            let change = if removed.is_empty() { GroupChange::Added } else { GroupChange::Removed };
            let added = promised.iter().filter(is_given_up).filter(|_| removed.is_empty()).cloned().collect();
            (change, GroupDifference { removed, added, ..Default::default() })
        };
        if lost.is_empty() {
            return None;
        }
        let is_admin = next.current.admins().contains(me);
        let remedy = match (change, next.should_leave_again(me)) {
            (GroupChange::Left, LeaveDecision::LastAdmin) => Remedy::AnotherAdmin,
            (GroupChange::Left, _) => Remedy::Again,
            _ if !is_admin => Remedy::ByAdmin,
            (GroupChange::Removed, _) if !next.should_remove_again(me).is_empty() => Remedy::Again,
            (GroupChange::Added, _) if !next.should_add_again(me).is_empty() => Remedy::Again,
            (GroupChange::Rekeyed, _) if next.should_rekey(me) == RekeyDecision::Rekey => Remedy::Again,
            _ => Remedy::ByUser,
        };
        Some(UndoneChange { change, lost, remedy })
    }
}
