//! The losses of a person who deletes an account, or leaves it by a move, as far as this device knows. It is told
//! before anything is done.

use std::collections::BTreeSet;

use eko_client::messenger::Group;

use crate::context::HttpMessenger;
use crate::delivery::can_change_groups;
use crate::failure::CommandFailure;
use crate::people::{group_argument, named};

/// The fate of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccountEnd {
    /// The account is deleted.
    Deleted,
    /// The account is left by a move, while its server is there.
    Left,
    /// The account is left by a move without its server, so that it changes no group any more.
    LeftWithoutServer,
}

/// Returns what is lost, a sentence or two each. Makes no call. `client` is of the account that ends.
pub(super) fn losses(client: &HttpMessenger, end: AccountEnd) -> Result<Vec<String>, CommandFailure> {
    let mut told = Vec::new();
    told.extend(waiting(client, end)?);
    told.extend(other_devices(client, end)?);
    for group in client.groups()?.iter().filter(|group| group.member) {
        told.extend(of_group(client, group, end));
    }
    told.extend(invitations(client, end)?);
    Ok(told)
}

/// Returns what becomes of messages that the own server keeps for others.
fn waiting(client: &HttpMessenger, end: AccountEnd) -> Result<Option<String>, CommandFailure> {
    let queued = client.queued_messages()?;
    let recipients: BTreeSet<String> = queued.iter().map(|(_, to)| named(client, to)).collect();
    let messages: BTreeSet<&String> = queued.iter().map(|(message, _)| message).collect();
    let Some(count) = Some(messages.len()).filter(|count| *count > 0) else { return Ok(None) };
    let (what, who) = (if count == 1 { "message waits" } else { "messages wait" }, list(&recipients));
    let then = match end {
        AccountEnd::Deleted => "they are dropped with the account",
        AccountEnd::Left => {
            "they go on waiting there, and are dropped if you delete the old account before they have arrived"
        }
        AccountEnd::LeftWithoutServer => "they are lost with that server",
    };
    Ok(Some(format!("{count} {what} at your server for {who}, whose server was out of reach: {then}.")))
}

/// Returns what becomes of the other devices of the person.
fn other_devices(client: &HttpMessenger, end: AccountEnd) -> Result<Option<String>, CommandFailure> {
    let others = client.other_devices()?;
    if others.is_empty() {
        return Ok(None);
    }
    let names = list(&others);
    Ok(Some(match end {
        AccountEnd::Deleted => format!("Your other devices, {names}, read and send nothing any more."),
        AccountEnd::Left | AccountEnd::LeftWithoutServer => format!(
            "Messages that only your other devices have, {names}, do not go along: the new account takes over what is \
             on this machine."
        ),
    }))
}

/// Returns what becomes of a group.
fn of_group(client: &HttpMessenger, group: &Group, end: AccountEnd) -> Option<String> {
    let (me, state) = (client.me().actor(), &group.state);
    let is_admin = state.admins().contains(&me);
    let has_others = state.members().iter().any(|member| *member != me);
    let has_other_admin = state.admins().iter().any(|admin| *admin != me && can_change_groups(client, admin));
    let (name, typed) = (state.name(), group_argument(client, state.id().as_str()));
    match end {
        AccountEnd::Deleted if is_admin && !has_other_admin && has_others => Some(format!(
            "You are the only admin of the group {name:?}: nobody can change it after that. Name another one before: eko \
             groups promote {typed} WHO"
        )),
        AccountEnd::Deleted => None,
        AccountEnd::Left if is_admin => None,
        AccountEnd::Left | AccountEnd::LeftWithoutServer if has_other_admin => Some(format!(
            "The new account is not in the group {name:?} until an admin adds it: eko groups add {typed} WHO"
        )),
        AccountEnd::Left | AccountEnd::LeftWithoutServer if is_admin => Some(format!(
            "The group {name:?} is lost: its only admin is the old account, which cannot add the new one without its \
             server. Begin another group with the new account: eko groups create"
        )),
        AccountEnd::Left | AccountEnd::LeftWithoutServer => {
            Some(format!("The group {name:?} is lost: it has no admin who can add the new account."))
        }
    }
}

/// Returns what becomes of the invitations that the person has not accepted. A move joins what the person has
/// invited to by a former account.
fn invitations(client: &HttpMessenger, end: AccountEnd) -> Result<Vec<String>, CommandFailure> {
    let former = match end {
        AccountEnd::Left => client.former_accounts()?,
        AccountEnd::Deleted | AccountEnd::LeftWithoutServer => Vec::new(),
    };
    let open = client.invitations()?.into_iter().filter(|open| !open.other_history);
    let open = open.filter(|open| former.iter().all(|account| account.actor() != open.by));
    Ok(open
        .map(|open| {
            let (name, by) = (open.state.name(), named(client, &open.by));
            let typed = group_argument(client, open.state.id().as_str());
            match end {
                AccountEnd::LeftWithoutServer => format!(
                    "The invitation of {by} to the group {name:?} is for the old account. Ask for one for the new account."
                ),
                AccountEnd::Deleted | AccountEnd::Left => format!(
                    "The invitation of {by} to the group {name:?} is for this account alone. To be in it, join before: \
                     eko groups join {typed}"
                ),
            }
        })
        .collect())
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
