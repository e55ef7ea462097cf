//! The command `eko`: Eko Messages in a terminal.
//!
//! `eko_client` contains the logic of a client. This crate adds what `eko_client` leaves open: the
//! Signal sessions ([`LibSignal`]), the sign-in at an OpenID Connect issuer ([`oidc`]), the folder
//! that keeps accounts ([`EkoHome`]), and everything that a person or a script sees. It is a
//! library so that tests can use these parts; [`run`] is the whole program.
//!
//! # Layers
//!
//! | layer | modules | content |
//! |---|---|---|
//! | 6 | `cli` | the command line as a whole |
//! | 5 | `commands` | one file per command: its options and what it does |
//! | 4 | `listener` | the loop of `eko listen` and `eko chat` |
//! | 3 | `context`, `ask`, `people`, `show`, `writers`, `delivery`, `joining` | the device in use, and its data as text or JSON |
//! | 2 | `global`, `output`, `progress`, `home` | the options of every command, the terminal, the files |
//! | 1 | `failure` | the error of every command, with its exit code |
//! | 0 | `printable`, `partial_handle`, `counted`, `wrapped`, `qr`, `interruption`, `screen`, `libsignal`, `oidc` | parts that know nothing of the command |
//!
//! **Invariant**: a module uses only modules of lower layers, or modules to its left in its row. A
//! parent and its child modules count as one. There is therefore no cycle between modules.
//!
//! **Invariant**: only `libsignal` names libsignal, whose licence (AGPL-3.0-only) applies to this
//! crate.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ask;
mod cli;
mod clock;
mod commands;
mod context;
mod counted;
mod delivery;
mod failure;
mod global;
mod home;
mod interruption;
mod joining;
mod libsignal;
mod listener;
pub mod oidc;
mod output;
mod partial_handle;
mod people;
mod printable;
mod progress;
mod qr;
mod recovery;
mod screen;
mod show;
mod wrapped;
mod writers;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use eko_client::messenger::MessengerError;
pub use failure::{CommandFailure, Exit};
pub use home::{AccountFolder, EkoHome, PreparedAccount};
pub use libsignal::LibSignal;
pub use output::Output;
pub use partial_handle::{DEFAULT_SERVER, PartialHandle};
pub use printable::{printable, printable_json};

use cli::{Cli, Command, EndConcern};
use context::Context;

/// Runs the command that this process was started with, and returns its exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain_usage(&error),
    };
    let json = cli.global.json;
    match run_command(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // If standard error is closed, the exit code still reports the failure.
            let _ = output::write_failure(&failure, json);
            failure.ends_with().into()
        }
    }
}

fn run_command(cli: Cli) -> Result<(), CommandFailure> {
    let context = Context::new(cli.global)?;
    let (concern, tells_of_move) = (cli.command.end_concern(), cli.command.tells_of_move());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Login(login) => login.run(&context).await,
            Command::Logout => commands::logout::run(&context).await,
            Command::Account(account) => account.run(&context).await,
            Command::Whoami => commands::whoami::run(&context).await,
            Command::Devices(devices) => devices.run(&context).await,
            Command::Send(send) => send.run(&context).await,
            Command::Listen(listen) => listen.run(&context).await,
            Command::Chat(chat) => chat.run(&context).await,
            Command::History(history) => history.run(&context).await,
            Command::Resend(resend) => resend.run(&context).await,
            Command::Discard(discard) => discard.run(&context),
            Command::Requests(requests) => requests.run(&context).await,
            Command::Report(report) => report.run(&context).await,
            Command::Block(block) => block.run(&context).await,
            Command::Unblock(unblock) => unblock.run(&context).await,
            Command::Blocked(blocked) => blocked.run(&context).await,
            Command::Attachments(attachments) => attachments.run(&context).await,
            Command::Groups(groups) => groups.run(&context).await,
            Command::Verify(verify) => verify.run(&context).await,
            Command::Keys(keys) => keys.run(&context).await,
            Command::Privacy(privacy) => privacy.run(&context),
            Command::Profile(profile) => profile.run(&context).await,
            Command::Settings(settings) => settings.run(&context).await,
            Command::Export(export) => export.run(&context).await,
            Command::Recover(recover) => recover.run(&context),
            Command::Completions(completions) => completions.run(Cli::command()),
            Command::Man(man) => man.run(&context, Cli::command()),
            Command::ExitCodes => {
                let text = wrapped::wrapped(cli::EXIT_CODES, wrapped::help_columns());
                context.out.result(&text, &commands::man::exit_codes())
            }
        }
    });
    let now_ms = context.environment.now_ms();
    let after = |seconds: u64| show::clock(now_ms.saturating_add_unsigned(seconds.saturating_mul(1_000)));
    if tells_of_move
        && done.is_ok()
        && let Some(standing) = context.standing_in_move()
    {
        context.out.failure(&context.explained(standing));
    }
    done.and_then(|()| tell_end(&context, concern))
        .map_err(|failure| context.explained(failure).for_clock(after))
}

/// Fails if the command is of no use once the device has ended, which it has; or tells its person.
fn tell_end(context: &Context, concern: EndConcern) -> Result<(), CommandFailure> {
    if concern == EndConcern::None {
        return Ok(());
    }
    let Some(end) = context.device_end() else { return Ok(()) };
    let ended = CommandFailure::from(MessengerError::from(end));
    match concern {
        EndConcern::Fails => Err(ended),
        EndConcern::Reads => {
            let ended = ended.followed_by("; what is kept on this device can be read all the same");
            context.out.failure(&context.explained(ended));
            Ok(())
        }
        EndConcern::Told | EndConcern::None => {
            context.out.failure(&context.explained(ended));
            Ok(())
        }
    }
}

/// Writes what clap answers to a command line that asks for help or cannot be parsed, and returns
/// the exit code.
///
/// A failed write is ignored: the exit code says enough.
fn explain_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let mut stderr = io::stderr().lock();
    let _ = if std::env::args_os().any(|argument| argument == "--json") {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        CommandFailure::new(what).next("eko --help").exit(Exit::Usage).write(true, &mut stderr)
    } else if error.kind() == ErrorKind::MissingSubcommand {
        write!(stderr, "{}", Cli::command().render_help())
    } else {
        error.print()
    };
    Exit::Usage.into()
}
