//! The command `eko`, and its parts for tests.
//!
//! What a client does is in `eko_client`; here are Signal's sessions ([`LibSignal`]), which it leaves open, and what
//! a person sees of it.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ask;
mod cli;
mod commands;
mod context;
mod delivery;
mod failure;
mod home;
mod libsignal;
mod listening;
pub mod oidc;
mod output;
mod people;
mod printable;
mod progress;
mod qr;
mod show;
mod who;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
pub use failure::{Exit, Failure};
pub use home::{Account, Home};
pub use libsignal::LibSignal;
pub use output::Output;
pub use printable::printable;
pub use who::{DEFAULT_SERVER, Who};

use cli::{Cli, Command};
use context::Context;

/// Does what the process was started for.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misread(&error),
    };
    let json = cli.global.json;
    match begin(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where standard error is closed, the exit code says it.
            let _ = failure.write(json, &mut io::stderr().lock());
            failure.ends_with().into()
        }
    }
}

fn begin(cli: Cli) -> Result<(), Failure> {
    let context = Context::new(cli.global)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Login(login) => login.run(&context).await,
            Command::Logout => commands::logout::run(&context).await,
            Command::Whoami => commands::whoami::run(&context),
            Command::Devices(devices) => devices.run(&context).await,
            Command::Send(send) => send.run(&context).await,
            Command::Listen(listen) => listen.run(&context).await,
            Command::Chat(chat) => chat.run(&context).await,
            Command::History(history) => history.run(&context).await,
            Command::Attachments(attachments) => attachments.run(&context).await,
            Command::Groups(groups) => groups.run(&context).await,
            Command::Verify(verify) => verify.run(&context).await,
            Command::Keys(keys) => keys.run(&context).await,
            Command::Export(export) => export.run(&context),
            Command::Completions(completions) => completions.run(),
        }
    })
}

/// What clap says of a command line that it cannot read, or that asks for help. What cannot be written, the exit code
/// says.
fn misread(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let mut stderr = io::stderr().lock();
    let _ = if std::env::args_os().any(|argument| argument == "--json") {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Failure::new(what).next("eko --help").exit(Exit::Usage).write(true, &mut stderr)
    } else if error.kind() == ErrorKind::MissingSubcommand {
        write!(stderr, "{}", Cli::command().render_help())
    } else {
        error.print()
    };
    Exit::Usage.into()
}
