//! `eko-local`: what AWS does around the functions, in one process, and nothing else.
//!
//! It accepts HTTP, pumps the queues into the queue functions with partial batch failures and redrive, sweeps
//! the TTL, and offers a development OIDC issuer. The functions and the SDK clients are the same as in Lambda;
//! DynamoDB, SQS and SSM are [`eko_engines`]. [`server`] runs the functions in this process, [`engines`] is what
//! they need when they run elsewhere, as Lambdas.

pub mod cloud;
pub mod demo;
pub mod endpoint;
pub mod engines;
mod invoke;
pub mod issuer;
mod listen;
pub mod pump;
pub mod secrets;
pub mod server;
mod sweep;

/// SQLite takes and frees large buffers on every call. glibc's allocator gives such memory back to the system
/// each time on any thread but the first, which made a call from a worker thread twice as slow
/// (`docs/decisions/0001-embedded-engines.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::sync::Arc;

use axum::Router;
use eko_auth::SignIn;
use eko_federation::client::Roots;
use eko_federation::network::Network;
use eko_service::config::ConfigError;
use eko_service::{AppState, Federated, edge};

/// The state of each function.
#[derive(Clone)]
pub struct States {
    /// Of `auth`.
    pub auth: SignIn,
    /// Of `deliver`.
    pub deliver: AppState,
    /// Of `devices`.
    pub devices: AppState,
    /// Of `discovery`.
    pub discovery: AppState,
    /// Of `federate`.
    pub federate: Federated,
    /// Of `inbox`.
    pub inbox: Federated,
    /// Of `key-packages`.
    pub key_packages: Federated,
    /// Of `outbox`.
    pub outbox: Federated,
}

impl States {
    /// One for all of them. Makes no call. `network` and `roots` lead to other servers.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(app: AppState, network: Arc<dyn Network>, roots: Roots) -> Result<Self, ConfigError> {
        let federated = Federated::new(app.clone(), Arc::clone(&network), Arc::clone(&roots))?;
        Ok(Self {
            auth: SignIn::new(app.clone(), network, roots)?,
            deliver: app.clone(),
            devices: app.clone(),
            discovery: app,
            federate: federated.clone(),
            inbox: federated.clone(),
            key_packages: federated.clone(),
            outbox: federated,
        })
    }
}

/// All HTTP functions together, each with its own state, and one edge around them, which asks nothing of AWS.
pub fn app(states: &States) -> Router {
    let router = Router::new()
        .merge(eko_auth::router().with_state(states.auth.clone()))
        .merge(eko_devices::router().with_state(states.devices.clone()))
        .merge(eko_discovery::router().with_state(states.discovery.clone()))
        .merge(eko_inbox::router().with_state(states.inbox.clone()))
        .merge(eko_key_packages::router().with_state(states.key_packages.clone()))
        .merge(eko_outbox::router().with_state(states.outbox.clone()));
    edge::finish(router, states.discovery.clone())
}
