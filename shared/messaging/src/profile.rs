//! The public profile of a user: display name and avatar, which the actor document shows.

use eko_protocol::profile::UpdateProfile;
use eko_store::device::DeviceAddress;

use crate::{Messaging, Refusal, Result};

impl Messaging {
    /// Changes the profile of the user of the device `caller`. May be repeated. No other server is told:
    /// whoever looks at the actor next finds it.
    ///
    /// One UpdateItem, as [`own_change`](Self::own_change) makes it.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`]; the store is broken or
    /// out of reach.
    pub async fn change_profile(&self, caller: DeviceAddress<'_>, change: &UpdateProfile) -> Result<()> {
        let change = self.store().change_profile(caller, change);
        self.own_change(caller, Box::pin(change), || Refusal::DeviceRevoked.into()).await
    }
}
