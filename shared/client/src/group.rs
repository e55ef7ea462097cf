//! Groups: a state that every member's device keeps, and the controls that change it (`docs/protocol.md`, section 9).
//!
//! Each control carries the whole state that it makes, the hash of the one before, and a MAC under the group's key before
//! the change. So a server can neither change a group nor hide that it left something out, and members who were sent
//! the same controls come to the same state, in whatever order they arrive ([`judge_control`]).

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
pub use known::{KnownGroup, PreviousState};
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
