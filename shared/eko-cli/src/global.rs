//! The options that every command takes.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use eko_protocol::address::Origin;

use crate::failure::{CommandFailure, Exit};
use crate::partial_handle::PartialHandle;

/// The options that every command takes. clap shows the comments of the fields as help.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for every command")]
pub(crate) struct GlobalOptions {
    /// Choose one of several accounts on this machine: alice, or alice@chat.example [env: EKO_AS]
    #[arg(long = "as", value_name = "NAME", global = true)]
    pub(crate) account: Option<PartialHandle>,
    /// The folder that keeps accounts [env: EKO_HOME; default: the platform's folder for data]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) home: Option<PathBuf>,
    /// Also fetch from another server on this machine, such as http://localhost:8081. Without this,
    /// eko fetches from no server on this machine but the account's own [env: EKO_LOCAL_SERVER]
    #[arg(long = "local-server", value_name = "URL", value_parser = Origin::parse, global = true)]
    pub(crate) local_servers: Vec<Origin>,
    /// Write results as JSON, one object per line; failures too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Write nothing but results and failures
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Also write how messages come: live or by fetching, and why that changes
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

impl GlobalOptions {
    /// Returns the options with those from the environment where none is given. clap does not read the
    /// environment, because it would list such options in the usage as if they had been typed.
    ///
    /// # Errors
    /// [`Exit::Usage`] if a variable makes no sense.
    pub(crate) fn with_environment(mut self) -> Result<Self, CommandFailure> {
        if self.account.is_none() {
            self.account = parsed("EKO_AS", |text| text.parse::<PartialHandle>())?;
        }
        if self.home.is_none() {
            self.home = std::env::var_os("EKO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        }
        if self.local_servers.is_empty() {
            self.local_servers.extend(parsed("EKO_LOCAL_SERVER", Origin::parse)?);
        }
        Ok(self)
    }
}

/// Returns the value of a variable, or `None` if it is not set or empty.
fn parsed<V, E: fmt::Display>(
    name: &str,
    parse: impl FnOnce(&str) -> Result<V, E>,
) -> Result<Option<V>, CommandFailure> {
    let Some(text) = std::env::var(name).ok().filter(|text| !text.is_empty()) else { return Ok(None) };
    parse(&text).map(Some).map_err(|why| {
        let what = format!("the variable {name} makes no sense: {why}");
        CommandFailure::new(what).next(format!("unset {name}")).exit(Exit::Usage)
    })
}
