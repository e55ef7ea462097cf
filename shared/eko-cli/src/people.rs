//! People and groups, as they are named on a terminal.

use std::str::FromStr;

use eko_client::group::GroupId;
use eko_client::messenger::{Group, Person};
use eko_protocol::address::Handle;

use crate::context::Client;
use crate::failure::{Exit, Failure};
use crate::who::Who;

/// Who is meant: on the own server, where no other is named.
pub(crate) async fn person(client: &Client, who: &Who) -> Result<Person, Failure> {
    let me = client.me();
    let handle = match &who.host {
        None => Handle::new(who.user.clone(), &me.origin),
        Some(host) => {
            let handle = Handle::parse(&format!("{}@{host}", who.user));
            handle.map_err(|fault| Failure::new(fault).exit(Exit::Usage))?
        }
    };
    Ok(client.find(&handle).await?)
}

/// `@bob` for an actor of the own server, `@bob@host` for one of another, the id for what is no actor of Eko's.
pub(crate) fn named(client: &Client, actor: &str) -> String {
    match Person::of(actor) {
        Some(person) if person.origin == client.me().origin => format!("@{}", person.user),
        Some(person) => person.handle().to_string(),
        None => actor.to_owned(),
    }
}

/// The group of that name, or id, or beginning of an id.
pub(crate) fn group(client: &Client, name: &str) -> Result<Group, Failure> {
    let groups = client.groups()?;
    let exact = GroupId::parse(name).ok();
    let is_it = |group: &&Group| {
        let id = group.state.id();
        exact.as_ref() == Some(id)
            || group.state.name() == name
            || (name.len() >= 4 && id.as_str().trim_start_matches("urn:uuid:").starts_with(name))
    };
    let mut found: Vec<&Group> = groups.iter().filter(is_it).collect();
    // A group that one has left makes room for another of its name.
    if found.len() > 1 && found.iter().any(|group| group.member) {
        found.retain(|group| group.member);
    }
    match &found[..] {
        [group] => Ok((*group).clone()),
        [] => {
            Err(Failure::new(format!("there is no group {name:?} here")).next("eko groups").exit(Exit::Usage))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|group| short(group.state.id())).collect();
            let what = format!("there are {} groups {name:?}: {}", several.len(), ids.join(", "));
            Err(Failure::new(what).next("name one by these letters").exit(Exit::Usage))
        }
    }
}

/// The first letters of a group's id, enough to name it.
pub(crate) fn short(id: &GroupId) -> &str {
    let bare = id.as_str().trim_start_matches("urn:uuid:");
    bare.get(..8).unwrap_or(bare)
}

/// What a conversation is called: a person, or a group.
pub(crate) fn conversation(client: &Client, id: &str) -> String {
    if !id.starts_with("urn:uuid:") {
        return named(client, id);
    }
    let groups = client.groups().unwrap_or_default();
    let group = groups.iter().find(|group| group.state.id().as_str() == id);
    group.map_or_else(|| id.to_owned(), |group| group.state.name().to_owned())
}

/// Whom a command is about: `@bob`, or with `--group` a group's name.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    Person(Person),
    Group(Group),
}

impl Whom {
    pub(crate) async fn find(client: &Client, text: &str, is_group: bool) -> Result<Self, Failure> {
        if is_group {
            return group(client, text).map(Self::Group);
        }
        let who = Who::from_str(text).map_err(|why| {
            Failure::new(format!("{text:?} is nobody's name: {why}"))
                .next("--group, if it is a group's")
                .exit(Exit::Usage)
        })?;
        person(client, &who).await.map(Self::Person)
    }

    /// The conversation's id.
    pub(crate) fn conversation(&self) -> String {
        match self {
            Self::Person(person) => person.actor(),
            Self::Group(group) => group.state.id().to_string(),
        }
    }
}
