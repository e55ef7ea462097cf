use eko_protocol::id::DeviceId;

use super::trust::Contact;
use super::{Messenger, MessengerError};
use crate::device::PendingDevice;
use crate::fingerprint::fingerprint;
use crate::{ClientError, SignalSessions, Transport};

/// When this device began to change the own chain; 0 once it has looked at it since.
const CHANGED: &str = "chain_changed";

/// An active device of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDevice {
    /// Its id.
    pub id: DeviceId,
    /// The fingerprint of its identity key.
    pub fingerprint: String,
    /// When it came into the chain, by the clock of the device that added it; RFC 3339.
    pub since: String,
    /// Whether it is this one.
    pub this: bool,
}

/// The devices of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDevices {
    /// Those that are in the chain.
    pub active: Vec<OwnDevice>,
    /// Those that wait for approval.
    pub pending: Vec<PendingDevice>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// The fingerprint of this device's identity key, to be compared when another device approves it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.device.address(), &self.device.keys().identity().public())
    }

    /// The fingerprint of a device that waits.
    pub fn fingerprint_of(&self, pending: &PendingDevice) -> String {
        let device = &pending.device;
        fingerprint(&self.device.origin().device(self.device.user(), &device.id), &device.identity_key)
    }

    /// The devices of this user: the active ones as the chain has them, and those that wait.
    ///
    /// # Errors
    /// The server cannot be asked; the own chain is not to be trusted.
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

    /// Takes a waiting device into the chain. The user has compared its fingerprint, so it is taken with that key and no
    /// other that the server might show by now.
    ///
    /// # Errors
    /// It does not wait; the server's refusal: `stale-head` where another device appended first.
    pub async fn approve(&self, compared: &PendingDevice) -> Result<(), MessengerError> {
        self.change_chain(async || self.device.approve_this(compared).await.map(drop)).await
    }

    /// Turns a waiting device away.
    ///
    /// # Errors
    /// It does not wait.
    pub async fn turn_away(&self, device: &DeviceId) -> Result<(), MessengerError> {
        self.signed_in(async || self.device.turn_away(device).await).await
    }

    /// Revokes a device of this user, maybe this one.
    ///
    /// # Errors
    /// It is not active; the server's refusal.
    pub async fn revoke(&self, device: &DeviceId) -> Result<(), MessengerError> {
        self.change_chain(async || self.device.revoke(device).await.map(drop)).await
    }

    /// Appends to the own chain and looks at it. Whoever is cut off in between looks before the next message, so that
    /// its copies go to every device.
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

    /// Whether copies of what is said go anywhere.
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
