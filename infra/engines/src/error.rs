//! Errors of opening, sweeping and flushing. An error of a request is an answer
//! ([`AwsAnswer`](crate::AwsAnswer)).

use std::path::PathBuf;

/// A database of the data folder that can be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagedDatabase {
    /// The table: accounts, mailboxes, keys.
    Table,
    /// The queues: what is under way.
    Queues,
    /// The names of blobs.
    Blobs,
}

impl DamagedDatabase {
    /// Returns what can be done without recovery.
    fn remedy(self) -> &'static str {
        match self {
            Self::Table => "begin anew with another folder: accounts and messages are in this file",
            Self::Queues => {
                "move it away, with the files that begin with its name: messages under way are lost, and nothing else"
            }
            Self::Blobs => {
                "move it away, with the files that begin with its name: attachments are lost, and nothing else"
            }
        }
    }
}

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
    /// A database cannot be opened.
    #[error("the database {} cannot be used", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        #[source]
        source: rusqlite::Error,
    },
    /// A database is damaged.
    #[error(
        "the database {path} is damaged: {reason}\n  keep a copy, and recover what is readable: \
         sqlite3 {path} .recover | sqlite3 recovered.sqlite\n  or {}",
        .database.remedy(),
        path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The database.
        database: DamagedDatabase,
        /// The first fault that SQLite found.
        reason: String,
    },
    /// The table is gone from a folder that had one.
    #[error(
        "the database {} is gone, and the other files of its server are there: accounts and messages were in it\n  put it \
         back from a copy, or begin anew with another folder",
        .0.display()
    )]
    Missing(PathBuf),
    /// The path of the data folder is not UTF-8, which dynoxide requires.
    #[error("the path {} is not UTF-8", .0.display())]
    Path(PathBuf),
    /// The table's database failed.
    #[error("the table's database failed")]
    Table(#[from] dynoxide::DynoxideError),
    /// SQLite failed: in the database of the queues or of the blobs, or in a checkpoint.
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
}
