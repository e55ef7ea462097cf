//! Key packages: devices publish them, everyone may list them, and devices take them.
//!
//! Other servers take them at the inbox. This function knows no signatures, so that no stranger can
//! make it wait for another server.

mod add;
mod check;
mod list;
mod take;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::on;
use eko_protocol::Invalid;
use eko_protocol::json::{has_type, optional_text};
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::{Caller, PathUser, check_actor};
use eko_service::config::Needs;
use eko_service::route::{self, Route};
use eko_service::{AppState, Problem};

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { token_keys: true, ..Needs::NOTHING };

/// The routes of this function.
pub const ROUTES: &[Route<AppState>] = &[
    Route::get("/user/{name}/keyPackages", |method| on(method, list::list_packages)),
    Route::post("/user/{name}/keyPackages", |method| on(method, post)),
    Route::get("/user/{name}/keyPackage/{device}", |method| on(method, list::one_package)),
];

/// Returns the router of this function.
pub fn router() -> Router<AppState> {
    route::router(ROUTES)
}

/// POST `/user/{name}/keyPackages` (`docs/protocol.md`, section 4): calls the handler of the
/// activity's type.
async fn post(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    caller: Caller,
    JsonBody(activity): SmallBody,
) -> Result<Response, Problem> {
    if has_type(&activity, "Take") {
        return take::take_for_device(&state, &caller, &user, &activity).await;
    }
    if caller.user != user {
        return Err(Problem::NotOwner);
    }
    check_actor(&state, &caller, optional_text(&activity, "actor")?)?;
    if has_type(&activity, "Add") {
        add::add_keys(&state, &caller, &activity).await
    } else if has_type(&activity, "Check") {
        check::check_keys(&state, &caller, &activity).await
    } else {
        Err(Invalid::at("/type", "must be Add, Check or Take").into())
    }
}
