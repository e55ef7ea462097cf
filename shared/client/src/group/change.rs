//! The kinds of change of a group, who may make them, and what each of them changes.

use std::collections::BTreeSet;
use std::fmt;

use eko_protocol::Invalid;

use super::{GroupError, GroupState, MasterKey};
use crate::Environment;

/// The kind of change that a control makes (`eko:change`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupChange {
    /// The group begins.
    Created,
    /// The name changes.
    Renamed,
    /// Members are added.
    Added,
    /// Members are removed, and the master key changes, so that those members do not have it.
    Removed,
    /// The author leaves. The master key stays, because the author would have to make the new one.
    /// An admin makes it afterwards: see [the rule](super#renewing-the-master-key).
    Left,
    /// Members become admins.
    Promoted,
    /// The master key changes.
    Rekeyed,
}

impl GroupChange {
    const ALL: [Self; 7] =
        [Self::Created, Self::Renamed, Self::Added, Self::Removed, Self::Left, Self::Promoted, Self::Rekeyed];

    /// Returns the name of the change in `eko:change`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Renamed => "renamed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Left => "left",
            Self::Promoted => "promoted",
            Self::Rekeyed => "rekeyed",
        }
    }

    /// Reads the name of a change.
    ///
    /// # Errors
    /// [`Invalid`] if there is no change of this name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let change = Self::ALL.into_iter().find(|change| change.as_str() == text);
        change.ok_or_else(|| Invalid::whole("is no change of a group that is known here"))
    }
}

impl fmt::Display for GroupChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change that a member wants to make to an existing group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// Gives the group this name.
    Rename(String),
    /// Adds these actors. An actor who is a member already stays one.
    Add(BTreeSet<String>),
    /// Removes these members, and makes another master key.
    Remove(BTreeSet<String>),
    /// Leaves the group.
    Leave,
    /// Makes these members admins.
    Promote(BTreeSet<String>),
    /// Makes another master key.
    Rekey,
}

/// Returns the state that a proposal of `by` makes, and the kind of change that leads to it.
/// [`super::GroupControl::seal`] makes a control of them.
///
/// # Errors
/// [`GroupError`] if `by` may not make the change, if it would change nothing, or if it would break
/// a rule of the state.
pub fn propose(
    current: &GroupState,
    proposal: Proposal,
    by: &str,
    environment: &Environment,
) -> Result<(GroupChange, GroupState), GroupError> {
    let mut name = current.name().to_owned();
    let (mut members, mut admins) = (current.members().clone(), current.admins().clone());
    let mut key = current.master_key().clone();
    let change = match proposal {
        Proposal::Rename(new) => {
            name = new;
            GroupChange::Renamed
        }
        Proposal::Add(new) => {
            members.extend(new);
            GroupChange::Added
        }
        Proposal::Remove(gone) => {
            if gone.contains(by) {
                return Err(GroupError::RemovesOneself);
            }
            are_members(current, &gone)?;
            members.retain(|member| !gone.contains(member));
            admins.retain(|admin| !gone.contains(admin));
            if !gone.is_empty() {
                key = MasterKey::generate(environment);
            }
            GroupChange::Removed
        }
        Proposal::Leave => {
            members.remove(by);
            admins.remove(by);
            if admins.is_empty() && !members.is_empty() {
                return Err(GroupError::LastAdmin);
            }
            GroupChange::Left
        }
        Proposal::Promote(new) => {
            are_members(current, &new)?;
            admins.extend(new);
            GroupChange::Promoted
        }
        Proposal::Rekey => {
            key = MasterKey::generate(environment);
            GroupChange::Rekeyed
        }
    };
    may(current, change, by)?;
    let epoch = current.epoch().saturating_add(1);
    let next = GroupState::new(current.id().clone(), epoch, name, members, admins, key)?;
    if is_same(current, &next) {
        return Err(GroupError::Unchanged);
    }
    leads(current, change, &next, by)?;
    Ok((change, next))
}

fn are_members(current: &GroupState, actors: &BTreeSet<String>) -> Result<(), GroupError> {
    match actors.difference(current.members()).next() {
        Some(stranger) => Err(GroupError::NotMember(stranger.clone())),
        None => Ok(()),
    }
}

fn is_same(one: &GroupState, other: &GroupState) -> bool {
    one.name() == other.name()
        && one.members() == other.members()
        && one.admins() == other.admins()
        && one.master_key() == other.master_key()
}

/// Checks that `by` may make such a change to the group as it is `before`.
pub(super) fn may(before: &GroupState, change: GroupChange, by: &str) -> Result<(), GroupError> {
    match change {
        GroupChange::Left if !before.members().contains(by) => Err(GroupError::NotMember(by.to_owned())),
        GroupChange::Left => Ok(()),
        _ if !before.admins().contains(by) => Err(GroupError::NotAdmin(by.to_owned())),
        _ => Ok(()),
    }
}

/// Checks that two states differ by exactly what the change names.
pub(super) fn leads(
    before: &GroupState,
    change: GroupChange,
    after: &GroupState,
    by: &str,
) -> Result<(), GroupError> {
    let (was, is) = (before.members(), after.members());
    let (were_admins, are_admins) = (before.admins(), after.admins());
    let renamed = before.name() != after.name();
    let rekeyed = before.master_key() != after.master_key();
    let (same_members, same_admins) = (was == is, were_admins == are_admins);
    let exact = match change {
        // A group that exists is not created again.
        GroupChange::Created => false,
        GroupChange::Renamed => renamed && !rekeyed && same_members && same_admins,
        GroupChange::Added => !renamed && !rekeyed && !same_members && was.is_subset(is) && same_admins,
        GroupChange::Removed => {
            let stay = were_admins.iter().filter(|admin| is.contains(*admin));
            let fewer = !same_members && is.is_subset(was) && is.contains(by);
            !renamed && rekeyed && fewer && stay.eq(are_admins)
        }
        GroupChange::Left => {
            let members = was.iter().filter(|member| *member != by);
            let admins = were_admins.iter().filter(|admin| *admin != by);
            !renamed && !rekeyed && members.eq(is) && admins.eq(are_admins)
        }
        GroupChange::Promoted => {
            !renamed && !rekeyed && same_members && !same_admins && were_admins.is_subset(are_admins)
        }
        GroupChange::Rekeyed => !renamed && rekeyed && same_members && same_admins,
    };
    let next = before.epoch().checked_add(1) == Some(after.epoch()) && before.id() == after.id();
    if exact && next { Ok(()) } else { Err(GroupError::NotThatChange(change)) }
}
