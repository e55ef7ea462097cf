//! The store of a device, one SQLite file: its keys, sessions, pinned chains, and what it sent and
//! received.
//!
//! Everything that belongs together is written in one transaction: the record of a session with
//! what was encrypted or decrypted in it, the end of a prekey with the message that used it. No
//! transaction waits for the network.

mod account;
mod awaited;
mod awaiting;
mod blocks;
mod bringing_over;
mod carrying;
mod chains;
mod decisions;
mod departures;
mod device_names;
mod ending;
mod envelopes;
mod error;
mod evidence;
mod gaps;
mod groups;
mod held;
mod invitations;
mod messages;
mod moves;
mod notices;
mod pre_keys;
mod profiles;
mod receipts;
mod recovery;
mod refused;
mod requests;
mod sender_mark;
mod sessions;
mod states;
mod untold_controls;
mod upgrade;
mod views;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use sender_mark::SenderMark;
use upgrade::OLDEST;

pub use awaited::{AWAITED_DAYS, AwaitedMessage, AwaitedReason, MOST_AWAITED};
pub(crate) use awaited::{AWAITED_MS, AwaitedTimes};
pub use awaiting::AwaitedMove;
pub(crate) use blocks::{KeptBlock, KeptBlocks};
pub(crate) use carrying::UnsentMessage;
pub use carrying::{CarriedOver, EndedGroup, FormerDevice};
pub use chains::ChainAlarm;
pub(crate) use chains::PinnedChain;
pub use ending::DeviceEnd;
pub use envelopes::{EnvelopeState, MOST_RESENT, OutboxEnvelope, RESEND_TIME_MS, WaitingMessages};
pub(crate) use envelopes::{NOT_READ, NewEnvelope, SendingAttempt};
pub use error::{DeviceStoreError, StoreFault};
pub(crate) use evidence::parse_evidence;
pub(crate) use held::{AwaitedAuthor, HeldActivity};
pub use held::{HeldReason, MOST_HELD, MOST_HELD_OF_SENDER, MOST_HELD_OF_STRANGER, MOST_HELD_OF_STRANGERS};
pub(crate) use invitations::StoredInvitation;
pub use invitations::{MOST_DECLINED, MOST_INVITATIONS_OF_STRANGERS, MOST_INVITATIONS_OF_USER};
pub use messages::{AHEAD_MS, FIRST_HOLD_MS, LATE_MS, MessageContent, StoredMessage};
pub(crate) use messages::{CiphertextKey, MessageStream};
pub(crate) use moves::{FormerSelf, MoveNews};
pub(crate) use notices::KeptNotice;
pub use notices::MOST_NOTICES;
pub use notices::StoredNotice;
pub(crate) use profiles::KeptProfile;
pub use receipts::ASK_PAUSE_MS;
#[cfg(test)]
pub(crate) use recovery::knows;
pub use recovery::{RecoveredStore, StoredForm};
pub(crate) use requests::RequestOutcome;
pub use requests::{MOST_OF_STRANGER, MOST_OF_STRANGERS, MOST_UNKEPT};
pub use sessions::SESSION_RENEWAL_MS;
pub(crate) use states::SavedRecord;
pub(crate) use views::ViewHolder;

/// The version of the schema, kept in SQLite's `user_version`.
const VERSION: i64 = 13;
/// The time for which one process waits for another's transaction.
const BUSY: Duration = Duration::from_secs(20);

/// The store of a device. It is shared by reference, and runs one transaction at a time.
pub struct DeviceStore {
    connection: Mutex<Connection>,
    sender: SenderMark,
}

/// A transaction on the store. The modules beside this one add its methods.
pub struct Transaction<'a> {
    inner: rusqlite::Transaction<'a>,
}

impl DeviceStore {
    /// Opens the file, or creates it. The caller decides who may read it.
    ///
    /// # Errors
    /// [`DeviceStoreError::Sqlite`] if it cannot be opened; [`DeviceStoreError::Emptied`] if it is there and
    /// has no bytes; [`DeviceStoreError::Newer`] or [`DeviceStoreError::Older`] if another version of this
    /// library wrote it.
    pub fn open(path: &Path) -> Result<Self, DeviceStoreError> {
        match path.metadata() {
            Ok(found) if found.len() == 0 => Err(DeviceStoreError::Emptied),
            _ => Self::create(path),
        }
    }

    /// Does as [`DeviceStore::open`], and makes a store of a file without bytes, which the caller has just
    /// created.
    ///
    /// # Errors
    /// Those of [`DeviceStore::open`], but for [`DeviceStoreError::Emptied`].
    pub fn create(path: &Path) -> Result<Self, DeviceStoreError> {
        Self::prepare(Connection::open(path)?, SenderMark::beside(path))
    }

    /// Opens the file as [`DeviceStore::open`] does, or for reading alone if nothing can be written: the
    /// disk is full, or the file cannot be written. A store of an earlier version is then read without an
    /// upgrade.
    ///
    /// # Errors
    /// Those of [`DeviceStore::open`].
    pub fn open_to_read(path: &Path) -> Result<Self, DeviceStoreError> {
        match Self::open(path) {
            Err(error) if error.fault() != StoreFault::Busy => {
                let read_only = Self::open_read_only(path, "mode=ro");
                // Without its side files it is read as it is, which is all of it unless a process has died.
                read_only.or_else(|_| Self::open_read_only(path, "immutable=1")).map_err(|_| error)
            }
            opened => opened,
        }
    }

    fn open_read_only(path: &Path, mode: &str) -> Result<Self, DeviceStoreError> {
        let escaped: String =
            url::form_urlencoded::byte_serialize(path.as_os_str().as_encoded_bytes()).collect();
        // In a path a plus is no space.
        let escaped = escaped.replace('+', "%20").replace("%2F", "/");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(format!("file:{escaped}?{mode}"), flags)?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match found {
            newer if newer > VERSION => Err(DeviceStoreError::Newer(newer)),
            older if older < OLDEST => Err(DeviceStoreError::Older(older)),
            found => {
                upgrade::read_as_upgraded(&connection, found)?;
                Ok(Self { connection: Mutex::new(connection), sender: SenderMark::alone() })
            }
        }
    }

    /// True if a server has registered the device of this store.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn is_registered(&self) -> Result<bool, DeviceStoreError> {
        self.read(|tx| Ok(tx.account()?.is_some() && tx.is_registered()?))
    }

    /// True if there is a message in this store.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn has_messages(&self) -> Result<bool, DeviceStoreError> {
        self.read(|tx| Ok(!tx.history(None, 1)?.is_empty()))
    }

    /// Returns a store that ends with the process.
    ///
    /// # Errors
    /// [`DeviceStoreError::Sqlite`] if SQLite gets no memory.
    pub fn in_memory() -> Result<Self, DeviceStoreError> {
        Self::prepare(Connection::open_in_memory()?, SenderMark::alone())
    }

    fn prepare(mut connection: Connection, sender: SenderMark) -> Result<Self, DeviceStoreError> {
        connection.busy_timeout(BUSY)?;
        // Each commit is durable. What is deleted is overwritten, because it may be a key.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
        )?;
        {
            let inner = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let tx = Transaction { inner };
            match tx.version()? {
                0 => {
                    tx.inner.execute_batch(include_str!("store/schema.sql"))?;
                    tx.inner.pragma_update(None, "user_version", VERSION)?;
                }
                found => tx.upgrade(found)?,
            }
            tx.inner.commit()?;
        }
        Ok(Self { connection: Mutex::new(connection), sender })
    }

    /// Runs a transaction, which is kept if `work` succeeds and undone if it fails.
    ///
    /// # Errors
    /// Those of `work`; [`DeviceStoreError`] if the store cannot be written, and [`DeviceStoreError::Newer`] if
    /// a process of a newer version has upgraded it since it was opened: then `work` is not called.
    pub fn write<R, E: From<DeviceStoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut connection = self.lock();
        let inner = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(DeviceStoreError::from)?;
        let tx = Transaction { inner };
        tx.require_not_newer()?;
        let done = work(&tx)?;
        tx.inner.commit().map_err(DeviceStoreError::from)?;
        Ok(done)
    }

    /// Runs a transaction that only reads.
    ///
    /// # Errors
    /// Those of `work`; [`DeviceStoreError`] if the store cannot be read, and [`DeviceStoreError::Newer`] as of
    /// [`DeviceStore::write`].
    pub fn read<R, E: From<DeviceStoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut connection = self.lock();
        let inner = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(DeviceStoreError::from)?;
        let tx = Transaction { inner };
        tx.require_not_newer()?;
        work(&tx)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transaction<'_> {
    /// Does a part of a transaction. If it fails, nothing of the part stays, and the rest can go on.
    pub(crate) fn attempt<R, E: From<DeviceStoreError>>(
        &self,
        part: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        let run = |sql: &str| self.inner.execute_batch(sql).map_err(DeviceStoreError::from);
        run("SAVEPOINT part")?;
        let done = part();
        run(if done.is_ok() { "RELEASE part" } else { "ROLLBACK TO part; RELEASE part" })?;
        done
    }
}

#[cfg(test)]
mod tests;
