//! The list of a user's group states, page by page.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use eko_protocol::group_state;
use eko_protocol::id::GroupStateId;
use eko_service::caller::Owner;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;
use serde::Deserialize;

/// The query of a page.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    /// The id after which the page starts, from the `next` of the page before.
    after: Option<String>,
}

/// GET `/user/{name}/groupState` (`docs/protocol.md`, section 9): returns a page of the user's group
/// states.
///
/// The calls are listed at [`group_states`](eko_messaging::Messaging::group_states).
pub(crate) async fn list_states(
    State(state): State<AppState>,
    Owner(caller): Owner,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    const BAD: Problem = Problem::BadRequest("after must be the id of a group state");
    let Query(page) = query.map_err(|_| BAD)?;
    let after = page.after.as_deref().map(GroupStateId::parse).transpose().map_err(|_| BAD)?;
    let found = state.messaging().group_states(caller.address(), after.as_ref()).await?;
    let next = found.next.as_ref();
    let body = group_state::page(state.origin(), &caller.user, after.as_ref(), &found.states, next);
    Ok(respond::uncached(respond::activity(StatusCode::OK, &body)))
}
