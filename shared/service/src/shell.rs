//! The Lambda shells: a router or a queue function under the real runtime.
//!
//! What can be done before the first event is done in init, which has a whole processor whatever the function's
//! memory: secrets are read, connections to AWS opened.

use std::future::Future;
use std::sync::Arc;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use axum::Router;
use axum::extract::FromRef;
use eko_federation::client::public_roots;
use eko_federation::network::SystemNetwork;
use eko_messaging::QueueMessage;
use eko_store::Store;
use lambda_runtime::{Error, LambdaEvent};

use crate::aws::Account;
use crate::config::{Config, ConfigError, Needs};
use crate::state::{AppState, system_clock, system_random};
use crate::{Federated, edge, queue_message, secrets, telemetry};

/// A state that is made of what every function has.
pub trait State: Clone + Send + Sync + Sized + 'static {
    /// Makes no call.
    ///
    /// # Errors
    /// What is wrong with the environment.
    fn of(app: AppState) -> Result<Self, ConfigError>;
}

impl State for AppState {
    fn of(app: AppState) -> Result<Self, ConfigError> {
        Ok(app)
    }
}

impl State for Federated {
    fn of(app: AppState) -> Result<Self, ConfigError> {
        Self::new(app, Arc::new(SystemNetwork), public_roots())
    }
}

/// Runs an HTTP function: API Gateway's events in, the router's answers out.
///
/// # Errors
/// What is wrong with the environment, a secret that cannot be read, or the runtime's own.
pub async fn run_http<S: State>(needs: Needs, router: impl FnOnce() -> Router<S>) -> Result<(), Error>
where
    AppState: FromRef<S>,
{
    let state: S = start(needs).await?;
    let app = AppState::from_ref(&state);
    lambda_http::run(edge::finish(router().with_state(state), app)).await
}

/// Runs a queue function: SQS batches in, the ids of the messages that failed out.
///
/// # Errors
/// As [`run_http`].
pub async fn run_queue<S: State, F>(
    needs: Needs,
    handle: impl Fn(S, Vec<QueueMessage>) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Vec<String>>,
{
    let state: S = start(needs).await?;
    let service = lambda_runtime::service_fn(|event: LambdaEvent<SqsEvent>| {
        // Boxed: the SDK's futures nest so deep that the compiler gives up on one more layer.
        let failed = Box::pin(handle(state.clone(), queue_message::batch(event.payload)));
        async { Ok::<_, Error>(partial_failure(failed.await)) }
    });
    lambda_runtime::run(service).await
}

/// The state of a function in Lambda. What keeps it from starting is logged, so that the log says it in one line.
async fn start<S: State>(needs: Needs) -> Result<S, Error> {
    telemetry::start_in_lambda();
    state(needs).await.inspect_err(|error| tracing::error!(%error, "the function cannot start"))
}

/// Configuration and clients from the environment, secrets from SSM, and the connections to AWS open.
async fn state<S: State>(needs: Needs) -> Result<S, Error> {
    let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let account = Account::from_env(get)?;
    let clients = account.clients();
    let (secrets, ()) = tokio::join!(secrets::read(needs, get, &account), async {
        // Says nothing where the table is not known: the configuration does, below.
        if let Some(table) = get("TABLE") {
            let queue = get("DELIVERIES_URL").filter(|_| needs.deliveries);
            eko_store::open_connections(&clients.dynamodb, &table, &clients.sqs, queue.as_deref()).await;
        }
    });
    let config = Config::from_env(needs, get, secrets?)?;
    let store = Store::new(clients.dynamodb, clients.sqs, config.names.clone());
    let app = AppState::new(config, store, system_clock(), system_random());
    Ok(S::of(app)?)
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
