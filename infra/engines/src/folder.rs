//! The data folder: two databases and a lock.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
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

    /// The file of the DynamoDB engine.
    pub(crate) fn table(&self) -> PathBuf {
        self.dir.join("table.sqlite")
    }

    /// The file of the SQS engine.
    pub(crate) fn queues(&self) -> PathBuf {
        self.dir.join("queues.sqlite")
    }
}

/// Creates a folder that only its owner can look into: who writes to whom is in it. One that is there stays as
/// it is.
fn create_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
