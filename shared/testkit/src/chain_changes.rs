//! Changes of device chains, for tests in which the server is honest.

use std::future::Future;

use eko_client::device::{JoinKind, PendingDevice};
use eko_client::{ClientError, Device, JoiningCode, Transport};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;

/// Changes of a user's chain by one of the user's devices. The device believes the chain that the
/// server shows, as no client may: [`eko_client::Messenger`] pins it.
pub trait ChainChanges {
    /// Returns the joining code of this device. It follows from the device's id, so that a test can
    /// approve a device of which it knows the id alone.
    fn joining_code(&self) -> JoiningCode;

    /// Returns the kind of registration that makes this device a further one.
    fn as_further(&self) -> JoinKind {
        JoinKind::Further(self.joining_code())
    }

    /// Approves a pending device, whose joining code follows from its id.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if it is not pending; those of [`Device::append`].
    fn approve(&self, new: &DeviceId) -> impl Future<Output = Result<DeviceSetRef, ClientError>> + Send;

    /// Turns a pending device away.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if it is not pending; those of [`Device::reject`].
    fn turn_away(&self, waiting: &DeviceId) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// Revokes a device.
    ///
    /// # Errors
    /// Those of [`Device::append`].
    fn revoke(&self, device: &DeviceId) -> impl Future<Output = Result<DeviceSetRef, ClientError>> + Send;
}

impl<T: Transport> ChainChanges for Device<T> {
    fn joining_code(&self) -> JoiningCode {
        code_of(self.id())
    }

    async fn approve(&self, new: &DeviceId) -> Result<DeviceSetRef, ClientError> {
        let found = waiting(self, new).await?;
        let (nodes, _) = self.chain(self.user()).await?;
        self.append(&self.approval(&nodes, &found, &code_of(new))?).await
    }

    async fn turn_away(&self, device: &DeviceId) -> Result<(), ClientError> {
        let found = waiting(self, device).await?;
        let (_, state) = self.chain(self.user()).await?;
        self.reject(&found.device, &state.device_set().reference().expect("a chain")).await
    }

    async fn revoke(&self, device: &DeviceId) -> Result<DeviceSetRef, ClientError> {
        let (_, state) = self.chain(self.user()).await?;
        self.append(&self.revocation(&state.position, device)?).await
    }
}

async fn waiting<T: Transport>(of: &Device<T>, id: &DeviceId) -> Result<PendingDevice, ClientError> {
    let pending = of.pending_devices().await?;
    let found = pending.into_iter().find(|pending| pending.device.id == *id);
    found.ok_or_else(|| ClientError::Untrusted(format!("{id} does not wait")))
}

fn code_of(device: &DeviceId) -> JoiningCode {
    let uuid = u128::from_str_radix(&device.as_str().replace('-', ""), 16).expect("a UUID");
    JoiningCode::from_secret(uuid.to_be_bytes())
}
