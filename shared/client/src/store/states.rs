//! The keys of the group records at the server, and what is known of these records.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{DeviceStoreError, Transaction};
use crate::sealed::StateKeys;

/// The name under which the keys are kept.
const KEYS: &str = "state_keys";
/// The beginning of the names of groups whose record is to be stored at the server. The value is the
/// time from which it is tried, in epoch milliseconds.
const UNSTORED: &str = "unstored ";
/// The beginning of the names of what the server has of a group.
const SAVED: &str = "state ";

/// A group's record as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedRecord {
    /// The epoch under which it is stored. 0 if the server has none.
    pub(crate) epoch: u64,
    /// The hash of the group's state.
    pub(crate) hash: String,
    /// The members whom nobody has told of the state, as it says.
    pub(crate) untold: BTreeSet<String>,
    /// The activities by which this device tells such members in the place of another one: the newest of each.
    pub(crate) telling: Vec<String>,
    /// The members whom another device has told of the state, and those who are told no more.
    #[serde(default)]
    pub(crate) told: BTreeSet<String>,
    /// The time at which this device first read the record of the state, in epoch milliseconds.
    #[serde(default)]
    pub(crate) read_ms: Option<i64>,
}

impl SavedRecord {
    /// Returns what is known of the record of this state. Nothing that was known of another state counts.
    pub(crate) fn of_state(self, hash: &str) -> Self {
        match self.hash == hash {
            true => self,
            false => Self { epoch: self.epoch, hash: hash.to_owned(), ..Self::default() },
        }
    }
}

impl Transaction<'_> {
    /// Returns the keys of the user's group records that this device has.
    pub(crate) fn state_keys(&self) -> Result<StateKeys, DeviceStoreError> {
        let Some(keys) = self.json::<Value>(KEYS)? else { return Ok(StateKeys::default()) };
        StateKeys::parse(&json!({ "object": keys })).map_err(|_| DeviceStoreError::Corrupt("state key"))
    }

    /// Keeps the keys of the user's group records.
    pub(crate) fn keep_state_keys(&self, keys: &StateKeys) -> Result<(), DeviceStoreError> {
        self.put_json(KEYS, &keys.to_value())
    }

    /// Records that the server does not have what this device knows of a group. It is tried from
    /// `from_ms` on.
    pub(crate) fn mark_unstored(&self, group: &str, from_ms: i64) -> Result<(), DeviceStoreError> {
        self.put_moment(&format!("{UNSTORED}{group}"), from_ms)
    }

    /// Records that the server has what this device knows of a group.
    pub(crate) fn mark_stored(&self, group: &str) -> Result<(), DeviceStoreError> {
        self.delete(&format!("{UNSTORED}{group}"))
    }

    /// Returns the groups whose records are to be stored, and the times from which that is tried.
    pub(crate) fn unstored(&self) -> Result<Vec<(String, i64)>, DeviceStoreError> {
        let names = self.names(UNSTORED)?;
        let due = |group: String| {
            let from_ms = self.moment(&format!("{UNSTORED}{group}"))?.unwrap_or_default();
            Ok((group, from_ms))
        };
        names.into_iter().map(due).collect()
    }

    /// Returns what the server has of a group.
    pub(crate) fn saved_record(&self, group: &str) -> Result<SavedRecord, DeviceStoreError> {
        Ok(self.json(&format!("{SAVED}{group}"))?.unwrap_or_default())
    }

    /// Keeps what the server has of a group, and who is still to be told if it has lost that.
    pub(crate) fn keep_saved_record(
        &self,
        group: &str,
        record: &SavedRecord,
    ) -> Result<(), DeviceStoreError> {
        match record.epoch == 0 && record.untold.is_empty() {
            true => self.delete(&format!("{SAVED}{group}")),
            false => self.put_json(&format!("{SAVED}{group}"), record),
        }
    }

    /// Returns the groups of which the server has a record with members whom nobody has told.
    pub(crate) fn groups_with_untold(&self) -> Result<Vec<(String, SavedRecord)>, DeviceStoreError> {
        let mut found = Vec::new();
        for group in self.names(SAVED)? {
            let saved = self.saved_record(&group)?;
            if !saved.untold.is_empty() {
                found.push((group, saved));
            }
        }
        Ok(found)
    }
}
