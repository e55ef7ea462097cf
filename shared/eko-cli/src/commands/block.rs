//! `eko block`, `eko unblock` and `eko blocked`: whom the user does not want to hear.

use clap::Args;
use eko_client::messenger::{MessengerError, Person, UserBlock};
use eko_protocol::block::BlockedParty;
use serde_json::{Value, json};

use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::listener;
use crate::partial_handle::{PartialHandle, is_this_machine};
use crate::people::{self, is_called, named};
use crate::show;

const MORE: &str = "\
Nothing of theirs reaches your devices any more, and they are not told: to them it looks as if you did \
not look. It holds on all your devices. What you have received before stays in your history. What your \
devices have not fetched yet, and what comes while they are blocked, is lost. Nobody is told so, not even \
after eko unblock.

A domain stands for everybody there, and for all servers under it: b.example also means chat.b.example. \
With a port, as in b.example:8443, it is that server alone.

Somebody who has moved is blocked, and unblocked, with all accounts of which this device knows.

A server is asked whether there is such a person, unless you know them. The address of somebody who has \
gone, or whose server is down, is blocked without asking.

Examples:
  eko block @mallory
  eko block @mallory@b.example
  eko block https://b.example/user/mallory
  eko block spam.example";

const MORE_OF_UNBLOCK: &str = "\
Examples:
  eko unblock @mallory@b.example
  eko unblock spam.example";

const MORE_OF_BLOCKED: &str = "\
Your server is asked for its list, too. If that lacks a block of this device, the mailbox is read: another \
device of yours may have ended it.

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
        let (account, client) = context.client()?;
        let mut blocks = client.blocks().await?;
        if blocks.all.iter().any(|block| block.is_at_server == Some(false)) {
            // Another device may have ended it, which the mailbox says.
            listener::look(context, &account, &client).await?;
            blocks = client.blocks().await?;
        }
        for block in &blocks.all {
            context.out.result(&text(&client, block), &object(block))?;
        }
        // The command itself fails with the end of the device.
        if let Some(problem) = blocks.problem.filter(|problem| !problem.is_end()) {
            let unread = "your server's list was not read, so this is what this device has: ";
            let failure = CommandFailure::from(problem).led_by(unread);
            context.out.failure(&context.explained(failure));
        }
        Ok(())
    }
}

/// Blocks somebody, or undoes that, and says so.
async fn change(context: &Context, whom: &str, is_undone: bool) -> Result<(), CommandFailure> {
    let (_, client) = context.acting_client().await?;
    let FoundParty { party, deleted } = match is_undone {
        true => FoundParty { party: blocked_party(&client, whom).await?, deleted: None },
        false => party(context, &client, whom).await?,
    };
    let is_told = client.change_block(&party, is_undone).await.map_err(|error| {
        let is_own = matches!(error, MessengerError::Invalid(_));
        let failure = CommandFailure::from(error);
        if is_own {
            let next = "name another person or domain; eko blocked lists whom you block";
            failure.next(next).exit(Exit::Usage)
        } else {
            failure
        }
    })?;
    let who = called(&client, &party);
    let typed = typed_words(&client, &party);
    let what = match (is_undone, &deleted) {
        (false, None) => format!("{who} is blocked, on all your devices. To end that: eko unblock {typed}"),
        (false, Some(handle)) => format!(
            "The account of {handle} was deleted, so nothing more comes. {who} is blocked all the same, on all your \
             devices. To end that: eko unblock {typed}"
        ),
        (true, _) => format!("{who} is no longer blocked."),
    };
    let text = match is_told {
        true => what,
        false => format!("{what}\nYour server does not know it yet. eko listen tells it."),
    };
    let kind = if is_undone { "unblocked" } else { "blocked" };
    let mut object = json!({ "type": kind, "object": party.as_str(), "told": is_told });
    if deleted.is_some() {
        object["deleted"] = json!(true);
    }
    context.out.result(&text, &object)
}

/// The party that a person means.
struct FoundParty {
    party: BlockedParty,
    /// The handle of a person whose account was deleted.
    deleted: Option<String>,
}

impl From<BlockedParty> for FoundParty {
    fn from(party: BlockedParty) -> Self {
        Self { party, deleted: None }
    }
}

/// The party that a person has typed.
enum TypedParty {
    /// A person, by a handle.
    Person(PartialHandle),
    /// An address, or a domain, about which nobody is asked.
    Address(BlockedParty),
}

/// Reads whom a person means: a handle, a domain, or the URL of either.
fn typed_party(whom: &str) -> Result<TypedParty, CommandFailure> {
    let nobody = |why: String| {
        CommandFailure::new(format!("{whom:?} is neither a person nor a domain: {why}"))
            .next("eko block @bob@chat.example, or eko block chat.example")
            .exit(Exit::Usage)
    };
    let address = |url: &str| {
        BlockedParty::parse(url).map(TypedParty::Address).map_err(|fault| nobody(fault.in_words()))
    };
    if whom.contains("://") {
        return address(whom);
    }
    if !whom.contains('@') && whom.contains(['.', ':']) && !whom.starts_with("acct:") {
        let host = whom.to_lowercase();
        let scheme = if is_this_machine(&host) { "http" } else { "https" };
        return address(&format!("{scheme}://{host}"));
    }
    whom.parse().map(TypedParty::Person).map_err(nobody)
}

/// Finds whom to block. Their server is asked whether there is such a person, unless this device knows them.
async fn party(context: &Context, client: &HttpMessenger, whom: &str) -> Result<FoundParty, CommandFailure> {
    let who = match typed_party(whom)? {
        TypedParty::Address(party) => return Ok(party.into()),
        TypedParty::Person(who) => who,
    };
    let unasked = |failure: CommandFailure| {
        let what = format!("{failure}; nobody is blocked");
        let next = format!(
            "check the name; eko block {} blocks that address of an Eko server without asking",
            address(client, &who)
        );
        CommandFailure::new(what).next(next).exit(failure.ends_with())
    };
    // What they sent before may be on its way.
    let deleted = |handle: String| {
        let address = BlockedParty::parse(&address(client, &who));
        let party = address.map_err(|fault| unasked(CommandFailure::new(fault.in_words())))?;
        Ok(FoundParty { party, deleted: Some(handle) })
    };
    let person = match people::found(client, &who).await? {
        Ok(person) => person,
        Err(MessengerError::PersonDeleted(handle)) => return deleted(handle),
        Err(error) => return Err(unasked(error.into())),
    };
    let actor = person.actor();
    // Another server was asked already, if this device does not know them.
    if person.origin == client.me().origin && person != client.me() && !is_known(client, &person)? {
        match client.is_user_here(&person).await {
            Ok(true) => {}
            Ok(false) => {
                return Err(unasked(MessengerError::NoSuchPerson(person.handle().to_string()).into()));
            }
            Err(MessengerError::PersonDeleted(handle)) => return deleted(handle),
            Err(error) => context.out.prompt(&format!(
                "Your server does not say whether there is {}, who is blocked all the same: {}",
                named(client, &actor),
                CommandFailure::from(error)
            )),
        }
    }
    Ok(BlockedParty::Actor(actor).into())
}

/// Returns the actor id of a person on an Eko server that calls itself as its host does.
fn address(client: &HttpMessenger, who: &PartialHandle) -> String {
    let own = client.me().origin;
    let server = who.server(who.host.is_none().then_some(own.as_str()));
    format!("{server}/user/{}", who.user)
}

/// True if this device knows a person, who may have gone since.
fn is_known(client: &HttpMessenger, person: &Person) -> Result<bool, CommandFailure> {
    let actor = person.actor();
    Ok(client.people()?.contains(&actor)
        || client.requests()?.iter().any(|request| request.person == *person)
        || !client.history(Some(&actor), 1)?.is_empty())
}

/// Finds whom to block no longer. Nobody but the own server is asked.
async fn blocked_party(client: &HttpMessenger, whom: &str) -> Result<BlockedParty, CommandFailure> {
    let typed = typed_party(whom)?;
    let blocked: Vec<BlockedParty> =
        client.blocks().await?.all.into_iter().map(|block| block.party).collect();
    if let Some(end) = client.device_end()? {
        return Err(MessengerError::from(end).into());
    }
    let is_meant = |party: &BlockedParty| match &typed {
        TypedParty::Address(typed) => party == typed,
        TypedParty::Person(who) => {
            Person::of(party.as_str()).is_some_and(|person| is_called(client, &person, who))
        }
    };
    if let Some(found) = blocked.iter().find(|party| is_meant(party)) {
        return Ok(found.clone());
    }
    let (called, domain) = match &typed {
        TypedParty::Address(party) => (called(client, party), None),
        TypedParty::Person(who) => {
            let actor = address(client, who);
            (who.to_string(), blocked.iter().find(|party| party.covers(&actor)))
        }
    };
    let failure = |what: String| CommandFailure::new(what).exit(Exit::Usage);
    Err(match domain {
        Some(domain) => {
            failure(format!("{called} is blocked with everybody at {}", typed_words(client, domain)))
                .next(format!("eko unblock {}", typed_words(client, domain)))
        }
        None => failure(format!("{called} is not blocked, so there is nothing to end")).next("eko blocked"),
    })
}

/// Returns the name of a blocked party in a sentence.
fn called(client: &HttpMessenger, party: &BlockedParty) -> String {
    match party {
        BlockedParty::Actor(actor) => named(client, actor),
        BlockedParty::Domain(origin) => format!("everybody at {}", origin.authority()),
    }
}

/// Returns the words that a person types for a blocked party.
fn typed_words(client: &HttpMessenger, party: &BlockedParty) -> String {
    match party {
        BlockedParty::Actor(actor) => named(client, actor),
        BlockedParty::Domain(origin) => origin.authority().to_owned(),
    }
}

fn text(client: &HttpMessenger, block: &UserBlock) -> String {
    let (since, who) = (show::clock(block.since_ms), called(client, &block.party));
    let typed = typed_words(client, &block.party);
    match block.is_at_server {
        Some(true) => format!("{since}  {who}"),
        Some(false) => format!(
            "{since}  {who}, on this device only: your server's list lacks it. eko unblock {typed} ends it, and eko \
             block {typed} tells your server again"
        ),
        None => format!("{since}  {who}, on this device"),
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
