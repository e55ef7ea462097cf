//! The activity `Create` of a `SignalEnvelope` by another server.

use axum::response::Response;
use eko_messaging::accept::Acceptance;
use eko_protocol::Invalid;
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_protocol::envelope::Create;
use eko_protocol::json::{has_type, only};
use eko_protocol::vocabulary::in_context;
use eko_service::signed::SignedActivity;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;

use crate::{accepted, check_path, ignored};

/// POST `/user/{name}/inbox` or `/inbox` with `Create` (`docs/protocol.md`, sections 5 and 7):
/// accepts an envelope for a user of this server.
///
/// The answer is 202 if the envelope covers all of the recipient's devices, 207 `PartialDelivery`
/// if some are missing, and 409 `Reject` if the envelope names a stale device. The calls are listed
/// at [`accept_remote`](eko_messaging::Messaging::accept_remote).
pub(crate) async fn receive_envelope(
    state: &AppState,
    path: Option<&UserName>,
    signed: &SignedActivity,
) -> Result<Response, Problem> {
    let origin = state.origin();
    if !only(&signed.activity, "object").is_ok_and(|object| has_type(object, "SignalEnvelope")) {
        return ignored(signed);
    }
    let create = Create::parse(&signed.activity, state.now_ms())?;
    create.authorise_remote(&signed.actor.id)?;
    let Some(user) = origin.parse_actor(&create.to) else {
        return Err(match origin.owns(&create.to) {
            true => Problem::NotFound("user"),
            false => Invalid::at("/to", "must be a user of this server").into(),
        });
    };
    check_path(path, &user, "/to")?;
    let reported = |status, report: &Report| respond::activity(status, &in_context(report.to_value(origin)));
    Ok(match state.messaging().accept_remote(&create, &user).await? {
        Acceptance::Complete { .. } => accepted(),
        Acceptance::Partial(report) => reported(StatusCode::MULTI_STATUS, &report),
        Acceptance::Rejected(report) => reported(StatusCode::CONFLICT, &report),
    })
}
