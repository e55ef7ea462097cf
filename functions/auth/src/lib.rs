//! Sign-in (`docs/protocol.md`, section 10): a device registers or signs in again with an OpenID
//! Connect ID token and gets its tokens; it refreshes them; it logs out; it deletes the account of its
//! user.

mod delete;
mod further_device;
mod logout;
mod oidc;
mod refresh;
mod register;
mod registration;
mod reset;
mod sign_in;
mod state;
mod tokens;

use axum::Router;
use axum::routing::on;
use eko_service::config::Needs;
use eko_service::route::{self, Route};

pub use state::SignInState;

/// The settings that this function needs.
pub const NEEDS: Needs =
    Needs { token_keys: true, issuer: true, deliveries: true, live: true, ..Needs::NOTHING };

/// The routes of this function.
pub const ROUTES: &[Route<SignInState>] = &[
    Route::post("/auth/devices", |method| on(method, register::register_device)),
    Route::post("/auth/refresh", |method| on(method, refresh::refresh_tokens)),
    Route::post("/auth/logout", |method| on(method, logout::log_out)),
    Route::delete("/user/{name}", |method| on(method, delete::delete_account)),
];

/// Returns the router of this function.
pub fn router() -> Router<SignInState> {
    route::router(ROUTES)
}
