//! People, groups and conversations: found by what a person types, and named for a person.

use std::str::FromStr;

use eko_client::group::GroupId;
use eko_client::messenger::{Group, Person};
use eko_protocol::address::Handle;

use crate::context::HttpMessenger;
use crate::failure::{CommandFailure, Exit};
use crate::partial_handle::PartialHandle;

const URN: &str = "urn:uuid:";
/// The fewest letters of a group's id that a person may type for it.
const MIN_ID_LETTERS: usize = 4;
/// The number of letters of a group's id that is shown where the whole id would be too long.
const SHORT_ID_LETTERS: usize = 8;

/// Finds a person by a handle. A handle without a server means a user of the own server.
pub(crate) async fn person(client: &HttpMessenger, who: &PartialHandle) -> Result<Person, CommandFailure> {
    let me = client.me();
    let handle = match &who.host {
        None => Handle::new(who.user.clone(), &me.origin),
        Some(host) => {
            let handle = Handle::parse(&format!("{}@{host}", who.user));
            handle.map_err(|fault| CommandFailure::new(fault).exit(Exit::Usage))?
        }
    };
    Ok(client.find(&handle).await?)
}

/// Returns the name of an actor: `@bob` for a user of the own server, `@bob@host` for a user of
/// another Eko server, and the actor id for anyone else.
pub(crate) fn named(client: &HttpMessenger, actor: &str) -> String {
    match Person::of(actor) {
        Some(person) if person.origin == client.me().origin => format!("@{}", person.user),
        Some(person) => person.handle().to_string(),
        None => actor.to_owned(),
    }
}

/// True if an actor is the user whom a person typed. Asks no server.
pub(crate) fn is_called(client: &HttpMessenger, actor: &Person, who: &PartialHandle) -> bool {
    let host = match &who.host {
        None => actor.origin == client.me().origin,
        Some(host) => actor.handle().authority() == host,
    };
    host && actor.user == who.user
}

/// Finds a group by its name, its id, or the beginning of its id.
pub(crate) fn group(client: &HttpMessenger, name: &str) -> Result<Group, CommandFailure> {
    let groups = client.groups()?;
    let exact = GroupId::parse(name).ok();
    let is_it = |group: &&Group| {
        let id = group.state.id();
        exact.as_ref() == Some(id)
            || group.state.name() == name
            || (name.len() >= MIN_ID_LETTERS && bare_id(id.as_str()).starts_with(name))
    };
    let mut found: Vec<&Group> = groups.iter().filter(is_it).collect();
    // A group that the user is in precedes groups that the user has left.
    if found.len() > 1 && found.iter().any(|group| group.member) {
        found.retain(|group| group.member);
    }
    match &found[..] {
        [group] => Ok((*group).clone()),
        [] => Err(CommandFailure::new(format!("there is no group {name:?} here"))
            .next("eko groups")
            .exit(Exit::Usage)),
        several => {
            let ids: Vec<&str> = several.iter().map(|group| short(group.state.id())).collect();
            let what = format!("there are {} groups {name:?}: {}", several.len(), ids.join(", "));
            Err(CommandFailure::new(what).next("name one by these letters").exit(Exit::Usage))
        }
    }
}

/// Returns the first letters of a group's id, which are enough to name the group.
pub(crate) fn short(id: &GroupId) -> &str {
    let bare = bare_id(id.as_str());
    bare.get(..SHORT_ID_LETTERS).unwrap_or(bare)
}

/// Returns an id without `urn:uuid:`.
pub(crate) fn bare_id(id: &str) -> &str {
    id.strip_prefix(URN).unwrap_or(id)
}

/// Returns the URN of an id that was typed with or without `urn:uuid:`.
pub(crate) fn urn(id: &str) -> String {
    format!("{URN}{}", bare_id(id))
}

/// True if a conversation's id is the id of a group. Any other conversation has an actor id.
pub(crate) fn is_group(conversation: &str) -> bool {
    GroupId::parse(conversation).is_ok()
}

/// Returns the name of a conversation: the name of a group, or the name of a person as [`named`]
/// has it.
pub(crate) fn conversation(client: &HttpMessenger, id: &str) -> String {
    if !is_group(id) {
        return named(client, id);
    }
    let groups = client.groups().unwrap_or_default();
    let group = groups.iter().find(|group| group.state.id().as_str() == id);
    group.map_or_else(|| id.to_owned(), |group| group.state.name().to_owned())
}

/// The other side of a conversation.
#[derive(Debug, Clone)]
pub(crate) enum Correspondent {
    /// A person.
    Person(Person),
    /// A group.
    Group(Group),
}

impl Correspondent {
    /// Finds a person by a handle, or with `is_group` a group by its name.
    pub(crate) async fn find(
        client: &HttpMessenger,
        text: &str,
        is_group: bool,
    ) -> Result<Self, CommandFailure> {
        if is_group {
            return group(client, text).map(Self::Group);
        }
        let who = PartialHandle::from_str(text).map_err(|why| {
            CommandFailure::new(format!("{text:?} is nobody's name: {why}"))
                .next("--group, if it is a group's")
                .exit(Exit::Usage)
        })?;
        person(client, &who).await.map(Self::Person)
    }

    /// Returns the conversation's id: the actor id of the person, or the id of the group.
    pub(crate) fn conversation(&self) -> String {
        match self {
            Self::Person(person) => person.actor(),
            Self::Group(group) => group.state.id().to_string(),
        }
    }
}
