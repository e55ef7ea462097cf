//! The subcommands of `eko groups` that change a group, and the report of who was told of the
//! change.

use std::collections::BTreeSet;

use clap::Subcommand;
use eko_client::group::{GroupId, Proposal};
use eko_client::messenger::{Distrust, MessengerError, Person, SentActivity, Trust};
use eko_client::store::EnvelopeState;
use serde_json::json;

use super::object;
use crate::context::{Context, HttpMessenger};
use crate::delivery::{DeliverySummary, removal, wait_for};
use crate::failure::{CommandFailure, Exit};
use crate::listener;
use crate::partial_handle::PartialHandle;
use crate::people::{conversation, group_argument, invited_group, joined_group, named, person, short};
use crate::progress::ProgressLine;
use crate::show::{sent_object, word};

const NAME: &str = "The group's name, or the beginning of its id";
const MEMBERS: &str = "The people: @bob, @bob@chat.example";

/// The subcommands that change a group.
#[derive(Debug, Subcommand)]
pub(super) enum ChangeCommand {
    /// Create a group, and become its admin
    Create {
        /// The name of the group
        #[arg(value_name = "NAME")]
        name: String,
        /// The other members: @bob, @bob@chat.example
        #[arg(value_name = "WHO", required = true)]
        members: Vec<PartialHandle>,
    },
    /// Accept an invitation to a group, and tell its members
    Join {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        /// Follow the invitation of this person, if there are several; or go over to this person's
        /// history of a group that you are in
        #[arg(long, value_name = "WHO")]
        by: Option<PartialHandle>,
    },
    /// Invite people
    Add {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        #[arg(value_name = "WHO", required = true, help = MEMBERS)]
        members: Vec<PartialHandle>,
    },
    /// Remove people, and change the group's key; eko does not tell them
    Remove {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        #[arg(value_name = "WHO", required = true, help = MEMBERS)]
        members: Vec<PartialHandle>,
    },
    /// Give the group another name
    Rename {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        /// The new name
        #[arg(value_name = "NEW")]
        new: String,
    },
    /// Make members admins
    Promote {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
        #[arg(value_name = "WHO", required = true, help = MEMBERS)]
        members: Vec<PartialHandle>,
    },
    /// Leave the group
    Leave {
        #[arg(value_name = "NAME", help = NAME)]
        name: String,
    },
}

/// A change that was made on this device and sent to the members.
struct MadeChange {
    id: GroupId,
    sent: SentActivity,
    /// The word for it in JSON.
    word: &'static str,
    /// The sentence for a person.
    text: String,
}

pub(super) async fn run(
    context: &Context,
    client: HttpMessenger,
    command: &ChangeCommand,
    wait_s: u64,
) -> Result<(), CommandFailure> {
    let progress = ProgressLine::new(context.out);
    let stepping = progress.clone();
    let client = client.watched(move |step| stepping.step(step));
    let done = match make(context, &client, command).await {
        Ok(made) => {
            let sent = wait_for(&client, &progress, made.sent, wait_s).await;
            sent.map(|sent| MadeChange { sent, ..made })
        }
        Err(failure) => Err(failure),
    };
    progress.done();
    tell(context, &client, &done?)
}

async fn make(
    context: &Context,
    client: &HttpMessenger,
    command: &ChangeCommand,
) -> Result<MadeChange, CommandFailure> {
    match command {
        ChangeCommand::Create { name, members } => create(client, name, members).await,
        ChangeCommand::Join { name, by } => join(context, client, name, by.as_ref()).await,
        ChangeCommand::Add { name, members } => {
            let group = ChosenGroup::find(client, name)?;
            let people = reachable(client, members).await?;
            let (who, are) = (names(client, &people), is_are(&people));
            let text = format!("{who} {are} invited to {}.", group.called);
            if group.members.is_superset(&actors(&people)) {
                let typed = &group.typed;
                let next = format!(
                    "eko groups show {typed}; to invite again who has declined: eko groups remove {typed} {who}, then \
                     eko groups add {typed} {who}"
                );
                let what = format!("{who} {are} in {} already", group.called);
                return Err(CommandFailure::new(what).next(next).exit(Exit::Usage));
            }
            group.change(context, client, Proposal::Add(actors(&people)), "added", text).await
        }
        ChangeCommand::Remove { name, members } => {
            let group = ChosenGroup::find(client, name)?;
            let people = find_all(client, members).await?;
            let (who, are, called) = (names(client, &people), is_are(&people), &group.called);
            let text = format!("{who} {are} not in {called} any more, and not told.");
            group.change(context, client, Proposal::Remove(actors(&people)), "removed", text).await
        }
        ChangeCommand::Rename { name, new } => {
            let group = ChosenGroup::find(client, name)?;
            let text = format!("{} is {new} now.", group.called);
            group.change(context, client, Proposal::Rename(new.clone()), "renamed", text).await
        }
        ChangeCommand::Promote { name, members } => {
            let group = ChosenGroup::find(client, name)?;
            let people = find_all(client, members).await?;
            let text = match &people[..] {
                [one] => format!("{} is an admin of {} now.", named(client, &one.actor()), group.called),
                several => format!("{} are admins of {} now.", names(client, several), group.called),
            };
            group.change(context, client, Proposal::Promote(actors(&people)), "promoted", text).await
        }
        ChangeCommand::Leave { name } => {
            let group = ChosenGroup::find(client, name)?;
            let text = format!("You are not in {} any more.", group.called);
            group.change(context, client, Proposal::Leave, "left", text).await
        }
    }
}

/// The group that a person has named, and that the user is in.
struct ChosenGroup {
    id: GroupId,
    /// The group's name for a person.
    called: String,
    /// The words that a person types for it.
    typed: String,
    /// The actor ids of its members.
    members: BTreeSet<String>,
}

impl ChosenGroup {
    fn find(client: &HttpMessenger, name: &str) -> Result<Self, CommandFailure> {
        let state = joined_group(client, name)?.state;
        let (id, members) = (state.id().clone(), state.members().clone());
        let (called, typed) = (conversation(client, id.as_str()), group_argument(client, id.as_str()));
        Ok(Self { id, called, typed, members })
    }

    async fn change(
        self,
        context: &Context,
        client: &HttpMessenger,
        proposal: Proposal,
        word: &'static str,
        text: String,
    ) -> Result<MadeChange, CommandFailure> {
        let Self { id, typed, .. } = self;
        let changed = client.change_group(&id, proposal).await;
        let changed = changed.map_err(|error| failed(error).for_group(&typed))?;
        for notice in &changed.notices {
            listener::tell(context, client, notice)?;
        }
        Ok(MadeChange { id, sent: changed.sent, word, text })
    }
}

/// Converts an error of a change. What breaks a rule for groups is the wrong input of a person.
fn failed(error: MessengerError) -> CommandFailure {
    match error {
        MessengerError::Invalid(invalid) => {
            let what = invalid.to_string();
            let named = what.strip_prefix("/name: ").map(|rule| format!("the name of a group {rule}"));
            CommandFailure::new(named.unwrap_or(what)).exit(Exit::Usage)
        }
        other => other.into(),
    }
}

async fn join(
    context: &Context,
    client: &HttpMessenger,
    name: &str,
    by: Option<&PartialHandle>,
) -> Result<MadeChange, CommandFailure> {
    let id = invited_group(client, name)?;
    let by = match by {
        Some(who) => Some(person(client, who).await?),
        None => None,
    };
    let typed = group_argument(client, id.as_str());
    let joined = client.join_group(&id, by.as_ref()).await;
    let joined = joined.map_err(|error| CommandFailure::from(error).for_group(&typed))?;
    for notice in &joined.notices {
        listener::tell(context, client, notice)?;
    }
    let text = format!("You are in {} now.", conversation(client, id.as_str()));
    Ok(MadeChange { id, sent: joined.sent, word: "joined", text })
}

async fn create(
    client: &HttpMessenger,
    name: &str,
    members: &[PartialHandle],
) -> Result<MadeChange, CommandFailure> {
    // A second group of the same name would be hard to tell from the first.
    if client.groups()?.iter().any(|group| group.member && group.state.name() == name) {
        let what = format!("you are in a group {name:?} already");
        return Err(CommandFailure::new(what).next(format!("eko groups show {name:?}")).exit(Exit::Usage));
    }
    let members = reachable(client, members).await?;
    let (id, sent) = client.create_group(name, &members).await.map_err(failed)?;
    let text = format!("The group {name} ({}) is there, and you are its admin.", short(&id));
    Ok(MadeChange { id, sent, word: "created", text })
}

/// Finds people, and fails if one of them may not be written to: someone who cannot be told of a
/// group should not be in it.
async fn reachable(client: &HttpMessenger, handles: &[PartialHandle]) -> Result<Vec<Person>, CommandFailure> {
    let people = find_all(client, handles).await?;
    for person in people.iter().filter(|person| **person != client.me()) {
        let found = client.verification(person).await?;
        if found.trust == Trust::Reset {
            let why = Distrust::Reset { verified: false };
            return Err(MessengerError::Distrust { actor: person.actor(), why }.into());
        }
    }
    Ok(people)
}

async fn find_all(client: &HttpMessenger, handles: &[PartialHandle]) -> Result<Vec<Person>, CommandFailure> {
    let mut people = Vec::with_capacity(handles.len());
    for handle in handles {
        people.push(person(client, handle).await?);
    }
    Ok(people)
}

fn actors(people: &[Person]) -> BTreeSet<String> {
    people.iter().map(Person::actor).collect()
}

fn names(client: &HttpMessenger, people: &[Person]) -> String {
    people.iter().map(|person| named(client, &person.actor())).collect::<Vec<_>>().join(", ")
}

fn is_are(people: &[Person]) -> &'static str {
    if people.len() == 1 { "is" } else { "are" }
}

fn tell(context: &Context, client: &HttpMessenger, made: &MadeChange) -> Result<(), CommandFailure> {
    // The change is made on this device even if somebody could not be told.
    let group = client.groups()?.into_iter().find(|group| *group.state.id() == made.id);
    let group = group.ok_or_else(|| CommandFailure::new("the group is gone"))?;
    let delivery = DeliverySummary::of(client, &made.sent);
    for warning in delivery.warnings() {
        context.out.prompt(&warning);
    }
    let mut text = made.text.clone();
    let waiting: Vec<String> = group.unconfirmed.iter().map(|actor| named(client, actor)).collect();
    let (invited, told): (Vec<_>, Vec<_>) = delivery.reached.iter().partition(|name| waiting.contains(name));
    let listed = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
    if !told.is_empty() {
        text.push_str(&format!(" Told: {}.", listed(told)));
    }
    if !invited.is_empty() {
        text.push_str(&format!(" Sent, and not heard of in this group yet: {}.", listed(invited)));
    }
    if !delivery.queued.is_empty() {
        text.push_str(&format!(
            " Out of reach, so that your server will try to tell them for 48 hours: {}.",
            delivery.queued.join(", ")
        ));
    }
    let envelopes: Vec<_> = made.sent.envelopes.iter().map(|it| sent_object(client, it)).collect();
    let mut object = object(client, &group);
    object["change"] = json!(made.word);
    object["state"] = json!(word(delivery.state));
    object["envelopes"] = json!(envelopes);
    context.out.result(&text, &object)?;
    let Some(failure) = delivery.last_failure(client, "the change is made here, and ") else { return Ok(()) };
    match delivery.state {
        // Nobody else is to be told, and what the user has left the user cannot change.
        EnvelopeState::Failed if !group.member && delivery.is_to_deleted() => Ok(()),
        EnvelopeState::Failed if !group.member => {
            Err(failure.next("tell them by another way that you have left, which you have all the same"))
        }
        EnvelopeState::Failed if delivery.is_to_deleted() => {
            Err(failure.next(removal(client, made.id.as_str(), &delivery.deleted())))
        }
        EnvelopeState::Failed => {
            Err(failure.next("eko groups remove them, and add them again when they can be reached"))
        }
        _ => Err(failure),
    }
}
