//! `eko-local`: the local server. It does in one process what AWS does around the functions.
//!
//! It accepts HTTP requests, passes messages of the queues to the queue functions, sweeps expired
//! items, and has a development OIDC issuer. Functions and SDK clients are the ones that run in
//! Lambda. DynamoDB, SQS and SSM are [`eko_engines`].
//!
//! [`server`] runs the functions in this process. [`engines`] serves the engines to functions that
//! run as Lambdas under `cargo lambda watch`.

pub mod cloud;
pub mod demo;
pub mod endpoint;
pub mod engines;
mod front;
mod html;
mod invoke;
pub mod issuer;
mod listen;
mod owner;
pub mod pump;
pub mod secrets;
pub mod server;
pub mod sockets;
mod sweep;

/// The memory allocator. SQLite allocates and frees large buffers on every call. On every thread
/// but the first, glibc's allocator returns such memory to the system each time, which made calls
/// from worker threads twice as slow (`docs/decisions/0001-embedded-engines.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::sync::Arc;

use axum::Router;
use eko_auth::SignInState;
use eko_federation::client::Roots;
use eko_federation::network::Network;
use eko_push::PushServiceState;
use eko_service::config::ConfigError;
use eko_service::{AppState, FederatedState, edge};

/// The state of each function.
#[derive(Clone)]
pub struct States {
    /// The state of `auth`.
    pub auth: SignInState,
    /// The state of `deliver`.
    pub deliver: AppState,
    /// The state of `devices`.
    pub devices: AppState,
    /// The state of `discovery`.
    pub discovery: AppState,
    /// The state of `federate`.
    pub federate: FederatedState,
    /// The state of `group-state`.
    pub group_state: AppState,
    /// The state of `inbox`.
    pub inbox: FederatedState,
    /// The state of `key-packages`.
    pub key_packages: AppState,
    /// The state of `outbox`.
    pub outbox: FederatedState,
    /// The state of `socket`.
    pub socket: AppState,
    /// The state of `push`.
    pub push: PushServiceState,
}

impl States {
    /// Makes the states of all functions from one. Makes no call to AWS. `network` and `roots` are
    /// for requests to other servers.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is invalid.
    pub fn new(app: AppState, network: Arc<dyn Network>, roots: Roots) -> Result<Self, ConfigError> {
        let federated = FederatedState::new(app.clone(), Arc::clone(&network), Arc::clone(&roots))?;
        Ok(Self {
            auth: SignInState::new(app.clone(), Arc::clone(&network), Arc::clone(&roots))?,
            push: PushServiceState::new(app.clone(), network, roots)?,
            deliver: app.clone(),
            devices: app.clone(),
            discovery: app.clone(),
            federate: federated.clone(),
            group_state: app.clone(),
            inbox: federated.clone(),
            key_packages: app.clone(),
            outbox: federated,
            socket: app,
        })
    }
}

/// Returns the router of all HTTP functions, each with its own state. The edge around them makes no
/// call to AWS.
pub fn app(states: &States) -> Router {
    let router = Router::new()
        .merge(eko_auth::router().with_state(states.auth.clone()))
        .merge(eko_devices::router().with_state(states.devices.clone()))
        .merge(eko_discovery::router().with_state(states.discovery.clone()))
        .merge(eko_group_state::router().with_state(states.group_state.clone()))
        .merge(eko_inbox::router().with_state(states.inbox.clone()))
        .merge(eko_key_packages::router().with_state(states.key_packages.clone()))
        .merge(eko_outbox::router().with_state(states.outbox.clone()));
    edge::finish(router, states.discovery.clone())
}
