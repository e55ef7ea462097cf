//! `eko requests`: shows what strangers wrote, and accepts or declines it.

use clap::{Args, Subcommand};
use eko_client::messenger::{MessageRequest, Person};
use eko_client::store::MOST_OF_STRANGER;
use serde_json::{Value, json};

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
accepts their request, too.

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
        let (account, client) = context.client()?;
        match &self.command {
            None | Some(RequestsCommand::List) => {
                listener::look(context, &account, &client).await?;
                for request in client.requests()? {
                    context.out.result(&text(&client, &request), &object(&request))?;
                }
                Ok(())
            }
            Some(RequestsCommand::Accept { who }) => {
                let person = author(context, &account, &client, who).await?;
                client.accept_contact(&person)?;
                let who = named(&client, &person.actor());
                let text =
                    format!("{who} is a contact now. What they wrote: eko listen, or eko history {who}");
                context.out.result(&text, &json!({ "type": "accepted", "actor": person.actor(), "handle": person.handle().to_string() }))
            }
            Some(RequestsCommand::Decline { who }) => {
                let person = author(context, &account, &client, who).await?;
                client.decline(&person)?;
                let text = format!("What {} wrote is deleted.", named(&client, &person.actor()));
                context.out.result(&text, &json!({ "type": "declined", "actor": person.actor(), "handle": person.handle().to_string() }))
            }
        }
    }
}

/// Finds the author of a request, which may wait in the mailbox. No other server is asked, since the
/// author's would learn of it.
async fn author(
    context: &Context,
    account: &AccountFolder,
    client: &HttpMessenger,
    who: &PartialHandle,
) -> Result<Person, CommandFailure> {
    let find = || {
        let mut authors = client.requests()?.into_iter().map(|request| request.person);
        Ok::<_, CommandFailure>(authors.find(|person| is_called(client, person, who)))
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

fn text(client: &HttpMessenger, request: &MessageRequest) -> String {
    let who = named(client, &request.person.actor());
    let said = request.messages.iter().map(|message| format!("\n{}", show::words(client, message)));
    let more = match is_full(request) {
        true => format!(
            "\n  No more than {MOST_OF_STRANGER} messages of a stranger are kept. What {who} wrote after these is not, and \
             {who} can send it again once you have accepted: eko requests accept {who}"
        ),
        false => String::new(),
    };
    format!("{who} is no contact of yours and wrote:{}{more}", said.collect::<String>())
}

/// True if so much is kept of a stranger that nothing more is.
fn is_full(request: &MessageRequest) -> bool {
    i64::try_from(request.messages.len()).is_ok_and(|count| count >= MOST_OF_STRANGER)
}

fn object(request: &MessageRequest) -> Value {
    let messages: Vec<Value> = request.messages.iter().map(show::content_object).collect();
    json!({
        "type": "request", "from": request.person.actor(), "messages": messages, "full": is_full(request),
    })
}
