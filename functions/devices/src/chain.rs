//! The public device chain, from which every client replays the device set itself.

use axum::extract::State;
use axum::response::Response;
use eko_protocol::collection;
use eko_service::caller::PathUser;
use eko_service::{AppState, Problem, negotiate, respond, tombstone};
use eko_store::devices::OfUser;
use http::HeaderMap;

/// GET `/user/{name}/devices` (`docs/protocol.md`, section 3): returns the whole chain.
///
/// No cache keeps the answer: to a client that has seen a longer chain, an old copy is a server
/// that hides something.
///
/// One Query for each megabyte. A deleted account answers 410 with a `Tombstone`.
pub(crate) async fn read_chain(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let url = state.origin().devices(&user);
    let nodes = match state.store().chain(&user).await? {
        OfUser::Stored(nodes) => nodes,
        OfUser::Absent(absence) => return tombstone::answer(&headers, &url, "OrderedCollection", absence),
    };
    let last = nodes.last().ok_or(Problem::NotFound("user"))?;
    let body = collection::device_chain(state.origin(), &user, &nodes, Some(&last.device_set()));
    Ok(respond::uncached(negotiate::negotiated(&headers, &body)))
}
