//! Discovery: the public documents that tell which users are here and what this server supports.

mod actor;
mod capabilities;
mod host_meta;
mod node_info;
mod web_finger;

use axum::Router;
use axum::routing::on;
use eko_service::AppState;
use eko_service::config::Needs;
use eko_service::route::{self, Route};

/// The time for which caches may keep a document of this function, in seconds.
const FRESH_SECONDS: u32 = 60;

/// The settings that this function needs.
pub const NEEDS: Needs =
    Needs { issuer: true, signing_key: true, vapid_key: true, live: true, ..Needs::NOTHING };

/// The routes of this function.
pub const ROUTES: &[Route<AppState>] = &[
    Route::get("/.well-known/webfinger", |method| on(method, web_finger::find_actor)),
    Route::get("/.well-known/nodeinfo", |method| on(method, node_info::node_info_links)),
    Route::get("/nodeinfo/2.0", |method| on(method, node_info::node_info_2_0)),
    Route::get("/nodeinfo/2.1", |method| on(method, node_info::node_info_2_1)),
    Route::get("/.well-known/host-meta", |method| on(method, host_meta::host_meta)),
    Route::get("/.well-known/host-meta.json", |method| on(method, host_meta::host_meta_json)),
    Route::get("/.well-known/ecp", |method| on(method, capabilities::capabilities)),
    Route::get("/actor", |method| on(method, actor::server_actor)),
    Route::get("/user/{name}", |method| on(method, actor::user_actor)),
];

/// Returns the router of this function.
pub fn router() -> Router<AppState> {
    route::router(ROUTES)
}
