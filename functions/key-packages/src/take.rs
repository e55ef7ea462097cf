//! POST `/user/{name}/keyPackages` with `Take` (`docs/protocol.md`, section 4): one package for each device
//! asked for, with one-time keys where the pool and the budget have them.

use axum::extract::Request;
use axum::response::Response;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_protocol::key_package::TakeActivity;
use eko_protocol::{Invalid, limits};
use eko_service::caller::Caller;
use eko_service::{AppState, Federated, Problem, respond, signed, take};
use http::StatusCode;
use serde_json::Value;

pub(crate) async fn take(
    state: &AppState,
    caller: &Caller,
    path: &UserName,
    body: &Value,
) -> Result<Response, Problem> {
    let asked = TakeActivity::parse(body, state.origin())?;
    if asked.actor != state.origin().actor(&caller.user) {
        return Err(Problem::NotYours(Invalid::at("/actor", "must be the caller")));
    }
    let (user, wanted) = target(asked, path)?;
    let collection = take::by_device(state, caller, &user, wanted).await?;
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}

/// The same of another server, on behalf of one of its actors.
pub(crate) async fn by_server(
    state: &Federated,
    path: &UserName,
    request: Request,
) -> Result<Response, Problem> {
    let Some(signed) = signed::read(state, request, limits::MAX_BODY_BYTES).await? else {
        return Err(Invalid::at("/type", "must be Take").into());
    };
    // Its actor is who signed.
    let (user, wanted) = target(TakeActivity::parse(&signed.activity, state.origin())?, path)?;
    let collection = take::by_server(state, &signed.actor, &user, wanted).await?;
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}

/// Whose packages, which must be those of the path.
fn target(asked: TakeActivity, path: &UserName) -> Result<(UserName, Option<Vec<DeviceId>>), Problem> {
    let (user, wanted) = take::local_target(asked.target)?;
    if user == *path {
        Ok((user, wanted))
    } else {
        Err(Invalid::at("/object", "must be of the user whose collection this is").into())
    }
}
