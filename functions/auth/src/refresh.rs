//! POST `/auth/refresh` (`docs/protocol.md`, section 10): a refresh token is exchanged once, for the next one
//! and an access token. A token that comes twice ends its family: one of the two was stolen.

use axum::extract::State;
use axum::response::Response;
use eko_service::body::{Json, Small};
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond};
use eko_store::sessions::Rotation;
use http::StatusCode;
use serde::Deserialize;

use crate::tokens::{self, RefreshToken};

/// The body of a refresh and of a logout.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Presented {
    pub(crate) refresh_token: String,
}

pub(crate) async fn refresh(State(state): State<AppState>, Json(body): Small) -> Result<Response, Problem> {
    let presented: Presented = respond::shape(&body)?;
    let next = RefreshToken::new(&state);
    let hash = RefreshToken::hash(&presented.refresh_token);
    match state.store().rotate(&hash, &next.hash, tokens::expires(&state), state.now_ms()).await? {
        Rotation::Rotated(session) => {
            let caller = Caller { user: session.user, device: session.device };
            tokens::answer(&state, StatusCode::OK, &caller, &next, None)
        }
        Rotation::Unknown => Err(Problem::Unauthenticated("the refresh token is not valid")),
        Rotation::Reused(session) => {
            tracing::warn!(user = %session.user, device = %session.device, "a refresh token came twice");
            Err(Problem::Unauthenticated("the refresh token was used before: sign in again"))
        }
        Rotation::Ended => Err(Problem::Unauthenticated("the session has ended: sign in again")),
    }
}
