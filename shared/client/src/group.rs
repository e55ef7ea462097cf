//! Groups: a state that every member's device keeps, and the controls that change it
//! (`docs/protocol.md`, section 9).
//!
//! Each control carries the whole state that it makes, the hash of the state before, a MAC under
//! the master key of the state before, and the signature of the device that made it. So a server
//! can neither change a group nor make a control of its own. Members who were sent the same
//! controls come to the same state, in whatever order the controls arrive ([`judge_control`]).
//!
//! The group's id commits to its creator ([`GroupOrigin`]). Each admin's right leads back to the
//! creator by signed grants ([`GroupGrant`]), so that whoever joins can check the group's lineage
//! ([`check_lineage`]).
//!
//! # Controls that do not come
//!
//! A device does not wait for a control that is missing. It believes a later control of an admin
//! whom it knows as one, up to [`MAX_EPOCH_JUMP`] epochs ahead. The whole state is in the control.
//! A `left` that was skipped like that makes a new key due when it arrives.
//!
//! A `left` of a member who is no admin is held, if it follows a state that the device does not
//! know. Only that state shows that it changes nothing else.
//!
//! # Two changes at once
//!
//! Of two controls of one epoch the one with the lower state hash counts, on every device. A
//! `removed` comes before all others, and then a `left`, whatever the hashes are. So an admin who
//! has not looked does not undo a removal.
//!
//! # Renewing the master key
//!
//! A member who leaves keeps the master key that the group has at that moment. The group replaces
//! it by these rules:
//!
//! 1. Whoever has left with the current master key and is no member is one of the [`Outsiders`]. It
//!    does not matter whether the `left` has won. A device of a member that was revoked is one,
//!    too. A new key is *due* while there are any ([`KnownGroup::rekey_due`]).
//! 2. Only an accepted control with another master key settles it: a `rekeyed` or a `removed`, by
//!    any admin. `renamed`, `added`, `promoted` and another `left` leave the key due, unless
//!    whoever left is a member again. If the control that settled it is overtaken by one that keeps
//!    the key, the key is due again.
//! 3. A device of an admin that finds the key due makes a `rekeyed` when it next looks into its
//!    mailbox ([`KnownGroup::should_rekey`]), and at every later look until the key is settled. It
//!    does not matter which admin is first. Devices of other members never do so.
//! 4. Several admins may do so at once. Their controls are for the same epoch, so one wins, as with
//!    all changes. Whoever left has none of these keys.
//!
//! A device that joins a group does not know who left before that. The admin who added it knows.
//!
//! # Leaving again
//!
//! A `left` can be overtaken like any control: two members leave at once, and the state of one of
//! the two controls still lists the author of the other. The user left all the same, so the user's
//! device leaves again by these rules:
//!
//! 1. A `left` of the user, made on this or on another own device, records the departure
//!    ([`OwnDeparture::Made`]), also if it has been overtaken already when it arrives.
//! 2. A device that has recorded it and whose current state lists the user makes another `left`
//!    when it next looks into its mailbox ([`KnownGroup::should_leave_again`]), and at every later
//!    look until the current state does not list the user. Several devices of the user may do so:
//!    their controls make the same state.
//! 3. Only the user ends the departure, by joining once more. An `added` that names the user is an
//!    invitation ([`entry_by`]). A device to which such an `added` comes later than a change that
//!    follows it leaves again, because it cannot know of the `added`.
//! 4. While the departure holds, the control of somebody else that lists the user counts only if it
//!    lists nobody but members of the state that was left, and gives the user no more rights than
//!    there. Anything else is an invitation ([`entry_by`], and the messenger).
//! 5. The last admin cannot leave before the other members. A user who became the last admin meanwhile
//!    is told so, stays until another member is an admin, and then leaves.
//!
//! # Removing again
//!
//! A `removed` can be undone by another one that wins, or by an admin who makes several changes
//! without having looked. The user's device removes those members again by these rules:
//!
//! 1. A `removed` of the user, made on this or on another own device, records whom it removes
//!    ([`OwnRemovals`]). A second one adds to the first.
//! 2. A device that has recorded it, whose current state lists one of them, and whose user is an
//!    admin, makes another `removed` when it next looks ([`KnownGroup::should_remove_again`]), once
//!    for each of them. If that is undone, too, the user is told and decides.
//! 3. An accepted `added` that names one of them ends it for that one, so a member whom another admin
//!    adds on purpose is not removed. A control that lists one of them otherwise does not end it,
//!    however late it is and however many epochs it skips.
//!
//! # Adding again
//!
//! An `added` can lose to another change of the same state. Whoever was added has the invitation all
//! the same, and may have joined. So the user's device adds those members again by these rules:
//!
//! 1. An `added` of the user, made on this or on another own device, records whom it adds
//!    ([`OwnAdditions`]).
//! 2. A device that has recorded it, whose current state does not list one of them, and whose user is
//!    an admin, makes another `added` when it next looks ([`KnownGroup::should_add_again`]), once for
//!    each of them. If that is undone, too, the user is told and decides.
//! 3. A control of another epoch that takes one of them out, or one that skips epochs and does not list
//!    one of them, ends it for that one: it was made on purpose, or may have been. The 8 epochs that
//!    follow ([`MAX_RACE`]) end it for all of one `added`. If the second `added` was not made, the user is told.

mod change;
mod consent;
mod control;
mod difference;
mod error;
mod grant;
mod id;
mod judge;
mod key;
mod known;
mod signer;
mod state;

pub use change::{GroupChange, Proposal, propose};
pub use consent::{GroupEntry, entry_by};
pub use control::{GroupControl, MAX_CONTROL};
pub use difference::GroupDifference;
pub use error::GroupError;
pub use grant::{GroupGrant, MAX_GRANTS, check_lineage};
pub use id::GroupId;
pub use judge::{ControlVerdict, comes_of_unseen_admin, judge_control, judge_forwarded_control};
pub use key::MasterKey;
pub use known::{
    FormerMemberNote, FormerState, KnownGroup, LATE_NOTES_MS, LeaveDecision, MAX_FORMER, MAX_FORMER_MEMBERS,
    MAX_RACE, MemberDeparture, Outsiders, OwnAdditions, OwnChange, OwnDeparture, OwnRemovals, PreviousState,
    RekeyDecision, Remedy, StateAgreement, UndoneChange,
};
pub use signer::{ControlSender, GroupSigner};
pub use state::{GroupOrigin, GroupParts, GroupState};

/// The greatest number of members of a group.
pub const MAX_MEMBERS: usize = 256;

/// The greatest number of characters of a group's name. The least is 1.
pub const MAX_NAME_CHARS: usize = 128;

/// The greatest epoch of a group.
pub const MAX_EPOCH: u64 = 1 << 32;

/// The greatest epoch at which a user comes into a group. A far one would leave no room for others.
pub const MAX_FIRST_EPOCH: u64 = 1_000_000;

/// The greatest number of epochs that one control may skip.
pub const MAX_EPOCH_JUMP: u64 = 1_000;

#[cfg(test)]
pub(crate) mod tests;
