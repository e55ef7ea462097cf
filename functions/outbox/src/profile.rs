//! The activity `Update` of the own actor: a device changes what its user shows of themselves.

use axum::response::{IntoResponse, Response};
use eko_protocol::profile::UpdateProfile;
use eko_service::caller::{Caller, check_actor};
use eko_service::{FederatedState, Problem};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/outbox` with `Update` (`docs/protocol.md`, section 6): changes the display name
/// and the avatar of the user. The answer is 204. Nobody else is told.
///
/// The calls are listed at [`change_profile`](eko_messaging::Messaging::change_profile).
pub(crate) async fn change_profile(
    state: &FederatedState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    let change = UpdateProfile::parse(body, &state.origin().actor(&caller.user))?;
    check_actor(state, caller, change.actor.as_deref())?;
    state.messaging().change_profile(caller.address(), &change).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
