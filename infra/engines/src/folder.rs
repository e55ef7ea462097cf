//! The data folder: two databases and a lock.

use std::fs::{File, OpenOptions, TryLockError, create_dir_all};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A data folder held by this process.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// Locked by the operating system, which lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// Creates `dir` if need be and takes it for this process.
    pub(crate) fn lock(dir: &Path) -> Result<Self> {
        let failed = |path: &Path, source| Error::Folder { path: path.to_owned(), source };
        create_dir_all(dir).map_err(|e| failed(dir, e))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| failed(&path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(&path, source)),
        }
    }

    /// The file of the DynamoDB engine.
    pub(crate) fn table(&self) -> PathBuf {
        self.dir.join("table.sqlite")
    }

    /// The file of the SQS engine.
    pub(crate) fn queues(&self) -> PathBuf {
        self.dir.join("queues.sqlite")
    }

    /// Moves both write-ahead logs into their databases, with a sync. Over connections of its own: dynoxide
    /// does not lend its connection.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        for path in [self.table(), self.queues()] {
            let connection = rusqlite::Connection::open(path)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }
}
