//! Discovery: who is here and what this server speaks. All public, none of it consumes anything.

mod actor;
mod capabilities;
mod context;
mod node_info;
mod web_finger;

use axum::Router;
use axum::routing::get;
use eko_service::AppState;
use eko_service::config::Needs;

/// Seconds that caches may keep a document of this function.
const FRESH_SECONDS: u32 = 60;

/// What this function has to be told.
pub const NEEDS: Needs = Needs { issuer: true, signing_key: true, ..Needs::NOTHING };

/// The routes of this function.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/.well-known/webfinger", get(web_finger::web_finger))
        .route("/.well-known/nodeinfo", get(node_info::links))
        .route("/nodeinfo/2.1", get(node_info::node_info))
        .route("/.well-known/ecp", get(capabilities::capabilities))
        .route("/ns", get(context::context))
        .route("/actor", get(actor::server))
        .route("/user/{name}", get(actor::user))
}
