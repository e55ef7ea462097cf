//! The folder of one account.

use std::path::{Path, PathBuf};

use eko_client::DeviceStore;
use eko_protocol::address::Handle;

use super::private;
use crate::failure::CommandFailure;

const DATABASE: &str = "eko.db";

/// The folder of one account on this machine. It holds one device of one user, with the device's
/// keys and messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFolder {
    /// The user's handle.
    pub handle: Handle,
    path: PathBuf,
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

    /// Creates the folder and an empty database, and returns `true`; returns `false` if the folder
    /// exists.
    ///
    /// The folder is created under another name and then renamed, so that a process that is killed
    /// in between leaves no half account.
    pub(super) fn create(&self) -> Result<bool, CommandFailure> {
        if self.path.is_dir() {
            return Ok(false);
        }
        let cannot = |error: std::io::Error| {
            CommandFailure::new(format!("cannot create {}: {error}", self.path.display()))
        };
        let parent = self.path.parent().unwrap_or(Path::new("."));
        let new = private::unique_in(parent).map_err(cannot)?;
        private::empty_file(&new.join(DATABASE)).map_err(cannot)?;
        match std::fs::rename(&new, &self.path) {
            // Another process has created it first.
            Err(_) if self.path.is_dir() => {
                std::fs::remove_dir_all(&new).map_err(cannot)?;
                Ok(false)
            }
            done => done.map(|()| true).map_err(cannot),
        }
    }

    /// Removes the account from this machine, with its keys and messages.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn remove(&self) -> Result<(), CommandFailure> {
        let removed = std::fs::remove_dir_all(&self.path);
        removed
            .map_err(|error| CommandFailure::new(format!("cannot remove {}: {error}", self.path.display())))
    }

    /// Checks that the folder and the database are there, and that only this user can read them.
    pub(super) fn check(&self) -> Result<(), CommandFailure> {
        private::check(&self.path)?;
        let database = self.database();
        if !database.exists() {
            let what = format!("the store of {} is missing: {}", self.handle, database.display());
            let next = format!("put the file back; or eko login {}, which makes a new device", self.handle);
            return Err(CommandFailure::new(what).next(next));
        }
        private::check(&database)
    }
}
