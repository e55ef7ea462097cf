//! Group states: what a user's devices keep of their groups, sealed.

mod list;
mod one;

use axum::Router;
use axum::routing::on;
use eko_service::AppState;
use eko_service::config::Needs;
use eko_service::route::{self, Route};

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { token_keys: true, ..Needs::NOTHING };

/// The routes of this function.
pub const ROUTES: &[Route<AppState>] = &[
    Route::get("/user/{name}/groupState", |method| on(method, list::list_states)),
    Route::get("/user/{name}/groupState/{group}", |method| on(method, one::read_state)),
    Route::put("/user/{name}/groupState/{group}", |method| on(method, one::keep_state)),
    Route::delete("/user/{name}/groupState/{group}", |method| on(method, one::drop_state)),
];

/// Returns the router of this function.
pub fn router() -> Router<AppState> {
    route::router(ROUTES)
}
