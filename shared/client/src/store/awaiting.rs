//! The move to the account of this store, as long as it is not done.

use serde::{Deserialize, Serialize};

use super::{CarriedOver, DeviceStore, DeviceStoreError, FormerDevice, Transaction};

/// The name under which the store keeps the move that its account waits for.
const AWAITED_MOVE: &str = "awaited_move";

/// The move that the account of this store waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedMove {
    /// The actor id of the account that the user leaves.
    pub from: String,
    /// True once the user has left it, so that the contacts are to be told.
    pub is_left: bool,
}

impl DeviceStore {
    /// Takes over from the store of the account that the user leaves, as [`DeviceStore::carry_over`] does. The
    /// account of this store waits for the move from then on.
    ///
    /// # Errors
    /// Those of [`DeviceStore::carry_over`].
    pub fn carry_over_to_move(&self, former: FormerDevice<'_>) -> Result<CarriedOver, DeviceStoreError> {
        self.with_former(former, |tx, me| {
            tx.await_move(me)?;
            tx.carry_over(me, former.is_reset)
        })
    }

    /// Returns the move that the account of this store waits for, or `None` if it was made for none, or that
    /// is done.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn awaited_move(&self) -> Result<Option<AwaitedMove>, DeviceStoreError> {
        self.read(|tx| tx.awaited_move())
    }

    /// Returns the actor id of the account to which the user has moved from the one of this store, as the own
    /// chain says, or the node that was made for the contacts without the server.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn left_for(&self) -> Result<Option<String>, DeviceStoreError> {
        self.read(|tx| tx.left_for())
    }
}

impl Transaction<'_> {
    /// Returns the move that the account of this store waits for.
    pub(crate) fn awaited_move(&self) -> Result<Option<AwaitedMove>, DeviceStoreError> {
        self.json(AWAITED_MOVE)
    }

    /// Has the account of this store wait for the move from another account, unless that is done.
    pub(crate) fn await_move(&self, from: &str) -> Result<(), DeviceStoreError> {
        if self.awaited_move()?.is_some() || self.former_self()?.is_some() {
            return Ok(());
        }
        self.put_json(AWAITED_MOVE, &AwaitedMove { from: from.to_owned(), is_left: false })
    }

    /// Returns the actor id of the account to which the user has moved from the one of this store.
    pub(crate) fn left_for(&self) -> Result<Option<String>, DeviceStoreError> {
        let own = match self.own_actor()? {
            Some(actor) => self.pinned(&actor)?,
            None => None,
        };
        if let Some(target) = own.as_ref().and_then(|own| own.nodes.last()?.target()) {
            return Ok(Some(target.actor.clone()));
        }
        let given = self.own_move()?.filter(|kept| kept.is_given);
        Ok(given.and_then(|kept| Some(kept.node.target()?.actor.clone())))
    }

    /// Records that the user has left the other account.
    pub(crate) fn note_account_left(&self) -> Result<(), DeviceStoreError> {
        match self.awaited_move()? {
            Some(awaited) => self.put_json(AWAITED_MOVE, &AwaitedMove { is_left: true, ..awaited }),
            None => Ok(()),
        }
    }

    /// Records that the move is done: what tells the contacts is among what is to be sent.
    pub(crate) fn end_awaited_move(&self) -> Result<(), DeviceStoreError> {
        self.delete(AWAITED_MOVE)
    }
}
