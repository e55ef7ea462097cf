//! Groups: a state that every member's device keeps, and the controls that change it
//! (`docs/protocol.md`, section 9).
//!
//! Each control carries the whole state that it makes, the hash of the state before, and a MAC
//! under the master key of the state before. So a server can neither change a group nor hide that
//! it left out a control. Members who were sent the same controls come to the same state, in
//! whatever order the controls arrive ([`judge_control`]).
//!
//! # Renewing the master key
//!
//! A member who leaves keeps the master key that the group has at that moment. The group replaces
//! it by these rules:
//!
//! 1. An accepted `left` makes a new key *due*. [`KnownGroup::rekey_due`] keeps that with the
//!    group, whatever happens next.
//! 2. Only an accepted control with another master key settles it, if the control was made on the
//!    state after the departure or on a later one: a `rekeyed` or a `removed`, by any admin.
//!    `renamed`, `added`, `promoted` and another `left` leave the key due. If the control that
//!    settled it is overtaken by one that keeps the key, the key is due again.
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
//! 3. Only an accepted `added` that brings the user back into a state without the user ends the
//!    departure. A device to which such an `added` comes later than a change that follows it leaves
//!    again, because it cannot know of the `added`.
//! 4. The last admin cannot leave before the other members. A user who became the last admin by
//!    being overtaken stays until another member is an admin, and then leaves.

mod change;
mod control;
mod error;
mod judge;
mod key;
mod known;
mod state;

pub use change::{GroupChange, Proposal, propose};
pub use control::GroupControl;
pub use error::GroupError;
pub use judge::{ControlVerdict, judge_control};
pub use key::MasterKey;
pub use known::{KnownGroup, LeaveDecision, OwnDeparture, PreviousState, RekeyDecision};
pub use state::GroupState;

/// The greatest number of members of a group.
pub const MAX_MEMBERS: usize = 256;

/// The greatest number of characters of a group's name. The least is 1.
pub const MAX_NAME_CHARS: usize = 128;

crate::content::id::urn_id! {
    /// A group's id: `urn:uuid:` and a lower-case UUID, drawn by the user who created the group.
    GroupId
}

#[cfg(test)]
pub(crate) mod tests;
