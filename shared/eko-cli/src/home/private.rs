//! Folders and files that only their owner can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::failure::{CommandFailure, FileUse};

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// The beginning of the names of files and folders that are being made.
const NEW: &str = ".new-";
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

/// Creates a folder in another one. Its name begins with a dot and is not used yet. It is this process's as
/// long as the returned file is kept, which is its lock.
pub(super) fn unique_in(parent: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let path = parent.join(new_name());
        DirBuilder::new().mode(FOLDER).create(&path)?;
        let opened = match File::open(&path) {
            // Another process has taken it for what a dead one has left.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        if let Some(lock) = locked(opened, &path)? {
            return Ok((path, lock));
        }
    }
}

/// Locks what was just made, or returns `None` if another process has met it before that, and removes it.
fn locked(file: File, path: &Path) -> io::Result<Option<File>> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        // On a disk without locks nothing is removed.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    Ok(path.try_exists()?.then_some(file))
}

/// A kind of what processes make under a name that begins with a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// A file of [`unique_file_in`].
    File,
    /// A folder of [`unique_in`].
    Folder,
}

/// Removes the files or the folders that processes were making here which have ended: the kernel frees a lock
/// with its process. What cannot be removed now stays for the next time. Whatever has another name or is of
/// another kind is not eko's, and is not even opened.
pub(crate) fn remove_unfinished(parent: &Path, kind: Unfinished) {
    let Ok(listed) = parent.read_dir() else { return };
    for entry in listed.flatten() {
        let path = entry.path();
        if !entry.file_name().to_str().is_some_and(is_new) || !is_of_kind(&path, kind) {
            continue;
        }
        if File::open(&path).is_ok_and(|lock| lock.try_lock().is_ok() && is_of_kind(&path, kind)) {
            let _ = match kind {
                Unfinished::File => std::fs::remove_file(&path),
                Unfinished::Folder => std::fs::remove_dir_all(&path),
            };
        }
    }
}

/// True if a name is one of [`new_name`].
fn is_new(name: &str) -> bool {
    let id = name.strip_prefix(NEW).and_then(|id| uuid::Uuid::parse_str(id).ok());
    id.is_some_and(|id| id.get_version_num() == 4 && format!("{NEW}{id}") == name)
}

fn new_name() -> String {
    format!("{NEW}{}", uuid::Uuid::new_v4())
}

/// True if this user's file or folder is there. A link is neither.
fn is_of_kind(path: &Path, kind: Unfinished) -> bool {
    path.symlink_metadata().is_ok_and(|found| {
        let is_kind = match kind {
            Unfinished::File => found.is_file(),
            Unfinished::Folder => found.is_dir(),
        };
        is_kind && found.uid() == geteuid().as_raw()
    })
}

/// Creates an empty file, which must not exist.
pub(super) fn empty_file(path: &Path) -> io::Result<()> {
    new_file(path)?.sync_all()
}

/// Creates an empty file, unless it is there.
pub(super) fn mark_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(FILE).open(path).map(drop)
}

/// Creates an empty file in a folder. Its name begins with a dot and is not used yet. The file is its own lock.
pub(crate) fn unique_file_in(parent: &Path) -> io::Result<(File, PathBuf)> {
    loop {
        let path = parent.join(new_name());
        if let Some(file) = locked(new_file(&path)?, &path)? {
            return Ok((file, path));
        }
    }
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
