//! POST `/user/{name}/devices` with `Reject` (`docs/protocol.md`, section 3): an active device turns a pending
//! one away. Its id is used up; the chain does not change, since the device was never in it.
//!
//! One GetItem, one transaction; then what the device left is cleared.

use axum::response::{IntoResponse, Response};
use eko_messaging::active_device::require_active;
use eko_protocol::Invalid;
use eko_protocol::json::text;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem};
use eko_store::device::DeviceAddress;
use http::StatusCode;
use serde_json::Value;

pub(crate) async fn turn_away(state: &AppState, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    let store = state.store();
    let device = state
        .origin()
        .parse_device_of(&caller.user, text(body, "object")?)
        .ok_or(Invalid::at("/object", "must be a device of this user"))?;
    require_active(store.device_set(&caller.user).await?, &caller.device)?;
    let address = DeviceAddress::new(&caller.user, &device);
    if !store.turn_away(address).await? {
        return Err(Invalid::at("/object", "must be a device that waits for approval").into());
    }
    if let Err(error) = store.erase_device(address).await {
        tracing::warn!(%error, "what a device left that was turned away is not cleared yet");
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
