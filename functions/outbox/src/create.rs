//! `Create(SignalEnvelope)`: an envelope for one user's devices, here or on another server (`docs/protocol.md`,
//! section 5). The calls that it makes are listed at [`Messaging::send_local`] and [`Messaging::send_remote`].
//!
//! [`Messaging::send_local`]: eko_messaging::Messaging::send_local
//! [`Messaging::send_remote`]: eko_messaging::Messaging::send_remote

use axum::response::Response;
use eko_federation::{STEP_TIME, limits};
use eko_messaging::send::SendOutcome;
use eko_protocol::activity::{self, DeliveryProgress, Report};
use eko_protocol::address::Handle;
use eko_protocol::envelope::Create;
use eko_protocol::json::only_text;
use eko_service::caller::Caller;
use eko_service::{AppState, Federated, Problem, respond};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

pub(crate) async fn send_envelope(
    state: &Federated,
    caller: &Caller,
    mut body: Value,
) -> Result<Response, Problem> {
    if let Some(actor) = actor_of_handle(state, &body).await? {
        body["to"] = json!(actor);
    }
    let origin = state.origin();
    let create = Create::parse(&body, state.now_ms())?;
    create.authorise(&origin.actor(&caller.user), &origin.device(&caller.user, &caller.device))?;
    let outcome = match origin.parse_actor(&create.to) {
        Some(user) => state.messaging().send_local(caller.address(), &create, &user).await?,
        None if origin.owns(&create.to) => return Err(Problem::NotFound("user")),
        None => {
            let federation = state.federation("/to")?;
            state.messaging().send_remote(federation, caller.address(), &create).await?
        }
    };
    Ok(match outcome {
        SendOutcome::Accepted { activity } => {
            accepted(state, StatusCode::CREATED, &create, &activity, DeliveryProgress::Done)
        }
        SendOutcome::Queued { activity } => {
            accepted(state, StatusCode::ACCEPTED, &create, &activity, DeliveryProgress::Queued)
        }
        SendOutcome::Partial(report) => reported(state, StatusCode::MULTI_STATUS, &report),
        SendOutcome::Rejected(report) => reported(state, StatusCode::CONFLICT, &report),
    })
}

/// Returns the actor id for a handle in `to`, or `None` if `to` is no handle.
async fn actor_of_handle(state: &Federated, body: &Value) -> Result<Option<String>, Problem> {
    let Some(handle) = only_text(body, "to").ok().and_then(|to| Handle::parse(to).ok()) else {
        return Ok(None);
    };
    if handle.authority() == state.origin().authority() {
        return Ok(Some(state.origin().actor(handle.name())));
    }
    let federation = state.federation("/to")?;
    Ok(Some(federation.resolve(&handle, state.now_ms(), &limits(STEP_TIME)).await?))
}

/// Answers with the activity and its ids. Its id is also the `Location`.
fn accepted(
    state: &AppState,
    status: StatusCode,
    create: &Create,
    activity: &str,
    progress: DeliveryProgress,
) -> Response {
    let body = activity::create_accepted(state.origin(), activity, create, progress);
    let mut response = respond::activity(status, &body);
    if let Ok(location) = HeaderValue::from_str(activity) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Answers with a report.
fn reported(state: &AppState, status: StatusCode, report: &Report) -> Response {
    respond::activity(status, &report.to_value(state.origin()))
}
