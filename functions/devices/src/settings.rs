//! The settings of an account.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use eko_protocol::settings::AccountSettings;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::Owner;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;

/// GET `/user/{name}/settings` (`docs/protocol.md`, section 6): reads the settings of the caller's
/// account.
///
/// The calls are listed at [`settings`](eko_messaging::Messaging::settings).
pub(crate) async fn read_settings(
    State(state): State<AppState>,
    Owner(caller): Owner,
) -> Result<Response, Problem> {
    let settings = state.messaging().settings(caller.address()).await?;
    Ok(respond::uncached(respond::document(StatusCode::OK, "application/json", &settings.to_value())))
}

/// PUT `/user/{name}/settings` (`docs/protocol.md`, section 6): changes the settings of the caller's
/// account. The answer is 204.
///
/// The calls are listed at [`change_settings`](eko_messaging::Messaging::change_settings).
pub(crate) async fn change_settings(
    State(state): State<AppState>,
    Owner(caller): Owner,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let settings = AccountSettings::parse(&body)?;
    state.messaging().change_settings(caller.address(), settings).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
