//! The activity `Check`: a device compares its keys with the server's.

use axum::response::{IntoResponse, Response};
use eko_messaging::active_device::require_status;
use eko_protocol::key_package::{check_digest, parse_check};
use eko_service::caller::Caller;
use eko_service::{AppState, Problem};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/keyPackages` with `Check` (`docs/protocol.md`, section 4): compares a digest
/// of the calling device's lasting keys with the stored ones. The answer is 200, or the problem
/// `keys-differ`.
///
/// One GetItem and one BatchGetItem.
pub(crate) async fn check_keys(state: &AppState, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    let claimed = parse_check(body)?;
    let store = state.store();
    require_status(store.device_record(caller.address()).await?.map(|record| record.status))?;
    let own = store.own_keys(caller.address()).await?.ok_or(Problem::DeviceRevoked)?;
    let actual = check_digest(&own.identity_key, &own.signed_pre_key, own.last_resort.as_ref());
    if claimed == actual { Ok(StatusCode::OK.into_response()) } else { Err(Problem::KeysDiffer) }
}
