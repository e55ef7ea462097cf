//! The activity `Flag`: a device reports a message to the operators.

use axum::response::{IntoResponse, Response};
use eko_messaging::flag::ReportOutcome;
use eko_protocol::flag::Flag;
use eko_service::caller::{Caller, check_actor};
use eko_service::{FederatedState, Problem};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/outbox` with `Flag` (`docs/protocol.md`, section 6): reports a message. The
/// answer is 202, whether or not the report is true, and 200 if the user has made it today already.
///
/// The calls are listed at [`report_message`](eko_messaging::Messaging::report_message).
pub(crate) async fn report_message(
    state: &FederatedState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    let flag = Flag::parse(body)?;
    check_actor(state, caller, flag.actor.as_deref())?;
    Ok(match state.messaging().report_message(state.federates(), caller.address(), &flag).await? {
        ReportOutcome::Stored => StatusCode::ACCEPTED.into_response(),
        ReportOutcome::Repeated => StatusCode::OK.into_response(),
    })
}
