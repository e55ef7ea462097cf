//! `eko report`: shows a message to the operators of two servers.

use clap::Args;
use eko_client::device::ReportOutcome;
use eko_client::messenger::Person;
use eko_client::store::StoredMessage;
use eko_protocol::block::BlockedParty;
use eko_protocol::flag::Flag;
use serde_json::json;

use crate::ask;
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::people::{bare_id, named};
use crate::show;

const MORE: &str = "\
Nobody but you and its author can read a message. A report shows one message, its files' keys included, to the \
operator of your server and to that of its author's, and tells both that you have got it. It proves \
to the author's server that they have sent it. The author is not told by eko. What becomes of the \
report is not told to you either. A message to an account that you have left is reported with eko --as and \
the name of that account.

The report goes to your server. It passes it on to the author's server, if it has delivered the message in \
the last 30 days, and tries for two days if that one does not answer. A message is reported once a day: the \
first report of a day stays as it is, whichever of your devices has made it. 20 messages can be reported in a \
day. The words have 1,024 bytes at most.

The ids of messages: eko history --ids, and of strangers' ones eko requests --json.

Examples:
  eko report 1b4e28ba --reason \"a threat\"
  eko report 1b4e28ba --block";

/// The options of `eko report`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ReportArgs {
    /// The message's id, or the beginning of it
    #[arg(value_name = "ID")]
    id: String,
    /// Your words to the operators
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Block its author, too
    #[arg(long)]
    block: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl ReportArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        if let Err(fault) = self.reason.as_deref().map_or(Ok(()), Flag::check_reason) {
            return Err(CommandFailure::new(format!("--reason {}", fault.detail))
                .next("eko report --help")
                .exit(Exit::Usage));
        }
        let (_, client) = context.active_client().await?;
        let content = received_message(&client, &self.id)?.content;
        let excerpt = show::excerpt_of(&content.text);
        let who = named(&client, &content.actor);
        match client.reporter_of(&content.actor, &content.id)? {
            Some(reporter) if reporter == client.me().actor() => {}
            Some(former) => return Err(self.of_former(&client, &former, (&excerpt, &who))),
            None => {
                let what = format!("{excerpt} cannot be reported: nothing proves that {who} has sent it");
                return Err(CommandFailure::new(what)
                    .next(format!("eko block {who}, which keeps {who} away without a report")));
            }
        }
        let operators = operators(&client, &content.actor);
        if !self.yes {
            let shown = [
                (content.conversation != content.actor, "its group's number"),
                (!content.attachments.is_empty(), "the keys of its files"),
            ];
            let shown = shown.into_iter().filter(|(is_there, _)| *is_there);
            let shown: String = shown.map(|(_, what)| format!(" and {what}")).collect();
            let question = format!(
                "{excerpt}, by {who}, is shown to {operators}, with your name as its recipient{shown}. Nobody \
                 else sees it, and no other message is shown. Report it?",
            );
            ask::yes(context, &question, &format!("eko report {} --yes", self.id))?;
        }
        let is_repeated = match client.report(&content.actor, &content.id, self.reason.as_deref()).await? {
            None => return Err(CommandFailure::new(format!("{excerpt} cannot be reported"))),
            Some(outcome) => outcome == ReportOutcome::Repeated,
        };
        let (own, theirs) = servers(&client, &content.actor);
        let mut text = match theirs {
            _ if is_repeated => format!(
                "You have reported {excerpt} today already. That report stays as it was, and no other one is kept."
            ),
            None => format!("The report of {excerpt} was handed to the operator of {own}."),
            Some(theirs) => format!(
                "The report of {excerpt} was handed to your server, {own}, which passes it on to {theirs} if it \
                 has delivered the message in the last 30 days."
            ),
        };
        if self.block {
            client.change_block(&BlockedParty::Actor(content.actor.clone()), false).await?;
            text.push_str(&format!(
                "\n{who} is blocked, on all your devices. To end that: eko unblock {who}"
            ));
        }
        let object = json!({
            "type": "reported", "id": content.id, "actor": content.actor, "blocked": self.block,
            "repeated": is_repeated,
        });
        context.out.result(&text, &object)
    }

    /// Refuses to report a message to an account that the user has left.
    fn of_former(
        &self,
        client: &HttpMessenger,
        former: &str,
        (excerpt, who): (&str, &str),
    ) -> CommandFailure {
        let handle = Person::of(former)
            .map(|former| client.handle_of(&former).unwrap_or_else(|_| former.handle()).to_string());
        let handle = handle.unwrap_or_else(|| former.to_owned());
        let what = format!(
            "{excerpt} was sent to {handle}, the account that you have left, and only that one can report it"
        );
        let block =
            if self.block { format!(", and for this account eko block {who}") } else { String::new() };
        let name = handle.trim_start_matches('@');
        CommandFailure::new(what).next(format!("eko --as {name} report {}{block}", self.id))
    }
}

/// Returns the user's own server, and that of `actor` if it is another one.
fn servers(client: &HttpMessenger, actor: &str) -> (String, Option<String>) {
    let own = client.device().origin().authority().to_owned();
    let theirs = Person::of(actor).map(|person| person.origin.authority().to_owned());
    let theirs = theirs.filter(|theirs| *theirs != own);
    (own, theirs)
}

/// Returns the operators who get a report of a message of `actor`, in words.
fn operators(client: &HttpMessenger, actor: &str) -> String {
    match servers(client, actor) {
        (own, Some(theirs)) => format!("the operators of {own} and {theirs}"),
        (own, None) => format!("the operator of {own}"),
    }
}

/// Returns the one message of somebody else whose id begins with these letters.
fn received_message(client: &HttpMessenger, typed: &str) -> Result<StoredMessage, CommandFailure> {
    let beginning = bare_id(typed);
    let failure = |what: String| CommandFailure::new(what).next("eko history --ids").exit(Exit::Usage);
    if beginning.is_empty() {
        return Err(failure("a message has no empty id".to_owned()));
    }
    let mut found = client.received_messages(beginning)?;
    match (found.pop(), found.len()) {
        (Some(message), 0) => Ok(message),
        (None, _) => Err(failure(format!("nobody has sent you a message whose id begins with {typed:?}"))),
        (Some(_), more) => Err(failure(format!(
            "the ids of {} messages begin with {typed:?}: type more letters",
            more.saturating_add(1)
        ))),
    }
}
