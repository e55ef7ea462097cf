//! Sign-in: an OIDC ID token in, a registered device with tokens out; refresh; logout
//! (`docs/protocol.md`, section 10).

mod logout;
mod refresh;
mod register;
mod registration;
mod sign_in;
mod tokens;

use axum::Router;
use axum::routing::post;
use eko_service::AppState;

/// The routes of this function.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/auth/devices", post(register::register))
        .route("/auth/refresh", post(refresh::refresh))
        .route("/auth/logout", post(logout::logout))
}
