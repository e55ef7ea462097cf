//! The options that every command takes.

use std::path::PathBuf;

use clap::Args;
use eko_protocol::address::Origin;

use crate::partial_handle::PartialHandle;

/// The options that every command takes. clap shows the comments of the fields as help.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for every command")]
pub(crate) struct GlobalOptions {
    /// Choose one of several accounts on this machine: alice, or alice@chat.example
    #[arg(long = "as", value_name = "NAME", env = "EKO_AS", hide_env_values = true, global = true)]
    pub(crate) account: Option<PartialHandle>,
    /// The folder that keeps accounts [default: the platform's folder for data]
    #[arg(long, value_name = "DIR", env = "EKO_HOME", hide_env_values = true, global = true)]
    pub(crate) home: Option<PathBuf>,
    /// Also fetch from another server on this machine, such as http://localhost:8081. Without this,
    /// eko fetches from no server on this machine but the account's own
    #[arg(
        long = "local-server",
        value_name = "URL",
        value_parser = Origin::parse,
        env = "EKO_LOCAL_SERVER",
        hide_env_values = true,
        global = true
    )]
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
