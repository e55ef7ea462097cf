//! The inboxes of the users and of the server: other servers post activities there.
//!
//! Every request is signed by the activity's own actor ([`eko_service::signed`]). An activity that
//! is accepted, ignored or a repetition gets 202, so that its server does not send it again.

mod create;
mod flag;
mod report;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use eko_federation::verify::is_own_change;
use eko_protocol::address::UserName;
use eko_protocol::envelope::holds_messages;
use eko_protocol::flag::Flag;
use eko_protocol::json::has_type;
use eko_protocol::key_package::TakeActivity;
use eko_protocol::{Invalid, limits};
use eko_service::caller::PathUser;
use eko_service::config::Needs;
use eko_service::route::{self, Route};
use eko_service::signed::{self, SignedActivity};
use eko_service::{FederatedState, Problem, respond, take_request};
use http::StatusCode;

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { signing_key: true, deliveries: true, parcels: true, ..Needs::NOTHING };

/// The routes of this function.
pub const ROUTES: &[Route<FederatedState>] = &[
    Route::post("/user/{name}/inbox", |method| on(method, personal_inbox)),
    Route::post("/inbox", |method| on(method, shared_inbox)),
];

/// Returns the router of this function.
pub fn router() -> Router<FederatedState> {
    route::router(ROUTES)
}

/// POST `/user/{name}/inbox` (`docs/protocol.md`, section 7): receives an activity for the user
/// whom the path names.
async fn personal_inbox(
    State(state): State<FederatedState>,
    PathUser(user): PathUser,
    request: Request,
) -> Result<Response, Problem> {
    receive(&state, Some(&user), request).await
}

/// POST `/inbox` (`docs/protocol.md`, section 7): receives an activity for the user to whom it is
/// addressed.
async fn shared_inbox(State(state): State<FederatedState>, request: Request) -> Result<Response, Problem> {
    receive(&state, None, request).await
}

/// Verifies a request and passes the activity on by its type. `path` is the user whose inbox got
/// it.
async fn receive(
    state: &FederatedState,
    path: Option<&UserName>,
    request: Request,
) -> Result<Response, Problem> {
    let Some(signed) = signed::read(state, request, limits::MAX_ENVELOPE_BODY_BYTES).await? else {
        return Ok(accepted());
    };
    // A server that sends is back.
    let heard = async {
        if let Some(federation) = state.federates() {
            state.messaging().heard_from(federation, &signed.actor).await;
        }
    };
    tokio::join!(handle(state, path, &signed), heard).0
}

/// Passes a verified activity on by its type.
async fn handle(
    state: &FederatedState,
    path: Option<&UserName>,
    signed: &SignedActivity,
) -> Result<Response, Problem> {
    let SignedActivity { activity, actor } = signed;
    if has_type(activity, "Create") {
        create::receive_envelope(state, path, signed).await
    } else if ["Delivered", "PartialDelivery", "Reject", "Confirm", "Accept"]
        .iter()
        .any(|kind| has_type(activity, kind))
    {
        report::receive_report(state, path, signed).await
    } else if has_type(activity, "Take") {
        let packages = take_request::local_packages(TakeActivity::parse(activity, state.origin())?)?;
        check_path(path, &packages.user, "/object")?;
        let collection = state.messaging().take_for_server(actor, packages).await?;
        Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
    } else if Flag::is_one(activity) {
        flag::receive_flag(state, path, signed).await
    } else if is_own_change(activity, &actor.id) {
        // Of an actor that has changed, the next request fetches the new document.
        state.federation("/actor")?.forget(&actor.id).await?;
        Ok(accepted())
    } else {
        ignored(signed)
    }
}

/// Answers 202 to an activity that means nothing to a messenger, such as a note or a follow. An
/// error would make its server try again.
///
/// # Errors
/// [`Problem::Invalid`] if the activity contains ciphertexts: they must not be lost in silence.
fn ignored(signed: &SignedActivity) -> Result<Response, Problem> {
    let SignedActivity { activity, actor } = signed;
    if holds_messages(activity) {
        return Err(Invalid::whole("contains messages, and is no Create of one SignalEnvelope").into());
    }
    tracing::debug!(actor = actor.id, "an activity that this server ignores");
    Ok(accepted())
}

/// Answers 202 without a body.
fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}

/// Checks that an activity in a user's own inbox is for that user. `pointer` is the member that
/// names `user`.
///
/// # Errors
/// [`Problem::Invalid`] at `pointer`.
fn check_path(path: Option<&UserName>, user: &UserName, pointer: &str) -> Result<(), Problem> {
    match path {
        Some(path) if path != user => {
            Err(Invalid::at(pointer, "must be the user whose inbox this is").into())
        }
        _ => Ok(()),
    }
}
