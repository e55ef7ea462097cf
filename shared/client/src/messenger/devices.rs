//! This user's own devices: listing, approving, turning away, revoking.

use std::collections::BTreeSet;

use eko_protocol::chain::{ChainNode, NodeKind};
use eko_protocol::id::DeviceId;
use eko_protocol::timestamp;
use serde_json::Value;

use super::contact::Contact;
use super::{Distrust, JoinState, Messenger, MessengerError};
use crate::device::PendingDevice;
use crate::joining::JoiningCode;
use crate::store::{DeviceStoreError, Transaction};
use crate::{ClientError, SignalSessions, Transport};

/// The name under which the store keeps the time at which this device began to change the own
/// chain. The time is 0 once the device has read the chain again.
pub(super) const CHANGED: &str = "chain_changed";

/// The time after which a device tells those of what the user's devices share whom another one has approved.
const OTHERS_TELL_MS: i64 = 3_600_000;

/// The treatment of devices that were approved since this device last told all of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewDevices {
    /// There are none.
    Nobody,
    /// Another device has approved them, and may tell them.
    TellLater,
    /// This device tells them: it has approved one, or nobody else may have told them.
    Tell,
}

/// An active device of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDevice {
    /// The device's id.
    pub id: DeviceId,
    /// The time at which it came into the chain, by the clock of the device that added it (RFC
    /// 3339).
    pub since: String,
    /// The name that it has given itself, if this device has heard of it. Nothing proves it.
    pub name: Option<String>,
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
    /// Reads the devices of this user: the active ones of the chain, and the pending ones. A device
    /// that waits for approval itself knows of no active ones.
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if the own chain is not to be trusted.
    pub async fn devices(&self) -> Result<OwnDevices, MessengerError> {
        let joined = self.join().await?;
        let pending = self.with_tokens(async || self.device.pending_devices().await).await?;
        if joined == JoinState::Waiting {
            return Ok(OwnDevices { active: Vec::new(), pending });
        }
        let own = self.look_again(&self.me()).await?;
        let this = self.device.id();
        let names = self.store.read(|tx| self.names_of(tx, &own))?;
        let active = own.state.active.keys().map(|id| {
            let address = self.device.origin().device(self.device.user(), id);
            let added = own.pinned.nodes.iter().rfind(|node| node.device() == address);
            OwnDevice {
                id: id.clone(),
                since: added.map(|node| timestamp::format(node.published_ms())).unwrap_or_default(),
                name: names.get(id.as_str()).cloned(),
                this: id == this,
            }
        });
        Ok(OwnDevices { active: active.collect(), pending })
    }

    /// Asks the server whether this device is still one of its user's devices, or still waits to become
    /// one. [`Messenger::is_revoked`] and [`Messenger::joining_code`] say what is known then. One call, and
    /// another one on a device that was approved meanwhile, which joins by it.
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if the own chain is not to be trusted.
    pub async fn check_this_device(&self) -> Result<(), MessengerError> {
        if self.is_proven_revoked()? {
            return Ok(());
        }
        let checked = match self.store.read(|tx| tx.is_pinned(&self.device.actor()))? {
            true => self.look_again(&self.me()).await.map(drop),
            // Before its approval it is in no chain, so only its own calls tell.
            false => match self.with_tokens(async || self.device.pending_devices().await).await {
                Ok(pending) if pending.iter().any(|it| it.device.id == *self.device.id()) => Ok(()),
                Ok(_) => self.look_again(&self.me()).await.map(drop),
                Err(error) => Err(error),
            },
        };
        match checked {
            // The server has not heard of the approval everywhere.
            Err(MessengerError::Pending) => Ok(()),
            Err(MessengerError::Distrust { why: Distrust::OwnReset, .. }) => Ok(()),
            Err(error) if error.is_end() => Ok(()),
            checked => checked,
        }
    }

    /// Returns the time at which this device last read the list of its user's devices, in epoch
    /// milliseconds, or `None` if it has not joined. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn own_list_read_ms(&self) -> Result<Option<i64>, DeviceStoreError> {
        Ok(self.store.read(|tx| tx.pinned(&self.device.actor()))?.map(|pinned| pinned.looked_ms))
    }

    /// True if the device with this address is one of this user's devices, as far as this device
    /// has read. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn is_own_device(&self, address: &str) -> Result<bool, DeviceStoreError> {
        match self.store.read(|tx| tx.pinned(&self.device.actor()))? {
            Some(pinned) => Ok(Contact::new(self.me(), pinned)?.active().contains(address)),
            None => Ok(false),
        }
    }

    /// Returns the names of the other active devices of this user, or their addresses, as far as this device has
    /// read. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn other_devices(&self) -> Result<BTreeSet<String>, DeviceStoreError> {
        self.store.read(|tx| {
            let (own, names) = (self.kept_contact(tx, &self.device.actor())?, tx.device_names()?);
            let active = own.map(|own| own.active()).unwrap_or_default();
            let others = active.into_iter().filter(|device| *device != self.device.address());
            Ok(others.map(|device| names.get(&device).cloned().unwrap_or(device)).collect())
        })
    }

    /// True if a reset has replaced all devices of this user once, as far as this device has read. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn was_reset(&self) -> Result<bool, DeviceStoreError> {
        let own = self.store.read(|tx| tx.pinned(&self.device.actor()))?;
        let is_reset = |node: &ChainNode| matches!(node.kind(), NodeKind::Reset(_));
        Ok(own.is_some_and(|own| own.nodes.iter().any(is_reset)))
    }

    /// Adds the pending device that has this joining code to the chain, and returns it. The code
    /// proves to this device which key the new device has, and to the new device which chain its
    /// user has. The new device gets the keys of the groups' records, the user's contacts, and the names of
    /// the user's devices.
    ///
    /// # Errors
    /// [`MessengerError::UnknownJoiningCode`] if no device that waits has the code;
    /// [`MessengerError::SharedJoiningCode`] if several have it;
    /// [`MessengerError::Distrust`] if the server shows another chain than before: then nothing is
    /// signed; [`MessengerError::NotDone`] if the chain does not show the device afterwards;
    /// [`ClientError::Untrusted`](crate::ClientError::Untrusted) if the device does not hold its
    /// key; the problem `stale-head` if another node was appended first.
    pub async fn approve(&self, code: &JoiningCode) -> Result<PendingDevice, MessengerError> {
        let own = self.undisputed_own().await?;
        let pending = self.signed_in(async || self.device.pending_devices().await).await?;
        let waiting = pending.len();
        let (origin, user, keys) = (self.device.origin(), self.device.user(), code.keys());
        let has_code = |it: &PendingDevice| keys.registered(origin, user, &it.device, &it.joining_mac);
        let mut found: Vec<PendingDevice> = pending.into_iter().filter(has_code).collect();
        let new = match (found.pop(), found.len()) {
            (Some(only), 0) => only,
            (None, _) => return Err(MessengerError::UnknownJoiningCode { waiting }),
            (Some(_), others) => return Err(MessengerError::SharedJoiningCode(others.saturating_add(1))),
        };
        let node = self.device.approval(&own.pinned.nodes, &new, code)?;
        // Nobody says the name again once the device waits no longer.
        self.keep_name(&new, &own)?;
        self.append(&node, "it has added the device").await?;
        self.give_state_keys().await?;
        // What does not reach the server now is sent with the next look.
        match Box::pin(self.tell_decisions()).await {
            Err(error @ MessengerError::Store(_)) => Err(error),
            _ => Ok(new),
        }
    }

    /// Turns a pending device away.
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if the server shows another chain than before: then nothing is
    /// signed; [`MessengerError::NotDone`] if the device waits afterwards;
    /// [`ClientError::Untrusted`] if it is not pending; the problem `stale-head` if a node was
    /// appended meanwhile.
    pub async fn turn_away(&self, device: &DeviceId) -> Result<(), MessengerError> {
        let own = self.undisputed_own().await?;
        let pending = self.signed_in(async || self.device.pending_devices().await).await?;
        let waiting = pending.into_iter().find(|waiting| waiting.device.id == *device);
        let (waiting, set) = waiting
            .zip(own.device_set())
            .ok_or_else(|| ClientError::Untrusted(format!("{device} does not wait for approval")))?;
        self.signed_in(async || self.device.reject(&waiting.device, &set).await).await?;
        let pending = self.signed_in(async || self.device.pending_devices().await).await?;
        match pending.iter().any(|waiting| waiting.device.id == *device) {
            true => Err(MessengerError::NotDone("it has turned the device away")),
            false => Ok(()),
        }
    }

    /// Revokes a device of this user, possibly this one.
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if the server shows another chain than before: then nothing is
    /// signed; [`MessengerError::NotDone`] if the chain does not show the revocation afterwards;
    /// the problem `invalid` if the device is not active, or `stale-head` if another node was
    /// appended first.
    pub async fn revoke(&self, device: &DeviceId) -> Result<(), MessengerError> {
        let own = self.undisputed_own().await?;
        let node = self.device.revocation(&own.state.position, device)?;
        self.append(&node, "it has revoked the device").await
    }

    /// Reads the own chain, which must continue the pinned one, and about which there must be no
    /// alarm. A node is signed on no other chain.
    pub(super) async fn undisputed_own(&self) -> Result<Contact, MessengerError> {
        self.require_joined().await?;
        let me = self.me();
        self.look_again(&me).await?;
        self.trusted(&me).await
    }

    /// Appends a node to the own chain, and succeeds if the chain shows it afterwards. If the
    /// answer to the append is lost, the chain alone decides.
    ///
    /// The hash of the node is stored before: any other node under the key of this device was made by
    /// somebody who has a copy of the key. If the process is cut off in between, the chain is read before
    /// the next message, so that copies go to every device.
    pub(super) async fn append(&self, node: &Value, said: &'static str) -> Result<(), MessengerError> {
        let hash = ChainNode::parse(node)?.hash();
        let now_ms = self.now_ms();
        self.store.write(|tx| {
            tx.keep_own_node(&hash)?;
            tx.put_moment(CHANGED, now_ms)
        })?;
        let appended = self.signed_in(async || self.device.append(node).await.map(drop)).await;
        let own = self.look_at_own().await;
        let shows = own.as_ref().is_ok_and(|own| own.pinned.nodes.iter().any(|it| it.hash() == hash));
        match (appended, own) {
            _ if shows => Ok(()),
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(_)) => Err(MessengerError::NotDone(said)),
        }
    }

    async fn look_at_own(&self) -> Result<Contact, MessengerError> {
        let own = self.look_again(&self.me()).await?;
        self.store.write(|tx| tx.put_moment(CHANGED, 0))?;
        Ok(own)
    }

    /// Returns what to do about other devices that were approved since this device told those of the first
    /// `told` nodes of the own chain.
    pub(super) fn new_devices(
        &self,
        tx: &Transaction<'_>,
        own: &Contact,
        told: i64,
    ) -> Result<NewDevices, DeviceStoreError> {
        let (active, this) = (own.active(), self.device.address());
        let is_new = |node: &&ChainNode| {
            node.addition().is_some() && node.device() != this && active.contains(node.device())
        };
        let later = own.pinned.nodes.iter().skip(usize::try_from(told).unwrap_or_default());
        let new: Vec<&ChainNode> = later.filter(is_new).collect();
        if new.is_empty() {
            return Ok(NewDevices::Nobody);
        }
        let (mine, now_ms) = (tx.own_nodes()?, self.now_ms());
        let is_due = |node: &&ChainNode| {
            mine.contains(&node.hash()) || node.published_ms().saturating_add(OTHERS_TELL_MS) <= now_ms
        };
        Ok(if new.iter().any(is_due) { NewDevices::Tell } else { NewDevices::TellLater })
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
