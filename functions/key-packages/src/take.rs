//! The activity `Take`: key packages for a device of this server, with one-time keys as far as the
//! pools and the budgets allow.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::address::UserName;
use eko_protocol::key_package::{LocalPackages, TakeActivity};
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond, take_request};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/keyPackages` with `Take` by a device (`docs/protocol.md`, section 4): takes
/// one package of each device that is asked for.
///
/// The calls are listed at [`take_for_device`](eko_messaging::Messaging::take_for_device).
pub(crate) async fn take_for_device(
    state: &AppState,
    caller: &Caller,
    path: &UserName,
    body: &Value,
) -> Result<Response, Problem> {
    let packages = packages_of(path, take_request::parse_own(state, caller, body)?)?;
    let collection = state.messaging().take_for_device(caller.address(), packages).await?;
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}

/// Returns the packages that a `Take` asks for. They must be of the user whom the path names.
fn packages_of(path: &UserName, take: TakeActivity) -> Result<LocalPackages, Problem> {
    let packages = take_request::local_packages(take)?;
    if packages.user == *path {
        Ok(packages)
    } else {
        Err(Invalid::at("/object", "must be of the user whose collection this is").into())
    }
}
