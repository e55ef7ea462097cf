//! The activity `Take`: a device asks its own server for another user's key packages, here or on
//! another server.

use axum::response::Response;
use eko_protocol::key_package::TakeTarget;
use eko_service::caller::Caller;
use eko_service::{FederatedState, Problem, respond, take_request};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/outbox` with `Take` (`docs/protocol.md`, section 4): takes one key package of
/// each device that is asked for, here or from another server.
///
/// The calls are listed at [`take_for_device`](eko_messaging::Messaging::take_for_device) and
/// [`take_from_server`](eko_messaging::Messaging::take_from_server).
pub(crate) async fn take_packages(
    state: &FederatedState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    let take = take_request::parse_own(state, caller, body)?;
    let messaging = state.messaging();
    let collection = match take.target {
        TakeTarget::Local(packages) => messaging.take_for_device(caller.address(), packages).await?,
        TakeTarget::Remote(packages) => {
            let federation = state.federation("/object")?;
            messaging.take_from_server(federation, caller.address(), packages).await?
        }
    };
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}
