//! The folder where accounts are kept: `HOME/accounts/NAME@HOST/eko.db`, for their owner alone. `HOME/former` has those
//! that were set aside.

mod account;
mod private;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use eko_protocol::address::Handle;
use etcetera::BaseStrategy;

pub use account::Account;

use crate::failure::{Exit, Failure};
use crate::who::Who;

const ACCOUNTS: &str = "accounts";
/// Accounts that made room for others of their name.
const FORMER: &str = "former";

/// Where accounts are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    accounts: PathBuf,
    former: PathBuf,
}

impl Home {
    /// The folder that the person names, or else the platform's for a program's data.
    ///
    /// # Errors
    /// The platform has none: no home folder.
    pub fn locate(said: Option<&Path>) -> Result<Self, Failure> {
        let home = match said {
            Some(said) => said.to_owned(),
            None => etcetera::base_strategy::choose_native_strategy()
                .map_err(|_| {
                    Failure::new("there is no folder for data").next("name one: --home DIR, or EKO_HOME")
                })?
                .data_dir()
                .join("eko"),
        };
        Ok(Self { accounts: home.join(ACCOUNTS), former: home.join(FORMER) })
    }

    /// The accounts, by name.
    ///
    /// # Errors
    /// The folder cannot be read, or others can.
    pub fn accounts(&self) -> Result<Vec<Account>, Failure> {
        let listed = match self.accounts.read_dir() {
            Ok(listed) => listed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&self.accounts, &error)),
        };
        private::check(&self.accounts)?;
        let mut accounts = Vec::new();
        for entry in listed {
            let entry = entry.map_err(|error| unreadable(&self.accounts, &error))?;
            // What is being made has another form of name.
            let name = entry.file_name();
            let handle = name.to_str().filter(|name| !name.starts_with(['.', '@'])).map(Handle::parse);
            if let Some(Ok(handle)) = handle {
                accounts.push(Account::new(handle, entry.path()));
            }
        }
        accounts.sort_by(|a, b| a.handle.cmp(&b.handle));
        Ok(accounts)
    }

    /// The account that the person means: the one they name, or the only one.
    ///
    /// # Errors
    /// There is none of that name, or several; its files can be read by others.
    pub fn choose(&self, named: Option<&Who>) -> Result<Account, Failure> {
        let accounts = self.accounts()?;
        let meant = |account: &&Account| {
            named.is_none_or(|who| {
                *account.handle.name() == who.user
                    && who.host.as_ref().is_none_or(|host| *host == account.handle.authority())
            })
        };
        let mut found = accounts.iter().filter(meant);
        match (found.next(), found.next(), named) {
            (Some(account), None, _) => {
                account.check()?;
                Ok(account.clone())
            }
            (Some(first), Some(_), _) => {
                let all: Vec<_> =
                    accounts.iter().filter(meant).map(|account| account.handle.to_string()).collect();
                let which = format!("there are {} accounts here: {}", all.len(), all.join(", "));
                Err(Failure::new(which).next(format!("eko --as {} …", first.name())).exit(Exit::Usage))
            }
            (None, _, None) => Err(Failure::new("nobody has signed in here").next("eko login NAME")),
            (None, _, Some(who)) => {
                let name = who
                    .host
                    .as_ref()
                    .map_or_else(|| who.user.to_string(), |host| format!("{}@{host}", who.user));
                let all: Vec<_> = accounts.iter().map(Account::name).collect();
                let others =
                    if all.is_empty() { String::new() } else { format!("; there is {}", all.join(", ")) };
                Err(Failure::new(format!("there is no account {name} here{others}"))
                    .next(format!("eko login {name}")))
            }
        }
    }

    /// The account of this handle, whose folder is made where there is none, all of it or nothing; and whether it was.
    ///
    /// # Errors
    /// It cannot be made; what is there can be read by others.
    pub fn create(&self, handle: &Handle) -> Result<(Account, bool), Failure> {
        private::make(&self.accounts)?;
        let account = Account::new(handle.clone(), self.accounts.join(Account::folder(handle)));
        let is_new = account.make()?;
        account.check()?;
        Ok((account, is_new))
    }

    /// Moves an account out of the way, to `HOME/former/NAME@HOST-STAMP`, with all that it keeps. Answers the folder.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn set_aside(&self, account: &Account, stamp: &str) -> Result<PathBuf, Failure> {
        private::make(&self.former)?;
        let aside = self.former.join(format!("{}-{stamp}", account.name()));
        moved(account.path(), &aside)?;
        Ok(aside)
    }

    /// Moves an account back that was set aside, to where none is now.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn bring_back(&self, aside: &Path, account: &Account) -> Result<(), Failure> {
        moved(aside, account.path())
    }
}

fn moved(from: &Path, to: &Path) -> Result<(), Failure> {
    let cannot = |error| Failure::new(format!("cannot move {} to {}: {error}", from.display(), to.display()));
    std::fs::rename(from, to).map_err(cannot)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot read {}: {error}", path.display()))
}
