//! The mark of a process that sends: a locked file, which the kernel frees when the process ends in
//! whatever way.
//!
//! The files are beside the store, and are called as it is with `-sender-` and a number. A process takes
//! the first one that is free. They are empty, and stay: there are never more than there were processes
//! at a time.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{DeviceStore, DeviceStoreError};

/// The number of the first file.
const FIRST: i64 = 2;
/// The number of a process that is alone with its store, or has no file. Its claims end with their time.
const ALONE: i64 = 1;

/// The mark of the process that uses a store.
pub(super) struct SenderMark {
    store: Option<PathBuf>,
    taken: OnceLock<(i64, File)>,
}

impl SenderMark {
    /// Returns the mark of a process whose store others may open. It is taken when it is needed.
    pub(super) fn beside(store: &Path) -> Self {
        Self { store: Some(store.to_owned()), taken: OnceLock::new() }
    }

    /// Returns the mark of a process whose store nobody else opens, or that sends nothing.
    pub(super) fn alone() -> Self {
        Self { store: None, taken: OnceLock::new() }
    }

    /// Returns the number of this process, and whether it was taken just now: then what the number claims
    /// is the claim of a process that has ended.
    fn number(&self) -> (i64, bool) {
        let Some(store) = &self.store else { return (ALONE, false) };
        if let Some((number, _)) = self.taken.get() {
            return (*number, false);
        }
        let mut number = FIRST;
        loop {
            match lock(store, number) {
                Ok(Some(file)) => {
                    // Another thread may have taken one meanwhile. This one is then freed.
                    let (taken, _) = self.taken.get_or_init(|| (number, file));
                    return (*taken, *taken == number);
                }
                Ok(None) => number = number.saturating_add(1),
                Err(_) => return (ALONE, false),
            }
        }
    }

    /// Returns the file of the process with this number if that has ended. As long as the file is kept, no
    /// other process takes the number.
    fn ended(&self, number: i64) -> Option<File> {
        let is_own = self.taken.get().is_some_and(|(own, _)| *own == number);
        let store = self.store.as_ref().filter(|_| !is_own && number >= FIRST)?;
        lock(store, number).ok().flatten()
    }
}

/// Locks the file with a number, or returns `None` if another process has it.
fn lock(store: &Path, number: i64) -> io::Result<Option<File>> {
    let mut path = OsString::from(store);
    path.push(format!("-sender-{number}"));
    let file = private(OpenOptions::new().write(true).create(true).truncate(false)).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Has a file that is created be readable for its owner alone, where a file has such a right.
fn private(options: &mut OpenOptions) -> &OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

impl DeviceStore {
    /// Returns the number under which this process claims envelopes.
    pub(crate) fn sender(&self) -> Result<i64, DeviceStoreError> {
        let (number, is_new) = self.sender.number();
        if is_new {
            self.write(|tx| tx.release_claims_of(number))?;
        }
        Ok(number)
    }

    /// Frees the envelopes that processes have claimed which have ended.
    pub(crate) fn release_ended_claims(&self) -> Result<(), DeviceStoreError> {
        let claimants = self.read(|tx| tx.claimants())?;
        for number in claimants {
            if let Some(_file) = self.sender.ended(number) {
                self.write(|tx| tx.release_claims_of(number))?;
            }
        }
        Ok(())
    }
}
