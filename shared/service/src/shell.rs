//! The Lambda shells: a router or a queue function under the real runtime.

use std::future::Future;
use std::sync::Arc;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use axum::Router;
use eko_federation::client::public_roots;
use eko_federation::network::SystemNetwork;
use eko_store::Store;
use lambda_runtime::{Error, LambdaEvent};

use crate::aws::Account;
use crate::config::Config;
use crate::oidc::Oidc;
use crate::state::{AppState, system_clock, system_random};
use crate::{edge, remote, telemetry};

/// The state of a function in Lambda: configuration and clients from the environment.
pub fn state_from_env() -> Result<AppState, Error> {
    let get = |name: &str| std::env::var(name).ok();
    let config = Config::from_env(get)?;
    let clients = Account::from_env(get).clients();
    let store = Store::new(clients.dynamodb, clients.sqs, config.names.clone());
    let oidc = Oidc::new(&config)?;
    let federation = remote::federation(&config, &store, Arc::new(SystemNetwork), public_roots())?;
    Ok(AppState::new(config, store, oidc, federation, system_clock(), system_random()))
}

/// Runs an HTTP function: API Gateway's events in, the router's answers out.
pub async fn run_http(router: impl FnOnce() -> Router<AppState>) -> Result<(), Error> {
    telemetry::start_in_lambda();
    let state = state_from_env()?;
    lambda_http::run(edge::finish(router(), state)).await
}

/// Runs a queue function: SQS batches in, the ids of the messages that failed out.
pub async fn run_queue<F>(handle: impl Fn(AppState, Vec<QueueMessage>) -> F) -> Result<(), Error>
where
    F: Future<Output = Vec<String>>,
{
    telemetry::start_in_lambda();
    let state = state_from_env()?;
    let service = lambda_runtime::service_fn(|event: LambdaEvent<SqsEvent>| {
        // Boxed: the SDK's futures nest so deep that the compiler gives up on one more layer.
        let failed = Box::pin(handle(state.clone(), QueueMessage::batch(event.payload)));
        async { Ok::<_, Error>(partial_failure(failed.await)) }
    });
    lambda_runtime::run(service).await
}

/// A message of a queue, as a queue function sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage {
    /// SQS's id of it: what a failure is reported with.
    pub id: String,
    /// Its body.
    pub body: String,
    /// The handle of this receive, by which the message can be hidden for longer.
    pub receipt: String,
}

impl QueueMessage {
    /// The messages of an SQS event.
    pub fn batch(event: SqsEvent) -> Vec<Self> {
        let message = |record: aws_lambda_events::event::sqs::SqsMessage| Self {
            id: record.message_id.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
            receipt: record.receipt_handle.unwrap_or_default(),
        };
        event.records.into_iter().map(message).collect()
    }
}

/// The partial batch response that names the failed messages.
fn partial_failure(failed: Vec<String>) -> SqsBatchResponse {
    let failure = |id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        failure
    };
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.into_iter().map(failure).collect();
    response
}
