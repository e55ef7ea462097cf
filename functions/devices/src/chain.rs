//! GET `/user/{name}/devices` (`docs/protocol.md`, section 3): the whole chain, so that any client replays it
//! itself. One Query a megabyte.

use axum::extract::State;
use axum::response::Response;
use eko_protocol::chain::ChainNode;
use eko_protocol::collection;
use eko_protocol::device_set::DeviceSetRef;
use eko_service::caller::PathUser;
use eko_service::{AppState, Problem, respond};
use http::HeaderMap;

/// Seconds that caches may keep a chain.
const FRESH_SECONDS: u32 = 5;

pub(crate) async fn chain(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stored = state.store().chain(&user).await?;
    let nodes = stored.iter().map(|bytes| ChainNode::from_canonical(bytes)).collect::<Result<Vec<_>, _>>();
    let nodes = nodes.map_err(|error| Problem::Unavailable(format!("stored chain: {error}")))?;
    let Some(last) = nodes.last() else { return Err(Problem::NotFound("user")) };
    let set = DeviceSetRef { length: last.seq().saturating_add(1), head: last.hash() };
    let body = collection::device_chain(state.origin(), &user, &nodes, Some(&set));
    Ok(respond::cached(respond::negotiated(&headers, &body), FRESH_SECONDS))
}
