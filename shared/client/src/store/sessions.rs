use rusqlite::{OptionalExtension as _, params};

use super::{StoreError, Transaction};

impl Transaction<'_> {
    /// The record of the session with a device, and whether the next message should begin a new one.
    pub(crate) fn session(&self, device: &str) -> Result<Option<(Vec<u8>, bool)>, StoreError> {
        let mut statement =
            self.inner.prepare_cached("SELECT record, renew FROM sessions WHERE device = ?1")?;
        Ok(statement.query_row([device], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Keeps the record of a session after a step.
    pub(crate) fn keep_session(&self, actor: &str, device: &str, record: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO sessions (device, actor, record) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (device) DO UPDATE SET record = ?3, renew = 0";
        self.inner.prepare_cached(sql)?.execute(params![device, actor, record])?;
        Ok(())
    }

    /// Has the next message to a device begin a new session.
    pub(crate) fn renew_session(&self, device: &str) -> Result<(), StoreError> {
        self.inner.execute("UPDATE sessions SET renew = 1 WHERE device = ?1", [device])?;
        Ok(())
    }

    /// Deletes the session with a device that is revoked.
    pub(crate) fn forget_session(&self, device: &str) -> Result<(), StoreError> {
        self.inner.execute("DELETE FROM sessions WHERE device = ?1", [device])?;
        Ok(())
    }
}
