//! Devices: the mailbox and the push subscription of a device, the device chain of a user, approval
//! and revocation, the list of what the user blocks, the settings of the account, and its export.

mod append;
mod blocked;
mod chain;
mod delete_entry;
mod export;
mod fetch;
mod pending;
mod push;
mod settings;
mod turn_away;

use axum::Router;
use axum::routing::on;
use eko_service::AppState;
use eko_service::config::Needs;
use eko_service::route::{self, Route};

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { token_keys: true, seldom_deliveries: true, live: true, ..Needs::NOTHING };

/// The routes of this function.
pub const ROUTES: &[Route<AppState>] = &[
    Route::get("/user/{name}/devices", |method| on(method, chain::read_chain)),
    Route::post("/user/{name}/devices", |method| on(method, append::append_node)),
    Route::get("/user/{name}/devices/pending", |method| on(method, pending::list_pending)),
    Route::get("/user/{name}/inbox", |method| on(method, fetch::fetch_page)),
    Route::delete("/user/{name}/inbox/{entry}", |method| on(method, delete_entry::delete_entry)),
    Route::get("/user/{name}/blocked", |method| on(method, blocked::list_blocks)),
    Route::get("/user/{name}/settings", |method| on(method, settings::read_settings)),
    Route::put("/user/{name}/settings", |method| on(method, settings::change_settings)),
    Route::get("/user/{name}/export", |method| on(method, export::export_page)),
    Route::post("/user/{name}/push", |method| on(method, push::subscribe)),
    Route::delete("/user/{name}/push", |method| on(method, push::unsubscribe)),
];

/// Returns the router of this function.
pub fn router() -> Router<AppState> {
    route::router(ROUTES)
}
