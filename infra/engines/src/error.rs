//! What can go wrong outside a request; inside one, an AWS error is an [`Answer`](crate::Answer).

use std::path::PathBuf;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engines could not be opened, swept or flushed.
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
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The path of the data folder is not UTF-8, which dynoxide wants.
    #[error("the path {} is not UTF-8", .0.display())]
    Path(PathBuf),
    /// The table's database failed.
    #[error("the table's database failed")]
    Table(#[from] dynoxide::DynoxideError),
    /// SQLite failed: the queues' database, or a checkpoint of either.
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
}
