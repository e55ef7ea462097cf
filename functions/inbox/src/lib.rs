//! The inboxes: what other servers send to users here.
//!
//! Every request is signed by the activity's own actor ([`eko_service::signed`]). What is accepted, ignored or
//! seen before is 202, so that nobody sends it again.

mod create;
mod report;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use eko_federation::Federation;
use eko_protocol::address::UserName;
use eko_protocol::json::has_type;
use eko_protocol::key_package::TakeActivity;
use eko_protocol::{Invalid, limits};
use eko_service::caller::PathUser;
use eko_service::config::Needs;
use eko_service::signed::{self, Signed};
use eko_service::{Federated, Problem, respond, take};
use http::StatusCode;

/// What this function has to be told.
pub const NEEDS: Needs = Needs { signing_key: true, deliveries: true, ..Needs::NOTHING };

/// The routes of this function.
pub fn router() -> Router<Federated> {
    Router::new().route("/user/{name}/inbox", post(personal)).route("/inbox", post(shared))
}

/// POST `/user/{name}/inbox` (`docs/protocol.md`, sections 2, 5 and 7): by the activity's type.
async fn personal(
    State(state): State<Federated>,
    PathUser(user): PathUser,
    request: Request,
) -> Result<Response, Problem> {
    receive(&state, Some(&user), request).await
}

/// POST `/inbox`: the same for whichever user the activity is for.
async fn shared(State(state): State<Federated>, request: Request) -> Result<Response, Problem> {
    receive(&state, None, request).await
}

async fn receive(state: &Federated, path: Option<&UserName>, request: Request) -> Result<Response, Problem> {
    let Some(signed) = signed::read(state, request, limits::MAX_ENVELOPE_BODY_BYTES).await? else {
        return Ok(taken());
    };
    let Signed { activity, actor } = &signed;
    if has_type(activity, "Create") {
        create::create(state, path, &signed).await
    } else if ["Delivered", "PartialDelivery", "Reject", "Confirm", "Accept"]
        .iter()
        .any(|kind| has_type(activity, kind))
    {
        report::report(state, path, &signed).await
    } else if has_type(activity, "Take") {
        let (user, wanted) = take::local_target(TakeActivity::parse(activity, state.origin())?.target)?;
        check_path(path, &user, "/object")?;
        let collection = take::by_server(state, actor, &user, wanted).await?;
        Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
    } else if Federation::is_own_deletion(activity, &actor.id) {
        state.federation("/actor")?.forget(&actor.id).await?;
        Ok(taken())
    } else {
        tracing::debug!(actor = actor.id, "an activity that means nothing here");
        Ok(taken())
    }
}

/// 202 without a body.
fn taken() -> Response {
    StatusCode::ACCEPTED.into_response()
}

/// A user's own inbox takes what is for that user.
fn check_path(path: Option<&UserName>, user: &UserName, pointer: &str) -> Result<(), Problem> {
    match path {
        Some(path) if path != user => {
            Err(Invalid::at(pointer, "must be the user whose inbox this is").into())
        }
        _ => Ok(()),
    }
}
