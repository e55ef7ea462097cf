//! Blocks: whom a user does not hear (`docs/protocol.md`, section 6).
//!
//! A block acts where the device set is read anyway: [`accept`](crate::accept) has the letters of
//! blocked senders dropped, and [`take`](crate::take) gives them no one-time keys. Nobody is told.

use std::pin::Pin;

use eko_protocol::Invalid;
use eko_protocol::block::{BlockActivity, ListedBlock};
use eko_protocol::limits::MAX_BLOCKS;
use eko_store::StoreError;
use eko_store::blocks::OwnChangeOutcome;
use eko_store::device::DeviceAddress;

use crate::active_device::require_active;
use crate::{Messaging, MessagingError, Result};

impl Messaging {
    /// Blocks a party for the user of the device `caller`, or undoes that. Both may be repeated.
    ///
    /// One transaction, as [`own_change`](Self::own_change) makes it.
    ///
    /// # Errors
    /// [`DevicePending`](crate::Refusal::DevicePending),
    /// [`DeviceRevoked`](crate::Refusal::DeviceRevoked), [`OverBudget`](crate::Refusal::OverBudget);
    /// [`Invalid`](crate::Refusal::Invalid) if the user
    /// blocks [`MAX_BLOCKS`] others; the store is broken or out of reach.
    pub async fn change_block(&self, caller: DeviceAddress<'_>, block: &BlockActivity) -> Result<()> {
        let change = async {
            match block.is_undone {
                true => self.store().remove_block(caller, &block.party).await,
                false => self.store().add_block(caller, &block.party, self.now_ms()).await,
            }
        };
        let full = || Invalid::at("/object", format!("would be more than {MAX_BLOCKS} blocks")).into();
        self.own_change(caller, Box::pin(change), full).await
    }

    /// Makes a change of what a user blocks, knows, lets in or shows, for the device `caller`. The change is
    /// on the heap, since it is large.
    ///
    /// One UpdateItem of the account's budget, and the call of the change, which also checks that the device
    /// is active. If it is refused, one GetItem of the device set says why, and what a device has spent that
    /// is not active is given back by one UpdateItem.
    ///
    /// The budget is charged before and by a call of its own: as part of the change's transaction it would
    /// not count the changes that are refused or were made before, which cost as much.
    ///
    /// # Errors
    /// [`DevicePending`](crate::Refusal::DevicePending),
    /// [`DeviceRevoked`](crate::Refusal::DeviceRevoked), [`OverBudget`](crate::Refusal::OverBudget); `full`
    /// if the change is refused to an active device; the store is broken or out of reach.
    pub(crate) async fn own_change(
        &self,
        caller: DeviceAddress<'_>,
        change: Pin<Box<impl Future<Output = std::result::Result<OwnChangeOutcome, StoreError>>>>,
        full: impl FnOnce() -> MessagingError,
    ) -> Result<()> {
        let mut spending = self.spend(Some(self.request_charge(caller.user)), None).await;
        spending.check()?;
        let outcome = change.await?;
        if outcome == OwnChangeOutcome::Done {
            return Ok(());
        }
        let own = self.store().device_set(caller.user).await;
        self.check_caller(caller, own, spending).await?;
        if outcome == OwnChangeOutcome::DoneIfActive { Ok(()) } else { Err(full()) }
    }

    /// Returns what the user of the device `caller` blocks, the latest first.
    ///
    /// GetItem of the device set beside the Query of the blocks.
    ///
    /// # Errors
    /// [`DevicePending`](crate::Refusal::DevicePending),
    /// [`DeviceRevoked`](crate::Refusal::DeviceRevoked); the store is broken or out of reach.
    pub async fn blocks(&self, caller: DeviceAddress<'_>) -> Result<Vec<ListedBlock>> {
        let (set, blocks) =
            tokio::join!(self.store().device_set(caller.user), self.store().blocks(caller.user));
        require_active(set?, caller.device)?;
        let mut blocks = blocks?;
        blocks.sort_by(|a, b| b.since_ms.cmp(&a.since_ms).then_with(|| a.party.cmp(&b.party)));
        Ok(blocks)
    }
}
