//! GET `/user/{name}/inbox` (`docs/protocol.md`, section 6): the calling device's mailbox, oldest first.
//! Reading deletes nothing. One Query; a later page a GetItem beside it.

use axum::extract::{Query, State};
use axum::response::Response;
use eko_protocol::activity::{self, QueuedMessage};
use eko_protocol::collection::{self, PreKeyCount};
use eko_protocol::id::{EntryKey, EnvelopeId};
use eko_service::caller::{Caller, Owner};
use eko_service::{AppState, Problem, respond};
use eko_store::device::DeviceStatus;
use eko_store::mailbox::{Content, Entry};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// The query of a page.
#[derive(Deserialize)]
pub(crate) struct Page {
    /// The entry after which it starts; from the `next` of the page before.
    after: Option<String>,
}

pub(crate) async fn fetch(
    State(state): State<AppState>,
    Owner(caller): Owner,
    query: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    const BAD: Problem = Problem::BadRequest("after must be the key of an entry");
    let Query(page) = query.map_err(|_| BAD)?;
    let after = page.after.as_deref().map(EntryKey::parse).transpose().map_err(|_| BAD)?;
    let found = state.store().fetch(&caller.user, &caller.device, after.as_ref(), state.now_ms()).await?;
    let found = found.ok_or(Problem::DeviceRevoked)?;
    match found.device.status {
        DeviceStatus::Active => {}
        DeviceStatus::Pending => return Err(Problem::DevicePending),
        DeviceStatus::Revoked => return Err(Problem::DeviceRevoked),
    }
    let entries = found.entries.iter().map(|entry| activity_of(&state, &caller, entry));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let inbox = state.origin().inbox(&caller.user);
    let page = |after: &EntryKey| format!("{inbox}?after={after}");
    let body = collection::inbox_page(
        state.origin(),
        &caller.user,
        &after.as_ref().map_or_else(|| inbox.clone(), page),
        entries,
        found.next.as_ref().map(page).as_deref(),
        PreKeyCount {
            pre_keys: found.device.pre_keys.left(),
            kyber_pre_keys: found.device.kyber_pre_keys.left(),
        },
    );
    Ok(respond::uncached(respond::activity(StatusCode::OK, &body)))
}

/// An entry as the activity that it holds, with its own address.
fn activity_of(state: &AppState, caller: &Caller, entry: &Entry) -> Result<Value, Problem> {
    let corrupt = |detail: String| Problem::Unavailable(format!("stored entry: {detail}"));
    let origin = state.origin();
    let address = origin.entry(&caller.user, &entry.key);
    let received_ms = i64::try_from(entry.key.accepted_ms()).unwrap_or(i64::MAX);
    match &entry.content {
        Content::Report(json) => {
            let report = serde_json::from_slice(json).map_err(|e| corrupt(e.to_string()))?;
            Ok(activity::queued(report, received_ms, &address))
        }
        Content::Message(message) => {
            let queued = QueuedMessage {
                activity: message.activity.clone(),
                actor: message.author.clone(),
                to: origin.actor(&caller.user),
                envelope: EnvelopeId::parse(&message.envelope).map_err(|e| corrupt(e.to_string()))?,
                from: message.from.clone(),
                device: origin.device(&caller.user, &caller.device),
                content: message.ciphertext.clone(),
                published_ms: message.published_ms,
                notify: message.notify,
                expires_ms: message.expires_ms,
                device_set: message.device_set.clone(),
            };
            Ok(activity::queued_create(origin, &queued, received_ms, &address))
        }
    }
}
