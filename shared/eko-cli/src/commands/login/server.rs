//! The server of a sign-in.

use eko_client::capabilities::Capabilities;
use eko_client::{ClientError, HttpTransport};
use eko_protocol::address::{Handle, Origin};

use super::LoginArgs;
use crate::context::Context;
use crate::failure::{CommandFailure, Exit};
use crate::partial_handle::PartialHandle;

impl LoginArgs {
    /// Returns the server that the person has named, by an option or by a variable.
    fn server(&self) -> Option<String> {
        let variable = || std::env::var("EKO_SERVER").ok().filter(|server| !server.is_empty());
        self.server.clone().or_else(variable)
    }

    /// Asks the server what it can do, and checks that it is the server that the person named.
    pub(super) async fn capabilities(
        &self,
        context: &Context,
        http: &HttpTransport,
    ) -> Result<Capabilities, CommandFailure> {
        let who = self.who_is_meant(context)?;
        let base = who.server(self.server().as_deref());
        let named = Origin::parse(&base).map_err(|_| {
            CommandFailure::new(format!("{base} is no server's URL"))
                .next("--server https://HOST")
                .exit(Exit::Usage)
        })?;
        let capabilities = match Capabilities::fetch(http, named.as_str()).await {
            Ok(capabilities) => capabilities,
            Err(ClientError::Transport(error)) => {
                let failure = CommandFailure::new(format!("no server answers at {named}: {error}"))
                    .exit(Exit::TryLater);
                return Err(match (self.server(), &who.host) {
                    (None, None) => failure.next(format!(
                        "name your server: eko login {}@HOST; or start one on this machine: cargo run",
                        who.user
                    )),
                    _ => failure.next("try again later, or look whether that is your server's address"),
                });
            }
            Err(error) => return Err(error.into()),
        };
        let origin = &capabilities.origin;
        if *origin != named {
            let failure = CommandFailure::new(format!("the server at {named} calls itself {origin}"));
            return Err(failure.next(format!("eko login {} --server {origin}", who.user)));
        }
        match &who.host {
            // A name at the domain that the server has its handles at is the same name at the server.
            Some(host) if host != origin.authority() && Some(host) != capabilities.handle_domain.as_ref() => {
                let what = format!("{}@{host} is not at {origin}", who.user);
                Err(CommandFailure::new(what)
                    .next(format!("eko login {}", Handle::new(who.user.clone(), origin)))
                    .exit(Exit::Usage))
            }
            _ => Ok(capabilities),
        }
    }

    /// Returns the handle that the person means. A name without a server means the account of that
    /// name on this machine, if there is exactly one and no server is named otherwise.
    fn who_is_meant(&self, context: &Context) -> Result<PartialHandle, CommandFailure> {
        if self.server().is_some() || self.who.host.is_some() {
            return Ok(self.who.clone());
        }
        let accounts = context.home.accounts()?;
        let mut called = accounts.iter().filter(|account| account.handle.name() == self.who.user.as_str());
        Ok(match (called.next(), called.next()) {
            (Some(account), None) => {
                let host = Some(account.handle.authority().to_owned());
                PartialHandle { user: self.who.user.clone(), host }
            }
            _ => self.who.clone(),
        })
    }
}
