//! The error of the store.

use std::fmt;

use rusqlite::ErrorCode;

/// An error of the store. Its text quotes no statement.
#[derive(Debug, thiserror::Error)]
pub enum DeviceStoreError {
    /// SQLite failed.
    #[error("the device's store {}", StoreFault::of(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// A value in the store cannot be read.
    #[error("the device's store holds a {0} that cannot be read")]
    Corrupt(&'static str),
    /// The file has no bytes, which no store ever has.
    #[error("the device's store is empty: what it held is lost")]
    Emptied,
    /// A newer version of this library wrote it.
    #[error("the device's store has version {0}: a newer eko wrote it")]
    Newer(i64),
    /// An older version of this library wrote it, before the first release.
    #[error("the device's store has version {0}, which this eko no longer reads")]
    Older(i64),
}

/// The fault of a store, as far as it decides what a person can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// The file is damaged, or is no store.
    Damaged,
    /// The file is empty.
    Emptied,
    /// The file cannot be opened.
    Unopenable,
    /// The file, its folder or its disk cannot be written.
    ReadOnly,
    /// The disk is full, or fails.
    Full,
    /// Another process holds the file for long.
    Busy,
    /// A newer version wrote it.
    Newer,
    /// An older version wrote it.
    Older,
    /// SQLite refuses something that this library does.
    Refused,
}

impl DeviceStoreError {
    /// Returns what is wrong.
    pub fn fault(&self) -> StoreFault {
        match self {
            Self::Sqlite(error) => StoreFault::of(error),
            Self::Corrupt(_) => StoreFault::Damaged,
            Self::Emptied => StoreFault::Emptied,
            Self::Newer(_) => StoreFault::Newer,
            Self::Older(_) => StoreFault::Older,
        }
    }
}

impl StoreFault {
    fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Unopenable,
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Self::Full,
            // A table that is missing is an unknown name in a statement.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) | None => {
                Self::Damaged
            }
            Some(_) => Self::Refused,
        }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "is damaged",
            Self::Emptied => "is empty",
            Self::Unopenable => "cannot be opened",
            Self::ReadOnly => "cannot be written",
            Self::Full => "cannot be written: the disk is full, or fails",
            Self::Busy => "is held by another process for long",
            Self::Newer => "was written by a newer eko",
            Self::Older => "was written by an older eko",
            Self::Refused => "refuses what is written",
        })
    }
}
