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

/// SQLite takes and frees large buffers on every call. glibc's allocator gives such memory back to the system
/// each time on any thread but the first, which made a call from a worker thread twice as slow
/// (`docs/decisions/0001-embedded-engines.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use axum::Router;
use eko_service::AppState;

/// The routes of all HTTP functions together.
pub fn routes() -> Router<AppState> {
    Router::new()
        .merge(eko_auth::router())
        .merge(eko_devices::router())
        .merge(eko_discovery::router())
        .merge(eko_inbox::router())
        .merge(eko_key_packages::router())
        .merge(eko_outbox::router())
}
