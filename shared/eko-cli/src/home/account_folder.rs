//! The folder of one account.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use eko_client::DeviceStore;
use eko_protocol::address::Handle;

use super::private;
use crate::failure::{CommandFailure, FileUse};
use crate::partial_handle::PartialHandle;

const DATABASE: &str = "eko.db";
const RECOVERED: &str = "recovered.db";

/// The folder of one account on this machine. It holds one device of one user, with the device's
/// keys and messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFolder {
    /// The user's handle.
    pub handle: Handle,
    path: PathBuf,
}

/// A folder of an account that is being made, under another name. It is locked: no other process takes it for
/// one that a dead process has left.
#[derive(Debug)]
pub(crate) struct StagedFolder {
    folder: AccountFolder,
    _lock: File,
}

impl Deref for StagedFolder {
    type Target = AccountFolder;

    fn deref(&self) -> &AccountFolder {
        &self.folder
    }
}

impl AccountFolder {
    pub(super) fn new(handle: Handle, path: PathBuf) -> Self {
        Self { handle, path }
    }

    pub(super) fn folder_name(handle: &Handle) -> String {
        format!("{}@{}", handle.name(), handle.authority())
    }

    /// Returns the account's name as `--as` takes it: `alice@a.example`.
    pub fn name(&self) -> String {
        Self::folder_name(&self.handle)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the device's database.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// True if a server has registered the device here, so that this is an account. False if the sign-in
    /// was begun and never finished. An account that cannot be read is one.
    pub fn is_registered(&self) -> bool {
        DeviceStore::open(&self.database()).and_then(|store| store.is_registered()).unwrap_or(true)
    }

    /// True if the person means this account by its handle at another domain, which is in its store.
    pub(super) fn is_also_called(&self, who: &PartialHandle) -> bool {
        let handle = DeviceStore::open_to_read(&self.database()).and_then(|store| store.own_handle());
        handle.ok().flatten().is_some_and(|handle| who.means(&handle))
    }

    /// True if the account was made for a move from another one, and that is not done.
    pub(super) fn awaits_move(&self) -> bool {
        let awaited = DeviceStore::open(&self.database()).and_then(|store| store.awaited_move());
        awaited.is_ok_and(|awaited| awaited.is_some())
    }

    /// True if the user has left the account by a move.
    pub(super) fn was_left(&self) -> bool {
        let left = DeviceStore::open(&self.database()).and_then(|store| store.left_for());
        left.is_ok_and(|to| to.is_some())
    }

    /// Creates the folder with an empty store, and returns `true`; returns `false` if the folder
    /// exists.
    ///
    /// The folder is created under another name and then renamed, so that a process that is killed
    /// in between leaves no half account.
    pub(super) fn create(&self) -> Result<bool, CommandFailure> {
        if self.path.is_dir() {
            return Ok(false);
        }
        let staged = self.stage()?;
        match std::fs::rename(&staged.path, &self.path) {
            // Another process has created it first.
            Err(_) if self.path.is_dir() => staged.remove().map(|()| false),
            done => done.map(|()| true).map_err(|error| self.cannot_create(&error)),
        }
    }

    /// Creates a folder of this account with an empty store beside its own folder. No command sees it.
    pub(super) fn stage(&self) -> Result<StagedFolder, CommandFailure> {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        let (path, lock) = private::unique_in(parent).map_err(|error| self.cannot_create(&error))?;
        let folder = Self { handle: self.handle.clone(), path };
        folder.new_store(&folder.database())?;
        Ok(StagedFolder { folder, _lock: lock })
    }

    /// Creates an empty store. A file without bytes is none, so that one that is found was emptied.
    fn new_store(&self, path: &Path) -> Result<DeviceStore, CommandFailure> {
        private::empty_file(path).map_err(|error| self.cannot_create(&error))?;
        Ok(DeviceStore::create(path)?)
    }

    fn cannot_create(&self, error: &std::io::Error) -> CommandFailure {
        CommandFailure::of_file("cannot create", FileUse::Write, &self.path, error)
    }

    /// Returns the path of the store into which another one is recovered.
    pub(crate) fn recovered(&self) -> PathBuf {
        self.path.join(RECOVERED)
    }

    /// Creates the empty store into which another one is recovered, in place of one that was left.
    pub(crate) fn begin_recovery(&self) -> Result<DeviceStore, CommandFailure> {
        self.end_recovery()?;
        self.new_store(&self.recovered())
    }

    /// Removes the store into which another one was recovered.
    pub(crate) fn end_recovery(&self) -> Result<(), CommandFailure> {
        for side in ["", "-wal", "-shm"] {
            let path = self.path.join(format!("{RECOVERED}{side}"));
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CommandFailure::of_file("cannot remove", FileUse::Write, &path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Puts the store into which another one was recovered into the place of the account's store. Both are
    /// closed.
    pub(crate) fn keep_recovered(&self) -> Result<(), CommandFailure> {
        std::fs::rename(self.recovered(), self.database()).map_err(|error| self.cannot_create(&error))
    }

    /// Removes the account from this machine, with its keys and messages.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn remove(&self) -> Result<(), CommandFailure> {
        let removed = std::fs::remove_dir_all(&self.path);
        removed.map_err(|error| CommandFailure::of_file("cannot remove", FileUse::Write, &self.path, &error))
    }

    /// Checks that the folder and the database are there, and that only this user can read them. What is beside
    /// the database, as its log, is made so.
    pub(super) fn check(&self) -> Result<(), CommandFailure> {
        private::check(&self.path)?;
        let database = self.database();
        if !database.exists() {
            let what = format!("the store of {} is missing: {}", self.handle, database.display());
            let next = format!("put the file back; or eko login {}, which makes a new device", self.handle);
            return Err(CommandFailure::new(what).next(next));
        }
        private::check(&database)?;
        let unreadable =
            |error: std::io::Error| CommandFailure::of_file("cannot read", FileUse::Read, &self.path, &error);
        for entry in self.path.read_dir().map_err(unreadable)? {
            private::restrict(&entry.map_err(unreadable)?.path())?;
        }
        Ok(())
    }
}
