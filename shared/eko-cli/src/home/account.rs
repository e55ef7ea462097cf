use std::path::{Path, PathBuf};

use eko_protocol::address::Handle;

use super::private;
use crate::failure::Failure;

const DATABASE: &str = "eko.db";

/// One account on this machine: a device of a user, and all that it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose it is.
    pub handle: Handle,
    path: PathBuf,
}

impl Account {
    pub(super) fn new(handle: Handle, path: PathBuf) -> Self {
        Self { handle, path }
    }

    /// The folder's name.
    pub(super) fn folder(handle: &Handle) -> String {
        format!("{}@{}", handle.name(), handle.authority())
    }

    /// `alice@a.example`, as `--as` takes it.
    pub fn name(&self) -> String {
        Self::folder(&self.handle)
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the device keeps.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Makes folder and database, if they are not there, under another name first: whoever is killed in between leaves
    /// no half an account. Answers whether it did.
    pub(super) fn make(&self) -> Result<bool, Failure> {
        if self.path.is_dir() {
            return Ok(false);
        }
        let cannot =
            |error: std::io::Error| Failure::new(format!("cannot make {}: {error}", self.path.display()));
        let parent = self.path.parent().unwrap_or(Path::new("."));
        let new = private::unique_in(parent).map_err(cannot)?;
        private::empty_file(&new.join(DATABASE)).map_err(cannot)?;
        match std::fs::rename(&new, &self.path) {
            // Another process was first.
            Err(_) if self.path.is_dir() => {
                std::fs::remove_dir_all(&new).map_err(cannot)?;
                Ok(false)
            }
            done => done.map(|()| true).map_err(cannot),
        }
    }

    /// Removes it from this machine, keys and messages with it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> Result<(), Failure> {
        let removed = std::fs::remove_dir_all(&self.path);
        removed.map_err(|error| Failure::new(format!("cannot remove {}: {error}", self.path.display())))
    }

    /// Checks that nobody else can read it.
    pub(super) fn check(&self) -> Result<(), Failure> {
        private::check(&self.path)?;
        private::check(&self.database())
    }
}
