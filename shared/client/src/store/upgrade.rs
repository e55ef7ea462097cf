//! The upgrade of a store that an earlier version of this library wrote.

use super::{DeviceStoreError, Transaction, VERSION};

/// The version of the oldest store that is upgraded.
pub(super) const OLDEST: i64 = 10;
/// The steps: the first one makes a store of version [`OLDEST`] one of the next version, and so on. A step
/// leaves the tables as `schema.sql` makes them, with the columns in the same order.
const STEPS: [&str; (VERSION - OLDEST) as usize] = [
    // 11: numbers under which nothing comes, and places of what is held.
    "CREATE TABLE void_numbers (
       conversation TEXT NOT NULL, device TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
       PRIMARY KEY (conversation, device, first)
     ) WITHOUT ROWID;
     CREATE INDEX envelopes_lost ON envelopes (recipient) WHERE state > 4;
     ALTER TABLE held ADD COLUMN place INTEGER;",
];

impl Transaction<'_> {
    /// Brings a store of an earlier version up to date, in this transaction.
    pub(super) fn upgrade(&self, found: i64) -> Result<(), DeviceStoreError> {
        if found > VERSION {
            return Err(DeviceStoreError::Newer(found));
        }
        if found < OLDEST {
            return Err(DeviceStoreError::Older(found));
        }
        let steps = steps_after(found);
        if steps.is_empty() {
            return Ok(());
        }
        steps.iter().try_for_each(|step| self.inner.execute_batch(step))?;
        Ok(self.inner.pragma_update(None, "user_version", VERSION)?)
    }
}

/// Returns the steps from a version to this one. There are none from one that is not upgraded.
pub(super) fn steps_after(version: i64) -> &'static [&'static str] {
    let done = version.checked_sub(OLDEST).and_then(|done| usize::try_from(done).ok());
    done.and_then(|done| STEPS.get(done..)).unwrap_or_default()
}
