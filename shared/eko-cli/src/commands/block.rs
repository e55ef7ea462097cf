//! `eko block`, `eko unblock` and `eko blocked`: whom the user does not want to hear.

use clap::Args;
use eko_client::messenger::{Person, UserBlock};
use eko_protocol::block::BlockedParty;
use serde_json::{Value, json};

use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::partial_handle::{PartialHandle, is_this_machine};
use crate::people::{self, is_called, named};
use crate::show;

const MORE: &str = "\
Nothing of theirs reaches your devices any more, and they are not told: to them it looks as if you did \
not look. It holds on all your devices. What you have received before stays in your history. What your \
devices have not fetched yet, and what comes while they are blocked, is lost. After eko unblock their \
program may say that you have not received it.

A domain stands for everybody there, and for all servers under it: b.example also means chat.b.example. \
With a port, as in b.example:8443, it is that server alone.

Examples:
  eko block @mallory
  eko block @mallory@b.example
  eko block spam.example";

const MORE_OF_UNBLOCK: &str = "\
Examples:
  eko unblock @mallory@b.example
  eko unblock spam.example";

const MORE_OF_BLOCKED: &str = "\
Examples:
  eko blocked
  eko blocked --json";

/// The options of `eko block`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct BlockArgs {
    /// The person or the domain: @bob, @bob@chat.example, chat.example
    #[arg(value_name = "WHO|DOMAIN")]
    whom: String,
}

/// The options of `eko unblock`.
#[derive(Debug, Args)]
#[command(after_help = MORE_OF_UNBLOCK)]
pub(crate) struct UnblockArgs {
    /// The person or the domain: @bob, @bob@chat.example, chat.example
    #[arg(value_name = "WHO|DOMAIN")]
    whom: String,
}

/// The options of `eko blocked`.
#[derive(Debug, Args)]
#[command(after_help = MORE_OF_BLOCKED)]
pub(crate) struct BlockedArgs {}

impl BlockArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        change(context, &self.whom, false).await
    }
}

impl UnblockArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        change(context, &self.whom, true).await
    }
}

impl BlockedArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.client()?;
        for block in client.blocks().await? {
            context.out.result(&text(&client, &block), &object(&block))?;
        }
        Ok(())
    }
}

/// Blocks somebody, or undoes that, and says so.
async fn change(context: &Context, whom: &str, is_undone: bool) -> Result<(), CommandFailure> {
    let (_, client) = context.active_client().await?;
    let party = party(&client, whom, is_undone).await?;
    let is_told = client.change_block(&party, is_undone).await?;
    let who = called(&client, &party);
    let what = match is_undone {
        false => format!(
            "{who} is blocked, on all your devices. To end that: eko unblock {}",
            typed(&client, &party)
        ),
        true => format!("{who} is not blocked."),
    };
    let text = match is_told {
        true => what,
        false => format!("{what}\nYour server does not know it yet. eko listen tells it."),
    };
    let kind = if is_undone { "unblocked" } else { "blocked" };
    context.out.result(&text, &json!({ "type": kind, "object": party.as_str(), "told": is_told }))
}

/// Reads whom a person means: a handle, a domain, or the URL of either. Of somebody who `is_blocked`, no
/// other server is asked.
async fn party(client: &HttpMessenger, whom: &str, is_blocked: bool) -> Result<BlockedParty, CommandFailure> {
    let nobody = |why: String| {
        CommandFailure::new(format!("{whom:?} is neither a person nor a domain: {why}"))
            .next("eko block @bob@chat.example, or eko block chat.example")
            .exit(Exit::Usage)
    };
    if whom.contains("://") {
        return BlockedParty::parse(whom).map_err(|fault| nobody(fault.in_words()));
    }
    if !whom.contains('@') && whom.contains(['.', ':']) && !whom.starts_with("acct:") {
        let host = whom.to_lowercase();
        let scheme = if is_this_machine(&host) { "http" } else { "https" };
        return BlockedParty::parse(&format!("{scheme}://{host}")).map_err(|fault| nobody(fault.in_words()));
    }
    let who: PartialHandle = whom.parse().map_err(nobody)?;
    if is_blocked {
        let is_meant = |party: &BlockedParty| {
            Person::of(party.as_str()).is_some_and(|person| is_called(client, &person, &who))
        };
        let mut blocked = client.blocks().await?.into_iter().map(|block| block.party);
        if let Some(found) = blocked.find(is_meant) {
            return Ok(found);
        }
    }
    Ok(BlockedParty::Actor(people::person(client, &who).await?.actor()))
}

/// Returns the name of a blocked party in a sentence.
fn called(client: &HttpMessenger, party: &BlockedParty) -> String {
    match party {
        BlockedParty::Actor(actor) => named(client, actor),
        BlockedParty::Domain(origin) => format!("everybody at {}", origin.authority()),
    }
}

/// Returns the words that a person types for a blocked party.
fn typed(client: &HttpMessenger, party: &BlockedParty) -> String {
    match party {
        BlockedParty::Actor(actor) => named(client, actor),
        BlockedParty::Domain(origin) => origin.authority().to_owned(),
    }
}

fn text(client: &HttpMessenger, block: &UserBlock) -> String {
    let (since, who) = (show::clock(block.since_ms), called(client, &block.party));
    let typed = typed(client, &block.party);
    match block.is_at_server {
        Some(true) => format!("{since}  {who}"),
        Some(false) => format!(
            "{since}  {who}, on this device only: your server's list lacks it. eko block {typed}, or eko unblock \
             {typed}"
        ),
        None => format!("{since}  {who}, on this device; your server does not answer"),
    }
}

fn object(block: &UserBlock) -> Value {
    let handle = match &block.party {
        BlockedParty::Actor(actor) => Person::of(actor).map(|person| person.handle().to_string()),
        BlockedParty::Domain(_) => None,
    };
    json!({
        "type": "block", "object": block.party.as_str(), "handle": handle, "since": show::instant(block.since_ms),
        "server": block.is_at_server,
    })
}
