//! Key packages: published by their devices, listed for anyone, taken by who wants to write.

mod add;
mod check;
mod list;
mod take;

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::response::Response;
use axum::routing::on;
use eko_protocol::Invalid;
use eko_protocol::json::has_type;
use eko_service::body::{Json, Small};
use eko_service::caller::{Caller, PathUser, check_actor};
use eko_service::config::Needs;
use eko_service::route::{self, Route};
use eko_service::{Federated, Problem, signed};

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { token_keys: true, signing_key: true, ..Needs::NOTHING };

/// The routes of this function.
pub const ROUTES: &[Route<Federated>] = &[
    Route::get("/user/{name}/keyPackages", |method| on(method, list::list)),
    Route::post("/user/{name}/keyPackages", |method| on(method, post)),
    Route::get("/user/{name}/keyPackage/{device}", |method| on(method, list::one)),
];

/// Returns the router of this function.
pub fn router() -> Router<Federated> {
    route::router(ROUTES)
}

/// POST `/user/{name}/keyPackages` (`docs/protocol.md`, section 4): by the activity's type. A device comes with
/// its token, another server with its signature.
async fn post(
    State(state): State<Federated>,
    PathUser(user): PathUser,
    request: Request,
) -> Result<Response, Problem> {
    if signed::is_signed(request.headers()) {
        return take::take_for_server(&state, &user, request).await;
    }
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &state).await?;
    let Json(activity) = Small::from_request(Request::from_parts(parts, body), &state).await?;
    if has_type(&activity, "Take") {
        return take::take_for_device(&state, &caller, &user, &activity).await;
    }
    if caller.user != user {
        return Err(Problem::NotOwner);
    }
    check_actor(&state, &caller, &activity)?;
    if has_type(&activity, "Add") {
        add::add(&state, &caller, &activity).await
    } else if has_type(&activity, "Check") {
        check::check(&state, &caller, &activity).await
    } else {
        Err(Invalid::at("/type", "must be Add, Check or Take").into())
    }
}
