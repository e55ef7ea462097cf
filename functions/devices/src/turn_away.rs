//! The activity `Reject`: an active device turns a pending one away.

use axum::response::{IntoResponse, Response};
use eko_messaging::active_device::require_active;
use eko_protocol::Invalid;
use eko_protocol::chain::DeviceRejection;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem};
use eko_store::chain::AppendOutcome;
use eko_store::device::DeviceAddress;
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/devices` with `Reject` (`docs/protocol.md`, section 3): revokes a pending
/// device. The answer is 204.
///
/// The calling device signs it with its identity key, because the device's id cannot be used again.
/// The chain does not change, because the device was never in it. One GetItem of the device set,
/// one BatchGetItem of the keys of both devices, the call of
/// [`order_erasure`](eko_messaging::Messaging::order_erasure), one transaction, and the call of
/// [`end_revoked`](eko_messaging::Messaging::end_revoked).
pub(crate) async fn turn_device_away(
    state: &AppState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    let (store, user) = (state.store(), &caller.user);
    let rejection = DeviceRejection::parse(body)?;
    let device = state
        .origin()
        .parse_device_of(user, &rejection.device)
        .ok_or(Invalid::at("/object", "must be a device of this user"))?;
    let devices = require_active(store.device_set(user).await?, &caller.device)?;
    if !devices.pending.contains(&device) {
        return Err(not_pending());
    }
    if rejection.device_set != devices.set {
        return Err(Problem::StaleHead(devices.set));
    }
    let keys = store.device_keys(user, [&caller.device, &device]).await?;
    let own = keys.get(&caller.device).ok_or(Problem::DeviceRevoked)?;
    let pending = keys.get(&device).ok_or_else(not_pending)?.new_device(&device);
    rejection.verify(&state.origin().actor(user), &pending, &own.identity_key)?;
    state.messaging().order_erasure(user, vec![device.clone()]).await?;
    let address = DeviceAddress::new(user, &device);
    match store.turn_away(address, &devices).await? {
        AppendOutcome::Done => state.messaging().end_revoked(user, vec![device]).await,
        AppendOutcome::Lost => {
            let now = require_active(store.device_set(user).await?, &caller.device)?;
            let is_stale = now.set != devices.set;
            return Err(if is_stale { Problem::StaleHead(now.set) } else { not_pending() });
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn not_pending() -> Problem {
    Invalid::at("/object", "must be a device that waits for approval").into()
}
