//! The invitations and the held messages, which `eko groups` shows beside the groups.

use eko_client::messenger::{HeldItem, Invitation};
use serde_json::{Value, json};

use crate::context::{Context, HttpMessenger};
use crate::counted::counted;
use crate::failure::CommandFailure;
use crate::partial_handle::PartialHandle;
use crate::people::{conversation, group_argument, invited_group, named, named_or_you, person, short};
use crate::show::{clock, held_reason, held_word, instant};

/// Lists the invitations, and what is held.
pub(super) fn list(context: &Context, client: &HttpMessenger) -> Result<(), CommandFailure> {
    let invitations = client.invitations()?;
    for invitation in &invitations {
        let id = invitation.state.id();
        let others = invitations.iter().filter(|other| other.state.id() == id).count();
        context.out.result(&summary(client, invitation, others > 1), &object(invitation))?;
    }
    list_held(context, client)
}

/// Lists what is held: one entry for each group, author and reason.
fn list_held(context: &Context, client: &HttpMessenger) -> Result<(), CommandFailure> {
    let mut entries: Vec<(HeldItem, usize)> = Vec::new();
    for held in client.held()? {
        let same = |first: &HeldItem| {
            (&first.group, &first.actor, first.why) == (&held.group, &held.actor, held.why)
        };
        match entries.iter_mut().find(|(first, _)| same(first)) {
            Some((_, count)) => *count += 1,
            None => entries.push((held, 1)),
        }
    }
    for (held, count) in entries {
        let (from, group) = (named(client, &held.actor), conversation(client, &held.group));
        let number = counted(count, "activity", "activities");
        let text = format!(
            "held: {number} of {from} for the group {group}, since {}: {}",
            clock(held.received_ms),
            held_reason(client, &held.group, held.why, &from)
        );
        let object = json!({
            "type": "held", "group": held.group, "from": held.actor, "received": instant(held.received_ms),
            "why": held_word(held.why), "count": count,
        });
        context.out.result(&text, &object)?;
    }
    Ok(())
}

/// Shows the invitations to a group that the user has not joined. Returns false if there are none.
pub(super) fn show(context: &Context, client: &HttpMessenger, name: &str) -> Result<bool, CommandFailure> {
    let Ok(id) = invited_group(client, name) else { return Ok(false) };
    let mut invitations = client.invitations()?;
    invitations.retain(|invitation| *invitation.state.id() == id);
    for invitation in &invitations {
        context.out.result(&summary(client, invitation, invitations.len() > 1), &object(invitation))?;
    }
    Ok(true)
}

/// Declines an invitation.
pub(super) async fn decline(
    context: &Context,
    client: &HttpMessenger,
    name: &str,
    by: Option<&PartialHandle>,
) -> Result<(), CommandFailure> {
    let id = invited_group(client, name)?;
    let by = match by {
        Some(who) => Some(person(client, who).await?),
        None => None,
    };
    let called = conversation(client, id.as_str());
    client.decline_group(&id, by.as_ref())?;
    let object = json!({ "type": "declined", "id": id });
    context.out.result(&format!("You have declined to join {called}. Nobody was told."), &object)
}

fn summary(client: &HttpMessenger, invitation: &Invitation, is_conflict: bool) -> String {
    let state = &invitation.state;
    let (by, typed) = (named(client, &invitation.by), group_argument(client, state.id().as_str()));
    // A store that cannot be read has failed the list itself.
    let is_left =
        client.former_account().is_ok_and(|left| left.is_some_and(|it| it.actor() == invitation.by));
    let stranger = match (is_left, invitation.stranger) {
        (true, _) => ", the account that you have left,",
        (false, true) => ", who is none of your contacts,",
        (false, false) => "",
    };
    let members: Vec<String> = state.members().iter().map(|actor| named_or_you(client, actor)).collect();
    if invitation.other_history {
        return format!(
            "{}  {}  BEWARE: {by} has another history of it, at epoch {}; to follow it in place of yours: eko groups \
             join {typed} --by {by}\n    {}",
            state.name(),
            short(state.id()),
            state.epoch(),
            members.join(", ")
        );
    }
    let conflict = match is_conflict {
        true => format!("\n    BEWARE: others invite to another state of it; follow one: --by {by}"),
        false => String::new(),
    };
    format!(
        "{}  {}  {by}{stranger} invites you: eko groups join {typed}{conflict}\n    {}",
        state.name(),
        short(state.id()),
        members.join(", ")
    )
}

fn object(invitation: &Invitation) -> Value {
    let state = &invitation.state;
    json!({
        "type": "invitation", "id": state.id(), "name": state.name(), "epoch": state.epoch(),
        "members": state.members(), "admins": state.admins(), "by": invitation.by,
        "received": instant(invitation.received_ms), "stranger": invitation.stranger,
        "otherHistory": invitation.other_history,
    })
}
