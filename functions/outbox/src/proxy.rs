//! The proxy of a user, at which the user's devices read device chains.

use axum::extract::State;
use axum::response::Response;
use eko_protocol::chain_request::ChainRequest;
use eko_protocol::collection;
use eko_service::body::FormBody;
use eko_service::caller::Owner;
use eko_service::{FederatedState, Problem, respond};
use http::StatusCode;

/// POST `/user/{name}/proxy` (`docs/protocol.md`, section 3): returns the device chain of a user of
/// any server, so that the other server learns nothing of the device that asks.
///
/// The calls are listed at [`chain_of_user`](eko_messaging::Messaging::chain_of_user) and
/// [`chain_from_server`](eko_messaging::Messaging::chain_from_server).
pub(crate) async fn read_chain(
    State(state): State<FederatedState>,
    Owner(caller): Owner,
    FormBody(form): FormBody,
) -> Result<Response, Problem> {
    let request = ChainRequest::parse(&form)?;
    let messaging = state.messaging();
    let nodes = if request.origin == *state.origin() {
        messaging.chain_of_user(caller.address(), &request.user).await?
    } else {
        let federation = state.federation("/id")?;
        messaging.chain_from_server(federation, caller.address(), &request).await?
    };
    let set = nodes.last().map(|last| last.device_set());
    let body = collection::device_chain(&request.origin, &request.user, &nodes, set.as_ref());
    Ok(respond::uncached(respond::activity(StatusCode::OK, &body)))
}
