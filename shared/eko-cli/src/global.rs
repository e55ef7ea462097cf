//! The options that every command takes.

use std::path::PathBuf;

use clap::Args;

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
    /// Write results as JSON, one object per line; failures too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Write nothing but results and failures
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}
