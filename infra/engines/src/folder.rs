//! The data folder: three databases, the files of blobs and a lock file, which only their owner can read.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use crate::error::{DamagedDatabase, Error};

/// The files that SQLite keeps beside a database, by what their names add to its name.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

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
        let lock = open_private(&path).map_err(|e| failed(&path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(&path, source)),
        }
    }

    /// Returns the path of the DynamoDB engine's file, which can be opened.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none beside the files of other engines, [`Error::Damaged`] if it is damaged,
    /// [`Error::Folder`] if it cannot be used.
    pub(crate) fn table(&self) -> Result<PathBuf, Error> {
        // The table is made first. Where only the others are, somebody has taken it away.
        let table = self.dir.join("table.sqlite");
        let others = ["queues.sqlite", "blobs.sqlite"];
        if others.iter().any(|other| self.dir.join(other).exists()) && !table.exists() {
            return Err(Error::Missing(table));
        }
        self.database("table.sqlite", DamagedDatabase::Table)
    }

    /// Returns the path of the SQS engine's file, which can be opened.
    ///
    /// # Errors
    /// Those of [`Folder::table`].
    pub(crate) fn queues(&self) -> Result<PathBuf, Error> {
        self.database("queues.sqlite", DamagedDatabase::Queues)
    }

    /// Returns the path of the S3 engine's file, which can be opened, and of the folder of its blobs.
    ///
    /// # Errors
    /// Those of [`Folder::table`].
    pub(crate) fn blobs(&self) -> Result<(PathBuf, PathBuf), Error> {
        Ok((self.database("blobs.sqlite", DamagedDatabase::Blobs)?, self.dir.join("blobs")))
    }

    /// Makes a database private, and checks it. SQLite gives the files beside it the same permissions.
    fn database(&self, name: &str, database: DamagedDatabase) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        for suffix in BESIDE {
            let file = self.dir.join(format!("{name}{suffix}"));
            let result = if suffix.is_empty() { open_private(&file).map(drop) } else { make_private(&file) };
            result.map_err(|source| Error::Folder { path: file, source })?;
        }
        match fault(&path) {
            Ok(None) => Ok(path),
            Ok(Some(reason)) => Err(Error::Damaged { path, database, reason }),
            Err(source) => Err(Error::Database { path, source }),
        }
    }
}

/// Looks for a fault in the structure of a database. Reads the whole file: some seconds for a gigabyte.
fn fault(path: &Path) -> rusqlite::Result<Option<String>> {
    let checked = Connection::open(path)
        .and_then(|database| database.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)));
    match checked {
        Ok(answer) if answer == "ok" => Ok(None),
        Ok(fault) => Ok(Some(fault)),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(Some(error.to_string())),
            _ => Err(error),
        },
    }
}

/// Opens a file that only its owner can read. Creates it if it does not exist.
pub(crate) fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    make_private(path)?;
    Ok(file)
}

/// Takes the permissions of others off a file, if it exists.
fn make_private(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        match std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => return result,
        }
    }
    Ok(())
}

/// Creates a folder that only its owner can read, because the data tells who writes to whom. A
/// folder that exists keeps its permissions.
pub(crate) fn create_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
