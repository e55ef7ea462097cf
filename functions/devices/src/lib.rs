//! Devices: a device's mailbox, the user's device chain, approval and revocation.

mod acknowledge;
mod append;
mod chain;
mod fetch;
mod pending;
mod turn_away;

use axum::Router;
use axum::routing::{delete, get};
use eko_service::AppState;
use eko_service::config::Needs;

/// What this function has to be told.
pub const NEEDS: Needs = Needs { token_keys: true, ..Needs::NOTHING };

/// The routes of this function.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/user/{name}/devices", get(chain::chain).post(append::append))
        .route("/user/{name}/devices/pending", get(pending::pending))
        .route("/user/{name}/inbox", get(fetch::fetch))
        .route("/user/{name}/inbox/{entry}", delete(acknowledge::acknowledge))
}
