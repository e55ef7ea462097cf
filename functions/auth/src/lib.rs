//! Sign-in: an OIDC ID token in, a registered device with tokens out; refresh; logout
//! (`docs/protocol.md`, section 10).

mod logout;
mod oidc;
mod refresh;
mod register;
mod registration;
mod sign_in;
mod state;
mod tokens;

use axum::Router;
use axum::routing::post;
use eko_service::config::Needs;

pub use state::SignIn;

/// What this function has to be told.
pub const NEEDS: Needs = Needs { token_keys: true, issuer: true, deliveries: true, ..Needs::NOTHING };

/// The routes of this function.
pub fn router() -> Router<SignIn> {
    Router::new()
        .route("/auth/devices", post(register::register))
        .route("/auth/refresh", post(refresh::refresh))
        .route("/auth/logout", post(logout::logout))
}
