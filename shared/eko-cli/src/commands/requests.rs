//! `eko requests`: shows what strangers wrote, and accepts or declines it.

use clap::{Args, Subcommand};
use eko_client::messenger::MessageRequest;
use serde_json::json;

use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::home::AccountFolder;
use crate::listener;
use crate::partial_handle::PartialHandle;
use crate::people::{is_called, named};
use crate::show;

const MORE: &str = "\
What somebody writes to whom you have never written is a request. It is in no conversation, its author \
does not learn that it arrived, and nothing is fetched from the author's server. Writing to somebody \
accepts their request, too, and so does `eko verify` with --accept or --confirm; `eko chat` shows it, and \
accepts it with the first line that you send. What you accept or decline on one device is accepted or \
declined on all your devices, as soon as they listen. If you do both at the same time on two of them, it is \
accepted.

No more than 20 messages of one stranger are kept. Once you have accepted them, `eko listen` asks the \
stranger's program to send what was not kept again, 20 messages at a time.

Examples:
  eko requests
  eko requests accept @dave@chat.example
  eko requests decline @mallory@chat.example";

/// The options of `eko requests`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct RequestsArgs {
    #[command(subcommand)]
    command: Option<RequestsCommand>,
}

#[derive(Debug, Subcommand)]
enum RequestsCommand {
    /// List what strangers wrote; `eko requests` alone does the same
    List,
    /// Take someone as a contact, and put what they wrote into your conversations
    Accept {
        /// The person: @bob, @bob@chat.example
        #[arg(value_name = "WHO")]
        who: PartialHandle,
    },
    /// Delete what a stranger wrote; they are told nothing, and may write again
    Decline {
        /// The person: @bob, @bob@chat.example
        #[arg(value_name = "WHO")]
        who: PartialHandle,
    },
}

impl RequestsArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (account, client) = match &self.command {
            None | Some(RequestsCommand::List) => context.client()?,
            Some(_) => context.acting_client().await?,
        };
        match &self.command {
            None | Some(RequestsCommand::List) => {
                listener::look(context, &account, &client).await?;
                for request in client.requests()? {
                    context.out.result(&show::request(&client, &request), &show::request_object(&request))?;
                }
                Ok(())
            }
            Some(RequestsCommand::Accept { who }) => {
                let MessageRequest { person, not_kept, messages } =
                    request(context, &account, &client, who).await?;
                client.accept_contact(&person)?;
                tell_other_devices(&client).await?;
                let who = named(&client, &person.actor());
                let asked = match not_kept {
                    0 => String::new(),
                    _ if messages.is_empty() => format!(
                        "\nThis device could not read it. eko listen asks their program to send {} again; if it does \
                         not, ask {who}",
                        show::asked_for(not_kept),
                    ),
                    _ => format!(
                        "\n{} that {who} wrote after these {} not kept. eko listen asks their program to send {} again; if \
                         it does not, ask {who}",
                        show::messages_not_kept(not_kept),
                        if not_kept == 1 { "was" } else { "were" },
                        show::asked_for(not_kept),
                    ),
                };
                let text = format!(
                    "{who} is a contact now. What they wrote: eko listen, or eko history {who}{asked}"
                );
                context.out.result(
                    &text,
                    &json!({
                        "type": "accepted", "actor": person.actor(), "handle": person.handle().to_string(),
                        "notKept": not_kept,
                    }),
                )
            }
            Some(RequestsCommand::Decline { who }) => {
                let person = request(context, &account, &client, who).await?.person;
                client.decline(&person)?;
                tell_other_devices(&client).await?;
                let text = format!("What {} wrote is deleted.", named(&client, &person.actor()));
                context.out.result(&text, &json!({ "type": "declined", "actor": person.actor(), "handle": person.handle().to_string() }))
            }
        }
    }
}

/// Tells the user's other devices of the decision. Without an answer of the server `eko listen` tells them.
async fn tell_other_devices(client: &HttpMessenger) -> Result<(), CommandFailure> {
    match client.tell_decisions().await {
        Err(error) if error.retry_after_s().is_none() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Finds the request of an author, which may wait in the mailbox. No other server is asked, since the
/// author's would learn of it.
async fn request(
    context: &Context,
    account: &AccountFolder,
    client: &HttpMessenger,
    who: &PartialHandle,
) -> Result<MessageRequest, CommandFailure> {
    let find = || {
        let mut requests = client.requests()?.into_iter();
        Ok::<_, CommandFailure>(requests.find(|request| is_called(client, &request.person, who)))
    };
    let mut found = find()?;
    if found.is_none() {
        listener::look(context, account, client).await?;
        found = find()?;
    }
    found.ok_or_else(|| {
        CommandFailure::new(format!("there is no request of {who}")).next("eko requests").exit(Exit::Usage)
    })
}
