//! Folders and files that only their owner reads.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// What group and others may do.
const OTHERS: u32 = 0o077;

/// Makes a folder, and those above it, where there is none.
pub(super) fn make(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(FOLDER).create(path);
    made.map_err(|error| Failure::new(format!("cannot make {}: {error}", path.display())))?;
    check(path)
}

/// Makes a folder of a fresh name in another one. Its name begins with a dot.
pub(super) fn unique_in(parent: &Path) -> io::Result<PathBuf> {
    let name = format!(".new-{}", uuid::Uuid::new_v4());
    let path = parent.join(name);
    DirBuilder::new().mode(FOLDER).create(&path)?;
    Ok(path)
}

/// Makes a file that was not there.
pub(super) fn empty_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(FILE).open(path)?.sync_all()
}

/// Refuses a folder or file that others can read: the keys in it would be theirs too.
pub(super) fn check(path: &Path) -> Result<(), Failure> {
    let found = std::fs::metadata(path);
    let found = found.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    if found.mode() & OTHERS == 0 {
        return Ok(());
    }
    let right = if found.is_dir() { FOLDER } else { FILE };
    Err(Failure::new(format!("others can read {}", path.display()))
        .next(format!("chmod {right:o} '{}'", path.display())))
}
