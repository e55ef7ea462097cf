//! POST `/auth/logout` (`docs/protocol.md`, section 10): ends the family of a refresh token. The
//! device stays in the device set, and its access token expires within fifteen minutes. A refresh
//! token that is not valid is answered with success too (RFC 7009, section 2.2).

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use eko_service::body::{JsonBody, SmallBody};
use eko_service::{AppState, Problem, respond};
use http::StatusCode;

use crate::refresh::Presented;
use crate::tokens::RefreshToken;

pub(crate) async fn logout(
    State(state): State<AppState>,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let presented: Presented = respond::shape(&body)?;
    let hash = RefreshToken::hash(&presented.refresh_token);
    if let Some(session) = state.store().session(&hash, state.now_ms()).await? {
        state.store().end_family(&session).await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
