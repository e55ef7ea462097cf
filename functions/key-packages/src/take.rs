//! POST `/user/{name}/keyPackages` with `Take` (`docs/protocol.md`, section 4): one package for each device
//! asked for, with one-time keys where the pool and the budget have them.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::address::UserName;
use eko_protocol::key_package::Take;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond, take};
use http::StatusCode;
use serde_json::Value;

pub(crate) async fn take(
    state: &AppState,
    caller: &Caller,
    path: &UserName,
    body: &Value,
) -> Result<Response, Problem> {
    let asked = Take::parse(body, state.origin())?;
    if asked.actor != state.origin().actor(&caller.user) {
        return Err(Problem::NotYours(Invalid::at("/actor", "must be the caller")));
    }
    let (user, wanted) = take::local_target(asked.target)?;
    if user != *path {
        return Err(Invalid::at("/object", "must be of the user whose collection this is").into());
    }
    let collection = take::by_device(state, caller, &user, wanted).await?;
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}
