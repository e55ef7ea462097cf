//! The data folder: two databases and a lock file.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// A data folder that this process has locked.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// The lock file. The operating system unlocks it when the process ends, even if it is killed.
    _lock: File,
}

impl Folder {
    /// Locks `dir` for this process. Creates the folder if it does not exist.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process has locked it, [`Error::Folder`] if it cannot be created
    /// or locked.
    pub(crate) fn lock(dir: &Path) -> Result<Self, Error> {
        let failed = |path: &Path, source| Error::Folder { path: path.to_owned(), source };
        create_private(dir).map_err(|e| failed(dir, e))?;
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

    /// Returns the path of the DynamoDB engine's file.
    pub(crate) fn table(&self) -> PathBuf {
        self.dir.join("table.sqlite")
    }

    /// Returns the path of the SQS engine's file.
    pub(crate) fn queues(&self) -> PathBuf {
        self.dir.join("queues.sqlite")
    }
}

/// Creates a folder that only its owner can read, because the data tells who writes to whom. A
/// folder that exists keeps its permissions.
fn create_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
