//! The exchange of a refresh token.

use axum::extract::State;
use axum::response::Response;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond};
use eko_store::sessions::{NextToken, RotationOutcome};
use http::StatusCode;

use crate::tokens::{self, RefreshRequest, RefreshToken};

/// POST `/auth/refresh` (`docs/protocol.md`, section 10): exchanges a refresh token for the next
/// one of its family and an access token.
///
/// A token is exchanged once. If it comes a second time, the answer to the first exchange may be
/// lost: the next token is given again, unless it was exchanged, within a minute, and later once in a
/// day. Otherwise the family ends, because one of the two senders may be a thief. The calls are listed
/// at [`rotate`](eko_store::Store::rotate). A token that is refused costs one GetItem more, which says
/// whether the account was deleted.
pub(crate) async fn refresh_tokens(
    State(state): State<AppState>,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let request: RefreshRequest = respond::shape(&body)?;
    let old = &request.refresh_token;
    let salt = state.random();
    let Some(caller) = RefreshToken::device_of(old) else { return Err(UNKNOWN) };
    let next = RefreshToken::after(old, &caller, salt);
    let ttl = tokens::refresh_token_expiry(&state);
    let token = NextToken { salt, token_hash: next.hash.clone(), ttl };
    let (store, hash) = (state.store(), RefreshToken::hash(old));
    let next = match store.rotate(caller.address(), &hash, token, state.now_ms()).await? {
        RotationOutcome::Rotated(_) => next,
        RotationOutcome::Repeated { session, salt, is_late } => {
            if is_late {
                tracing::warn!(user = %session.user, device = %session.device, "a refresh was repeated late");
            }
            RefreshToken::after(old, &caller, salt)
        }
        RotationOutcome::Unknown | RotationOutcome::Ended if is_deleted(&state, &caller).await? => {
            return Err(Problem::AccountDeleted);
        }
        RotationOutcome::Unknown => return Err(UNKNOWN),
        RotationOutcome::Reused(session) => {
            tracing::warn!(user = %session.user, device = %session.device, "a refresh token came twice");
            state.messaging().end_former_session(session.address()).await?;
            let detail = "the refresh token was used before: sign in again";
            return Err(Problem::Unauthenticated(detail));
        }
        RotationOutcome::Ended => {
            return Err(Problem::Unauthenticated("the session has ended: sign in again"));
        }
    };
    tokens::answer(&state, StatusCode::OK, &caller, &next, None)
}

/// The problem of a token that is none of this server.
const UNKNOWN: Problem = Problem::Unauthenticated("the refresh token is not valid");

/// True if the account of a device was deleted. One GetItem.
async fn is_deleted(state: &AppState, caller: &Caller) -> Result<bool, Problem> {
    Ok(state.store().device_set(&caller.user).await?.is_deleted())
}
