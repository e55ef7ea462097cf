//! `Take` through the outbox: a device asks its own server for another user's key packages
//! (`docs/protocol.md`, section 4).

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::key_package::Take;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond, take};
use http::StatusCode;
use serde_json::Value;

pub(crate) async fn take(state: &AppState, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    let asked = Take::parse(body, state.origin())?;
    if asked.actor != state.origin().actor(&caller.user) {
        return Err(Problem::NotYours(Invalid::at("/actor", "must be the caller")));
    }
    let (user, wanted) = take::local_target(asked.target)?;
    let collection = take::by_device(state, caller, &user, wanted).await?;
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}
