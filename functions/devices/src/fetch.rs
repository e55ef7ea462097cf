//! The mailbox of the calling device, page by page.

use axum::extract::{Query, State};
use axum::response::Response;
use eko_messaging::active_device::require_status;
use eko_protocol::activity;
use eko_protocol::collection::{self, PreKeyCount};
use eko_protocol::id::EntryKey;
use eko_protocol::letter::FetchedLetter;
use eko_service::caller::{Caller, Owner};
use eko_service::{AppState, Problem, respond};
use eko_store::mailbox::{Entry, EntryContent};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// The query of a page.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    /// The key of the entry after which the page starts, from the `next` of the page before.
    after: Option<String>,
}

/// GET `/user/{name}/inbox` (`docs/protocol.md`, section 6): returns a page of the mailbox, oldest
/// entry first. Reading deletes nothing.
///
/// One Query; for a page after the first one also a GetItem at the same time. If the mailbox was
/// full, and this is its last page, also the calls of
/// [`recount`](eko_messaging::Messaging::recount).
pub(crate) async fn fetch_page(
    State(state): State<AppState>,
    Owner(caller): Owner,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    const BAD: Problem = Problem::BadRequest("after must be the key of an entry");
    let Query(page) = query.map_err(|_| BAD)?;
    let after = page.after.as_deref().map(EntryKey::parse).transpose().map_err(|_| BAD)?;
    let found = state.store().fetch(caller.address(), after.as_ref(), state.now_ms()).await?;
    let found = found.ok_or(Problem::DeviceRevoked)?;
    require_status(Some(found.device.status))?;
    state.messaging().recount(caller.address(), &found).await;
    let entries = found.entries.into_iter().map(|entry| activity(&state, &caller, entry)).collect();
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

/// Returns the activity of an entry, with the URL by which the device acknowledges it.
fn activity(state: &AppState, caller: &Caller, entry: Entry) -> Value {
    let origin = state.origin();
    let url = origin.entry(&caller.user, &entry.key);
    match entry.content {
        EntryContent::Report { activity: report, .. } => {
            let received_ms = i64::try_from(entry.key.accepted_ms()).unwrap_or(i64::MAX);
            activity::queued(report, received_ms, &url)
        }
        EntryContent::Letter { letter, ciphertext } => {
            let fetched = FetchedLetter {
                letter,
                to: origin.actor(&caller.user),
                device: origin.device(&caller.user, &caller.device),
                ciphertext,
            };
            fetched.to_value(&url)
        }
    }
}
