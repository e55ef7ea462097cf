//! The list of what a user blocks.

use axum::extract::State;
use axum::response::Response;
use eko_protocol::collection;
use eko_service::caller::Owner;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;

/// GET `/user/{name}/blocked` (`docs/protocol.md`, section 6): lists what the caller's user blocks.
///
/// The calls are listed at [`blocks`](eko_messaging::Messaging::blocks).
pub(crate) async fn list_blocks(
    State(state): State<AppState>,
    Owner(caller): Owner,
) -> Result<Response, Problem> {
    let blocks = state.messaging().blocks(caller.address()).await?;
    let list = collection::blocks(state.origin(), &caller.user, &blocks);
    Ok(respond::uncached(respond::activity(StatusCode::OK, &list)))
}
