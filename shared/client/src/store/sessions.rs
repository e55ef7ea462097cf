//! The sessions with other devices.

use rusqlite::{OptionalExtension as _, params};

use super::{DeviceStoreError, Transaction};

/// The session with one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredSession {
    /// The record that the Signal library made.
    pub(crate) record: Vec<u8>,
    /// True if the next message to the device begins a new session.
    pub(crate) renew: bool,
}

impl Transaction<'_> {
    /// Returns the session with a device, if there is one.
    pub(crate) fn session(&self, device: &str) -> Result<Option<StoredSession>, DeviceStoreError> {
        let mut statement =
            self.inner.prepare_cached("SELECT record, renew FROM sessions WHERE device = ?1")?;
        Ok(statement
            .query_row([device], |row| Ok(StoredSession { record: row.get(0)?, renew: row.get(1)? }))
            .optional()?)
    }

    /// Stores the record of a session, which changes with every message that is encrypted or
    /// decrypted. The session is then no longer to be renewed.
    pub(crate) fn keep_session(
        &self,
        actor: &str,
        device: &str,
        record: &[u8],
    ) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO sessions (device, actor, record) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (device) DO UPDATE SET record = ?3, renew = 0";
        self.inner.prepare_cached(sql)?.execute(params![device, actor, record])?;
        Ok(())
    }

    /// Has the next message to a device begin a new session.
    pub(crate) fn renew_session(&self, device: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE sessions SET renew = 1 WHERE device = ?1", [device])?;
        Ok(())
    }

    /// Deletes the session with a device that was revoked.
    pub(crate) fn forget_session(&self, device: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM sessions WHERE device = ?1", [device])?;
        Ok(())
    }
}
