//! What every function shares: configuration, state, extractors, problems, tokens, telemetry, the Lambda
//! shells.
//!
//! A function is `router(state)` (HTTP) or `handle(state, batch)` (queues). [`edge::finish`] puts around a
//! router what belongs to every answer; [`shell`] runs it in Lambda. The local server and the tests use the
//! same values.

pub mod acceptance;
pub mod access_token;
pub mod aws;
pub mod body;
pub mod caller;
pub mod config;
pub mod dispatch;
pub mod edge;
pub mod federated;
pub mod problem;
mod queue_message;
pub mod respond;
#[cfg(feature = "lambda")]
mod secrets;
#[cfg(feature = "lambda")]
pub mod shell;
pub mod signed;
pub mod state;
pub mod take;
pub mod telemetry;

pub use federated::Federated;
pub use problem::Problem;
pub use queue_message::QueueMessage;
pub use state::AppState;
