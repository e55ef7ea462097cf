//! The sessions with other devices.

use rusqlite::{OptionalExtension as _, params};

use super::{DeviceStoreError, Transaction};
use crate::stored_time::is_over;

/// The shortest time between two renewals of the session with one device. Whoever can make messages
/// unreadable cannot use up key packages any faster.
pub const SESSION_RENEWAL_MS: i64 = 3_600_000;

/// The session with one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredSession {
    /// The record that the Signal library made.
    pub(crate) record: Vec<u8>,
    /// True if a message of the device could not be read, or it could not read one, since anything
    /// was last read in this session.
    damaged: bool,
    /// The time at which the session last took the place of another, in epoch milliseconds.
    renewed_ms: i64,
}

impl StoredSession {
    /// True if the next message to the device begins a new session.
    pub(crate) fn should_renew(&self, now_ms: i64) -> bool {
        self.damaged && is_over(now_ms, self.renewed_ms, SESSION_RENEWAL_MS)
    }
}

impl Transaction<'_> {
    /// Returns the session with a device, if there is one.
    pub(crate) fn session(&self, device: &str) -> Result<Option<StoredSession>, DeviceStoreError> {
        let sql = "SELECT record, renew, renewed FROM sessions WHERE device = ?1";
        let mut statement = self.inner.prepare_cached(sql)?;
        let session = statement.query_row([device], |row| {
            Ok(StoredSession { record: row.get(0)?, damaged: row.get(1)?, renewed_ms: row.get(2)? })
        });
        Ok(session.optional()?)
    }

    /// Stores the record of a session in which something was just read. The session is whole.
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

    /// Stores the record of a session that this device has just begun. If it takes the place of
    /// another, that counts as its renewal.
    pub(crate) fn keep_begun(
        &self,
        actor: &str,
        device: &str,
        record: &[u8],
        now_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO sessions (device, actor, record) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (device) DO UPDATE SET record = ?3, renew = 0, renewed = ?4";
        self.inner.prepare_cached(sql)?.execute(params![device, actor, record, now_ms])?;
        Ok(())
    }

    /// Stores the record of a session in which something was just encrypted.
    pub(crate) fn keep_sent(&self, device: &str, record: &[u8]) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE sessions SET record = ?2 WHERE device = ?1";
        self.inner.prepare_cached(sql)?.execute(params![device, record])?;
        Ok(())
    }

    /// Has a message to a device begin a new session, once the last renewal is long enough ago.
    pub(crate) fn renew_session(&self, device: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE sessions SET renew = 1 WHERE device = ?1", [device])?;
        Ok(())
    }

    /// Records that a device was revoked. The session with it stays for what is on its way.
    pub(crate) fn end_session(&self, device: &str, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE sessions SET ended = ?2 WHERE device = ?1 AND ended IS NULL";
        self.inner.execute(sql, params![device, now_ms])?;
        Ok(())
    }

    /// Deletes the sessions with devices of which this device has known since before a time that they were
    /// revoked. A record of that which lies ahead counts from now on: what is on its way may be young.
    pub(crate) fn forget_ended_sessions(&self, now_ms: i64, before_ms: i64) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE sessions SET ended = ?1 WHERE ended > ?1", [now_ms])?;
        self.inner.execute("DELETE FROM sessions WHERE ended < ?1", [before_ms])?;
        Ok(())
    }

    /// Deletes the sessions with all devices of a user.
    pub(crate) fn forget_sessions(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM sessions WHERE actor = ?1", [actor])?;
        Ok(())
    }
}
