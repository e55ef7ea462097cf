//! POST `/user/{name}/keyPackages` with `Take` (`docs/protocol.md`, section 4): one package for each device that is
//! asked for, with one-time keys as far as the pool and the budget have them.

use axum::extract::Request;
use axum::response::Response;
use eko_protocol::address::UserName;
use eko_protocol::key_package::{LocalPackages, TakeActivity};
use eko_protocol::{Invalid, limits};
use eko_service::caller::Caller;
use eko_service::{AppState, Federated, Problem, packages, respond, signed};
use http::StatusCode;
use serde_json::Value;

/// Answers a device of this server.
pub(crate) async fn take_for_device(
    state: &AppState,
    caller: &Caller,
    path: &UserName,
    body: &Value,
) -> Result<Response, Problem> {
    let take = TakeActivity::parse(body, state.origin())?;
    if take.actor != state.origin().actor(&caller.user) {
        return Err(Problem::NotYours(Invalid::at("/actor", "must be the caller")));
    }
    let wanted = packages_of(path, take)?;
    let collection = state.messaging().take_for_device(caller.address(), wanted).await?;
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}

/// Answers another server, on behalf of the actor who signed the request.
pub(crate) async fn take_for_server(
    state: &Federated,
    path: &UserName,
    request: Request,
) -> Result<Response, Problem> {
    let Some(signed) = signed::read(state, request, limits::MAX_BODY_BYTES).await? else {
        return Err(Invalid::at("/type", "must be Take").into());
    };
    let wanted = packages_of(path, TakeActivity::parse(&signed.activity, state.origin())?)?;
    let collection = state.messaging().take_for_server(&signed.actor, wanted).await?;
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}

/// Returns the packages that a `Take` asks for. They must be of the user whose collection the path names.
fn packages_of(path: &UserName, take: TakeActivity) -> Result<LocalPackages, Problem> {
    let wanted = packages::of_this_server(take.target)?;
    if wanted.user == *path {
        Ok(wanted)
    } else {
        Err(Invalid::at("/object", "must be of the user whose collection this is").into())
    }
}
