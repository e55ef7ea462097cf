//! People, groups and conversations: found by what a person types, and named for a person.

use std::collections::BTreeSet;
use std::str::FromStr;

use eko_client::group::{GroupId, GroupState};
use eko_client::messenger::{Group, MessengerError, Person};
use eko_client::store::{DeviceStoreError, EndedGroup};
use eko_protocol::address::Handle;
use eko_protocol::profile::DisplayName;

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
    Ok(found(client, who).await??)
}

/// Does as [`person`], and returns why there is nobody beside what was typed wrongly.
pub(crate) async fn found(
    client: &HttpMessenger,
    who: &PartialHandle,
) -> Result<Result<Person, MessengerError>, CommandFailure> {
    let me = client.me();
    let handle = match &who.host {
        None => Handle::new(who.user.clone(), &me.origin),
        Some(host) => {
            let handle = Handle::parse(&format!("{}@{host}", who.user));
            handle.map_err(|fault| CommandFailure::new(fault.in_words()).exit(Exit::Usage))?
        }
    };
    Ok(client.find(&handle).await)
}

/// Returns the name of an actor: `@bob` for a user of the own server, `@bob@host` for a user of
/// another Eko server, by the handle that the user of this device has looked up, and the actor id for
/// anyone else.
pub(crate) fn named(client: &HttpMessenger, actor: &str) -> String {
    match Person::of(actor) {
        Some(person) if person.origin == client.me().origin => format!("@{}", person.user),
        Some(person) => client.handle_of(&person).unwrap_or_else(|_| person.handle()).to_string(),
        None => actor.to_owned(),
    }
}

/// Returns the handle by which people know this user.
pub(crate) fn own_handle(client: &HttpMessenger) -> Handle {
    let me = client.me();
    client.handle_of(&me).unwrap_or_else(|_| me.handle())
}

/// Returns the name of an actor as [`named`] does, and beside it in quotation marks what the actor calls
/// themselves. Nobody has verified that.
pub(crate) fn titled(client: &HttpMessenger, actor: &str) -> String {
    let name = named(client, actor);
    match client.profile(actor).ok().and_then(|profile| profile.name) {
        Some(title) => format!("{name} ({})", quoted(&title)),
        None => name,
    }
}

/// Returns a display name in quotation marks that it cannot end.
pub(crate) fn quoted(name: &DisplayName) -> String {
    let inner = name.as_str().replace(['"', '\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}'], "'");
    format!("\u{201c}{inner}\u{201d}")
}

/// Returns the name of an actor, or "you" for this user.
pub(crate) fn named_or_you(client: &HttpMessenger, actor: &str) -> String {
    if actor == client.me().actor() { "you".to_owned() } else { named(client, actor) }
}

/// Returns the beginning of a sentence about an actor: `@bob is`, or `you are` for this user.
pub(crate) fn somebody_is(client: &HttpMessenger, actor: &str) -> String {
    let verb = if actor == client.me().actor() { "are" } else { "is" };
    format!("{} {verb}", named_or_you(client, actor))
}

/// True if an actor is the user whom a person typed. Asks no server.
pub(crate) fn is_called(client: &HttpMessenger, actor: &Person, who: &PartialHandle) -> bool {
    let known_as = client.handle_of(actor).ok();
    is_meant(&client.me(), actor, known_as.as_ref(), who)
}

/// True if `me`, typing this, means an actor who is also known by a handle at another domain. A handle is
/// compared as a whole: its domain has other users, whose names are those of other people's actors.
fn is_meant(me: &Person, actor: &Person, known_as: Option<&Handle>, who: &PartialHandle) -> bool {
    let Some(host) = &who.host else { return actor.origin == me.origin && actor.user == who.user };
    let Ok(typed) = Handle::parse(&format!("{}@{host}", who.user)) else { return false };
    [Some(&actor.handle()), known_as].into_iter().flatten().any(|handle| handle.is_same(&typed))
}

/// True if a person who types `name` means the group with this state: it is the group's name, its
/// id, or the beginning of its id.
fn means(name: &str, state: &GroupState) -> bool {
    GroupId::parse(name).as_ref() == Ok(state.id())
        || state.name() == name
        || (name.len() >= MIN_ID_LETTERS && bare_id(state.id().as_str()).starts_with(name))
}

/// Returns the question whether one of these groups was meant, whose name differs in the case of letters or
/// in spaces only. It is empty if there is none.
fn near_name<'a>(groups: impl Iterator<Item = &'a GroupState>, name: &str) -> String {
    let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let near: BTreeSet<String> = groups
        .filter(|group| plain(group.name()) == plain(name))
        .map(|group| format!("{:?}", group.name()))
        .collect();
    match near.is_empty() {
        true => String::new(),
        false => format!(". Did you mean {}?", near.into_iter().collect::<Vec<_>>().join(" or ")),
    }
}

/// Finds the group of an invitation by its name, its id, or the beginning of its id. The name may be
/// the one by which this device knows the group.
pub(crate) fn invited_group(client: &HttpMessenger, name: &str) -> Result<GroupId, CommandFailure> {
    let groups = client.groups()?;
    // A group may have had another name when the user was in it, or has one in another history.
    let is_known_as = |id: &GroupId| groups.iter().any(|it| it.state.id() == id && means(name, &it.state));
    let mut found: Vec<GroupId> = client
        .invitations()?
        .into_iter()
        .filter(|it| means(name, &it.state) || is_known_as(it.state.id()))
        .map(|invitation| invitation.state.id().clone())
        .collect();
    found.sort();
    found.dedup();
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => {
            let (what, next) = match groups.iter().find(|it| it.member && means(name, &it.state)) {
                Some(group) => (
                    format!(
                        "you are in the group {} already",
                        conversation(client, group.state.id().as_str())
                    ),
                    format!("eko groups show {}", group_argument(client, group.state.id().as_str())),
                ),
                None => {
                    let invitations = client.invitations()?;
                    let known = groups.iter().map(|group| &group.state);
                    let near = near_name(invitations.iter().map(|it| &it.state).chain(known), name);
                    (format!("nobody invites you to a group {name:?}{near}"), "eko groups".to_owned())
                }
            };
            Err(CommandFailure::new(what).next(next).exit(Exit::Usage))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(short).collect();
            let what = format!("there are {} groups {name:?}: {}", several.len(), ids.join(", "));
            Err(CommandFailure::new(what).next("name one by these letters").exit(Exit::Usage))
        }
    }
}

/// Finds a group by its name, its id, or the beginning of its id.
pub(crate) fn group(client: &HttpMessenger, name: &str) -> Result<Group, CommandFailure> {
    let groups = client.groups()?;
    let mut found: Vec<&Group> = groups.iter().filter(|group| means(name, &group.state)).collect();
    // A group that the user is in precedes groups that the user has left.
    if found.len() > 1 && found.iter().any(|group| group.member) {
        found.retain(|group| group.member);
    }
    match &found[..] {
        [group] => Ok((*group).clone()),
        [] => Err(match (invited_group(client, name), ended_group(client, name)) {
            (Ok(id), _) => {
                let (called, typed) =
                    (conversation(client, id.as_str()), group_argument(client, id.as_str()));
                if groups.iter().any(|group| group.member && *group.state.id() == id) {
                    let what = format!("the group {name:?} of another history is the group {called} here");
                    return Err(CommandFailure::new(what).next(format!("eko groups show {typed}")));
                }
                CommandFailure::new(format!("you are invited to the group {called}, and have not joined it"))
                    .next(format!("eko groups join {typed}, or eko groups decline {typed}"))
            }
            (Err(_), Some((id, ended))) => has_ended(client, &conversation(client, &id), &ended)?,
            (Err(_), None) => {
                let invitations = client.invitations()?;
                let known = groups.iter().map(|group| &group.state);
                let near = near_name(known.chain(invitations.iter().map(|it| &it.state)), name);
                CommandFailure::new(format!("there is no group {name:?} here{near}"))
                    .next("eko groups")
                    .exit(Exit::Usage)
            }
        }),
        several => {
            let ids: Vec<&str> = several.iter().map(|group| short(group.state.id())).collect();
            let what = format!("there are {} groups {name:?}: {}", several.len(), ids.join(", "));
            Err(CommandFailure::new(what).next("name one by these letters").exit(Exit::Usage))
        }
    }
}

/// Finds a group as [`group`] does, and fails if the user is not in it any more.
pub(crate) fn joined_group(client: &HttpMessenger, name: &str) -> Result<Group, CommandFailure> {
    let found = group(client, name)?;
    if found.member { Ok(found) } else { Err(not_in(client, &found)) }
}

/// Returns the group that a person means and its id, if a reset of the account has ended it for the user, or a move
/// has left it behind.
pub(crate) fn ended_group(client: &HttpMessenger, name: &str) -> Option<(String, EndedGroup)> {
    let is_meant = |(id, ended): &(String, EndedGroup)| {
        ended.name == name
            || bare_id(id) == bare_id(name)
            || (name.len() >= MIN_ID_LETTERS && bare_id(id).starts_with(name))
    };
    client.ended_groups().unwrap_or_default().into_iter().find(is_meant)
}

/// Returns the account that the user has left for this one, if that is why a group has ended for this one. A reset
/// ends groups, too.
pub(crate) fn left_with_groups(client: &HttpMessenger) -> Result<Option<Person>, DeviceStoreError> {
    if client.was_reset()? { Ok(None) } else { client.former_account() }
}

fn has_ended(
    client: &HttpMessenger,
    called: &str,
    ended: &EndedGroup,
) -> Result<CommandFailure, CommandFailure> {
    let (what, next) = match (left_with_groups(client)?, ended.member) {
        (Some(left), true) => (
            format!(
                "the account that you have left, {}, is in the group {called}, and this one is not",
                left.handle()
            ),
            "ask an admin of it to add this account; if you were the only admin, begin a new group: eko groups create",
        ),
        (Some(left), false) => (
            format!(
                "the account that you have left, {}, was not in the group {called} any more",
                left.handle()
            ),
            "ask an admin of it to add this account",
        ),
        (None, true) => (
            format!("a reset of your account has ended your membership of the group {called}"),
            "ask an admin of it to remove you and to add you again; if you were the only admin, begin a new group: \
             eko groups create",
        ),
        (None, false) => (
            format!("you were not in the group {called} any more when your account was reset"),
            "ask an admin of it to add you again",
        ),
    };
    Ok(CommandFailure::new(what).next(next))
}

fn not_in(client: &HttpMessenger, group: &Group) -> CommandFailure {
    let called = conversation(client, group.state.id().as_str());
    CommandFailure::new(format!("you are not in the group {called} any more"))
        .next("ask an admin of it to add you again")
}

/// Returns the first letters of a group's id, which are enough to name the group.
pub(crate) fn short(id: &GroupId) -> &str {
    beginning(id.as_str())
}

/// Returns the first letters of the id of a group or another conversation.
pub(crate) fn beginning(id: &str) -> &str {
    let bare = bare_id(id);
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

/// Returns the name of a conversation: the name of a group, which a reset may have ended, or its first letters if this
/// device does not have it; or the name of a person as [`named`] has it.
pub(crate) fn conversation(client: &HttpMessenger, id: &str) -> String {
    if !is_group(id) {
        return named(client, id);
    }
    match named_group(client, id) {
        Some(NamedGroup { name, is_shared: false }) => name,
        Some(NamedGroup { name, is_shared: true }) => format!("{name} ({})", beginning(id)),
        None => beginning(id).to_owned(),
    }
}

/// Returns the words that a person types for a group: its name in quotation marks, or the first letters
/// of its id if another group has the same name.
pub(crate) fn group_argument(client: &HttpMessenger, id: &str) -> String {
    match named_group(client, id) {
        Some(NamedGroup { name, is_shared: false }) => format!("{name:?}"),
        Some(NamedGroup { is_shared: true, .. }) | None => beginning(id).to_owned(),
    }
}

/// The name of a group that the user is in, is invited to, or was in.
struct NamedGroup {
    name: String,
    /// True if another one, which the user is in or invited to, or was in before a reset, has the same name.
    is_shared: bool,
}

fn named_group(client: &HttpMessenger, id: &str) -> Option<NamedGroup> {
    let (mut found, mut others) = (None, Vec::new());
    let groups = client.groups().unwrap_or_default().into_iter().map(|group| (group.member, group.state));
    let invitations = client.invitations().unwrap_or_default();
    for (is_open, state) in groups.chain(invitations.into_iter().map(|it| (true, it.state))) {
        let name = state.name().to_owned();
        if state.id().as_str() != id {
            others.extend(is_open.then_some(name));
        } else if found.as_ref().is_none_or(|(was_open, _)| is_open && !was_open) {
            // What the user was in may have another name by now.
            found = Some((is_open, name));
        }
    }
    let mut ended = client.ended_groups().unwrap_or_default();
    let earlier = ended.remove(id).map(|ended| ended.name);
    others.extend(ended.into_values().filter(|ended| ended.member).map(|ended| ended.name));
    let name = found.map(|(_, name)| name).or(earlier)?;
    Some(NamedGroup { is_shared: others.contains(&name), name })
}

/// The other side of a conversation.
#[derive(Debug, Clone)]
pub(crate) enum Correspondent {
    /// A person.
    Person(Person),
    /// A group.
    Group(Box<Group>),
}

impl Correspondent {
    /// Finds a person by a handle, or with `is_group` a group by its name.
    pub(crate) async fn find(
        client: &HttpMessenger,
        text: &str,
        is_group: bool,
    ) -> Result<Self, CommandFailure> {
        if is_group {
            return group(client, text).map(|group| Self::Group(Box::new(group)));
        }
        let who = PartialHandle::from_str(text).map_err(|why| {
            CommandFailure::new(format!("{text:?} is nobody's name: {why}"))
                .next("--group, if it is a group's")
                .exit(Exit::Usage)
        })?;
        let person = person(client, &who).await?;
        // Whoever has moved is meant by the old handle, too.
        Ok(Self::Person(client.whereabouts(&person)?))
    }

    /// Finds someone to write to: as [`Self::find`], and fails for a group that the user is not in.
    pub(crate) async fn find_addressee(
        client: &HttpMessenger,
        text: &str,
        is_group: bool,
    ) -> Result<Self, CommandFailure> {
        match Self::find(client, text, is_group).await? {
            Self::Group(group) if !group.member => Err(not_in(client, &group)),
            found => Ok(found),
        }
    }

    /// Returns the conversation's id: the actor id of the person, or the id of the group.
    pub(crate) fn conversation(&self) -> String {
        match self {
            Self::Person(person) => person.actor(),
            Self::Group(group) => group.state.id().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eve is `eve@example.org`, and her actor's name is that of somebody else there.
    #[test]
    fn a_handle_at_another_domain_means_nobody_else() {
        let person = |actor: &str| Person::of(actor).unwrap();
        let (me, eve) = (person("https://a.example/user/me"), person("https://chat.example.org/user/alice"));
        let known_as = Handle::parse("@eve@example.org").unwrap();
        let means = |typed: &str| is_meant(&me, &eve, Some(&known_as), &typed.parse().unwrap());
        assert!(!means("alice@example.org") && !means("eve@chat.example.org") && !means("eve"));
        assert!(!means("alice"), "she is at another server");
        assert!(means("eve@example.org") && means("EVE@Example.org") && means("alice@chat.example.org"));
        let at_home = |typed: &str| is_meant(&me, &me, None, &typed.parse().unwrap());
        assert!(at_home("me") && at_home("me@a.example") && !at_home("me@b.example"));
    }
}
