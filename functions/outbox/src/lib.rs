//! The outbox of a user: the user's devices post activities there, and read chains at the proxy
//! beside it.

mod accept;
mod block;
mod create;
mod delivered;
mod flag;
mod profile;
mod proxy;
mod take;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::on;
use eko_protocol::Invalid;
use eko_protocol::json::has_type;
use eko_service::body::{JsonBody, LargeBody};
use eko_service::caller::Owner;
use eko_service::config::Needs;
use eko_service::route::{self, Route};
use eko_service::{FederatedState, Problem};

/// The settings that this function needs.
pub const NEEDS: Needs = Needs {
    token_keys: true,
    signing_key: true,
    deliveries: true,
    parcels: true,
    pushes: true,
    ..Needs::NOTHING
};

/// The routes of this function.
pub const ROUTES: &[Route<FederatedState>] = &[
    Route::post("/user/{name}/outbox", |method| on(method, outbox)),
    Route::post("/user/{name}/proxy", |method| on(method, proxy::read_chain)),
];

/// Returns the router of this function.
pub fn router() -> Router<FederatedState> {
    route::router(ROUTES)
}

/// POST `/user/{name}/outbox` (`docs/protocol.md`, sections 4, 5 and 6): accepts `Create`,
/// `Delivered`, `Take`, `Accept`, `Block`, `Undo`, `Flag` and `Update`, and calls the handler of the
/// activity's type.
async fn outbox(
    State(state): State<FederatedState>,
    Owner(caller): Owner,
    JsonBody(activity): LargeBody,
) -> Result<Response, Problem> {
    if has_type(&activity, "Create") {
        create::send_envelope(&state, &caller, activity).await
    } else if has_type(&activity, "Delivered") {
        delivered::acknowledge_entries(&state, &caller, &activity).await
    } else if has_type(&activity, "Take") {
        take::take_packages(&state, &caller, &activity).await
    } else if has_type(&activity, "Accept") {
        accept::accept_actor(&state, &caller, &activity).await
    } else if accept::is_undone_acceptance(&activity) {
        accept::forget_actor(&state, &caller, &activity).await
    } else if has_type(&activity, "Block") || has_type(&activity, "Undo") {
        block::change_block(&state, &caller, &activity).await
    } else if has_type(&activity, "Flag") {
        flag::report_message(&state, &caller, &activity).await
    } else if has_type(&activity, "Update") {
        profile::change_profile(&state, &caller, &activity).await
    } else {
        Err(Invalid::at("/type", "must be Create, Delivered, Take, Accept, Block, Undo, Flag or Update")
            .into())
    }
}
