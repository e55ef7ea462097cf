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
/// at [`rotate`](eko_store::Store::rotate).
pub(crate) async fn refresh_tokens(
    State(state): State<AppState>,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let request: RefreshRequest = respond::shape(&body)?;
    let old = &request.refresh_token;
    let salt = state.random();
    let next = RefreshToken::after(old, salt);
    let ttl = tokens::refresh_token_expiry(&state);
    let token = NextToken { salt, token_hash: next.hash.clone(), ttl };
    let (session, next) = match state.store().rotate(&RefreshToken::hash(old), token, state.now_ms()).await? {
        RotationOutcome::Rotated(session) => (session, next),
        RotationOutcome::Repeated { session, salt, is_late } => {
            if is_late {
                tracing::warn!(user = %session.user, device = %session.device, "a refresh was repeated late");
            }
            (session, RefreshToken::after(old, salt))
        }
        RotationOutcome::Unknown => {
            return Err(Problem::Unauthenticated("the refresh token is not valid"));
        }
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
    let caller = Caller { user: session.user, device: session.device };
    tokens::answer(&state, StatusCode::OK, &caller, &next, None)
}
