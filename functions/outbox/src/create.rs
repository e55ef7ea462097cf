//! `Create(SignalEnvelope)`: an envelope for one user's devices (`docs/protocol.md`, section 5). Here what holds
//! for every envelope; then it goes to devices here ([`crate::local`]) or to another server ([`crate::remote`]).

use axum::response::Response;
use eko_federation::{STEP_TIME, limits};
use eko_protocol::Invalid;
use eko_protocol::activity::{self, DeliveryProgress, Report};
use eko_protocol::address::Handle;
use eko_protocol::envelope::Create;
use eko_protocol::json::only_text;
use eko_service::caller::Caller;
use eko_service::{AppState, Federated, Problem, respond};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{local, remote};

pub(crate) async fn create(state: &Federated, caller: &Caller, mut body: Value) -> Result<Response, Problem> {
    if let Some(actor) = addressee(state, &body).await? {
        body["to"] = json!(actor);
    }
    let origin = state.origin();
    let create = Create::parse(&body, state.now_ms())?;
    let (actor, device) = (origin.actor(&caller.user), origin.device(&caller.user, &caller.device));
    create
        .authorise(&actor, &device)
        .map_err(|not| Problem::NotYours(Invalid::at(not.pointer, not.detail)))?;
    match origin.parse_actor(&create.to) {
        Some(user) => local::send(state, caller, &create, &user).await,
        None if origin.owns(&create.to) => Err(Problem::NotFound("user")),
        None => remote::send(state, caller, &create).await,
    }
}

/// The actor id behind a handle in `to`; `None` where it is no handle.
async fn addressee(state: &Federated, body: &Value) -> Result<Option<String>, Problem> {
    let Some(handle) = only_text(body, "to").ok().and_then(|to| Handle::parse(to).ok()) else {
        return Ok(None);
    };
    if handle.authority() == state.origin().authority() {
        return Ok(Some(state.origin().actor(handle.name())));
    }
    let federation = state.federation("/to")?;
    Ok(Some(federation.resolve(&handle, state.now_ms(), &limits(STEP_TIME)).await?))
}

/// 201 where all of it was taken, 202 where it is queued for another server: the activity with its ids.
pub(crate) fn accepted(
    state: &AppState,
    create: &Create,
    activity: &str,
    delivery: DeliveryProgress,
) -> Response {
    let status = match delivery {
        DeliveryProgress::Done => StatusCode::CREATED,
        DeliveryProgress::Queued => StatusCode::ACCEPTED,
    };
    let body = activity::create_accepted(state.origin(), activity, create, delivery);
    let mut response = respond::activity(status, &body);
    if let Ok(location) = HeaderValue::from_str(activity) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// 207 or 409 with a report.
pub(crate) fn reported(state: &AppState, status: StatusCode, report: &Report) -> Response {
    respond::activity(status, &report.to_value(state.origin()))
}
