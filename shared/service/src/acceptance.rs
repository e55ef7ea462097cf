//! Accepting an envelope for a user here: coverage, record, queue. The sender may be a device of ours (the
//! outbox) or another server (the inbox). `docs/protocol.md`, section 5.

use std::collections::BTreeSet;

use eko_protocol::Invalid;
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_protocol::coverage::{self, Verdict};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::envelope::Create;
use eko_protocol::id::{self, DeviceId};
use eko_store::budget::{BudgetCharge, WindowSums};
use eko_store::deliveries;
use eko_store::devices::UserDevices;

use crate::{AppState, Problem};

/// What became of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every device has it, or will: the activity's id.
    Accepted {
        /// Id of the `Create`.
        activity: String,
    },
    /// Some devices lack it, and the report says which.
    Partial(Report),
    /// Nothing was queued, since devices named are not active.
    Rejected(Report),
}

/// Counts an envelope against its budgets; beside the read of the device sets. `recipient` is a user name here
/// or an actor id elsewhere. One UpdateItem.
pub async fn spend(state: &AppState, create: &Create, recipient: &str) -> Result<(), Problem> {
    let bytes = create.messages.iter().map(|m| m.content.len()).sum::<usize>();
    spend_bytes(state, &create.actor, recipient, u64::try_from(bytes).unwrap_or(u64::MAX)).await
}

/// The same for what is no envelope, of `bytes` content.
pub async fn spend_bytes(state: &AppState, sender: &str, recipient: &str, bytes: u64) -> Result<(), Problem> {
    let most = state.config().recipient_budget;
    let charge = BudgetCharge { sender, recipient, bytes };
    let budget = state.store().spend(charge, most, state.now_ms()).await?;
    let retry_after = budget.resets_in_ms.unsigned_abs().div_ceil(1000);
    let too_many = |what| Err(Problem::TooMany { retry_after, what });
    match budget.window {
        WindowSums::Counted { envelopes, .. } if envelopes > state.config().sender_budget => {
            too_many("too many envelopes to this recipient in this minute")
        }
        WindowSums::Full => too_many("too many envelopes to this recipient in this minute"),
        WindowSums::Counted { bytes, .. } if bytes > state.config().recipient_bytes_budget => {
            too_many("too many bytes to this recipient in this minute")
        }
        WindowSums::Counted { .. } => Ok(()),
    }
}

/// Judges an envelope by the recipient's device set, records what is accepted of it and queues it: one
/// UpdateItem, one SendMessageBatch. `sender` is the sending device when it is one of the recipient's own.
pub async fn accept(
    state: &AppState,
    create: &Create,
    user: &UserName,
    devices: &UserDevices,
    sender: Option<&DeviceId>,
) -> Result<Outcome, Problem> {
    let messages = create.local_messages(state.origin(), user)?;
    let mut expected = devices.active_ids();
    if let Some(sender) = sender {
        expected.remove(sender);
        if let Some(index) = messages.iter().position(|(device, _)| device == sender) {
            let pointer = format!("/object/messages/{index}/to");
            return Err(Invalid::at(pointer, "a device sends nothing to itself").into());
        }
    }
    let named: BTreeSet<DeviceId> = messages.iter().map(|(device, _)| device.clone()).collect();
    if let Verdict::Stale { missing, stale } = coverage::check(&expected, &named, &BTreeSet::new()) {
        let set = Some(devices.set.clone());
        let report = Report::stale(state.origin(), user, &create.actor, &create.id, &missing, &stale, set);
        return Ok(Outcome::Rejected(report));
    }
    let now_ms = state.now_ms();
    let keep_until = state.keep_until(now_ms);
    let listed: Vec<DeviceId> = named.iter().cloned().collect();
    let author = &create.actor;
    let id = create.id.as_str();
    let accepted = state.store().accept_envelope(user, author, id, &listed, now_ms, keep_until).await?;
    let uuid = id::activity_uuid(accepted.accepted_ms.unsigned_abs(), author, id);
    let activity = state.origin().activity(&uuid);
    let mut delivery = deliveries::Envelope {
        to: user.to_string(),
        author: author.clone(),
        activity: activity.clone(),
        envelope: id.to_owned(),
        from: create.from.clone(),
        accepted: accepted.accepted_ms,
        ttl: create.expires_ms.map_or(keep_until, |ms| keep_until.min(ms.div_euclid(1000))),
        published: create.published_ms,
        expires: create.expires_ms,
        notify: create.notify,
        seen: create.device_set.as_ref().map(|seen: &DeviceSetRef| (seen.length, seen.head.clone())),
        messages: Vec::with_capacity(messages.len()),
    };
    // Nothing comes back to a device that has acknowledged it, whoever sends it again.
    for (device, ciphertext) in messages.iter().filter(|(device, _)| !accepted.acknowledged.contains(device))
    {
        delivery.push(device, ciphertext);
    }
    state.store().queue_envelope(delivery).await?;
    Ok(match coverage::check(&expected, &named, &accepted.devices) {
        Verdict::Missing(missing) => Outcome::Partial(Report::partial_delivery(
            state.origin(),
            user,
            &create.actor,
            &create.id,
            &missing,
            Some(devices.set.clone()),
        )),
        Verdict::All | Verdict::Stale { .. } => Outcome::Accepted { activity },
    })
}
