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

/// The routes of this function.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/user/{name}/devices", get(chain::chain).post(append::append))
        .route("/user/{name}/devices/pending", get(pending::pending))
        .route("/user/{name}/inbox", get(fetch::fetch))
        .route("/user/{name}/inbox/{entry}", delete(acknowledge::acknowledge))
}
