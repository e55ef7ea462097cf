//! The profile of the device's user.

use eko_protocol::profile::UpdateProfile;
use eko_protocol::vocabulary::in_context;
use http::StatusCode;

use super::Device;
use crate::{ClientError, Transport};

impl<T: Transport> Device<T> {
    /// POST `/user/{name}/outbox` with `Update`: changes the display name and the avatar of the user. May
    /// be repeated.
    pub async fn change_profile(&self, update: &UpdateProfile) -> Result<(), ClientError> {
        let body = in_context(update.to_value(&self.actor()));
        self.post(&self.origin.outbox(&self.user), &body, StatusCode::NO_CONTENT).await.map(drop)
    }
}
