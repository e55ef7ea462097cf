//! The invitations and the held messages, which `eko groups` shows beside the groups.

use eko_client::messenger::Invitation;
use serde_json::{Value, json};

use crate::context::{Context, HttpMessenger};
use crate::failure::CommandFailure;
use crate::partial_handle::PartialHandle;
use crate::people::{conversation, invited_group, named, person, short};
use crate::show::{clock, held_word, instant};

/// Lists the invitations, and what is held.
pub(super) fn list(context: &Context, client: &HttpMessenger) -> Result<(), CommandFailure> {
    let invitations = client.invitations()?;
    for invitation in &invitations {
        let id = invitation.state.id();
        let others = invitations.iter().filter(|other| other.state.id() == id).count();
        context.out.result(&summary(client, invitation, others > 1), &object(invitation))?;
    }
    for held in client.held()? {
        let (from, group) = (named(client, &held.actor), conversation(client, &held.group));
        let text = format!(
            "held: something of {from} for {group}, since {}: {}",
            clock(held.received_ms),
            held_word(held.why)
        );
        let object = json!({
            "type": "held", "group": held.group, "from": held.actor, "received": instant(held.received_ms),
            "why": held_word(held.why),
        });
        context.out.result(&text, &object)?;
    }
    Ok(())
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
    client.decline_group(&id, by.as_ref())?;
    let object = json!({ "type": "declined", "id": id });
    context.out.result(&format!("You have declined {name}. Nobody was told."), &object)
}

fn summary(client: &HttpMessenger, invitation: &Invitation, is_conflict: bool) -> String {
    let state = &invitation.state;
    let by = named(client, &invitation.by);
    let stranger = if invitation.stranger { ", who is none of your contacts" } else { "" };
    let members: Vec<String> = state.members().iter().map(|actor| named(client, actor)).collect();
    if invitation.other_history {
        return format!(
            "{}  {}  BEWARE: {by} has another history of it, at epoch {}; to follow it in place of yours: eko groups \
             join {:?} --by {by}\n    {}",
            state.name(),
            short(state.id()),
            state.epoch(),
            state.name(),
            members.join(", ")
        );
    }
    let conflict = match is_conflict {
        true => format!("\n    BEWARE: others invite to another state of it; follow one: --by {by}"),
        false => String::new(),
    };
    format!(
        "{}  {}  {by} invites you{stranger}: eko groups join {:?}{conflict}\n    {}",
        state.name(),
        short(state.id()),
        state.name(),
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
