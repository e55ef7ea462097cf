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
/// A token is exchanged once. If it comes a second time, its family ends, because one of the two
/// senders may be a thief. The calls are listed at [`rotate`](eko_store::Store::rotate).
pub(crate) async fn refresh_tokens(
    State(state): State<AppState>,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let request: RefreshRequest = respond::shape(&body)?;
    let next = RefreshToken::new(&state);
    let hash = RefreshToken::hash(&request.refresh_token);
    let token = NextToken { token_hash: next.hash.clone(), ttl: tokens::refresh_token_expiry(&state) };
    match state.store().rotate(&hash, token, state.now_ms()).await? {
        RotationOutcome::Rotated(session) => {
            let caller = Caller { user: session.user, device: session.device };
            tokens::answer(&state, StatusCode::OK, &caller, &next, None)
        }
        RotationOutcome::Unknown => Err(Problem::Unauthenticated("the refresh token is not valid")),
        RotationOutcome::Reused(session) => {
            tracing::warn!(user = %session.user, device = %session.device, "a refresh token came twice");
            Err(Problem::Unauthenticated("the refresh token was used before: sign in again"))
        }
        RotationOutcome::Ended => Err(Problem::Unauthenticated("the session has ended: sign in again")),
    }
}
