//! Folders and files that only their owner can read.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::CommandFailure;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// The permission bits of the group and of all others.
const OTHERS: u32 = 0o077;

/// Creates a folder and its parents, if they do not exist.
pub(super) fn create(path: &Path) -> Result<(), CommandFailure> {
    let created = DirBuilder::new().recursive(true).mode(FOLDER).create(path);
    created.map_err(|error| CommandFailure::new(format!("cannot create {}: {error}", path.display())))?;
    check(path)
}

/// Creates a folder in another one. Its name begins with a dot and is not used yet.
pub(super) fn unique_in(parent: &Path) -> io::Result<PathBuf> {
    let name = format!(".new-{}", uuid::Uuid::new_v4());
    let path = parent.join(name);
    DirBuilder::new().mode(FOLDER).create(&path)?;
    Ok(path)
}

/// Creates an empty file, which must not exist.
pub(super) fn empty_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(FILE).open(path)?.sync_all()
}

/// Fails if other users of this machine can access a folder or file, since they could read the keys
/// in it.
pub(super) fn check(path: &Path) -> Result<(), CommandFailure> {
    let found = std::fs::metadata(path);
    let found =
        found.map_err(|error| CommandFailure::new(format!("cannot read {}: {error}", path.display())))?;
    if found.mode() & OTHERS == 0 {
        return Ok(());
    }
    let right = if found.is_dir() { FOLDER } else { FILE };
    Err(CommandFailure::new(format!("others can read {}", path.display()))
        .next(format!("chmod {right:o} '{}'", path.display())))
}
