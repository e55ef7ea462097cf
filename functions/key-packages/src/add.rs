//! The activity `Add`: a device publishes keys.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::key_package::PublishedKeys;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond};
use eko_store::publication::PublicationOutcome;
use http::StatusCode;
use serde_json::{Value, json};

/// POST `/user/{name}/keyPackages` with `Add` (`docs/protocol.md`, section 4): publishes keys of
/// the calling device, all of the request or none. It fills the pools, or replaces the signed
/// prekey or the last-resort key.
///
/// One BatchGetItem, and the calls of [`publish_keys`](eko_store::Store::publish_keys).
pub(crate) async fn add_keys(state: &AppState, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    let object = body.get("object").ok_or(Invalid::at("/object", "is missing"))?;
    let keys = PublishedKeys::parse(object).map_err(|invalid| invalid.under("/object"))?;
    if keys.is_empty() {
        return Err(Invalid::at("/object", "holds no keys").into());
    }
    let store = state.store();
    let own = store.own_keys(caller.address()).await?.ok_or(Problem::DeviceRevoked)?;
    keys.validate(&own.identity_key).map_err(|invalid| invalid.under("/object"))?;
    let keys = keys.sorted();
    match store.publish_keys(caller.address(), &keys, state.now_ms()).await? {
        PublicationOutcome::Done { pre_keys, kyber_pre_keys } => {
            let body = json!({ "eko:preKeyCount": pre_keys, "eko:kyberPreKeyCount": kyber_pre_keys });
            Ok(respond::uncached(respond::document(StatusCode::OK, respond::JSON, &body)))
        }
        PublicationOutcome::Refused(invalid) => Err(invalid.under("/object").into()),
        PublicationOutcome::DevicePending => Err(Problem::DevicePending),
        PublicationOutcome::DeviceRevoked => Err(Problem::DeviceRevoked),
    }
}
