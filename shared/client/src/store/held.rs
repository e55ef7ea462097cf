//! Activities that belong to a later epoch of a group than this device knows.

use rusqlite::params;

use super::{DeviceStoreError, Transaction};

/// A decrypted activity that belongs to a later epoch of a group than this device knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldActivity {
    /// The number of its row.
    pub(crate) row: i64,
    /// The actor id of the author.
    pub(crate) actor: String,
    /// The address of the device that sent it.
    pub(crate) device: String,
    /// The time at which the server accepted it, in epoch milliseconds.
    pub(crate) received_ms: i64,
    /// The padded activity.
    pub(crate) plaintext: Vec<u8>,
}

/// The greatest number of activities held of one author for one group. Nothing of them is proven.
const MOST_OF_AUTHOR: i64 = 500;
/// The greatest number of activities held altogether.
const MOST: i64 = 5_000;

impl Transaction<'_> {
    /// Holds an activity until its group has changed. If there are too many, the oldest are
    /// deleted.
    pub(crate) fn hold(&self, group: &str, held: &HeldActivity, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO held (grp, actor, device, received, stored, plaintext) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let parameters = params![group, held.actor, held.device, held.received_ms, now_ms, held.plaintext];
        self.inner.execute(sql, parameters)?;
        let sql = "DELETE FROM held WHERE grp = ?1 AND actor = ?2 AND row <= \
                   (SELECT row FROM held WHERE grp = ?1 AND actor = ?2 ORDER BY row DESC LIMIT 1 OFFSET ?3)";
        self.inner.execute(sql, params![group, held.actor, MOST_OF_AUTHOR])?;
        let sql = "DELETE FROM held WHERE row <= (SELECT row FROM held ORDER BY row DESC LIMIT 1 OFFSET ?1)";
        self.inner.execute(sql, [MOST])?;
        Ok(())
    }

    /// Returns the activities held for a group, oldest first.
    pub(crate) fn held(&self, group: &str) -> Result<Vec<HeldActivity>, DeviceStoreError> {
        let sql = "SELECT row, actor, device, received, plaintext FROM held WHERE grp = ?1 ORDER BY row";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([group], |row| {
            Ok(HeldActivity {
                row: row.get(0)?,
                actor: row.get(1)?,
                device: row.get(2)?,
                received_ms: row.get(3)?,
                plaintext: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Deletes a held activity.
    pub(crate) fn release(&self, row: i64) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM held WHERE row = ?1", [row])?;
        Ok(())
    }
}
