//! `eko chat`: shows messages as they arrive, and sends each typed line to one person or group.

use std::io::BufRead;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::context::Context;
use crate::delivery;
use crate::failure::CommandFailure;
use crate::listener::{MailboxListener, TypedText};
use crate::people::{Correspondent, conversation};
use crate::screen::{Screen, TypedInput};

/// The longest pause between two looks into the mailbox while there is no socket. It is short, because a person waits for an
/// answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

const MORE: &str = "\
Each line that you type is one message, and what you paste is one message too. Messages from anyone are \
shown as `eko listen` shows them. At a terminal your contact is told that you are writing, and you see when \
they are; eko privacy switches that off. Ctrl-D or Ctrl-C ends the chat.

Examples:
  eko chat @bob
  eko chat --group Friday";

/// The options of `eko chat`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ChatArgs {
    /// The person to chat with: @bob, @bob@chat.example; or with --group the name of a group
    #[arg(value_name = "WITH")]
    with: String,
    /// WITH is a group
    #[arg(long, short)]
    group: bool,
}

impl ChatArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (account, client) = context.client()?;
        let whom = Correspondent::find_addressee(&client, &self.with, self.group).await?;
        if let Correspondent::Person(person) = &whom {
            // Whoever chats with somebody wants to see what they write.
            client.add_contact(person).await?;
        }
        let listening = MailboxListener::begin(context, &account, &client, LONGEST_PAUSE)?;
        context.out.remark(&format!(
            "You are {} and write to {}. Each line is a message; Ctrl-D ends the chat.",
            account.handle,
            conversation(&client, &whom.conversation())
        ));
        if let Correspondent::Person(person) = &whom
            && let Some(warning) = delivery::unconfirmed(&client, person)
        {
            context.out.prompt(&warning);
        }
        let (told, acts) = mpsc::unbounded_channel();
        let screen = if context.out.json { None } else { Screen::begin_with_input(told.clone()) };
        match screen {
            Some(_) => drop(told),
            None => read_lines(told),
        }
        listening.until_the_end(Some(TypedText { acts, to: whom }), screen).await
    }
}

/// Reads whole lines from standard input, until its end.
fn read_lines(told: UnboundedSender<TypedInput>) {
    // A thread and not a task: a read of standard input cannot be cancelled, and the process does not
    // wait for a thread when it ends.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if told.send(TypedInput::Line(line)).is_err() {
                return;
            }
        }
    });
}
