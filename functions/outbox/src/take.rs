//! `Take`: a device asks its own server for another user's key packages, here or on another server
//! (`docs/protocol.md`, section 4).

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::key_package::{TakeActivity, TakeTarget};
use eko_service::caller::Caller;
use eko_service::{Federated, Problem, respond};
use http::StatusCode;
use serde_json::Value;

pub(crate) async fn take_packages(
    state: &Federated,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    let take = TakeActivity::parse(body, state.origin())?;
    if take.actor != state.origin().actor(&caller.user) {
        return Err(Problem::NotYours(Invalid::at("/actor", "must be the caller")));
    }
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
