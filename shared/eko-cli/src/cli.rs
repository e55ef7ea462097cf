//! The command line as clap parses and explains it. The doc comments of commands and options are
//! help texts.

use clap::{Parser, Subcommand};

use crate::commands::{
    account, attachments, block, chat, completions, devices, export, groups, history, keys, listen, login,
    man, privacy, profile, recover, report, requests, resend, send, settings, verify,
};
use crate::global::GlobalOptions;

const MORE: &str = "\
Examples:
  eko login alice                  on the server that `cargo run` starts
  eko login alice@chat.example     on a server of your own
  eko --as alice whoami            if several accounts are on this machine

Exit code 0 means success. eko help exit-codes explains the others.

Licence: AGPL-3.0-only, because libsignal is linked into eko. The source is the project's folder \
shared/eko-cli.";

/// The meaning of the exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  The command succeeded.
  1  The command failed. The second line of the message says what can be done.
  2  The command line or the input makes no sense, or there is nothing of what it names: no such person, group, \
message, device, request, block or file.
  3  Somebody's devices or keys cannot be trusted. Nothing was sent to anybody. A message is held back, and \
sent by itself once that is settled, unless the failure says that nothing is kept; do not send it again.
  4  A server is out of reach, or asks to wait. What was to be sent is kept, and sent by eko listen; do not \
send it again. A command that sends nothing may work later.
  5  A message to a group, or a change of it, was sent to some members and not to others.
  6  A server is out of reach, or asks to wait, and what was to be sent is not kept: send it again later. \
So ends a message to somebody on another server who was never written to before.

With --json the failure is an object on standard error whose member \"kind\" is failed, usage, not-trusted, \
try-later, partly or not-kept, in the order of the codes 1 to 6.";

/// Eko Messages in a terminal: messages that only their recipients can read, between people on any
/// server.
///
/// Everything is encrypted on this machine with Signal's own library. A server sees which device
/// writes to which, but not what they write. The keys and messages of this device are in one folder
/// that only you can read.
#[derive(Debug, Parser)]
#[command(name = "eko", version, after_help = MORE, max_term_width = 100)]
pub(crate) struct Cli {
    /// The options that every command takes.
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The concern of a command with the end of the device, of which it may learn while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndConcern {
    /// Without its end the command would have done more, so it fails.
    Fails,
    /// The command does with what is kept, and its person is told.
    Told,
    /// The command shows what is kept, and its person is told.
    Reads,
    /// The command says or settles it by itself, or is about no device.
    None,
}

impl Command {
    /// Returns the concern of the command with the end of the device.
    pub(crate) fn end_concern(&self) -> EndConcern {
        match self {
            Self::Listen(_) | Self::Chat(_) | Self::Requests(_) | Self::Blocked(_) | Self::Groups(_) => {
                EndConcern::Fails
            }
            Self::Logout | Self::Whoami | Self::Discard(_) | Self::Privacy(_) => EndConcern::Told,
            Self::History(_) | Self::Attachments(_) | Self::Export(_) => EndConcern::Reads,
            Self::Login(_)
            | Self::Account(_)
            | Self::Devices(_)
            | Self::Send(_)
            | Self::Resend(_)
            | Self::Report(_)
            | Self::Block(_)
            | Self::Unblock(_)
            | Self::Verify(_)
            | Self::Keys(_)
            | Self::Settings(_)
            | Self::Profile(_)
            | Self::Recover(_)
            | Self::Completions(_)
            | Self::Man(_)
            | Self::ExitCodes => EndConcern::None,
        }
    }
}

impl Command {
    /// True if the person of an account that was left by a move, or waits for one, is told so after the command.
    /// The others say it by themselves, or are about no account.
    pub(crate) fn tells_of_move(&self) -> bool {
        !matches!(
            self,
            Self::Account(_) | Self::Recover(_) | Self::Completions(_) | Self::Man(_) | Self::ExitCodes
        )
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in with a new device on this machine, or sign in again with the device that is here
    Login(login::LoginArgs),
    /// Sign out: end this device's tokens, and keep its keys and messages
    ///
    /// Without tokens this device can neither send nor receive. Messages for it wait at the server.
    /// `eko login` signs the same device in again.
    Logout,
    /// Move to another account, or delete yours with everything that the server has of it
    Account(account::AccountArgs),
    /// Show the account and the device on this machine, and whether it waits or was revoked
    Whoami,
    /// List your devices, approve a pending one, or revoke a lost one
    Devices(devices::DevicesArgs),
    /// Send one message to a person or a group
    Send(send::SendArgs),
    /// Show messages as they arrive, and what became of the messages that you sent
    Listen(listen::ListenArgs),
    /// Listen, and send each line that you type to one person or group
    Chat(chat::ChatArgs),
    /// Show the messages of the past
    History(history::HistoryArgs),
    /// Send a message again that could not be sent, or that its recipient misses
    Resend(resend::ResendArgs),
    /// Give up a message that waits to be sent
    Discard(resend::DiscardArgs),
    /// Show what people wrote to whom you have never written; accept or decline it
    Requests(requests::RequestsArgs),
    /// Report a message to the operators of your server and of its author's
    Report(report::ReportArgs),
    /// Hear nothing more of a person, or of everybody of a domain, on all your devices
    Block(block::BlockArgs),
    /// End a block
    Unblock(block::UnblockArgs),
    /// List whom you block
    Blocked(block::BlockedArgs),
    /// Save the files of a message, or encrypt a file that is too large for a message
    Attachments(attachments::AttachmentsArgs),
    /// List your groups; create, change and leave them
    Groups(groups::GroupsArgs),
    /// Compare safety numbers with someone, and say whether you trust their devices
    Verify(verify::VerifyArgs),
    /// Show the state of this device's keys at the server, or renew them
    Keys(keys::KeysArgs),
    /// Show or change what this device tells others of you
    Privacy(privacy::PrivacyArgs),
    /// Show or change your name and avatar, or look at somebody's
    Profile(profile::ProfileArgs),
    /// Show or change who may write to you
    Settings(settings::SettingsArgs),
    /// Write all messages as JSON lines, for use in other programs; or what your server stores about you
    Export(export::ExportArgs),
    /// Set a damaged store aside, and keep what can be read of it
    Recover(recover::RecoverArgs),
    /// Print the script that lets a shell complete eko's commands and options
    Completions(completions::CompletionsArgs),
    /// Write a manual page for each command
    Man(man::ManArgs),
    /// Explain the codes with which eko ends
    #[command(after_help = EXIT_CODES)]
    ExitCodes,
}
