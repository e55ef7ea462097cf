//! What can be asked for, as clap reads it and explains it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    attachments, chat, completions, devices, export, groups, history, keys, listen, login, send, verify,
};
use crate::who::Who;

const MORE: &str = "\
Examples:
  eko login alice                  at the server that `cargo run` starts on this machine
  eko login alice@chat.example     at a server of your own
  eko --as alice whoami            where several accounts are on this machine

Exit codes:
  0  done
  1  it did not work
  2  what was asked for makes no sense
  3  someone's devices or keys are not to be trusted; nothing was sent
  4  it may work later: a server is out of reach, or asks to wait

Licence: AGPL-3.0-only, since libsignal is linked into it; the source is the project's, shared/eko-cli.";

/// Eko Messages in a terminal: messages that only their recipients read, between people on any server.
///
/// Everything is encrypted on this machine, with Signal's own library. Servers see who writes to whose devices, never
/// what. What this device keeps, its keys above all, is in one folder for you alone.
#[derive(Debug, Parser)]
#[command(name = "eko", version, after_help = MORE, max_term_width = 100)]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for every command")]
pub(crate) struct Global {
    /// Which of several accounts on this machine: alice, or alice@chat.example
    #[arg(long = "as", value_name = "NAME", env = "EKO_AS", hide_env_values = true, global = true)]
    pub(crate) account: Option<Who>,
    /// The folder that keeps accounts [default: the platform's folder for data]
    #[arg(long, value_name = "DIR", env = "EKO_HOME", hide_env_values = true, global = true)]
    pub(crate) home: Option<PathBuf>,
    /// Write results as JSON, one object a line; failures too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but results and failures
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in: a new device of yours on this machine, or the one that is there again
    Login(login::Login),
    /// Sign out: end this device's tokens; keys and messages stay
    ///
    /// Nobody reads your messages by this device's tokens any more, and messages still wait for it at the server.
    /// `eko login` signs the same device in again.
    Logout,
    /// Show which account and device this is; asks no server
    Whoami,
    /// List your devices; approve one that waits, revoke one that is lost
    Devices(devices::Devices),
    /// Send one message to a person or a group
    Send(send::Send),
    /// Show messages as they come, and what became of yours
    Listen(listen::Listen),
    /// Listen, and send what is typed to one person or group
    Chat(chat::Chat),
    /// Show what was said
    History(history::History),
    /// Save files that came with a message, or seal one that is too large for one
    Attachments(attachments::Attachments),
    /// List your groups; begin, change and leave them
    Groups(groups::Groups),
    /// Compare safety numbers with someone, and say whether you trust their devices
    Verify(verify::Verify),
    /// Show how this device's keys stand at the server, or renew them
    Keys(keys::Keys),
    /// Write everything that was said as JSON lines, for reading elsewhere
    Export(export::Export),
    /// Print what makes a shell complete eko's commands and options
    Completions(completions::Completions),
}
