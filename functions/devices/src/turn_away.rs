//! The activity `Reject`: an active device turns a pending one away.

use axum::response::{IntoResponse, Response};
use eko_messaging::active_device::require_active;
use eko_protocol::Invalid;
use eko_protocol::json::text;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem};
use eko_store::device::DeviceAddress;
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/devices` with `Reject` (`docs/protocol.md`, section 3): revokes a pending
/// device. The answer is 204.
///
/// The device's id cannot be used again. The chain does not change, because the device was never in
/// it. One GetItem of the device set and one transaction; then the calls of
/// [`erase_device`](eko_store::Store::erase_device), whose failure is only logged.
pub(crate) async fn turn_device_away(
    state: &AppState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
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
        tracing::warn!(%error, "the keys of a device that was turned away are not deleted yet");
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
