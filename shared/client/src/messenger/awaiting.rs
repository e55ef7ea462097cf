//! An account that was made for the move of its user, until the move is done.
//!
//! Its store is a copy of that of the account which the user leaves. If the move is refused, or the process
//! dies, there would be two accounts that send the same. So it sends and reads nothing before the other one
//! was left.

use eko_protocol::address::Handle;

use super::{Messenger, MessengerError, Person};
use crate::store::{AwaitedMove, DeviceStoreError};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Succeeds unless this account was made for a move that is not done. Makes no call.
    ///
    /// # Errors
    /// [`MessengerError::AwaitsMove`], and [`MessengerError::Store`].
    pub fn require_move_done(&self) -> Result<(), MessengerError> {
        match self.store.awaited_move()? {
            Some(awaited) => Err(awaits_move(&self.device.actor(), &awaited)),
            None => Ok(()),
        }
    }

    /// Succeeds unless this account was made for a move, and the other account was not left yet.
    pub(super) fn require_left(&self) -> Result<(), MessengerError> {
        match self.store.awaited_move()?.filter(|awaited| !awaited.is_left) {
            Some(awaited) => Err(awaits_move(&self.device.actor(), &awaited)),
            None => Ok(()),
        }
    }

    /// Returns the account to which a node of a move leads that has no rival without the server: contacts may
    /// have it, or the server may have stored it where the next one would be. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn bound_elsewhere(&self, new: &Handle) -> Result<Option<Person>, DeviceStoreError> {
        self.store.read(|tx| {
            let Some(kept) = tx.own_move()? else { return Ok(None) };
            let head = self.kept_contact(tx, &self.device.actor())?.and_then(|own| own.state.position.head);
            let is_bound = kept.is_given || kept.node.previous() == head.as_deref();
            let to = kept.node.target().and_then(|target| Person::of(&target.actor));
            Ok(to.filter(|to| is_bound && to.handle() != *new))
        })
    }

    /// Returns the account for which a node of a move was made, which the server may have stored, or contacts
    /// may have. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn begun_move(&self) -> Result<Option<Person>, DeviceStoreError> {
        let begun = self.store.read(|tx| tx.own_move())?;
        let begun = begun.and_then(|kept| Person::of(&kept.node.target()?.actor));
        begun.map_or_else(|| self.moved_account(), |to| Ok(Some(to)))
    }
}

/// Returns the error of an account that waits for a move.
pub(super) fn awaits_move(actor: &str, awaited: &AwaitedMove) -> MessengerError {
    let handle = |actor: &str| Person::of(actor).map(|it| it.handle().to_string()).unwrap_or_default();
    let (from, to) = (handle(&awaited.from), handle(actor));
    MessengerError::AwaitsMove { from, to, is_left: awaited.is_left }
}
