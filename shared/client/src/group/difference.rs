//! The difference of two states of a group. It is what a user is told of a change.

use std::collections::BTreeSet;

use super::GroupState;

/// The parts in which a state of a group differs from the one before. The name of a change says less:
/// a control that skips epochs, or that wins over another, changes more than that.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GroupDifference {
    /// The members who came.
    pub added: BTreeSet<String>,
    /// The members who went.
    pub removed: BTreeSet<String>,
    /// The members who are admins now.
    pub promoted: BTreeSet<String>,
    /// The members who are no admins any more.
    pub demoted: BTreeSet<String>,
    /// The new name, if there is one.
    pub name: Option<String>,
    /// The name before, if there is a new one.
    pub former_name: Option<String>,
    /// True if there is another master key.
    pub rekeyed: bool,
}

impl GroupDifference {
    /// Compares two states.
    pub fn between(before: &GroupState, after: &GroupState) -> Self {
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            one.difference(other).cloned().collect::<BTreeSet<_>>()
        };
        let lost = only(before.admins(), after.admins());
        Self {
            added: only(after.members(), before.members()),
            removed: only(before.members(), after.members()),
            promoted: only(after.admins(), before.admins()),
            demoted: lost.intersection(after.members()).cloned().collect(),
            name: (before.name() != after.name()).then(|| after.name().to_owned()),
            former_name: (before.name() != after.name()).then(|| before.name().to_owned()),
            rekeyed: before.master_key() != after.master_key(),
        }
    }

    /// True if the states are the same but for their epochs and grants.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
