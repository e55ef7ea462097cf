//! POST `/user/{name}/keyPackages` with `Check` (`docs/protocol.md`, section 4): whether client and server
//! hold the same keys of the calling device. A GetItem and a BatchGetItem.

use axum::response::{IntoResponse, Response};
use eko_protocol::key_package::{check_digest, parse_check};
use eko_service::caller::Caller;
use eko_service::{AppState, Problem};
use eko_store::device::DeviceStatus;
use http::StatusCode;
use serde_json::Value;

pub(crate) async fn check(state: &AppState, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    let claimed = parse_check(body)?;
    let store = state.store();
    match store.device_record(caller.address()).await?.map(|record| record.status) {
        Some(DeviceStatus::Active) => {}
        Some(DeviceStatus::Pending) => return Err(Problem::DevicePending),
        Some(DeviceStatus::Revoked) | None => return Err(Problem::DeviceRevoked),
    }
    let own = store.own_keys(caller.address()).await?.ok_or(Problem::DeviceRevoked)?;
    let actual = check_digest(&own.identity_key, &own.signed_pre_key, own.last_resort.as_ref());
    if claimed == actual { Ok(StatusCode::OK.into_response()) } else { Err(Problem::KeysDiffer) }
}
