//! Changes of groups, and who has heard of them.

use std::collections::BTreeSet;

use eko_client::group::{GroupId, Proposal};
use eko_client::messenger::{Distrust, MessengerError, Person, SentActivity, Trust};
use eko_client::store::EnvelopeState;
use serde_json::json;

use super::{Command, object};
use crate::context::{Client, Context};
use crate::delivery::{Outcome, wait_for};
use crate::failure::{Exit, Failure};
use crate::people::{group, named, person, short};
use crate::progress::Progress;
use crate::show::{envelope_object, word};
use crate::who::Who;

/// A change that was made, by the library's words for it and by ours.
struct Changed {
    id: GroupId,
    sent: SentActivity,
    word: &'static str,
    text: String,
}

pub(super) async fn run(
    context: &Context,
    client: Client,
    command: &Command,
    wait_s: u64,
) -> Result<(), Failure> {
    let progress = Progress::new(context.out);
    let stepping = progress.clone();
    let client = client.watched(move |step| stepping.step(step));
    let changed = changed(&client, command).await;
    let done = match changed {
        Ok(changed) => {
            let sent = wait_for(&client, &progress, changed.sent, wait_s).await;
            sent.map(|sent| Changed { sent, ..changed })
        }
        Err(failure) => Err(failure),
    };
    progress.done();
    tell(context, &client, &done?)
}

async fn changed(client: &Client, command: &Command) -> Result<Changed, Failure> {
    let (name, proposal, word, text) = match command {
        Command::List | Command::Show { .. } => return Err(Failure::new("that changes nothing")),
        Command::Create { name, members } => {
            // A second group of the name would be hard to tell from the first.
            if client.groups()?.iter().any(|group| group.member && group.state.name() == name) {
                let what = format!("you are in a group {name:?} already");
                return Err(Failure::new(what).next(format!("eko groups show {name:?}")).exit(Exit::Usage));
            }
            let members = reachable(client, members).await?;
            let (id, sent) = client.create_group(name, &members).await?;
            let text = format!("The group {name} ({}) is there, and you are its admin.", short(&id));
            return Ok(Changed { id, sent, word: "created", text });
        }
        Command::Add { name, members } => {
            let people = reachable(client, members).await?;
            let text = format!("{} {} in {name} now.", names(client, &people), is_are(&people));
            (name, Proposal::Add(actors(&people)), "added", text)
        }
        Command::Remove { name, members } => {
            let people = known(client, members).await?;
            let text = format!(
                "{} {} not in {name} any more, and not told.",
                names(client, &people),
                is_are(&people)
            );
            (name, Proposal::Remove(actors(&people)), "removed", text)
        }
        Command::Rename { name, new } => {
            (name, Proposal::Rename(new.clone()), "renamed", format!("{name} is {new} now."))
        }
        Command::Promote { name, members } => {
            let people = known(client, members).await?;
            let text = format!("{} {} an admin of {name} now.", names(client, &people), is_are(&people));
            let text = if people.len() > 1 { text.replace(" an admin of", " admins of") } else { text };
            (name, Proposal::Promote(actors(&people)), "promoted", text)
        }
        Command::Leave { name } => {
            (name, Proposal::Leave, "left", format!("You are not in {name} any more."))
        }
    };
    let id = group(client, name)?.state.id().clone();
    let sent = client.change_group(&id, proposal).await?;
    Ok(Changed { id, sent, word, text })
}

/// People who are there, and whose devices are trusted: whoever cannot be told of a group should not be in it.
async fn reachable(client: &Client, whom: &[Who]) -> Result<Vec<Person>, Failure> {
    let people = known(client, whom).await?;
    for person in people.iter().filter(|person| **person != client.me()) {
        let found = client.verification(person).await?;
        if found.trust == Trust::Reset {
            let why = Distrust::Reset { verified: false };
            return Err(MessengerError::Distrust { actor: person.actor(), why }.into());
        }
    }
    Ok(people)
}

async fn known(client: &Client, whom: &[Who]) -> Result<Vec<Person>, Failure> {
    let mut people = Vec::with_capacity(whom.len());
    for who in whom {
        people.push(person(client, who).await?);
    }
    Ok(people)
}

fn actors(people: &[Person]) -> BTreeSet<String> {
    people.iter().map(Person::actor).collect()
}

fn names(client: &Client, people: &[Person]) -> String {
    people.iter().map(|person| named(client, &person.actor())).collect::<Vec<_>>().join(", ")
}

fn is_are(people: &[Person]) -> &'static str {
    if people.len() == 1 { "is" } else { "are" }
}

fn tell(context: &Context, client: &Client, changed: &Changed) -> Result<(), Failure> {
    let outcome = Outcome::of(client, &changed.sent);
    let mut text = changed.text.clone();
    if !outcome.told.is_empty() {
        text.push_str(&format!(" Told: {}.", outcome.told.join(", ")));
    }
    if !outcome.queued.is_empty() {
        text.push_str(&format!(
            " Your server will try for 48 hours to tell, whose servers are out of reach: {}.",
            outcome.queued.join(", ")
        ));
    }
    // It is changed here, whoever could not be told.
    let group = client.groups()?.into_iter().find(|group| *group.state.id() == changed.id);
    let group = group.ok_or_else(|| Failure::new("the group is gone"))?;
    let envelopes: Vec<_> = changed.sent.envelopes.iter().map(envelope_object).collect();
    let mut object = object(client, &group);
    object["change"] = json!(changed.word);
    object["state"] = json!(word(outcome.state));
    object["envelopes"] = json!(envelopes);
    context.out.result(&text, &object)?;
    let Some(failure) = outcome.failure("the change is made here, and ") else { return Ok(()) };
    Err(match outcome.state {
        EnvelopeState::Failed => {
            failure.next("eko groups remove them, and add them again when they can be reached")
        }
        _ => failure,
    })
}
