//! The upgrade of a store that an earlier version of this library wrote.

use rusqlite::Connection;

use super::{DeviceStoreError, Transaction, VERSION};

/// The version of the oldest store that is upgraded.
pub(super) const OLDEST: i64 = 10;
/// The columns that steps have added, with their tables. SQLite leaves the rows of before as they are, which
/// end before these columns.
pub(super) const ADDED: [(&str, &str); 2] = [("held", "place"), ("receipts", "received")];
/// The steps: the first one makes a store of version [`OLDEST`] one of the next version, and so on.
const STEPS: [UpgradeStep; (VERSION - OLDEST) as usize] = [
    // 11: numbers under which nothing comes, and places of what is held.
    UpgradeStep {
        change: "CREATE TABLE void_numbers (
       conversation TEXT NOT NULL, device TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
       PRIMARY KEY (conversation, device, first)
     ) WITHOUT ROWID;
     CREATE INDEX envelopes_lost ON envelopes (recipient) WHERE state > 4;
     ALTER TABLE held ADD COLUMN place INTEGER;",
        read_as: "CREATE TEMP VIEW void_numbers AS
       SELECT NULL AS conversation, NULL AS device, NULL AS first, NULL AS last WHERE 0;
     CREATE TEMP VIEW held AS SELECT *, NULL AS place FROM main.held;",
    },
    // 12: the user's decisions about people, of which the other devices are told, and times of envelopes that
    // were not kept.
    UpgradeStep {
        change: "CREATE TABLE decisions (
       actor TEXT PRIMARY KEY, accepted INTEGER NOT NULL DEFAULT 0, declined INTEGER, untold INTEGER NOT NULL DEFAULT 0
     ) WITHOUT ROWID;
     CREATE INDEX decisions_untold ON decisions (actor) WHERE untold = 1;
     INSERT INTO decisions (actor, accepted, untold) SELECT actor, 1, 1 FROM chains WHERE contact = 1;
     ALTER TABLE receipts ADD COLUMN received INTEGER;",
        read_as: "CREATE TEMP VIEW decisions AS
       SELECT actor, 1 AS accepted, NULL AS declined, 1 AS untold FROM main.chains WHERE contact = 1;
     CREATE TEMP VIEW receipts AS SELECT *, NULL AS received FROM main.receipts;",
    },
    // 13: what the user can report of messages.
    UpgradeStep {
        change: "CREATE TABLE evidence (
       actor TEXT NOT NULL, id TEXT NOT NULL, flag TEXT NOT NULL, PRIMARY KEY (actor, id)
     ) WITHOUT ROWID;
     CREATE TRIGGER evidence_ends AFTER DELETE ON messages BEGIN
       DELETE FROM evidence WHERE actor = OLD.actor AND id = OLD.id;
     END;
     CREATE TABLE held_evidence (row INTEGER PRIMARY KEY, flag TEXT NOT NULL);
     CREATE TRIGGER held_evidence_ends AFTER DELETE ON held BEGIN
       DELETE FROM held_evidence WHERE row = OLD.row;
     END;",
        read_as: "CREATE TEMP VIEW evidence AS SELECT NULL AS actor, NULL AS id, NULL AS flag WHERE 0;
     CREATE TEMP VIEW held_evidence AS SELECT NULL AS row, NULL AS flag WHERE 0;",
    },
];

/// A step from one version to the next one.
struct UpgradeStep {
    /// The statements that change a store. They leave the tables as `schema.sql` makes them, with the columns
    /// in the same order.
    change: &'static str,
    /// The statements that show a connection the changed tables, and write nothing into the store: views with
    /// the names of the tables.
    read_as: &'static str,
}

impl Transaction<'_> {
    /// Returns the version of the store, as this transaction sees it.
    pub(super) fn version(&self) -> Result<i64, DeviceStoreError> {
        Ok(self.inner.pragma_query_value(None, "user_version", |row| row.get(0))?)
    }

    /// Fails if a process of a newer version has upgraded the store: what this one knows of the tables is true
    /// no more.
    pub(super) fn require_not_newer(&self) -> Result<(), DeviceStoreError> {
        match self.version()? {
            newer if newer > VERSION => Err(DeviceStoreError::Newer(newer)),
            _ => Ok(()),
        }
    }

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
        steps.iter().try_for_each(|step| self.inner.execute_batch(step.change))?;
        Ok(self.inner.pragma_update(None, "user_version", VERSION)?)
    }
}

/// Lets a connection read a store of an earlier version as if it was upgraded. Nothing is written.
pub(super) fn read_as_upgraded(connection: &Connection, found: i64) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA temp_store = MEMORY")?;
    steps_after(found).iter().try_for_each(|step| connection.execute_batch(step.read_as))
}

/// Returns the steps from a version to this one. There are none from one that is not upgraded.
fn steps_after(version: i64) -> &'static [UpgradeStep] {
    let done = version.checked_sub(OLDEST).and_then(|done| usize::try_from(done).ok());
    done.and_then(|done| STEPS.get(done..)).unwrap_or_default()
}
