//! The lock of the one process that reads an account's mailbox.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::CommandFailure;
use crate::home::AccountFolder;

/// The lock, which lasts as long as this value and ends with the process.
pub(crate) struct MailboxLock {
    _file: File,
}

impl MailboxLock {
    /// Returns the path of an account's lock.
    pub(super) fn path(account: &AccountFolder) -> PathBuf {
        account.path().join("listening")
    }

    /// Takes the lock, or returns `None` if another process has it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, CommandFailure> {
        let cannot =
            |error: std::io::Error| CommandFailure::new(format!("cannot open {}: {error}", path.display()));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }
}
