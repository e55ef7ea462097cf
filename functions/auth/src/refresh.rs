//! POST `/auth/refresh` (`docs/protocol.md`, section 10): exchanges a refresh token for the next
//! one and an access token. A token that comes twice ends its family, because one of the two
//! senders may have stolen it.

use axum::extract::State;
use axum::response::Response;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond};
use eko_store::sessions::{NextToken, RotationOutcome};
use http::StatusCode;
use serde::Deserialize;

use crate::tokens::{self, RefreshToken};

/// The body of a request to refresh or to log out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Presented {
    pub(crate) refresh_token: String,
}

pub(crate) async fn refresh(
    State(state): State<AppState>,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let presented: Presented = respond::shape(&body)?;
    let next = RefreshToken::new(&state);
    let hash = RefreshToken::hash(&presented.refresh_token);
    let token = NextToken { token_hash: next.hash.clone(), ttl: tokens::expires(&state) };
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
