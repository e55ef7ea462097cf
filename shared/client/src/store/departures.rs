//! The groups that this user has left, and what is needed to leave them once more.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, params};

use super::{DeviceStoreError, Transaction};

/// A departure of this user from a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredDeparture {
    /// The epoch of the state that was left.
    pub(crate) epoch: u64,
    /// The members of that state.
    pub(crate) members: BTreeSet<String>,
    /// The time at which the user last left once more, in epoch milliseconds.
    pub(crate) again_ms: Option<i64>,
}

impl Transaction<'_> {
    /// Returns the departure of this user from a group, until the user is in it again.
    pub(crate) fn departure(&self, group: &str) -> Result<Option<StoredDeparture>, DeviceStoreError> {
        let sql = "SELECT epoch, members, again FROM departures WHERE grp = ?1";
        let mut statement = self.inner.prepare_cached(sql)?;
        let row = statement.query_row([group], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
        });
        let Some((epoch, members, again_ms)) = row.optional()? else { return Ok(None) };
        let epoch = u64::try_from(epoch).map_err(|_| DeviceStoreError::Corrupt("departure"))?;
        let members = serde_json::from_str(&members).map_err(|_| DeviceStoreError::Corrupt("departure"))?;
        Ok(Some(StoredDeparture { epoch, members, again_ms }))
    }

    /// Keeps the first departure of this user from a group: epoch and members of the state that was
    /// left.
    pub(crate) fn keep_departure(
        &self,
        group: &str,
        epoch: u64,
        members: &BTreeSet<String>,
    ) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR IGNORE INTO departures (grp, epoch, members) VALUES (?1, ?2, ?3)";
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        self.inner.execute(sql, params![group, epoch, serde_json::json!(members).to_string()])?;
        Ok(())
    }

    /// Records that the user has left a group once more.
    pub(crate) fn note_left_again(&self, group: &str, now_ms: i64) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE departures SET again = ?2 WHERE grp = ?1", params![group, now_ms])?;
        Ok(())
    }

    /// Forgets a departure, because the user is in the group again.
    pub(super) fn forget_departure(&self, group: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM departures WHERE grp = ?1", [group])?;
        Ok(())
    }
}
