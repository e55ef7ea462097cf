//! The public profile of a user: display name and avatar, which the actor document shows.

use eko_protocol::profile::UpdateProfile;
use eko_store::device::DeviceAddress;

use crate::{Messaging, Refusal, Result};

impl Messaging {
    /// Changes the profile of the user of the device `caller`. May be repeated. No other server is told:
    /// whoever looks at the actor next finds it.
    ///
    /// One UpdateItem, which also checks that the device is active. If it is refused, one GetItem of the
    /// device set says why.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`]; the store is broken or out of reach.
    pub async fn change_profile(&self, caller: DeviceAddress<'_>, change: &UpdateProfile) -> Result<()> {
        let outcome = self.store().change_profile(caller, change).await?;
        self.made(outcome, caller, || Refusal::DeviceRevoked.into()).await
    }
}
