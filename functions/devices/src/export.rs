//! The export of an account, page by page.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use eko_protocol::collection;
use eko_service::caller::Owner;
use eko_service::{AppState, Problem, respond};
use eko_store::export::ExportCursor;
use http::StatusCode;
use serde::Deserialize;

/// The query of a page.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    /// The place at which the page begins, from the `next` of the page before.
    cursor: Option<String>,
}

/// GET `/user/{name}/export` (`docs/protocol.md`, section 10): returns a page of everything that the
/// server stores about the caller's user.
///
/// The calls are listed at [`export_page`](eko_messaging::Messaging::export_page).
pub(crate) async fn export_page(
    State(state): State<AppState>,
    Owner(caller): Owner,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    const BAD: Problem = Problem::BadRequest("cursor must be that of a page of your own export");
    let Query(PageQuery { cursor }) = query.map_err(|_| BAD)?;
    let from = match &cursor {
        Some(text) => ExportCursor::parse(text, &caller.user).ok_or(BAD)?,
        None => ExportCursor::first(),
    };
    let (origin, user) = (state.origin(), &caller.user);
    let found = state.messaging().export_page(caller.address(), &from).await?;
    let device = found.device.as_ref().map(|device| origin.device(user, device));
    let items = found.items.into_iter();
    let items = items.map(|item| collection::exported(item.kind, device.as_deref(), item.members)).collect();
    let export = origin.export(user);
    let page = |cursor: &str| format!("{export}?cursor={cursor}");
    let body = collection::export_page(
        origin,
        user,
        &cursor.as_deref().map_or_else(|| export.clone(), page),
        items,
        found.next.map(|next| page(&next.to_text(user))).as_deref(),
    );
    Ok(respond::uncached(respond::activity(StatusCode::OK, &body)))
}
