//! Blocks: whom a user does not hear (`docs/protocol.md`, section 6).
//!
//! A block acts where the device set is read anyway: [`accept`](crate::accept) has the letters of
//! blocked senders dropped, and [`take`](crate::take) gives them no one-time keys. Nobody is told.

use eko_protocol::Invalid;
use eko_protocol::block::{BlockActivity, ListedBlock};
use eko_protocol::limits::MAX_BLOCKS;
use eko_store::blocks::OwnChangeOutcome;
use eko_store::device::DeviceAddress;

use crate::active_device::require_active;
use crate::{Messaging, MessagingError, Result};

impl Messaging {
    /// Blocks a party for the user of the device `caller`, or undoes that. Both may be repeated.
    ///
    /// One transaction, which also checks that the device is active. If it is refused, one GetItem
    /// of the device set says why.
    ///
    /// # Errors
    /// [`DevicePending`](crate::Refusal::DevicePending),
    /// [`DeviceRevoked`](crate::Refusal::DeviceRevoked); [`Invalid`](crate::Refusal::Invalid) if the user
    /// blocks [`MAX_BLOCKS`] others; the store is broken or out of reach.
    pub async fn change_block(&self, caller: DeviceAddress<'_>, block: &BlockActivity) -> Result<()> {
        let outcome = if block.is_undone {
            self.store().remove_block(caller, &block.party).await?
        } else {
            self.store().add_block(caller, &block.party, self.now_ms()).await?
        };
        self.made(outcome, caller, || {
            Invalid::at("/object", format!("would be more than {MAX_BLOCKS} blocks")).into()
        })
        .await
    }

    /// Succeeds if a change of the device `caller` was made. Otherwise one GetItem of the device set says why.
    ///
    /// # Errors
    /// [`DevicePending`](crate::Refusal::DevicePending),
    /// [`DeviceRevoked`](crate::Refusal::DeviceRevoked); `full` if the device is active; the store is broken or
    /// out of reach.
    pub(crate) async fn made(
        &self,
        outcome: OwnChangeOutcome,
        caller: DeviceAddress<'_>,
        full: impl FnOnce() -> MessagingError,
    ) -> Result<()> {
        match outcome {
            OwnChangeOutcome::Done => Ok(()),
            OwnChangeOutcome::DoneIfActive | OwnChangeOutcome::Refused => {
                require_active(self.store().device_set(caller.user).await?, caller.device)?;
                if outcome == OwnChangeOutcome::DoneIfActive { Ok(()) } else { Err(full()) }
            }
        }
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
