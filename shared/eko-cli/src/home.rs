//! The folder that keeps accounts. Only its owner can read it.
//!
//! ```text
//! HOME/accounts/NAME@HOST/eko.db        the device of an account, with its keys and messages
//! HOME/accounts/.replaces-NAME@HOST/    what takes the place of an account as soon as that is set aside
//! HOME/accounts/.new-ID/                an account that is being made, locked by its process; what a dead one
//!                                       has left is removed by the next sign-in
//! HOME/accounts/NAME@HOST/listening     the lock of the process that reads its mailbox, and its last sign of
//!                                       life
//! HOME/former/NAME@HOST-STAMP/          an account that was set aside by `eko login --anew` or
//!                                       `eko recover`, with the file `carried` once another device
//!                                       has taken it over and nothing comes for it any more
//! HOME/issuers.json                     which servers have named which issuer
//! ```

mod account_folder;
mod named_issuers;
mod private;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use eko_protocol::address::Handle;
use etcetera::BaseStrategy;

pub use account_folder::AccountFolder;
pub(crate) use account_folder::StagedFolder;
use named_issuers::NamedIssuers;
pub(crate) use private::{Unfinished, remove_unfinished, unique_file_in};

use crate::failure::{CommandFailure, Exit, FileUse};
use crate::partial_handle::PartialHandle;

const ACCOUNTS: &str = "accounts";
const FORMER: &str = "former";
const ISSUERS: &str = "issuers.json";
const CARRIED: &str = "carried";
/// The beginning of the name of a folder that is about to take the place of an account.
const REPLACES: &str = ".replaces-";

/// The folder that keeps accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkoHome {
    accounts: PathBuf,
    former: PathBuf,
    issuers: PathBuf,
}

/// The folder of an account, which exists or was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedAccount {
    /// The folder of the account.
    pub account: AccountFolder,
    /// True if the folder did not exist before.
    pub is_new: bool,
}

impl EkoHome {
    /// Returns the folder that the person names, or else `eko` in the platform's folder for data.
    ///
    /// # Errors
    /// The platform has no folder for data, because the user has no home folder.
    pub fn locate(named: Option<&Path>) -> Result<Self, CommandFailure> {
        let home = match named {
            Some(named) => named.to_owned(),
            None => etcetera::base_strategy::choose_native_strategy()
                .map_err(|_| {
                    CommandFailure::new("there is no folder for data")
                        .next("name one: --home DIR, or EKO_HOME")
                })?
                .data_dir()
                .join("eko"),
        };
        let [accounts, former, issuers] = [ACCOUNTS, FORMER, ISSUERS].map(|name| home.join(name));
        Ok(Self { accounts, former, issuers })
    }

    /// Returns the accounts, sorted by handle.
    ///
    /// # Errors
    /// The folder cannot be read, or other users of this machine can read it.
    pub fn accounts(&self) -> Result<Vec<AccountFolder>, CommandFailure> {
        let listed = match self.accounts.read_dir() {
            Ok(listed) => listed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&self.accounts, &error)),
        };
        private::check(&self.accounts)?;
        let mut accounts = Vec::new();
        for entry in listed {
            let entry = entry.map_err(|error| unreadable(&self.accounts, &error))?;
            // An account that is being created has a name that begins with a dot.
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let replaced = name.strip_prefix(REPLACES);
            let named = replaced.unwrap_or(name);
            let handle = Some(named).filter(|named| !named.starts_with(['.', '@'])).map(Handle::parse);
            if let Some(Ok(handle)) = handle {
                let account = self.folder(&handle);
                if replaced.is_some() {
                    self.end_replacement(&account)?;
                }
                accounts.push(account);
            }
        }
        accounts.sort_by(|a, b| a.handle.cmp(&b.handle));
        accounts.dedup();
        Ok(accounts)
    }

    /// Returns the account that the person names, or the only account.
    ///
    /// # Errors
    /// There is no such account; there are several; its store is missing; other users of this machine can
    /// read its files.
    pub fn choose(&self, named: Option<&PartialHandle>) -> Result<AccountFolder, CommandFailure> {
        let accounts = self.accounts()?;
        let is_meant = |account: &&AccountFolder| named.is_none_or(|who| who.means(&account.handle));
        let mut found: Vec<&AccountFolder> = accounts.iter().filter(is_meant).collect();
        if let Some(who) = named.filter(|_| found.is_empty()) {
            found.extend(accounts.iter().filter(|account| account.is_also_called(who)));
        }
        // A sign-in that was never finished is no account, unless there is nothing else.
        if found.len() > 1 && found.iter().any(|account| account.is_registered()) {
            found.retain(|account| account.is_registered());
        }
        // Nor is one that waits for a move from another one.
        if found.len() > 1 && found.iter().any(|account| !account.awaits_move()) {
            found.retain(|account| !account.awaits_move());
        }
        // Nor is one that was left by a move.
        if found.len() > 1 && found.iter().any(|account| !account.was_left()) {
            found.retain(|account| !account.was_left());
        }
        match (found.first(), found.get(1), named) {
            (Some(account), None, _) => {
                account.check()?;
                Ok((*account).clone())
            }
            (Some(first), Some(_), _) => {
                let all: Vec<_> = found.iter().map(|account| account.handle.to_string()).collect();
                let which = format!("there are {} accounts here: {}", all.len(), all.join(", "));
                Err(CommandFailure::new(which).next(format!("eko --as {} …", first.name())).exit(Exit::Usage))
            }
            (None, _, None) => Err(CommandFailure::new("nobody has signed in here").next("eko login NAME")),
            (None, _, Some(who)) => {
                let name = who
                    .host
                    .as_ref()
                    .map_or_else(|| who.user.to_string(), |host| format!("{}@{host}", who.user));
                let all: Vec<_> = accounts.iter().map(AccountFolder::name).collect();
                let others =
                    if all.is_empty() { String::new() } else { format!("; there is {}", all.join(", ")) };
                Err(CommandFailure::new(format!("there is no account {name} here{others}"))
                    .next(format!("eko login {name}"))
                    .exit(Exit::Usage))
            }
        }
    }

    /// Returns the account of a handle, and creates its folder if there is none. A folder is
    /// created completely or not at all. What processes have left that died while they made something is removed.
    ///
    /// # Errors
    /// The folder cannot be created; other users of this machine can read it.
    pub fn prepare(&self, handle: &Handle) -> Result<PreparedAccount, CommandFailure> {
        private::create(&self.accounts)?;
        // Only files are made in HOME itself, and only folders among the accounts.
        if let Some(home) = self.accounts.parent() {
            remove_unfinished(home, Unfinished::File);
        }
        remove_unfinished(&self.accounts, Unfinished::Folder);
        let account = self.folder(handle);
        self.end_replacement(&account)?;
        if account.path().is_dir() && !account.database().exists() {
            // What is left of an account without its store says nothing to another device. Its name
            // is none of those that one takes over.
            self.drop_replacement(&account)?;
            self.move_aside(&account, &format!("0-{}", uuid::Uuid::new_v4()))?;
        }
        let is_new = account.create()?;
        account.check()?;
        Ok(PreparedAccount { account, is_new })
    }

    /// Returns the folder in which the account of a handle is, or would be.
    pub(crate) fn folder(&self, handle: &Handle) -> AccountFolder {
        AccountFolder::new(handle.clone(), self.accounts.join(AccountFolder::folder_name(handle)))
    }

    /// Returns the path at which the store of an account is, or would be.
    pub(crate) fn database(&self, handle: &Handle) -> PathBuf {
        self.folder(handle).database()
    }

    /// Returns the issuers that servers have named here.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn named_issuers(&self) -> Result<NamedIssuers, CommandFailure> {
        NamedIssuers::read(&self.issuers)
    }

    /// Moves an account with all its files to `HOME/former/NAME@HOST-STAMP`, and returns that path.
    /// The stamp is put after those of all folders of this account, whatever the clock says. What a
    /// replacement that was never ended has left is removed first: it must not become the account
    /// later.
    ///
    /// # Errors
    /// A folder cannot be removed or moved.
    pub fn set_aside(&self, account: &AccountFolder, stamp: &str) -> Result<PathBuf, CommandFailure> {
        self.drop_replacement(account)?;
        self.set_last_aside(account, stamp)
    }

    /// Removes an account with its keys and messages, and first what a replacement that was never ended has
    /// left.
    ///
    /// # Errors
    /// A folder cannot be removed.
    pub fn remove(&self, account: &AccountFolder) -> Result<(), CommandFailure> {
        self.drop_replacement(account)?;
        account.remove()
    }

    fn move_aside(&self, account: &AccountFolder, stamp: &str) -> Result<PathBuf, CommandFailure> {
        private::create(&self.former)?;
        let aside = self.former.join(format!("{}-{stamp}", account.name()));
        rename(account.path(), &aside)?;
        Ok(aside)
    }

    /// Moves an account aside with a stamp after those of all folders of this account: this one, or
    /// the last one with a letter more.
    fn set_last_aside(&self, account: &AccountFolder, stamp: &str) -> Result<PathBuf, CommandFailure> {
        match self.stamps(account)?.pop() {
            Some(last) if last.as_str() >= stamp => self.move_aside(account, &format!("{last}Z")),
            _ => self.move_aside(account, stamp),
        }
    }

    /// Returns the folders of the account of this handle that were set aside and do not have the
    /// mark of [`EkoHome::note_carried`], the last one first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn former(&self, account: &AccountFolder) -> Result<Vec<AccountFolder>, CommandFailure> {
        let stamps = self.stamps(account)?.into_iter().rev();
        let folders = stamps.map(|stamp| self.former.join(format!("{}-{stamp}", account.name())));
        let unmarked = folders.filter(|folder| !folder.join(CARRIED).exists());
        Ok(unmarked.map(|folder| AccountFolder::new(account.handle.clone(), folder)).collect())
    }

    /// Returns the stamps of the folders of an account that were set aside, in order.
    fn stamps(&self, account: &AccountFolder) -> Result<Vec<String>, CommandFailure> {
        let listed = match self.former.read_dir() {
            Ok(listed) => listed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&self.former, &error)),
        };
        let beginning = format!("{}-", account.name());
        let mut stamps = Vec::new();
        for entry in listed {
            let entry = entry.map_err(|error| unreadable(&self.former, &error))?;
            let name = entry.file_name();
            // A moment follows, in a form that sorts and has no hyphen. A longer name of a host has one.
            let stamp = name.to_str().and_then(|name| name.strip_prefix(&beginning));
            stamps.extend(stamp.filter(|stamp| !stamp.contains('-')).map(str::to_owned));
        }
        stamps.sort_unstable();
        Ok(stamps)
    }

    /// Records that another device has taken over what was set aside, and that nothing comes for it
    /// any more.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn note_carried(&self, former: &Path) -> Result<(), CommandFailure> {
        let mark = former.join(CARRIED);
        let cannot = |error| CommandFailure::of_file("cannot write", FileUse::Write, &mark, &error);
        private::mark_file(&mark).map_err(cannot)
    }

    /// Creates a folder of an account with an empty store, which no command sees until it replaces the
    /// account.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub(crate) fn stage(&self, account: &AccountFolder) -> Result<StagedFolder, CommandFailure> {
        account.stage()
    }

    /// Sets an account aside as [`EkoHome::set_aside`] does, and puts a folder in its place that was made by
    /// [`EkoHome::stage`]. If the process dies in between, the next command puts it there.
    ///
    /// # Errors
    /// A folder cannot be moved. The account is then where it was.
    pub fn replace(
        &self,
        account: &AccountFolder,
        staged: &AccountFolder,
        stamp: &str,
    ) -> Result<PathBuf, CommandFailure> {
        self.begin_replacement(account, staged)?;
        let moved = self.set_last_aside(account, stamp).and_then(|aside| {
            if let Err(failure) = self.end_replacement(account) {
                self.bring_back(&aside, account)?;
                return Err(failure);
            }
            Ok(aside)
        });
        if moved.is_err() && account.path().is_dir() {
            // If it stays, whatever moves the account next removes it.
            let _ = self.drop_replacement(account);
        }
        moved
    }

    /// Makes a staged folder the one that takes an account's place, instead of one that was left.
    fn begin_replacement(
        &self,
        account: &AccountFolder,
        staged: &AccountFolder,
    ) -> Result<(), CommandFailure> {
        self.drop_replacement(account)?;
        rename(staged.path(), self.replacement(account).path())
    }

    fn drop_replacement(&self, account: &AccountFolder) -> Result<(), CommandFailure> {
        let replacement = self.replacement(account);
        match replacement.path().is_dir() {
            true => replacement.remove(),
            false => Ok(()),
        }
    }

    /// Puts what replaces an account into its place, if the account is not there. Another process may do so
    /// first.
    fn end_replacement(&self, account: &AccountFolder) -> Result<(), CommandFailure> {
        let replacement = self.replacement(account);
        if account.path().is_dir() || !replacement.path().is_dir() {
            return Ok(());
        }
        match rename(replacement.path(), account.path()) {
            Err(_) if account.path().is_dir() => Ok(()),
            done => done,
        }
    }

    fn replacement(&self, account: &AccountFolder) -> AccountFolder {
        AccountFolder::new(
            account.handle.clone(),
            self.accounts.join(format!("{REPLACES}{}", account.name())),
        )
    }

    /// Moves an account back that was set aside, and that no reset has replaced. There must be no folder of that
    /// account now.
    ///
    /// # Errors
    /// The folder cannot be moved.
    pub fn bring_back(&self, aside: &Path, account: &AccountFolder) -> Result<(), CommandFailure> {
        rename(aside, account.path())
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), CommandFailure> {
    let what = format!("cannot move {} to", from.display());
    std::fs::rename(from, to).map_err(|error| CommandFailure::of_file(&what, FileUse::Write, to, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> CommandFailure {
    CommandFailure::of_file("cannot read", FileUse::Read, path, error)
}
