//! The objects that commands share: the accounts, the output, the clock, and the messenger of the
//! chosen account.

use eko_client::{DeviceStore, Environment, HttpTransport, Messenger};

use crate::failure::CommandFailure;
use crate::global::GlobalOptions;
use crate::home::{AccountFolder, EkoHome};
use crate::libsignal::LibSignal;
use crate::output::Output;
use crate::partial_handle::PartialHandle;

/// The messenger of one device, over HTTP and with libsignal's sessions.
pub(crate) type HttpMessenger = Messenger<HttpTransport, LibSignal>;

/// The objects that commands share.
pub(crate) struct Context {
    /// The folder that keeps accounts.
    pub(crate) home: EkoHome,
    /// The form of the output.
    pub(crate) out: Output,
    /// The clock and the source of random bytes.
    pub(crate) environment: Environment,
    account: Option<PartialHandle>,
}

impl Context {
    pub(crate) fn new(global: GlobalOptions) -> Result<Self, CommandFailure> {
        let home = EkoHome::locate(global.home.as_deref())?;
        let out = Output { json: global.json, quiet: global.quiet };
        Ok(Self { home, out, environment: Environment::system(), account: global.account })
    }

    /// Returns an HTTP client.
    pub(crate) fn http(&self) -> Result<HttpTransport, CommandFailure> {
        HttpTransport::new().map_err(CommandFailure::new)
    }

    /// Opens the account that `--as` names, or the only account, and returns its folder and its
    /// messenger.
    pub(crate) fn client(&self) -> Result<(AccountFolder, HttpMessenger), CommandFailure> {
        let account = self.home.choose(self.account.as_ref())?;
        let store = DeviceStore::open(&account.database())?;
        let client = Messenger::open(self.http()?, LibSignal, store, self.environment.clone())?;
        match client {
            Some(client) => Ok((account, client)),
            None => {
                let what = format!("the sign-in of {} was never finished", account.handle);
                Err(CommandFailure::new(what).next(format!("eko login {}", account.name())))
            }
        }
    }
}
