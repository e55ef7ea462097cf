//! The activity `Create` of a `SignalEnvelope`: an envelope for one user's devices, here or on
//! another server.

use axum::response::Response;
use eko_federation::Federation;
use eko_messaging::send::SendOutcome;
use eko_protocol::activity::{self, DeliveryProgress, Report};
use eko_protocol::address::Handle;
use eko_protocol::envelope::Create;
use eko_protocol::json::text;
use eko_protocol::vocabulary::in_context;
use eko_service::caller::Caller;
use eko_service::{AppState, FederatedState, Problem, respond};
use http::StatusCode;
use serde_json::{Value, json};

/// POST `/user/{name}/outbox` with `Create` (`docs/protocol.md`, section 5): sends an envelope.
///
/// The answer is 201 if every device of the recipient has its ciphertext queued, 202 if the
/// envelope waits for the recipient's server, 207 `PartialDelivery` or 409 `Reject`. The calls are
/// listed at [`send_local`](eko_messaging::Messaging::send_local),
/// [`send_remote`](eko_messaging::Messaging::send_remote) and, for a handle of another server,
/// [`look_up_handle`](eko_messaging::Messaging::look_up_handle).
pub(crate) async fn send_envelope(
    state: &FederatedState,
    caller: &Caller,
    mut body: Value,
) -> Result<Response, Problem> {
    let origin = state.origin();
    let own_actor = origin.actor(&caller.user);
    let handle = text(&body, "to").ok().and_then(|to| Handle::parse(to).ok());
    if let Some(handle) = &handle {
        body["to"] = match state.is_at_home(handle) {
            true => json!(origin.actor(&handle.user().ok_or(Problem::NotFound("user"))?)),
            // An address in the place of the one that is looked up when all else is checked.
            false => json!(own_actor),
        };
    }
    let mut create = Create::parse(&body, state.now_ms())?;
    create.authorise(&own_actor, &origin.device(&caller.user, &caller.device))?;
    if let Some(handle) = handle.filter(|handle| !state.is_at_home(handle)) {
        let federation = state.federation("/to")?;
        create.to = state.messaging().look_up_handle(federation, caller.address(), &handle).await?;
    }
    let outcome = match origin.parse_actor(&create.to) {
        Some(user) => {
            let franking = state.federates().map(Federation::franking);
            state.messaging().send_local(caller.address(), &create, &user, franking).await?
        }
        None if origin.owns(&create.to) => return Err(Problem::NotFound("user")),
        None => {
            let federation = state.federation("/to")?;
            state.messaging().send_remote(federation, caller.address(), &create).await?
        }
    };
    Ok(match outcome {
        SendOutcome::Accepted { activity } => {
            accepted(StatusCode::CREATED, &create, &activity, DeliveryProgress::Done)
        }
        SendOutcome::Queued { activity } => {
            accepted(StatusCode::ACCEPTED, &create, &activity, DeliveryProgress::Queued)
        }
        SendOutcome::Partial(report) => reported(state, StatusCode::MULTI_STATUS, &report),
        SendOutcome::Rejected(report) => reported(state, StatusCode::CONFLICT, &report),
    })
}

/// Answers with the activity. `activity` is its id, which is also the `Location`.
fn accepted(status: StatusCode, create: &Create, activity: &str, progress: DeliveryProgress) -> Response {
    let body = activity::create_accepted(activity, create, progress);
    respond::with_location(respond::activity(status, &body), activity)
}

/// Answers with a report.
fn reported(state: &AppState, status: StatusCode, report: &Report) -> Response {
    respond::activity(status, &in_context(report.to_value(state.origin())))
}
