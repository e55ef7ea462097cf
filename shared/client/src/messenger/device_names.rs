//! The names of the user's devices, on all of them. A device learns the name of the one that it approves from the
//! server, and tells the others with the decisions. Nothing proves a name, and nothing depends on it.

use std::collections::BTreeMap;

use eko_protocol::id::DeviceId;

use super::Messenger;
use super::contact::Contact;
use super::incoming::ActivitySource;
use crate::content::DeviceName;
use crate::device::PendingDevice;
use crate::store::{DeviceStoreError, Transaction};
use crate::{SignalSessions, Transport};

/// The greatest number of names that are kept of devices which are in no chain that this device has read.
const MOST_EARLY: usize = 16;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the names of the active devices of this user that are known here, by their ids.
    pub(super) fn names_of(
        &self,
        tx: &Transaction<'_>,
        own: &Contact,
    ) -> Result<BTreeMap<String, String>, DeviceStoreError> {
        let mut names = tx.device_names()?;
        if let Some(name) = self.device.name() {
            names.insert(self.device.id().to_string(), name.to_owned());
        }
        names.retain(|id, name| is_active(own, id) && DeviceName::fits(name));
        Ok(names)
    }

    /// Keeps the name of a device that is about to be approved, and forgets those of devices that have gone.
    pub(super) fn keep_name(&self, new: &PendingDevice, own: &Contact) -> Result<(), DeviceStoreError> {
        let Some(name) = new.name.as_ref().filter(|name| DeviceName::fits(name)) else { return Ok(()) };
        self.store.write(|tx| {
            let mut names = tx.device_names()?;
            forget_gone(&mut names, own);
            names.insert(new.device.id.to_string(), name.clone());
            tx.keep_device_names(&names)
        })
    }

    /// Has the names told again because a device was approved, unless the one that has approved it has told them
    /// all.
    pub(super) fn tell_new_names(&self, tx: &Transaction<'_>, own: &Contact) -> Result<(), DeviceStoreError> {
        let told = tx.told_names()?;
        match own.state.active.keys().all(|id| told.names.contains_key(id.as_str())) {
            true => Ok(()),
            false => tx.tell_names_again(),
        }
    }

    /// Takes the names of which the other devices are to be told. `has_more` says that they are told something
    /// else in the same activity.
    pub(super) fn take_untold_names(
        &self,
        tx: &Transaction<'_>,
        own: &Contact,
        has_more: bool,
    ) -> Result<Vec<DeviceName>, DeviceStoreError> {
        let mut told = tx.told_names()?;
        if !told.is_due && !has_more {
            return Ok(Vec::new());
        }
        let known = self.names_of(tx, own)?;
        let untold = known.iter().filter(|(id, name)| told.names.get(*id) != Some(name));
        let untold: Vec<DeviceName> = untold
            .map(|(id, name)| DeviceName {
                device: format!("{}/device/{id}", own.person.actor()),
                name: name.clone(),
            })
            .collect();
        if told.is_due || !untold.is_empty() {
            told.is_due = false;
            let ids = own.state.active.keys().map(ToString::to_string);
            told.names = ids.map(|id| (id.clone(), known.get(&id).cloned().unwrap_or_default())).collect();
            tx.keep_told_names(&told)?;
        }
        Ok(untold)
    }

    /// Takes over the names that another own device has told, which are no news to any. Of a device's name its own
    /// word counts, or else the first one.
    pub(super) fn merge_names(
        &self,
        tx: &Transaction<'_>,
        names: &[DeviceName],
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        let (origin, user, this) = (self.device.origin(), self.device.user(), self.device.id());
        let heard = names.iter().filter_map(|name| Some((origin.parse_device_of(user, &name.device)?, name)));
        let heard: Vec<(DeviceId, &DeviceName)> = heard.collect();
        if heard.is_empty() {
            return Ok(());
        }
        let (mut kept, mut told) = (tx.device_names()?, tx.told_names()?);
        if let Some(own) = self.kept_contact(tx, whence.actor)? {
            // The chain may lack the new device still.
            let is_heard = |id: &str| heard.iter().any(|(heard, _)| heard.as_str() == id);
            forget_gone(&mut kept, &own);
            told.names.retain(|id, _| is_active(&own, id) || is_heard(id));
        }
        for (id, DeviceName { device, name }) in &heard {
            told.names.insert(id.to_string(), name.clone());
            if id != this && (device == whence.device || !kept.contains_key(id.as_str())) {
                kept.insert(id.to_string(), name.clone());
            }
        }
        tx.keep_told_names(&told)?;
        tx.keep_device_names(&kept)
    }
}

/// Forgets the names of devices that are active no more. One that was in no chain may be approved just now.
fn forget_gone(names: &mut BTreeMap<String, String>, own: &Contact) {
    let mut early = 0;
    let address = |id: &str| format!("{}/device/{id}", own.person.actor());
    names.retain(|id, _| {
        let is_early = own.length_at(&address(id)) == 0;
        early += usize::from(is_early);
        is_active(own, id) || (is_early && early <= MOST_EARLY)
    });
}

/// True if the device with this id is active.
fn is_active(own: &Contact, id: &str) -> bool {
    own.state.active.keys().any(|active| active.as_str() == id)
}
