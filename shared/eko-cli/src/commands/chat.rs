//! `eko chat`: messages as they come, and what is typed goes to one person or group.

use std::io::BufRead;

use clap::Args;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::failure::Failure;
use crate::listening::{Listening, Typed};
use crate::people::Whom;

const MORE: &str = "\
Each line that you type is a message. Messages of others are shown too, as `eko listen` shows them. Ctrl-D or Ctrl-C
ends it.

Examples:
  eko chat @bob
  eko chat --group Friday";

/// What clap reads.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct Chat {
    /// With whom: @bob, @bob@chat.example, or with --group the name of a group
    #[arg(value_name = "WITH")]
    with: String,
    /// WITH is a group
    #[arg(long, short)]
    group: bool,
}

impl Chat {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (account, client) = context.client()?;
        let whom = Whom::find(&client, &self.with, self.group).await?;
        let listening = Listening::begin(context, &account, &client, 3)?;
        context.out.remark(&format!(
            "You are {} and write to {}. A line is a message; Ctrl-D ends it.",
            account.handle,
            crate::people::conversation(&client, &whom.conversation())
        ));
        let (lines, typed) = mpsc::unbounded_channel();
        // Not a task: nothing can end a read of standard input but its end, and the process does not wait for it.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        listening.until_the_end(Some(Typed { lines: typed, to: whom })).await
    }
}
