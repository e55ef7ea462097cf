//! The kinds of change of a group, who may make them, and what each of them changes.

use std::collections::BTreeSet;
use std::fmt;

use eko_protocol::Invalid;

use super::grant::needed;
use super::{GroupError, GroupGrant, GroupParts, GroupSigner, GroupState, MasterKey};

/// The kind of change that a control makes (`eko:change`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
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

/// Returns the state that a proposal of the signer makes, and the kind of change that leads to it.
/// [`super::GroupControl::seal`] makes a control of them.
///
/// # Errors
/// [`GroupError`] if the signer may not make the change, if it would change nothing, or if it would break
/// a rule of the state.
pub fn propose(
    current: &GroupState,
    proposal: Proposal,
    signer: &GroupSigner<'_>,
) -> Result<(GroupChange, GroupState), GroupError> {
    let by = signer.actor;
    let mut next = GroupParts { epoch: current.epoch().saturating_add(1), ..current.parts().clone() };
    let change = match proposal {
        Proposal::Rename(new) => {
            next.name = new;
            GroupChange::Renamed
        }
        Proposal::Add(new) => {
            next.members.extend(new);
            GroupChange::Added
        }
        Proposal::Remove(gone) => {
            if gone.contains(by) {
                return Err(GroupError::RemovesOneself);
            }
            are_members(current, &gone)?;
            next.members.retain(|member| !gone.contains(member));
            next.admins.retain(|admin| !gone.contains(admin));
            if !gone.is_empty() {
                next.master_key = MasterKey::generate(signer.environment);
            }
            GroupChange::Removed
        }
        Proposal::Leave => {
            next.members.remove(by);
            next.admins.remove(by);
            if next.admins.is_empty() && !next.members.is_empty() {
                return Err(GroupError::LastAdmin);
            }
            GroupChange::Left
        }
        Proposal::Promote(new) => {
            are_members(current, &new)?;
            for admin in new.difference(current.admins()) {
                // Whoever was an admin before may have a grant still, as a link to others. A second
                // one could lead in a circle.
                if admin != current.creator() && !next.grants.contains_key(admin) {
                    let grant = GroupGrant::sign(admin, current.id(), signer)?;
                    next.grants.insert(admin.clone(), grant);
                }
            }
            next.admins.extend(new);
            GroupChange::Promoted
        }
        Proposal::Rekey => {
            next.master_key = MasterKey::generate(signer.environment);
            GroupChange::Rekeyed
        }
    };
    may(current, change, by)?;
    next.grants = needed(&next.grants, &next.admins, current.creator());
    let next = GroupState::new(next)?;
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
///
/// That a grant was signed is checked by [`super::judge_control`]. That no grant is left which no
/// admin needs is a rule of each state.
pub(super) fn leads(
    before: &GroupState,
    change: GroupChange,
    after: &GroupState,
    by: &str,
) -> Result<(), GroupError> {
    let (was, is) = (before.members(), after.members());
    let (were_admins, are_admins) = (before.admins(), after.admins());
    let (had, has) = (&before.parts().grants, &after.parts().grants);
    let renamed = before.name() != after.name();
    let rekeyed = before.master_key() != after.master_key();
    let (same_members, same_admins) = (was == is, were_admins == are_admins);
    let fewer_grants = has.iter().all(|(admin, grant)| had.get(admin) == Some(grant));
    let exact = match change {
        // A group that exists is not created again.
        GroupChange::Created => false,
        GroupChange::Renamed => renamed && !rekeyed && same_members && same_admins && had == has,
        GroupChange::Added => {
            !renamed && !rekeyed && !same_members && was.is_subset(is) && same_admins && had == has
        }
        GroupChange::Removed => {
            let stay = were_admins.iter().filter(|admin| is.contains(*admin));
            !renamed && rekeyed && !same_members && is.is_subset(was) && stay.eq(are_admins) && fewer_grants
        }
        GroupChange::Left => {
            let members = was.iter().filter(|member| *member != by);
            let admins = were_admins.iter().filter(|admin| *admin != by);
            !renamed && !rekeyed && members.eq(is) && admins.eq(are_admins) && fewer_grants
        }
        GroupChange::Promoted => {
            let more = !same_admins && were_admins.is_subset(are_admins);
            let kept = had.iter().all(|(admin, grant)| has.get(admin) == Some(grant));
            !renamed && !rekeyed && same_members && more && kept
        }
        GroupChange::Rekeyed => !renamed && rekeyed && same_members && same_admins && had == has,
    };
    let next = before.epoch().checked_add(1) == Some(after.epoch()) && before.id() == after.id();
    if exact && next { Ok(()) } else { Err(GroupError::NotThatChange(change)) }
}
