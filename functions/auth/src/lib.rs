//! The function `auth` (`docs/protocol.md`, section 10): registers a device for an OIDC ID token,
//! gives it tokens, refreshes them, and logs it out.

mod logout;
mod oidc;
mod refresh;
mod register;
mod registration;
mod sign_in;
mod state;
mod tokens;

use axum::Router;
use axum::routing::on;
use eko_service::config::Needs;
use eko_service::route::{self, Route};

pub use state::SignInState;

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { token_keys: true, issuer: true, deliveries: true, ..Needs::NOTHING };

/// The routes of this function.
pub const ROUTES: &[Route<SignInState>] = &[
    Route::post("/auth/devices", |method| on(method, register::register)),
    Route::post("/auth/refresh", |method| on(method, refresh::refresh)),
    Route::post("/auth/logout", |method| on(method, logout::logout)),
];

/// Returns the router of this function.
pub fn router() -> Router<SignInState> {
    route::router(ROUTES)
}
