//! One group state: reading, storing and deleting it.

use std::collections::HashMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use eko_protocol::Invalid;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::limits::MAX_GROUP_STATES;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::Owner;
use eko_service::{AppState, Problem, respond};
use eko_store::group_states::GroupStateOutcome;
use http::StatusCode;
use serde::Deserialize;

const NONE: Problem = Problem::NotFound("group state");

/// The parameters of the path.
type Parameters = Path<HashMap<String, String>>;

/// The query of a deletion.
#[derive(Deserialize)]
pub(crate) struct DropQuery {
    /// The epoch of the state that the device has seen.
    epoch: u64,
}

/// GET `/user/{name}/groupState/{group}` (`docs/protocol.md`, section 9): returns one group state.
///
/// The calls are listed at [`group_state`](eko_messaging::Messaging::group_state).
pub(crate) async fn read_state(
    State(state): State<AppState>,
    Owner(caller): Owner,
    Path(parameters): Parameters,
) -> Result<Response, Problem> {
    let id = id_of(&parameters)?;
    let found = state.messaging().group_state(caller.address(), &id).await?.ok_or(NONE)?;
    let body = found.to_document(Some(&state.origin().group_state(&caller.user, &id)));
    Ok(respond::uncached(respond::activity(StatusCode::OK, &body)))
}

/// PUT `/user/{name}/groupState/{group}` (`docs/protocol.md`, section 9): stores a group state, if
/// its epoch is greater than that of the stored one. The answer is 204.
///
/// The calls are listed at [`keep_group_state`](eko_messaging::Messaging::keep_group_state).
pub(crate) async fn keep_state(
    State(state): State<AppState>,
    Owner(caller): Owner,
    Path(parameters): Parameters,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let id = id_of(&parameters)?;
    let sealed = SealedGroupState::parse(&body)?;
    answer(state.messaging().keep_group_state(caller.address(), &id, &sealed).await?)
}

/// DELETE `/user/{name}/groupState/{group}?epoch=` (`docs/protocol.md`, section 9): deletes a group
/// state of this epoch or a lower one. The answer is 204, also if there is none.
///
/// The calls are listed at [`drop_group_state`](eko_messaging::Messaging::drop_group_state).
pub(crate) async fn drop_state(
    State(state): State<AppState>,
    Owner(caller): Owner,
    Path(parameters): Parameters,
    query: Result<Query<DropQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let id = id_of(&parameters)?;
    let Query(DropQuery { epoch }) =
        query.map_err(|_| Problem::BadRequest("epoch must be that of the stored state"))?;
    answer(state.messaging().drop_group_state(caller.address(), &id, epoch).await?)
}

/// Returns the id of the group state that the path names.
fn id_of(parameters: &HashMap<String, String>) -> Result<GroupStateId, Problem> {
    let text = parameters.get("group").ok_or(NONE)?;
    GroupStateId::parse(text).map_err(|_| NONE)
}

fn answer(outcome: GroupStateOutcome) -> Result<Response, Problem> {
    match outcome {
        GroupStateOutcome::Done => Ok(StatusCode::NO_CONTENT.into_response()),
        GroupStateOutcome::Stale { epoch } => Err(Problem::StaleEpoch(epoch)),
        GroupStateOutcome::Full => {
            Err(Invalid::whole(format!("the user has {MAX_GROUP_STATES} group states")).into())
        }
    }
}
