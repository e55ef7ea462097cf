//! Moves of a user from one account to another: the two links between their chains.
//!
//! ```text
//! chain of the old account                              chain of the new account
//! … ◄── Move by an active device                        AddDevice by the first device ◄── …
//!       target: the new actor ──────────────────────►   actor
//!       targetRoot: SHA-256 ────────────────────────►   this node
//!       actor       ◄────────────────────────────────   origin: the old actor
//! ```
//!
//! A device of the old account says where the user is, and commits to the first node there. So the new
//! server cannot show a chain of its own. The first node there names the old account. So nobody is made
//! the successor of somebody else.

use super::ChainNode;

/// The reason why two chains are not those of one user who has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The old chain does not end with a `Move`.
    #[error("the old account has not moved")]
    NotMoved,
    /// The `Move` names another actor than that of the new chain.
    #[error("the old account has moved elsewhere")]
    Elsewhere,
    /// The first node of the new chain is not the one that the `Move` commits to.
    #[error("the first device of the new account is not the one that the move names")]
    OtherRoot,
    /// The first node of the new chain does not name the old account.
    #[error("the new account does not name the old one")]
    NoReturn,
}

/// Checks that the user of the chain `old` has moved to the account of the chain `new`. Both are whole
/// chains that were replayed.
///
/// # Errors
/// [`MoveError`] for the first link that is missing.
pub fn check_move(old: &[ChainNode], new: &[ChainNode]) -> Result<(), MoveError> {
    let last = old.last().ok_or(MoveError::NotMoved)?;
    let target = last.target().ok_or(MoveError::NotMoved)?;
    let first = new.first().ok_or(MoveError::Elsewhere)?;
    if target.actor != first.actor() {
        return Err(MoveError::Elsewhere);
    }
    if target.root != first.hash() {
        return Err(MoveError::OtherRoot);
    }
    if first.moved_from() != Some(last.actor()) {
        return Err(MoveError::NoReturn);
    }
    Ok(())
}
