//! Changes of device sets, of which the user is told: devices that were added or removed.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use eko_protocol::chain::{ChainNode, NodeKind};

use super::contact::Contact;
use super::{Messenger, Notice};
use crate::store::DeviceStoreError;
use crate::{SignalSessions, Transport};

/// The difference between two states of a device chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChanges {
    /// The addresses of the devices that were added, in order.
    pub added: Vec<String>,
    /// The addresses of the devices that were removed, in order.
    pub removed: Vec<String>,
}

impl Contact {
    /// Returns the difference of this chain to its first `length` nodes. A device that was added and
    /// is gone again counts as both: it may have read messages.
    pub(super) fn changes_since(&self, length: usize) -> Result<DeviceChanges, DeviceStoreError> {
        let mut before = self.pinned.clone();
        before.nodes.truncate(length);
        let before = Self::new(self.person.clone(), before)?.active();
        let after = self.active();
        let added = self.pinned.nodes.iter().skip(length).filter(|node| node.addition().is_some());
        let added: BTreeSet<String> = added.map(|node| node.device().to_owned()).collect();
        let ever = &before | &added;
        let listed = |devices: BTreeSet<String>| devices.into_iter().collect();
        Ok(DeviceChanges { added: listed(&added - &before), removed: listed(&ever - &after) })
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns a notice for each contact, group member, and this user, whose devices have changed
    /// since the user was last told. A process returns each change once. The change stays untold
    /// until [`Messenger::note_told`], so that the next process returns it if this one ends before it
    /// is shown.
    pub(super) fn device_changes(&self) -> Result<Vec<Notice>, DeviceStoreError> {
        let grown = self.store.read(|tx| {
            let members = self.fellow_members(tx)?;
            let known = |actor: &String| self.compared_contact(tx, actor, &members);
            let known = tx.grown()?.iter().map(known).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, DeviceStoreError>(known.into_iter().flatten().collect::<Vec<_>>())
        })?;
        let mut notices = Vec::new();
        for contact in grown {
            let (actor, length) = (contact.person.actor(), contact.state.position.length);
            let Some(notice) = self.change_of(&contact)? else {
                self.store.write(|tx| tx.note_told(&actor, length))?;
                continue;
            };
            let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
            if returned.insert(actor, length) != Some(length) {
                notices.push(notice);
            }
        }
        Ok(notices)
    }

    /// Returns the change of a device set since the user was told, or `None` if this device has made
    /// all of it. A reset is told whole. A node under the key of this device proves by itself that
    /// somebody has the key, and not that this device has made the node.
    fn change_of(&self, contact: &Contact) -> Result<Option<Notice>, DeviceStoreError> {
        let told = usize::try_from(contact.pinned.told).unwrap_or(usize::MAX);
        let (own, made) = (self.device.address(), self.store.read(|tx| tx.own_nodes())?);
        let news = || contact.pinned.nodes.iter().skip(told);
        let reset = news().any(|node| matches!(node.kind(), NodeKind::Reset(_)));
        let by_others = || news().filter(|node| !made.contains(&node.hash()));
        let key_copied = by_others().any(|node| node.proof().verification_method == own);
        let DeviceChanges { mut added, mut removed } = contact.changes_since(told)?;
        if !reset {
            let others: BTreeSet<&str> = by_others().map(ChainNode::device).collect();
            let is_news = |device: &String| others.contains(device.as_str());
            added.retain(is_news);
            removed.retain(is_news);
        }
        if added.is_empty() && removed.is_empty() {
            return Ok(None);
        }
        let (actor, length) = (contact.person.actor(), contact.state.position.length);
        Ok(Some(match key_copied && !reset {
            true => Notice::KeyCopied { added, removed, length },
            false => Notice::DevicesChanged { actor, added, removed, reset, length },
        }))
    }
}
