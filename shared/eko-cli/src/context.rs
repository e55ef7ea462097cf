//! The objects that commands share: the accounts, the output, the clock, and the messenger of the
//! chosen account.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use eko_client::messenger::{LiveFeed, MessengerError};
use eko_client::store::{DeviceEnd, DeviceStoreError};
use eko_client::{DeviceStore, Environment, HttpTransport, Messenger, Reach};
use eko_protocol::address::{Handle, Origin};

use crate::failure::CommandFailure;
use crate::global::GlobalOptions;
use crate::home::{AccountFolder, EkoHome};
use crate::libsignal::LibSignal;
use crate::output::Output;
use crate::partial_handle::PartialHandle;

/// The number of moves in a row of which the last account is named.
const MOST_MOVES: usize = 8;

/// The messenger of one device, over HTTP and with libsignal's sessions.
pub(crate) type HttpMessenger = Messenger<HttpTransport, LibSignal>;

/// The entries of that device as they come.
pub(crate) type HttpFeed<'m> = LiveFeed<'m, HttpTransport, LibSignal>;

/// The objects that commands share.
pub(crate) struct Context {
    /// The folder that keeps accounts.
    pub(crate) home: EkoHome,
    /// The form of the output.
    pub(crate) out: Output,
    /// The clock and the source of random bytes.
    pub(crate) environment: Environment,
    account: Option<PartialHandle>,
    /// The account that the command is about, once it is known: its handle and its store.
    in_use: OnceCell<(String, PathBuf)>,
    local_servers: Vec<Origin>,
}

impl Context {
    pub(crate) fn new(global: GlobalOptions) -> Result<Self, CommandFailure> {
        let global = global.with_environment()?;
        let home = EkoHome::locate(global.home.as_deref())?;
        let out = Output { json: global.json, quiet: global.quiet, verbose: global.verbose };
        let GlobalOptions { account, local_servers, .. } = global;
        let in_use = OnceCell::new();
        Ok(Self { home, out, environment: Environment::system(), account, in_use, local_servers })
    }

    /// Records which account the command is about, for what its failure says.
    pub(crate) fn note_account(&self, handle: &Handle) {
        let _ = self.in_use.set((handle.to_string(), self.home.database(handle)));
    }

    /// Returns the failure with the account's handle in the command `eko login` of its next step, and with
    /// the path of its store.
    pub(crate) fn explained(&self, failure: CommandFailure) -> CommandFailure {
        match self.in_use.get() {
            Some((handle, store)) => failure.for_account(handle).for_store(store),
            None => failure,
        }
    }

    /// Returns an HTTP client.
    pub(crate) fn http(&self) -> Result<HttpTransport, CommandFailure> {
        HttpTransport::new().map_err(CommandFailure::new)
    }

    /// Returns the servers that an account of the server at `origin` may fetch from.
    pub(crate) fn reach(&self, origin: &Origin) -> Reach {
        let mut reach = Reach::of(origin.clone());
        reach.add_local(self.local_servers.clone());
        reach
    }

    /// Lets a messenger fetch from the servers on this machine that the person names.
    pub(crate) fn reaching(&self, client: HttpMessenger) -> HttpMessenger {
        client.with_local_servers(self.local_servers.clone())
    }

    /// Opens the account that `--as` names, or the only account, and returns its folder and its
    /// messenger.
    ///
    /// # Errors
    /// The account waits for a move, or has not signed in; it cannot be opened.
    pub(crate) fn client(&self) -> Result<(AccountFolder, HttpMessenger), CommandFailure> {
        let (account, client) = self.any_client()?;
        client.require_move_done()?;
        Ok((account, client))
    }

    /// Does as [`Context::client`], also for an account that waits for a move.
    pub(crate) fn any_client(&self) -> Result<(AccountFolder, HttpMessenger), CommandFailure> {
        self.client_with(DeviceStore::open, DeviceStore::is_registered)
    }

    /// Does as [`Context::client`], for a command that is of no use once the device has ended.
    ///
    /// # Errors
    /// Those of [`Context::client`]; the device has ended.
    pub(crate) async fn active_client(&self) -> Result<(AccountFolder, HttpMessenger), CommandFailure> {
        let (account, client) = self.client()?;
        client.require_not_ended().await?;
        Ok((account, client))
    }

    /// Returns the messenger of the account of a handle, or `None` if nobody has signed in with it here.
    pub(crate) fn client_of(&self, handle: &Handle) -> Result<Option<HttpMessenger>, CommandFailure> {
        self.client_in(&self.home.database(handle))
    }

    /// Returns the messenger of a store, or `None` if it is not there, or nobody has signed in with it.
    pub(crate) fn client_in(&self, database: &Path) -> Result<Option<HttpMessenger>, CommandFailure> {
        if !database.exists() {
            return Ok(None);
        }
        let store = DeviceStore::open(database)?;
        if !store.is_registered()? {
            return Ok(None);
        }
        let client = Messenger::open(self.http()?, LibSignal, store, self.environment.clone())?;
        Ok(client.map(|client| self.reaching(client)))
    }

    /// Returns the reason for which the device of the account that the command was about has ended, or
    /// `None` if it has not. A store that cannot be read has failed the command itself.
    pub(crate) fn device_end(&self) -> Option<DeviceEnd> {
        let end = |(_, store): &(String, PathBuf)| DeviceStore::open_to_read(store)?.device_end();
        self.in_use.get().and_then(|in_use| end(in_use).ok().flatten())
    }

    /// Returns that the account that the command was about was left by a move, or waits for one, with what its
    /// person does then. A store that cannot be read has failed the command itself.
    pub(crate) fn standing_in_move(&self) -> Option<CommandFailure> {
        let (handle, _) = self.in_use.get()?;
        let client = self.client_of(&Handle::parse(handle).ok()?).ok()??;
        let standing = client.require_move_done().and_then(|()| client.require_not_moved());
        standing.err().map(|error| CommandFailure::from(self.of_latest(error)))
    }

    /// Succeeds unless the person has left an account by a move. The failure names the latest account.
    pub(crate) fn require_not_moved(&self, client: &HttpMessenger) -> Result<(), CommandFailure> {
        Ok(client.require_not_moved().map_err(|error| self.of_latest(error))?)
    }

    /// Returns an error of an account that was left with the account that the person has come to by further moves,
    /// as far as they were made here.
    fn of_latest(&self, error: MessengerError) -> MessengerError {
        let MessengerError::AccountMoved(mut to) = error else { return error };
        let next = |to: &str| {
            let client = self.client_of(&Handle::parse(to).ok()?).ok()??;
            Some(client.moved_account().ok()??.handle().to_string())
        };
        for _ in 0..MOST_MOVES {
            let Some(later) = next(&to) else { break };
            to = later;
        }
        MessengerError::AccountMoved(to)
    }

    /// Does as [`Context::active_client`], for a command that changes something of an account, or sends
    /// something. Of one that was left by a move it would be of no use.
    pub(crate) async fn acting_client(&self) -> Result<(AccountFolder, HttpMessenger), CommandFailure> {
        let (account, client) = self.active_client().await?;
        self.require_not_moved(&client)?;
        Ok((account, client))
    }

    /// Does as [`Context::client`], for a command that only reads the store. It works on a full disk, and
    /// before the sign-in of a device that has taken messages over.
    pub(crate) fn reading_client(&self) -> Result<(AccountFolder, HttpMessenger), CommandFailure> {
        let is_to_be_read = |store: &DeviceStore| Ok(store.is_registered()? || store.has_messages()?);
        self.client_with(DeviceStore::open_to_read, is_to_be_read)
    }

    /// Chooses the account that `--as` names, or the only account.
    pub(crate) fn choose_account(&self) -> Result<AccountFolder, CommandFailure> {
        let account = self.home.choose(self.account.as_ref())?;
        self.note_account(&account.handle);
        Ok(account)
    }

    fn client_with(
        &self,
        open: impl FnOnce(&Path) -> Result<DeviceStore, DeviceStoreError>,
        is_ready: impl FnOnce(&DeviceStore) -> Result<bool, DeviceStoreError>,
    ) -> Result<(AccountFolder, HttpMessenger), CommandFailure> {
        let account = self.choose_account()?;
        let store = open(&account.database())?;
        let (is_ready, has_lost_keys) = (is_ready(&store)?, store.has_lost_keys()?);
        let client = Messenger::open(self.http()?, LibSignal, store, self.environment.clone())?;
        match client.filter(|_| is_ready) {
            Some(client) => Ok((account, self.reaching(client))),
            None if has_lost_keys => {
                Err(CommandFailure::new(keys_lost(&account.handle))
                    .next(format!("eko login {}", account.handle)))
            }
            None => {
                let what = format!("the sign-in of {} was never finished", account.handle);
                Err(CommandFailure::new(what).next(format!("eko login {}", account.name())))
            }
        }
    }
}

/// Says that the keys of an account's device were lost.
pub(crate) fn keys_lost(handle: &Handle) -> String {
    format!(
        "the keys of the device of {handle} were lost with its store, so this is a new one, which has not signed in"
    )
}
