//! `eko chat`: shows messages as they arrive, and sends each typed line to one person or group.

use std::io::BufRead;
use std::time::Duration;

use clap::Args;
use eko_client::messenger::MessengerError;
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::context::{Context, HttpMessenger};
use crate::delivery;
use crate::failure::{CommandFailure, Exit};
use crate::listener::{MailboxListener, TypedText};
use crate::people::{Correspondent, conversation, named, own_handle};
use crate::screen::{Screen, TypedInput};

/// The longest pause between two looks into the mailbox while there is no socket. It is short, because a person waits for an
/// answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The number of messages among which former lines are looked for.
const FORMER_MESSAGES: u32 = 500;

const MORE: &str = "\
Each line that you type is one message, and what you paste is one message too. Messages of this \
conversation are shown as they come. If something comes in another one, you are told so, and `eko listen` \
shows it. What somebody wrote to whom you have never written is shown as a request: your first line accepts \
it, and until then they learn neither that it has come nor that you are writing.

At a terminal your contact is told that you are writing, and you see when they are; eko privacy switches \
that off. If their devices are not to be trusted now, you are told so, and what you type is held back until \
you have decided with eko verify. Up and Down bring back what you have written, and Tab completes the name of \
somebody whom you know. Ctrl-D or Ctrl-C ends the chat, and you are told of lines that wait, are held back, or \
are not kept. If there is no input at all, as from /dev/null, the mailbox is read once, and what is there is \
shown.

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
        client.require_not_ended().await.map_err(|error| CommandFailure::from(error).not_kept())?;
        context.require_not_moved(&client).map_err(CommandFailure::not_kept)?;
        let whom = Correspondent::find_addressee(&client, &self.with, self.group).await;
        let whom = whom.map_err(CommandFailure::not_kept)?;
        let mut alarm = None;
        if let Correspondent::Person(person) = &whom
            // Nobody is asked about whom a request is kept of: their server would learn of it.
            && !client.requests()?.iter().any(|request| request.person == *person)
        {
            // A server that gives no answer now is asked again for the first line, which makes them a contact.
            match client.look_for(person).await {
                // What is typed to somebody who is known is held back until that is settled.
                Err(MessengerError::Distrust { actor, why })
                    if client.people()?.contains(&actor) && actor == person.actor() =>
                {
                    alarm = Some(delivery::held_back(&client, person, &why));
                }
                Err(error) if error.retry_after_s().is_none() => {
                    return Err(CommandFailure::from(error).not_kept());
                }
                Ok(()) | Err(_) => {}
            }
        }
        let listening =
            MailboxListener::new(context, &account, &client, LONGEST_PAUSE, Some(whom.conversation()));
        context.out.remark(&format!(
            "You are {} and write to {}. Each line is a message; Ctrl-D ends the chat.",
            own_handle(&client),
            conversation(&client, &whom.conversation())
        ));
        if let Correspondent::Person(person) = &whom
            && let Some(warning) = delivery::unconfirmed(&client, person)
        {
            context.out.prompt(&warning);
        }
        if let Some(alarm) = &alarm {
            context.out.prompt(alarm);
        }
        if client.device().tokens().is_none() {
            let next = format!("eko login {}", account.handle);
            context
                .out
                .prompt(&format!("This device is signed out. What you type is kept, and sent after {next}"));
        }
        let (told, acts) = mpsc::unbounded_channel();
        let screen = match context.out.json {
            true => None,
            false => {
                let former = former_lines(&client, &whom.conversation())?;
                Screen::begin_with_input(told.clone(), former, names(&client)?)
            }
        };
        match screen {
            Some(_) => drop(told),
            None => read_lines(told),
        }
        listening.until_the_end(Some(TypedText { acts, to: whom.clone() }), screen).await?;
        match &whom {
            // It may have been settled meanwhile.
            Correspondent::Person(person) if alarm.is_some() && client.holds_back_from(person)? => {
                let who = named(&client, &person.actor());
                Err(CommandFailure::new(format!("what you write to {who} would be held back"))
                    .next(delivery::verify_each([&*who]))
                    .exit(Exit::NotTrusted))
            }
            _ => Ok(()),
        }
    }
}

/// Returns what this user has written in a conversation, oldest first.
fn former_lines(client: &HttpMessenger, conversation: &str) -> Result<Vec<String>, CommandFailure> {
    let messages = client.history(Some(conversation), FORMER_MESSAGES)?.into_iter();
    let own = messages.map(|message| message.content).filter(|content| content.outgoing);
    Ok(own.map(|content| content.text).filter(|text| !text.is_empty()).collect())
}

/// Returns the names of the people whom this device knows, with their `@`.
fn names(client: &HttpMessenger) -> Result<Vec<String>, CommandFailure> {
    Ok(client
        .people()?
        .iter()
        .map(|actor| named(client, actor))
        .filter(|name| name.starts_with('@'))
        .collect())
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
