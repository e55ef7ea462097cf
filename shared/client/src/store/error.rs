//! The error of the store.

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum DeviceStoreError {
    /// SQLite failed.
    #[error("the device's store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A value in the store cannot be read.
    #[error("the device's store holds a {0} that cannot be read")]
    Corrupt(&'static str),
    /// A newer version of this library wrote it.
    #[error("the device's store has version {0}: a newer eko wrote it")]
    Newer(i64),
    /// An older version of this library wrote it, before the first release.
    #[error("the device's store has version {0}, which this eko no longer reads: use a new home")]
    Older(i64),
}
