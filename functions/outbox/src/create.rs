//! `Create(SignalEnvelope)`: an envelope for one user's devices (`docs/protocol.md`, section 5).
//!
//! Four AWS calls in three rounds: both device sets in one BatchGetItem, the budgets beside it; the
//! envelope's record; the queue.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::activity::{self, Delivery, Report};
use eko_protocol::address::UserName;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::envelope::Create;
use eko_service::acceptance::{self, Outcome};
use eko_service::caller::{Caller, inactive};
use eko_service::{AppState, Problem, respond};
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;

pub(crate) async fn create(state: &AppState, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    let origin = state.origin();
    let create = Create::parse(body, state.now_ms())?;
    let (actor, device) = (origin.actor(&caller.user), origin.device(&caller.user, &caller.device));
    create
        .authorise(&actor, &device)
        .map_err(|not| Problem::NotYours(Invalid::at(not.pointer, not.detail)))?;
    let Some(user) = origin.parse_actor(&create.to) else {
        return Err(match origin.owns(&create.to) {
            true => Problem::NotFound("user"),
            false => Invalid::at("/to", "is on another server, and this one does not federate yet").into(),
        });
    };
    // Shape first: what cannot be meant for this user costs no call.
    create.local_messages(origin, &user)?;
    let (sets, spent) = tokio::join!(
        state.store().device_sets([&caller.user, &user]),
        acceptance::spend(state, &create, &user)
    );
    let [own, recipient] = sets?;
    let own = own.ok_or(Problem::DeviceRevoked)?;
    if !own.active.contains_key(&caller.device) {
        return Err(inactive(&own, &caller.device));
    }
    let recipient = recipient.ok_or(Problem::NotFound("user"))?;
    spent?;
    let sender = create.is_sync().then_some(&caller.device);
    let outcome = acceptance::accept(state, &create, &user, &recipient, sender).await?;
    Ok(answer(state, &create, &user, recipient.set, outcome))
}

/// The answers of section 5's table.
fn answer(
    state: &AppState,
    create: &Create,
    user: &UserName,
    set: DeviceSetRef,
    outcome: Outcome,
) -> Response {
    let origin = state.origin();
    match outcome {
        Outcome::Accepted { activity } => {
            let body = activity::create_accepted(origin, &activity, create, Delivery::Done);
            let mut response = respond::activity(StatusCode::CREATED, &body);
            if let Ok(location) = HeaderValue::from_str(&activity) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Outcome::Partial { missing } => {
            let report =
                Report::partial_delivery(origin, user, &create.actor, &create.id, &missing, Some(set));
            respond::activity(StatusCode::MULTI_STATUS, &report.to_value(origin))
        }
        Outcome::Rejected { missing, stale } => {
            let report =
                Report::stale(origin, user, &create.actor, &create.id, (&missing, &stale), Some(set));
            respond::activity(StatusCode::CONFLICT, &report.to_value(origin))
        }
    }
}
