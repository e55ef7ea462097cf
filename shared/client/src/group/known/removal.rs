//! The removals of members by a device's user that a change of another admin has undone, and what
//! the user is told of it.

use std::collections::BTreeSet;

use super::{KnownGroup, LeaveDecision, OwnDeparture, PreviousState, RekeyDecision};
use crate::group::{ControlVerdict, GroupChange, GroupControl, GroupDifference, GroupState};

/// The number of epochs after a removal in which a change may have been made without knowing of it.
pub const MAX_RACE: u64 = 8;

/// A removal of members by a device's user.
///
/// The [module](crate::group#removing-again) says when it is recorded and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRemoval {
    /// The actors who were removed. They are 256 at most.
    pub members: BTreeSet<String>,
    /// The epoch of the removal.
    pub epoch: u64,
    /// True if the client has made it again already.
    pub again: bool,
}

/// The way in which a change that was undone comes about all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl OwnRemoval {
    /// Returns the removal that a control of the user `me` makes out of `before`, in the place of the
    /// one that is recorded already.
    pub(super) fn by(
        control: &GroupControl,
        before: &GroupState,
        recorded: Option<&Self>,
        me: &str,
    ) -> Option<Self> {
        if control.change() != GroupChange::Removed || control.author() != me {
            return None;
        }
        let members: BTreeSet<_> = before.members().difference(control.state().members()).cloned().collect();
        let again = recorded.is_some_and(|recorded| !recorded.members.is_disjoint(&members));
        Some(Self { members, epoch: control.state().epoch(), again })
    }

    /// Returns the removal that is recorded after a control that counts.
    pub(super) fn after(known: Option<&KnownGroup>, control: &GroupControl, me: &str) -> Option<Self> {
        let (known, state) = (known?, control.state());
        let recorded = known.removal.as_ref();
        if let Some(made) = Self::by(control, &known.current, recorded, me) {
            return Some(made);
        }
        let recorded = recorded.filter(|it| state.epoch() <= it.epoch.saturating_add(MAX_RACE))?;
        let mut recorded = recorded.clone();
        // Whoever is added to a state without him is added on purpose.
        recorded.members.retain(|actor| known.current.members().contains(actor) || !control.brings_in(actor));
        (!recorded.members.is_empty()).then_some(recorded)
    }
}

impl KnownGroup {
    /// Returns the members whom the device of the user `me` removes once more now.
    pub fn should_remove_again(&self, me: &str) -> BTreeSet<String> {
        let removal = self.removal.as_ref().filter(|it| !it.again && self.current.admins().contains(me));
        let members = removal.map(|removal| removal.members.intersection(self.current.members()));
        members.into_iter().flatten().filter(|member| *member != me).cloned().collect()
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

    /// Returns the change of the user `me` that is undone in `next`, the record after this one.
    pub fn undone_in(&self, next: &Self, verdict: &ControlVerdict, me: &str) -> Option<UndoneChange> {
        let takes_place =
            matches!(verdict, ControlVerdict::Overtakes | ControlVerdict::Conflict { wins: true });
        let is_own = self.maker.strip_prefix(me).is_some_and(|rest| rest.starts_with('/'));
        let comes_back = |actor: &&String| {
            !self.current.members().contains(*actor) && next.current.members().contains(*actor)
        };
        let (change, lost) = if takes_place && is_own {
            (self.change, self.lost_in(&next.current))
        } else if next.departure == OwnDeparture::Made && comes_back(&&me.to_owned()) {
            (GroupChange::Left, GroupDifference { removed: [me.to_owned()].into(), ..Default::default() })
        } else {
            let removed = self.removal.iter().chain(&next.removal).flat_map(|removal| &removal.members);
            let named = |actor: &&String| next.removal.as_ref().is_some_and(|it| it.members.contains(*actor));
            let removed = removed.filter(comes_back).filter(named).cloned().collect();
            (GroupChange::Removed, GroupDifference { removed, ..Default::default() })
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
            (GroupChange::Rekeyed, _) if next.should_rekey(me) == RekeyDecision::Rekey => Remedy::Again,
            _ => Remedy::ByUser,
        };
        Some(UndoneChange { change, lost, remedy })
    }
}
