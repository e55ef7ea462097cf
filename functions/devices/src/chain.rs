//! The public device chain, from which every client replays the device set itself.

use axum::extract::State;
use axum::response::Response;
use eko_protocol::collection;
use eko_service::caller::PathUser;
use eko_service::{AppState, Problem, negotiate, respond};
use http::HeaderMap;

/// The time for which caches may keep a chain, in seconds.
const FRESH_SECONDS: u32 = 5;

/// GET `/user/{name}/devices` (`docs/protocol.md`, section 3): returns the whole chain.
///
/// One Query for each megabyte.
pub(crate) async fn read_chain(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let nodes = state.store().chain(&user).await?;
    let last = nodes.last().ok_or(Problem::NotFound("user"))?;
    let body = collection::device_chain(state.origin(), &user, &nodes, Some(&last.device_set()));
    Ok(respond::cached(negotiate::negotiated(&headers, &body), FRESH_SECONDS))
}
