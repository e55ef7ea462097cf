//! The holders of a group's master key who shall not have it, until an admin makes another key.

use std::collections::BTreeSet;

use super::{KnownGroup, PreviousState};
use crate::group::{GroupChange, GroupControl, MAX_MEMBERS};

/// The holders of the master key of a state who are to be without it.
///
/// The [module](crate::group#renewing-the-master-key) says when somebody becomes one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outsiders {
    /// The actors who left with the key and are no members. They are 256 at most.
    pub departed: BTreeSet<String>,
    /// True if a device of a member was revoked that has the key.
    pub revoked: bool,
}

impl Outsiders {
    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.departed.is_empty() && !self.revoked
    }

    /// Returns these and `actor`, without those who are `members`.
    pub(super) fn with(&self, actor: &str, members: &BTreeSet<String>) -> Self {
        let departed = [actor.to_owned()].into();
        self.and(&Self { departed, revoked: false }, members)
    }

    /// Returns these and others of the same key, without those who are `members`.
    pub(super) fn and(&self, others: &Self, members: &BTreeSet<String>) -> Self {
        let all = self.departed.union(&others.departed).filter(|actor| !members.contains(*actor));
        Self { departed: all.take(MAX_MEMBERS).cloned().collect(), revoked: self.revoked || others.revoked }
    }

    /// Returns the outsiders of the state that a control makes, which follows `before`. Whoever is
    /// known to have its key, by any state of that key, has it still. So it does not matter whether a
    /// state has lost.
    pub(super) fn after(known: Option<&KnownGroup>, before: &PreviousState, control: &GroupControl) -> Self {
        let (state, members) = (control.state(), control.state().members());
        let mut outsiders = Self::default();
        if let Some(known) = known.filter(|known| known.current.master_key() == state.master_key()) {
            outsiders = outsiders.and(&known.outsiders, members);
        }
        match before {
            PreviousState::Seen { state: before, outsiders: had }
                if before.master_key() == state.master_key() =>
            {
                outsiders = outsiders.and(had, members);
            }
            PreviousState::Nothing | PreviousState::Seen { .. } | PreviousState::Unseen { .. } => {}
        }
        match control.change() {
            GroupChange::Left => outsiders.with(control.author(), members),
            _ => outsiders,
        }
    }
}
