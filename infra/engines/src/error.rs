//! Errors of opening, sweeping and flushing. An error of a request is an answer
//! ([`AwsAnswer`](crate::AwsAnswer)).

use std::path::PathBuf;

/// An error of opening, sweeping or flushing the engines.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the data folder open.
    #[error("the data folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The data folder cannot be created or locked.
    #[error("the data folder {} cannot be used", .path.display())]
    Folder {
        /// The folder or the file in it.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The path of the data folder is not UTF-8, which dynoxide requires.
    #[error("the path {} is not UTF-8", .0.display())]
    Path(PathBuf),
    /// The table's database failed.
    #[error("the table's database failed")]
    Table(#[from] dynoxide::DynoxideError),
    /// SQLite failed: in the queues' database, or in a checkpoint of either database.
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
}
