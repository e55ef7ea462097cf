//! `eko listen`: shows messages as they arrive.

use std::time::Duration;

use clap::Args;

use crate::context::Context;
use crate::failure::CommandFailure;
use crate::listener::MailboxListener;
use crate::people::own_handle;
use crate::screen::Screen;

const MORE: &str = "\
Messages are written to standard output. Everything else goes to standard error: which of your \
messages have arrived, devices that ask to be yours, and signs of an attack. Messages that could not \
be sent before are tried again. A server that gives no answer is tried again, and the notice says when. Ctrl-C ends the command; nothing is lost.

Messages come at once while the server keeps a connection open. Without one, eko looks into the mailbox \
from time to time. --verbose says which of the two it is, and why.

Examples:
  eko listen
  eko --json listen | jq -r .text
  eko listen --once              show what is there now, and end";

/// The options of `eko listen`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ListenArgs {
    /// Show what is in the mailbox, say what still waits to be sent, and end
    #[arg(long)]
    once: bool,
    /// The longest pause between two looks into the mailbox while there is no live connection, in
    /// seconds; after a message the pause is one second
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
}

impl ListenArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (account, client) = context.active_client().await?;
        let listening =
            MailboxListener::new(context, &account, &client, Duration::from_secs(self.every), None);
        if self.once {
            return listening.once().await;
        }
        context.out.remark(&format!("Listening for {}. Ctrl-C ends it.", own_handle(&client)));
        let screen = if context.out.json || context.out.quiet { None } else { Screen::begin() };
        listening.until_the_end(None, screen).await
    }
}
