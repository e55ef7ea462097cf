//! The names that the devices of this user have given themselves, and what the other ones were told of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DeviceStoreError, Transaction};

/// The name under which the store keeps the names of other devices, by their ids.
const NAMES: &str = "device_names";
/// The name under which the store keeps which names were told.
const TOLD: &str = "device_names_told";

/// The names that all own devices were told, by this one or another.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ToldNames {
    /// The names by the ids of their devices. A device of which no name is known has an empty one.
    pub(crate) names: BTreeMap<String, String>,
    /// True if the rest is told even if nothing else is.
    pub(crate) is_due: bool,
}

impl Transaction<'_> {
    /// Returns the names of other devices, by their ids.
    pub(crate) fn device_names(&self) -> Result<BTreeMap<String, String>, DeviceStoreError> {
        Ok(self.json(NAMES)?.unwrap_or_default())
    }

    /// Keeps the names of other devices.
    pub(crate) fn keep_device_names(&self, names: &BTreeMap<String, String>) -> Result<(), DeviceStoreError> {
        self.put_json(NAMES, names)
    }

    /// Returns which names were told.
    pub(crate) fn told_names(&self) -> Result<ToldNames, DeviceStoreError> {
        Ok(self.json(TOLD)?.unwrap_or_default())
    }

    /// Keeps which names were told.
    pub(crate) fn keep_told_names(&self, told: &ToldNames) -> Result<(), DeviceStoreError> {
        self.put_json(TOLD, told)
    }

    /// Has all names told again.
    pub(crate) fn tell_names_again(&self) -> Result<(), DeviceStoreError> {
        self.keep_told_names(&ToldNames { names: BTreeMap::new(), is_due: true })
    }
}
