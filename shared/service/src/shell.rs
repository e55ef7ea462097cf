//! The Lambda shells: they run a router or a queue handler under the Lambda runtime.
//!
//! Secrets are read and connections to AWS are opened in init, before the first event: init has a
//! whole processor, whatever the function's memory.

use std::future::Future;
use std::sync::Arc;

use aws_lambda_events::event::apigw::ApiGatewayWebsocketProxyRequest;
use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use axum::Router;
use axum::extract::FromRef;
use eko_federation::client::public_roots;
use eko_federation::network::SystemNetwork;
use eko_messaging::QueueMessage;
use eko_store::Store;
use lambda_runtime::{Error, LambdaEvent};

use crate::aws::AwsAccount;
use crate::config::{Config, ConfigError, Needs};
use crate::socket_event::{SocketAnswer, SocketEvent};
use crate::state::{AppState, system_clock, system_random};
use crate::{FederatedState, edge, queue_message, secrets, telemetry};

/// The state of a function, made in Lambda from [`AppState`].
pub trait FunctionState: Clone + Send + Sync + Sized + 'static {
    /// Creates the state. Makes no call.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable of the environment that is wrong.
    fn of(app: AppState) -> Result<Self, ConfigError>;
}

impl FunctionState for AppState {
    fn of(app: AppState) -> Result<Self, ConfigError> {
        Ok(app)
    }
}

impl FunctionState for FederatedState {
    fn of(app: AppState) -> Result<Self, ConfigError> {
        Self::new(app, Arc::new(SystemNetwork), public_roots())
    }
}

/// Runs an HTTP function: the router answers the events of API Gateway.
///
/// # Errors
/// [`ConfigError`] if the environment is wrong; the error of reading the secrets; the runtime's
/// own.
pub async fn run_http<S: FunctionState>(needs: Needs, router: impl FnOnce() -> Router<S>) -> Result<(), Error>
where
    AppState: FromRef<S>,
{
    let state: S = start(needs).await?;
    let app = AppState::from_ref(&state);
    lambda_http::run(edge::finish(router().with_state(state), app)).await
}

/// Runs a queue function. `handle` takes a batch of messages and returns the ids of those that stay
/// in the queue.
///
/// # Errors
/// [`ConfigError`] if the environment is wrong; the error of reading the secrets; the runtime's
/// own.
pub async fn run_queue<S: FunctionState, F>(
    needs: Needs,
    handle: impl Fn(S, Vec<QueueMessage>) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Vec<String>>,
{
    let state: S = start(needs).await?;
    let service = lambda_runtime::service_fn(|event: LambdaEvent<SqsEvent>| {
        // Boxed, because the SDK's futures nest so deeply that the compiler overflows on one more
        // layer.
        let failed = Box::pin(handle(state.clone(), queue_message::batch(event.payload)));
        async { Ok::<_, Error>(partial_failure(failed.await)) }
    });
    lambda_runtime::run(service).await
}

/// Runs the function of a WebSocket API. `handle` takes an event.
///
/// # Errors
/// [`ConfigError`] if the environment is wrong; the error of reading the secrets; the runtime's
/// own.
pub async fn run_socket<S: FunctionState, F>(
    needs: Needs,
    handle: impl Fn(S, SocketEvent) -> F,
) -> Result<(), Error>
where
    F: Future<Output = SocketAnswer>,
{
    let state: S = start(needs).await?;
    let service = lambda_runtime::service_fn(|event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| {
        let event = SocketEvent::of(event.payload).map(|event| Box::pin(handle(state.clone(), event)));
        async { Ok::<_, Error>(event?.await.to_value()) }
    });
    lambda_runtime::run(service).await
}

/// Starts the log and creates the state. An error is logged too, so that the log has it in one
/// line.
async fn start<S: FunctionState>(needs: Needs) -> Result<S, Error> {
    telemetry::start_in_lambda();
    state(needs).await.inspect_err(|error| tracing::error!(%error, "the function cannot start"))
}

/// Reads the configuration from the environment and the secrets from SSM, opens the connections to
/// AWS meanwhile, and creates the state.
async fn state<S: FunctionState>(needs: Needs) -> Result<S, Error> {
    let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let account = AwsAccount::from_env(get)?;
    let clients = account.clients();
    let (secrets, ()) = tokio::join!(secrets::read(needs, get, &account), async {
        // Skipped when TABLE is unset: `Config::from_env` reports that error.
        if let Some(table) = get("TABLE") {
            let queue = get("DELIVERIES_URL").filter(|_| needs.deliveries);
            eko_store::open_connections(&clients.dynamodb, &table, &clients.sqs, queue.as_deref()).await;
        }
    });
    let config = Config::from_env(needs, get, secrets?)?;
    let sockets = config.sockets_url.as_deref().map(|url| account.sockets(url));
    let store = Store::new(clients.dynamodb, clients.sqs, sockets, config.names.clone());
    let app = AppState::new(config, store, system_clock(), system_random());
    Ok(S::of(app)?)
}

/// Builds the partial batch response that names the messages that stay in the queue.
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
