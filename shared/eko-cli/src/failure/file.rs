//! The failures about files that a person names, or that eko keeps.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{CommandFailure, Exit};

/// The use of a file that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileUse {
    /// The file is read.
    Read,
    /// The file, or something in the folder, is written.
    Write,
}

impl CommandFailure {
    /// Returns the failure of the use of a file, with what can be done. `what` is the half sentence before the
    /// path, such as `cannot read`.
    pub(crate) fn of_file(what: &str, usage: FileUse, path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        let next = match (error.kind(), usage) {
            (ErrorKind::NotFound, FileUse::Read) => {
                format!("check the name of the file: there is none called {shown}")
            }
            (ErrorKind::NotFound | ErrorKind::NotADirectory, FileUse::Write) => {
                format!("name a path in a folder that exists: {shown} is in none")
            }
            (ErrorKind::PermissionDenied, _) => format!("look who may read and write {shown} and its folder"),
            (ErrorKind::ReadOnlyFilesystem, _) => format!("name a place that can be written: {shown} cannot"),
            (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, _) => "make room on the disk".to_owned(),
            (ErrorKind::IsADirectory, _) => format!("name a file: {shown} is a folder"),
            (ErrorKind::InvalidData, _) => format!("name a file of text: {shown} is none"),
            (ErrorKind::AlreadyExists, _) => format!("name another path: {shown} is there already"),
            _ => format!("look what {shown} is, and whether its disk is in order"),
        };
        Self::new(format!("{what} {shown}: {error}")).next(next)
    }

    /// Does as [`Self::of_file`] for a file that a person has named. A name of no file, or of no folder to write
    /// in, is wrong input.
    pub(crate) fn of_named_file(what: &str, usage: FileUse, path: &Path, error: &io::Error) -> Self {
        let failure = Self::of_file(what, usage, path, error);
        match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidData => failure.exit(Exit::Usage),
            _ => failure,
        }
    }

    /// Returns the failure of a file that has the wrong content or size, with what can be done.
    pub(crate) fn of_content(what: &str, path: &Path, why: impl Display, next: impl Display) -> Self {
        Self::new(format!("{what} {}: {why}", path.display())).next(next).exit(Exit::Usage)
    }
}
