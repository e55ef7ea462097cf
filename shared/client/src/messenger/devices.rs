//! This user's own devices: listing, approving, turning away, revoking.

use eko_protocol::id::DeviceId;

use super::trust::Contact;
use super::{Messenger, MessengerError};
use crate::device::PendingDevice;
use crate::fingerprint::fingerprint;
use crate::{ClientError, SignalSessions, Transport};

/// The name under which the store keeps the time at which this device began to change the own
/// chain. The time is 0 once the device has read the chain again.
const CHANGED: &str = "chain_changed";

/// An active device of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDevice {
    /// The device's id.
    pub id: DeviceId,
    /// The fingerprint of its identity key.
    pub fingerprint: String,
    /// The time at which it came into the chain, by the clock of the device that added it (RFC
    /// 3339).
    pub since: String,
    /// True if it is this device.
    pub this: bool,
}

/// The devices of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDevices {
    /// The devices in the chain.
    pub active: Vec<OwnDevice>,
    /// The devices that wait for approval.
    pub pending: Vec<PendingDevice>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the fingerprint of this device's identity key. The user compares it when another
    /// device approves this one.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.device.address(), &self.device.keys().identity().public())
    }

    /// Returns the fingerprint of a pending device.
    pub fn fingerprint_of(&self, pending: &PendingDevice) -> String {
        let device = &pending.device;
        fingerprint(&self.device.origin().device(self.device.user(), &device.id), &device.identity_key)
    }

    /// Reads the devices of this user: the active ones of the chain, and the pending ones.
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if the own chain is not to be trusted.
    pub async fn devices(&self) -> Result<OwnDevices, MessengerError> {
        let pending = self.signed_in(async || self.device.pending_devices().await).await?;
        let own = self.look_again(&self.me()).await?;
        let this = self.device.id();
        let active = own.state.active.iter().map(|(id, device)| {
            let address = self.device.origin().device(self.device.user(), id);
            let added = own.pinned.nodes.iter().rfind(|node| node.device() == address);
            OwnDevice {
                id: id.clone(),
                fingerprint: fingerprint(&address, &device.identity_key),
                since: added.map(|node| node.published().to_owned()).unwrap_or_default(),
                this: id == this,
            }
        });
        Ok(OwnDevices { active: active.collect(), pending })
    }

    /// Adds a pending device to the chain. The user has compared its fingerprint, so it is added
    /// with the key that was shown then, whatever the server shows now.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if the device does not hold its key; the problem `stale-head` if
    /// another node was appended first.
    pub async fn approve(&self, compared: &PendingDevice) -> Result<(), MessengerError> {
        self.change_chain(async || self.device.approve_this(compared).await.map(drop)).await
    }

    /// Turns a pending device away.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if the device is not pending; the problem `stale-head` if a node
    /// was appended meanwhile.
    pub async fn turn_away(&self, device: &DeviceId) -> Result<(), MessengerError> {
        self.signed_in(async || self.device.turn_away(device).await).await
    }

    /// Revokes a device of this user, possibly this one.
    ///
    /// # Errors
    /// The problem `invalid` if the device is not active, or `stale-head` if another node was
    /// appended first.
    pub async fn revoke(&self, device: &DeviceId) -> Result<(), MessengerError> {
        self.change_chain(async || self.device.revoke(device).await.map(drop)).await
    }

    /// Appends to the own chain and reads it again. If the process is cut off in between, the chain
    /// is read before the next message, so that copies go to every device.
    async fn change_chain(
        &self,
        append: impl AsyncFn() -> Result<(), ClientError>,
    ) -> Result<(), MessengerError> {
        let now_ms = self.now_ms();
        self.store.write(|tx| tx.put_moment(CHANGED, now_ms))?;
        self.signed_in(append).await?;
        self.look_at_own().await.map(drop)
    }

    async fn look_at_own(&self) -> Result<Contact, MessengerError> {
        let own = self.look_again(&self.me()).await?;
        self.store.write(|tx| tx.put_moment(CHANGED, 0))?;
        Ok(own)
    }

    /// True if this user has other devices, which get copies of what this device sends.
    pub(super) async fn has_other_devices(&self) -> Result<bool, MessengerError> {
        let changed = self.store.read(|tx| tx.moment(CHANGED))?.is_some_and(|at| at > 0);
        let looked = if changed { self.look_at_own().await.ok() } else { None };
        let own = match looked {
            Some(own) => own,
            None => self.contact(&self.me()).await?,
        };
        Ok(own.active().len() > 1)
    }
}
