//! What commands share.

use eko_client::{DeviceStore, Environment, HttpTransport, Messenger};

use crate::cli::Global;
use crate::failure::Failure;
use crate::home::{Account, Home};
use crate::libsignal::LibSignal;
use crate::output::Output;
use crate::who::Who;

/// A device that talks over HTTP.
pub(crate) type Client = Messenger<HttpTransport, LibSignal>;

/// What commands share.
pub(crate) struct Context {
    pub(crate) home: Home,
    pub(crate) out: Output,
    pub(crate) environment: Environment,
    named: Option<Who>,
}

impl Context {
    pub(crate) fn new(global: Global) -> Result<Self, Failure> {
        let home = Home::locate(global.home.as_deref())?;
        let out = Output { json: global.json, quiet: global.quiet };
        Ok(Self { home, out, environment: Environment::system(), named: global.account })
    }

    pub(crate) fn http(&self) -> Result<HttpTransport, Failure> {
        HttpTransport::new().map_err(Failure::new)
    }

    /// The account that is meant, and its device.
    pub(crate) fn client(&self) -> Result<(Account, Client), Failure> {
        let account = self.home.choose(self.named.as_ref())?;
        let store = DeviceStore::open(&account.database())?;
        let client = Messenger::open(self.http()?, LibSignal, store, self.environment.clone())?;
        match client {
            Some(client) => Ok((account, client)),
            None => {
                let what = format!("the sign-in of {} was never finished", account.handle);
                Err(Failure::new(what).next(format!("eko login {}", account.name())))
            }
        }
    }
}
