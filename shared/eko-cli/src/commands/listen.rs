//! `eko listen`: messages as they come.

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::listening::Listening;

const MORE: &str = "\
Messages go to standard output, the rest to standard error: who has what you sent, devices that ask to be yours, and
what is not to be trusted. What could not be sent before is tried again meanwhile. Ctrl-C ends it; nothing is lost.

Examples:
  eko listen
  eko --json listen | jq -r .text
  eko listen --once              what is there now, then done";

/// What clap reads.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct Listen {
    /// Show what is there, and end
    #[arg(long)]
    once: bool,
    /// The longest pause between two looks into the mailbox, in seconds; after something came it is one
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
}

impl Listen {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (account, client) = context.client()?;
        let listening = Listening::begin(context, &account, &client, self.every)?;
        if self.once {
            return listening.once().await;
        }
        context.out.remark(&format!("Listening for {}. Ctrl-C ends it.", account.handle));
        listening.until_the_end(None).await
    }
}
