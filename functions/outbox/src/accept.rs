//! The activities `Accept` of an actor and `Undo` of one: a device says that its user knows the actor, or
//! knows the actor no longer.

use axum::response::{IntoResponse, Response};
use eko_protocol::Invalid;
use eko_protocol::block::BlockedParty;
use eko_protocol::json::{has_type, only, optional_text, text};
use eko_service::caller::{Caller, check_actor};
use eko_service::{FederatedState, Problem};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/outbox` with `Accept` (`docs/protocol.md`, section 6): the actor may write to
/// the user, whatever the setting is. The answer is 204. Nobody else is told.
///
/// The calls are listed at [`accept_actor`](eko_messaging::Messaging::accept_actor).
pub(crate) async fn accept_actor(
    state: &FederatedState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    check_actor(state, caller, optional_text(body, "actor")?)?;
    let actor = accepted_actor(body)?;
    if actor == state.origin().actor(&caller.user) {
        return Err(Invalid::at("/object", "nobody can accept themselves").into());
    }
    state.messaging().accept_actor(caller.address(), &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// True for an `Undo` of an `Accept`.
pub(crate) fn is_undone_acceptance(body: &Value) -> bool {
    has_type(body, "Undo") && only(body, "object").is_ok_and(|accept| has_type(accept, "Accept"))
}

/// POST `/user/{name}/outbox` with `Undo` of an `Accept` (`docs/protocol.md`, section 6): the actor is a
/// stranger. The answer is 204. Nobody else is told.
///
/// The calls are listed at [`forget_actor`](eko_messaging::Messaging::forget_actor).
pub(crate) async fn forget_actor(
    state: &FederatedState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    check_actor(state, caller, optional_text(body, "actor")?)?;
    let actor = accepted_actor(only(body, "object")?).map_err(|fault| fault.under("/object"))?;
    state.messaging().forget_actor(caller.address(), &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Returns the actor whom an `Accept` is about.
fn accepted_actor(accept: &Value) -> Result<String, Invalid> {
    let party = BlockedParty::parse(text(accept, "object")?);
    match party.map_err(|fault| fault.under("/object"))? {
        BlockedParty::Actor(actor) => Ok(actor),
        BlockedParty::Domain(_) => Err(Invalid::at("/object", "must be an actor id")),
    }
}
