//! Groups: a state that every member's device keeps, and the controls that change it (`docs/protocol.md`, section 9).
//!
//! Each control carries the whole state that it makes, the hash of the one before, and a MAC under the group's key before
//! the change. So a server can neither change a group nor hide that it left something out, and members who were sent
//! the same controls come to the same state, in whatever order they arrive ([`judge_control`]).
//!
//! # Renewing the master key
//!
//! A member who leaves keeps the master key that the group has at that moment. So that this key stops working:
//!
//! 1. An accepted `left` makes a new key *due*. [`KnownGroup::rekey_due`] keeps that with the group, whatever else happens.
//! 2. Only an accepted control with another master key, made on the state after the departure or a later one, settles it:
//!    a `rekeyed` or a `removed`, by anybody. `renamed`, `added`, `promoted` and another `left` leave it due. If the control
//!    that settled it is overtaken by one that keeps the key, it is due again.
//! 3. The device of any admin that finds it due makes a `rekeyed` the next time it looks into its mailbox
//!    ([`KnownGroup::should_rekey`]), and again at every later look until it is settled. Other members never do.
//! 4. If several admins do so at once, their controls are for the same epoch: one wins, as with all changes, and whoever left
//!    has none of these keys.
//!
//! A device that joins a group knows nothing of departures before that; the admin who added it does.

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
pub use known::{KnownGroup, PreviousState, RekeyDecision};
pub use state::GroupState;

/// Members of a group.
pub const MAX_MEMBERS: usize = 256;

/// Characters of a group's name; the least is 1.
pub const MAX_NAME_CHARS: usize = 128;

crate::content::id::urn_id! {
    /// A group's id: `urn:uuid:` and a lower-case UUID, drawn by who created it.
    GroupId
}

#[cfg(test)]
pub(crate) mod tests;
