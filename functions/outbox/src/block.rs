//! The activities `Block` and `Undo` of a `Block`: a device changes what its user blocks.

use axum::response::{IntoResponse, Response};
use eko_protocol::block::BlockActivity;
use eko_service::caller::{Caller, check_actor};
use eko_service::{FederatedState, Problem};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/outbox` with `Block` or `Undo` (`docs/protocol.md`, section 6): blocks an
/// actor or a domain, or does so no longer. The answer is 204. Nobody else is told.
///
/// The calls are listed at [`change_block`](eko_messaging::Messaging::change_block).
pub(crate) async fn change_block(
    state: &FederatedState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    let block = BlockActivity::parse(body, state.origin(), &caller.user)?;
    check_actor(state, caller, block.actor.as_deref())?;
    state.messaging().change_block(caller.address(), &block).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
