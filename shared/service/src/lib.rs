//! The shell around the functions: configuration, state, extractors, problems, access tokens, the
//! log, the Lambda runtime.
//!
//! A function is a list of routes ([`route::Route`]) or a queue handler. [`route::router`] makes a
//! router of the routes, [`edge::finish`] puts the layers around it that every answer passes, and
//! `shell` (feature `lambda`) runs it in Lambda. The local server and the tests use the same
//! values.
//!
//! **Invariant:** this crate decides nothing about messages, devices or users. It reads requests,
//! maps the errors of [`eko_messaging`] and the store to problems, and starts functions.
//!
//! **API boundary:** [`Problem`] is the only error that leaves a function.

pub mod access_token;
pub mod aws;
pub mod body;
pub mod caller;
pub mod config;
pub mod delivered;
pub mod edge;
pub mod federated;
pub mod negotiate;
pub mod problem;
pub mod queue_message;
pub mod respond;
pub mod route;
#[cfg(feature = "lambda")]
mod secrets;
#[cfg(feature = "lambda")]
pub mod shell;
pub mod signed;
pub mod socket_event;
pub mod state;
pub mod take_request;
pub mod telemetry;
pub mod tombstone;

pub use federated::FederatedState;
pub use problem::Problem;
pub use state::AppState;
