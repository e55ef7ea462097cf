//! The activity `Delivered`: a device acknowledges entries of its mailbox.

use axum::response::{IntoResponse, Response};
use eko_protocol::activity::DeliveredActivity;
use eko_service::caller::Caller;
use eko_service::{FederatedState, Problem, delivered};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/outbox` with `Delivered` (`docs/protocol.md`, section 6): deletes entries of
/// the calling device's mailbox and sends the receipts. The answer is 204.
///
/// The calls are listed at [`acknowledge`](eko_messaging::Messaging::acknowledge).
pub(crate) async fn acknowledge_entries(
    state: &FederatedState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    let activity = DeliveredActivity::parse(body)?;
    delivered::acknowledge_entries(state, state.federates().is_some(), caller, &activity).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
