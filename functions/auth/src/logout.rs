//! The logout of a device.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use eko_service::body::{JsonBody, SmallBody};
use eko_service::{AppState, Problem, respond};
use http::StatusCode;

use crate::tokens::{RefreshRequest, RefreshToken};

/// POST `/auth/logout` (`docs/protocol.md`, section 10): ends the family of a refresh token. The
/// answer is 204, also if the token is not valid (RFC 7009, section 2.2).
///
/// The device stays in the device set. Its access token is good until it expires; its sockets end.
/// The device gets no pushes from then on, and has no subscription. A token of the earlier form names
/// no device, and ends its family all the same. One GetItem, one transaction, and the call of
/// [`end_former_session`](eko_messaging::Messaging::end_former_session). If the process dies before
/// that, and the device does not log out again, its sockets end with the access token.
pub(crate) async fn log_out(
    State(state): State<AppState>,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let request: RefreshRequest = respond::shape(&body)?;
    let hash = RefreshToken::hash(&request.refresh_token);
    let (store, now_ms) = (state.store(), state.now_ms());
    let session = match RefreshToken::device_of(&request.refresh_token) {
        Some(caller) => store.session(caller.address(), &hash, now_ms).await?,
        None => store.former_session(&hash, now_ms).await?,
    };
    // An old token says nothing of a sign-in that came after it.
    if let Some(session) = session
        && state.store().end_family(&session).await?
    {
        state.messaging().end_former_session(session.address()).await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
