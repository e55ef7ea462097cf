//! Folders and files that only their owner can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::failure::{CommandFailure, FileUse};

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// The permission bits of the group and of all others.
const OTHERS: u32 = 0o077;

/// Creates a folder and its parents, if they do not exist, and checks that only the owner can read it.
pub(super) fn create(path: &Path) -> Result<(), CommandFailure> {
    create_folder(path)
        .map_err(|error| CommandFailure::of_file("cannot create", FileUse::Write, path, &error))?;
    check(path)
}

/// Creates a folder and its parents, if they do not exist. One that exists may be readable by others.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
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
    new_file(path)?.sync_all()
}

/// Creates an empty file, unless it is there.
pub(super) fn mark_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(FILE).open(path).map(drop)
}

/// Creates an empty file in a folder. Its name begins with a dot and is not used yet.
pub(crate) fn unique_file_in(parent: &Path) -> io::Result<(File, PathBuf)> {
    let path = parent.join(format!(".new-{}", uuid::Uuid::new_v4()));
    Ok((new_file(&path)?, path))
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE).open(path)
}

/// Fails if other users of this machine can access a folder or file, since they could read the keys
/// in it.
pub(super) fn check(path: &Path) -> Result<(), CommandFailure> {
    let found = std::fs::metadata(path);
    let found = found.map_err(|error| CommandFailure::of_file("cannot read", FileUse::Read, path, &error))?;
    check_owner(path, found.uid(), geteuid().as_raw())?;
    if found.mode() & OTHERS == 0 {
        return Ok(());
    }
    let right = if found.is_dir() { FOLDER } else { FILE };
    Err(CommandFailure::new(format!("others can read {}", path.display()))
        .next(format!("chmod {right:o} '{}'", path.display())))
}

/// Takes from other users the right to access a file, if they have it. Whatever is no file stays as it is.
pub(super) fn restrict(path: &Path) -> Result<(), CommandFailure> {
    let found = match std::fs::symlink_metadata(path) {
        // Another process has removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => {
            found.map_err(|error| CommandFailure::of_file("cannot read", FileUse::Read, path, &error))?
        }
    };
    if !found.is_file() || found.mode() & OTHERS == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // As on a disk that cannot be written. Nobody else gets into the folder.
        Err(_) => check(path),
        Ok(()) => Ok(()),
    }
}

/// Fails if a folder or file belongs to another user of this machine. SQLite would write side files of
/// this user, which the other one cannot read.
fn check_owner(path: &Path, owner: u32, me: u32) -> Result<(), CommandFailure> {
    if owner == me {
        return Ok(());
    }
    let what = format!("{} belongs to another user of this machine (number {owner})", path.display());
    Err(CommandFailure::new(what).next(format!("run eko as that user; or chown -R {me} for the folder")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_user_is_not_used() {
        let path = Path::new("/home/alice/eko.db");
        assert_eq!(check_owner(path, 1000, 1000), Ok(()));
        let refused = check_owner(path, 1000, 0).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "/home/alice/eko.db belongs to another user of this machine (number 1000)"
        );
    }
}
