//! What a device keeps: its keys, its sessions, the chains it has pinned, what it sent and received. One SQLite file.
//!
//! Everything that belongs together is written in one transaction, which no other process comes between: a session's
//! record and what was encrypted or read with it, a prekey's end and the message that used it. Nothing waits for the
//! network inside one.

mod account;
mod chains;
mod envelopes;
mod error;
mod groups;
mod held;
mod messages;
mod pre_keys;
mod sessions;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

pub use chains::ChainAlarm;
pub(crate) use chains::PinnedChain;
pub(crate) use envelopes::NewEnvelope;
pub use envelopes::{EnvelopeRecord, EnvelopeState};
pub use error::DeviceStoreError;
pub(crate) use held::HeldActivity;
pub(crate) use messages::CiphertextKey;
pub use messages::{MessageContent, StoredMessage};

/// The schema's number, kept in SQLite's `user_version`.
const VERSION: i64 = 1;
/// How long one process waits for another's transaction.
const BUSY: Duration = Duration::from_secs(20);

/// A device's store. Shared by reference; each transaction has it alone.
pub struct DeviceStore {
    connection: Mutex<Connection>,
}

/// A transaction: the verbs are in the modules beside this one.
pub struct Transaction<'a> {
    inner: rusqlite::Transaction<'a>,
}

impl DeviceStore {
    /// Opens the file, and makes it where it is not there. Who may read it is for the caller to settle.
    ///
    /// # Errors
    /// It cannot be opened, or a newer version wrote it.
    pub fn open(path: &Path) -> Result<Self, DeviceStoreError> {
        Self::prepare(Connection::open(path)?)
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// SQLite has no memory.
    pub fn in_memory() -> Result<Self, DeviceStoreError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(connection: Connection) -> Result<Self, DeviceStoreError> {
        connection.busy_timeout(BUSY)?;
        // Durable at each commit; what is deleted, keys above all, is overwritten.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
        )?;
        let store = Self { connection: Mutex::new(connection) };
        store.write(|tx| {
            let found: i64 = tx.inner.pragma_query_value(None, "user_version", |row| row.get(0))?;
            match found {
                0 => {
                    tx.inner.execute_batch(include_str!("store/schema.sql"))?;
                    Ok(tx.inner.pragma_update(None, "user_version", VERSION)?)
                }
                VERSION => Ok(()),
                newer => Err(DeviceStoreError::Newer(newer)),
            }
        })?;
        Ok(store)
    }

    /// Runs a transaction that is kept where `work` succeeds and undone where it fails.
    ///
    /// # Errors
    /// What `work` answers; the store cannot be written.
    pub fn write<R, E: From<DeviceStoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut connection = self.lock();
        let inner = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(DeviceStoreError::from)?;
        let tx = Transaction { inner };
        let done = work(&tx)?;
        tx.inner.commit().map_err(DeviceStoreError::from)?;
        Ok(done)
    }

    /// Runs a transaction that only reads.
    ///
    /// # Errors
    /// What `work` answers.
    pub fn read<R, E: From<DeviceStoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut connection = self.lock();
        let inner = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(DeviceStoreError::from)?;
        work(&Transaction { inner })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
