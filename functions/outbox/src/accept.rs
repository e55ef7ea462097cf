//! The activity `Accept` of an actor: a device says that its user knows the actor.

use axum::response::{IntoResponse, Response};
use eko_protocol::Invalid;
use eko_protocol::block::BlockedParty;
use eko_protocol::json::{optional_text, text};
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
    let party = BlockedParty::parse(text(body, "object")?);
    let actor = match party.map_err(|fault| fault.under("/object"))? {
        BlockedParty::Actor(actor) if actor != state.origin().actor(&caller.user) => actor,
        BlockedParty::Actor(_) => return Err(Invalid::at("/object", "nobody can accept themselves").into()),
        BlockedParty::Domain(_) => return Err(Invalid::at("/object", "must be an actor id").into()),
    };
    state.messaging().accept_actor(caller.address(), &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
