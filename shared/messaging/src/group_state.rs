//! The group states that a user's devices keep at the server (`docs/protocol.md`, section 9).
//!
//! The server cannot read them. It decides which of two states stays, and for whom.

use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_store::device::{DeviceAddress, DeviceRecord};
use eko_store::group_states::{GroupStateOutcome, GroupStatePage};

use crate::active_device::require_status;
use crate::{Messaging, Result};

impl Messaging {
    /// Stores a group state, if its epoch is greater than that of the stored one.
    ///
    /// One GetItem and, at the same time, one UpdateItem of the account's budget; then the calls of
    /// [`keep_group_state`](eko_store::Store::keep_group_state). What the budget counts stays
    /// counted, also for a state that is refused; for a device that is not active, a second UpdateItem
    /// gives it back.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`](crate::Refusal::DevicePending),
    /// [`Refusal::DeviceRevoked`](crate::Refusal::DeviceRevoked),
    /// [`Refusal::OverBudget`](crate::Refusal::OverBudget); the store is broken or out of reach.
    pub async fn keep_group_state(
        &self,
        caller: DeviceAddress<'_>,
        id: &GroupStateId,
        state: &SealedGroupState,
    ) -> Result<GroupStateOutcome> {
        self.admit_group_state(caller, state.content.len()).await?;
        Ok(self.store().keep_group_state(caller.user, id, state).await?)
    }

    /// Deletes a group state whose epoch is at most `epoch`.
    ///
    /// One GetItem and, at the same time, one UpdateItem of the account's budget; then the calls of
    /// [`drop_group_state`](eko_store::Store::drop_group_state).
    ///
    /// # Errors
    /// Those of [`Messaging::keep_group_state`].
    pub async fn drop_group_state(
        &self,
        caller: DeviceAddress<'_>,
        id: &GroupStateId,
        epoch: u64,
    ) -> Result<GroupStateOutcome> {
        self.admit_group_state(caller, 0).await?;
        Ok(self.store().drop_group_state(caller.user, id, epoch).await?)
    }

    /// Reads one group state.
    ///
    /// The calls of [`group_state_for`](eko_store::Store::group_state_for).
    ///
    /// # Errors
    /// The caller is not active; the store is broken or out of reach.
    pub async fn group_state(
        &self,
        caller: DeviceAddress<'_>,
        id: &GroupStateId,
    ) -> Result<Option<SealedGroupState>> {
        let (record, state) = self.store().group_state_for(caller, id).await?;
        require_record(record.as_ref())?;
        Ok(state)
    }

    /// Reads a page of the caller's group states.
    ///
    /// The calls of [`group_states`](eko_store::Store::group_states).
    ///
    /// # Errors
    /// The caller is not active; the store is broken or out of reach.
    pub async fn group_states(
        &self,
        caller: DeviceAddress<'_>,
        after: Option<&GroupStateId>,
    ) -> Result<GroupStatePage> {
        let page = self.store().group_states(caller, after).await?;
        require_record(page.device.as_ref())?;
        Ok(page)
    }

    /// Checks that the caller is active, and charges a write of `bytes` to the account's budget.
    async fn admit_group_state(&self, caller: DeviceAddress<'_>, bytes: usize) -> Result<()> {
        let charge = self.charge_of_account(caller.user, u64::try_from(bytes).unwrap_or(u64::MAX));
        let (record, spending) =
            tokio::join!(self.store().device_record(caller), self.spend(Some(charge), None));
        let check = || require_record(record?.as_ref());
        self.spend_if(check(), spending).await.map(drop)
    }
}

fn require_record(record: Option<&DeviceRecord>) -> Result<()> {
    Ok(require_status(record.map(|record| record.status))?)
}
