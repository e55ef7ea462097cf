//! `Create(SignalEnvelope)` of another server (`docs/protocol.md`, section 5): 202 where all of the recipient's
//! devices are covered, 207 `PartialDelivery`, 409 `Reject`.
//!
//! While the author is in memory, four AWS calls in three rounds: the device set by GetItem, the budgets beside
//! it; the envelope's record; the queue.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_protocol::envelope::Create;
use eko_protocol::json::has_type;
use eko_service::acceptance::{self, Outcome};
use eko_service::signed::Signed;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;

use crate::{check_path, taken};

pub(crate) async fn create(
    state: &AppState,
    path: Option<&UserName>,
    signed: &Signed,
) -> Result<Response, Problem> {
    let origin = state.origin();
    if !signed.activity.get("object").is_some_and(|object| has_type(object, "SignalEnvelope")) {
        // A note, a picture: nothing for a messenger, and no reason for its server to try again.
        return Ok(taken());
    }
    let create = Create::parse(&signed.activity, state.now_ms())?;
    create
        .authorise_remote(&signed.actor.id)
        .map_err(|not| Problem::NotYours(Invalid::at(not.pointer, not.detail)))?;
    let Some(user) = origin.parse_actor(&create.to) else {
        return Err(match origin.owns(&create.to) {
            true => Problem::NotFound("user"),
            false => Invalid::at("/to", "must be a user of this server").into(),
        });
    };
    check_path(path, &user, "/to")?;
    create.local_messages(origin, &user)?;
    let (recipient, spent) =
        tokio::join!(state.store().device_set(&user), acceptance::spend(state, &create, user.as_str()));
    let recipient = recipient?.ok_or(Problem::NotFound("user"))?;
    spent?;
    let reported = |status, report: &Report| respond::activity(status, &report.to_value(origin));
    Ok(match acceptance::accept(state, &create, &user, &recipient, None).await? {
        Outcome::Accepted { .. } => taken(),
        Outcome::Partial(report) => reported(StatusCode::MULTI_STATUS, &report),
        Outcome::Rejected(report) => reported(StatusCode::CONFLICT, &report),
    })
}
