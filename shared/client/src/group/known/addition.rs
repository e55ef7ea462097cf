//! The additions of members by a device's user that a change of another admin has undone.

use std::collections::{BTreeMap, BTreeSet};

use super::{KnownGroup, MAX_RACE, OwnChange};
use crate::group::{GroupChange, GroupControl, MAX_MEMBERS};

/// The additions by a device's user, each with the actor who was added. They are 256 at most.
///
/// The [module](crate::group#adding-again) says when one is recorded and when it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnAdditions(pub BTreeMap<String, OwnChange>);

impl OwnAdditions {
    /// Returns the additions that are recorded after a control that counts.
    pub(super) fn after(known: Option<&KnownGroup>, control: &GroupControl, me: &str) -> Self {
        let Some(known) = known else { return Self::default() };
        let (was, is) = (known.current.members(), control.state().members());
        let epoch = control.state().epoch();
        let is_jump = epoch > known.current.epoch() && control.previous() != Some(&known.current.hash());
        let Self(mut additions) = known.additions.clone();
        additions.retain(|actor, addition| {
            // Only a change of the same epoch was made without knowing of the addition. Whoever is gone
            // by a later one was removed on purpose, or has left. So he may be in a change that is skipped.
            let is_later = epoch != addition.epoch && (was.contains(actor) || is_jump);
            let is_gone = is_later && !is.contains(actor);
            !is_gone && epoch <= addition.epoch.saturating_add(MAX_RACE)
        });
        if is_own_addition(control, me) {
            for actor in control.added() {
                let again = additions.contains_key(actor);
                additions.insert(actor.clone(), OwnChange { epoch, again });
            }
        }
        Self(OwnChange::newest(additions))
    }

    /// Returns these and what an overtaken control of the user `me` adds, or `None` if that changes
    /// nothing. Whoever is one of the `members` is in the group all the same.
    pub(super) fn with_overtaken(
        &self,
        control: &GroupControl,
        members: &BTreeSet<String>,
        me: &str,
    ) -> Option<Self> {
        if !is_own_addition(control, me) {
            return None;
        }
        let epoch = control.state().epoch();
        let mut additions = self.0.clone();
        for actor in control.added().iter().filter(|actor| !members.contains(*actor)) {
            let addition = additions.entry(actor.clone()).or_insert(OwnChange { epoch, again: false });
            // Another device of the user has made it again.
            if addition.epoch < epoch {
                *addition = OwnChange { epoch, again: true };
            }
        }
        (additions != self.0).then_some(Self(OwnChange::newest(additions)))
    }
}

impl KnownGroup {
    /// Returns the actors whom the device of the user `me` adds once more now.
    pub fn should_add_again(&self, me: &str) -> BTreeSet<String> {
        let members = self.current.members();
        let due = self.additions.0.iter().filter(|(_, addition)| !addition.again).map(|(actor, _)| actor);
        let due: BTreeSet<String> = due.filter(|actor| !members.contains(*actor)).cloned().collect();
        let is_possible = self.current.admins().contains(me) && members.len() + due.len() <= MAX_MEMBERS;
        if is_possible { due } else { BTreeSet::new() }
    }
}

/// True if the user `me` adds members by this control.
fn is_own_addition(control: &GroupControl, me: &str) -> bool {
    control.change() == GroupChange::Added && control.author() == me
}
