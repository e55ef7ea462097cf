//! A stand-in for Lambda's Runtime API (2018-06-01), for one function in a process of its own.
//!
//! It is written here, since the crates that offer one link a second cryptography library into the
//! workspace.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// The largest body, in bytes: Lambda's own limit of a payload, and a little more.
const BODY_LIMIT: usize = 7 << 20;

/// The outcome of an invocation.
#[derive(Debug)]
pub enum InvocationOutcome {
    /// The function's answer.
    Answer(Value),
    /// The function's error document.
    Error(Value),
}

/// The Runtime API of one function. Dropping it stops the server.
#[derive(Debug)]
pub struct RuntimeApi {
    /// The value of `AWS_LAMBDA_RUNTIME_API`: `127.0.0.1:PORT`.
    pub address: String,
    shared: Arc<SharedState>,
    serving: JoinHandle<()>,
}

/// The state that the handlers and [`RuntimeApi`] share.
#[derive(Debug, Default)]
struct SharedState {
    state: Mutex<Inner>,
    /// Notified when an event is waiting.
    event: Notify,
    /// Notified when the function has asked for its first event, or failed to start.
    started: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<(String, Value)>,
    waiting: HashMap<String, oneshot::Sender<InvocationOutcome>>,
    first_next: Option<Instant>,
    init_error: Option<Value>,
}

impl SharedState {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuntimeApi {
    /// Starts the API on a free port.
    pub async fn start() -> std::io::Result<Self> {
        let shared = Arc::<SharedState>::default();
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, shared, serving })
    }

    /// Waits until the function asks for its first event, and returns when that was.
    ///
    /// # Errors
    /// The error document that the function reported instead.
    pub async fn started(&self) -> Result<Instant, Value> {
        loop {
            let told = self.shared.started.notified();
            {
                let inner = self.shared.lock();
                if let Some(error) = &inner.init_error {
                    return Err(error.clone());
                }
                if let Some(at) = inner.first_next {
                    return Ok(at);
                }
            }
            told.await;
        }
    }

    /// Hands the function an event and waits for the outcome; `None` if the function ended first.
    pub async fn invoke(&self, event: Value) -> Option<InvocationOutcome> {
        let id = uuid::Uuid::new_v4().to_string();
        let (sender, receiver) = oneshot::channel();
        {
            let mut inner = self.shared.lock();
            inner.waiting.insert(id.clone(), sender);
            inner.events.push_back((id, event));
        }
        self.shared.event.notify_one();
        receiver.await.ok()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers `GET …/invocation/next`: waits for an event and hands it to the function.
async fn next(State(shared): State<Arc<SharedState>>) -> Response {
    loop {
        let event = {
            let mut inner = shared.lock();
            inner.first_next.get_or_insert_with(Instant::now);
            inner.events.pop_front()
        };
        shared.started.notify_waiters();
        let Some((id, event)) = event else {
            shared.event.notified().await;
            continue;
        };
        #[expect(clippy::disallowed_methods, reason = "Lambda's deadlines are the system's time")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let deadline = now + Duration::from_secs(30);
        let headers = [
            ("Lambda-Runtime-Aws-Request-Id", id),
            ("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string()),
            (
                "Lambda-Runtime-Invoked-Function-Arn",
                "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
            ),
            ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned()),
        ];
        return (headers, axum::Json(event)).into_response();
    }
}

/// Answers `POST …/response`: the invocation succeeded.
async fn response(State(shared): State<Arc<SharedState>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    settle(&shared, &id, InvocationOutcome::Answer(serde_json::from_slice(&body).unwrap_or_default()))
}

/// Answers `POST …/error`: the invocation failed.
async fn error(State(shared): State<Arc<SharedState>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    settle(&shared, &id, InvocationOutcome::Error(serde_json::from_slice(&body).unwrap_or_default()))
}

/// Answers `POST …/init/error`: the function cannot start.
async fn init_error(State(shared): State<Arc<SharedState>>, body: Bytes) -> StatusCode {
    shared.lock().init_error = Some(serde_json::from_slice(&body).unwrap_or_default());
    shared.started.notify_waiters();
    StatusCode::ACCEPTED
}

/// Hands the outcome of an invocation to its caller.
fn settle(shared: &SharedState, id: &str, outcome: InvocationOutcome) -> StatusCode {
    match shared.lock().waiting.remove(id) {
        Some(waiting) => {
            let _ = waiting.send(outcome);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}
