//! `eko-local`: what AWS does around the functions, in one process, and nothing else.
//!
//! It accepts HTTP, pumps the queues into the queue functions with partial batch failures and redrive, sweeps
//! the TTL, and offers a development OIDC issuer. The functions and the SDK clients are the same as in Lambda;
//! DynamoDB and SQS are [`eko_engines`].

pub mod cloud;
pub mod demo;
pub mod issuer;
pub mod pump;
pub mod secrets;
pub mod server;

use axum::Router;
use eko_service::AppState;

/// The routes of all HTTP functions together.
pub fn routes() -> Router<AppState> {
    Router::new()
        .merge(eko_auth::router())
        .merge(eko_devices::router())
        .merge(eko_discovery::router())
        .merge(eko_key_packages::router())
        .merge(eko_outbox::router())
}
