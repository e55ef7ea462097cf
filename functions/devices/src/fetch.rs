//! The mailbox of the calling device, page by page.

use axum::extract::{Query, State};
use axum::response::Response;
use eko_messaging::live::entry_activity;
use eko_protocol::collection::{self, PreKeyCount};
use eko_protocol::id::EntryKey;
use eko_service::caller::Owner;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;
use serde::Deserialize;

/// The query of a page.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    /// The key of the entry after which the page starts, from the `next` of the page before.
    after: Option<String>,
}

/// GET `/user/{name}/inbox` (`docs/protocol.md`, section 6): returns a page of the mailbox, oldest
/// entry first. Reading deletes nothing.
///
/// The calls are listed at [`fetch_page`](eko_messaging::Messaging::fetch_page).
pub(crate) async fn fetch_page(
    State(state): State<AppState>,
    Owner(caller): Owner,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    const BAD: Problem = Problem::BadRequest("after must be the key of an entry");
    let Query(page) = query.map_err(|_| BAD)?;
    let after = page.after.as_deref().map(EntryKey::parse).transpose().map_err(|_| BAD)?;
    let found = state.messaging().fetch_page(caller.address(), after.as_ref()).await?;
    let entries = found.entries.into_iter();
    let entries = entries.map(|entry| entry_activity(state.origin(), caller.address(), entry)).collect();
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
