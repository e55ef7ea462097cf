//! Between the SDK and the engines: counts calls, groups them into rounds, makes them fail, records
//! them; and denies a function what its role does not allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;
use tokio::sync::Notify;

use crate::{Action, Policies};

/// How long a counted call takes at least, so that calls made side by side are seen to overlap.
const OVERLAP: Duration = Duration::from_millis(3);

/// What was called since the last [`Calls::reset`], and what shall fail.
#[derive(Clone, Debug)]
pub struct Calls {
    state: Arc<Mutex<CallState>>,
}

#[derive(Debug, Default)]
struct CallState {
    made: Vec<String>,
    rounds: usize,
    under_way: usize,
    faults: BTreeMap<String, (CallFault, usize)>,
    holds: Vec<CallHold>,
    recorded: Option<Vec<RecordedCall>>,
    used: BTreeSet<Action>,
    denied: BTreeSet<Action>,
}

/// A call with its answer, as JSON.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// `PutItem`, `SendMessageBatch`, ….
    pub operation: String,
    /// What was asked. Of DynamoDB the answer is asked to say what it consumed.
    pub request: Value,
    /// What was answered.
    pub response: Value,
}

#[derive(Debug)]
struct CallHold {
    operation: String,
    /// Calls that still go through before the one that is held.
    before: usize,
    gate: Arc<CallGate>,
}

#[derive(Debug, Default)]
struct CallGate {
    reached: Notify,
    released: Notify,
}

/// A call that waits at the door of the engine until it is released.
#[derive(Debug)]
pub struct HeldCall {
    gate: Arc<CallGate>,
}

impl HeldCall {
    /// Waits until the call has come.
    pub async fn reached(&self) {
        self.gate.reached.notified().await;
    }

    /// Lets it through.
    pub fn release(&self) {
        self.gate.released.notify_one();
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// The service answers that it is out of order, before anything happened.
    Down,
    /// The service does what it was asked to, and its answer is lost.
    AnswerLost,
    /// A SendMessageBatch answers that none of its entries was taken, through no fault of the
    /// sender's.
    EntriesRefused,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was called.
    pub fn reset(&self) {
        let mut state = self.lock();
        state.made.clear();
        state.rounds = 0;
    }

    /// The operations called since the last reset, in the order they began.
    pub fn made(&self) -> Vec<String> {
        self.lock().made.clone()
    }

    /// Rounds since the last reset: a call begins one when no other is under way.
    pub fn rounds(&self) -> usize {
        self.lock().rounds
    }

    /// Records calls from now on; DynamoDB is asked to say what each consumes
    /// (`ReturnConsumedCapacity`).
    pub fn record(&self) {
        self.lock().recorded = Some(Vec::new());
    }

    /// What was recorded since, in the order of the answers.
    pub fn recorded(&self) -> Vec<RecordedCall> {
        self.lock().recorded.replace(Vec::new()).unwrap_or_default()
    }

    /// Makes the next `times` calls of an operation (`PutItem`) fail. The SDK tries three times by
    /// itself.
    pub fn fail(&self, operation: &str, fault: CallFault, times: usize) {
        self.lock().faults.insert(operation.to_owned(), (fault, times));
    }

    /// Holds one call of an operation, after `before` others of it went through: what comes between
    /// two calls of a request is then no chance.
    pub fn hold(&self, operation: &str, before: usize) -> HeldCall {
        let gate = Arc::<CallGate>::default();
        let hold = CallHold { operation: operation.to_owned(), before, gate: Arc::clone(&gate) };
        self.lock().holds.push(hold);
        HeldCall { gate }
    }

    /// The gate that holds this call, where there is one.
    fn held(&self, operation: &str) -> Option<Arc<CallGate>> {
        let mut state = self.lock();
        let index = state.holds.iter().position(|hold| hold.operation == operation)?;
        let hold = state.holds.get_mut(index)?;
        if hold.before == 0 {
            return Some(state.holds.remove(index).gate);
        }
        hold.before = hold.before.saturating_sub(1);
        None
    }

    /// What the functions were allowed and made use of, resets notwithstanding.
    pub fn used(&self) -> BTreeSet<Action> {
        self.lock().used.clone()
    }

    /// What they were denied.
    pub(crate) fn denied(&self) -> BTreeSet<Action> {
        self.lock().denied.clone()
    }

    /// Around the client of a function, which may do what its role allows; or of nobody, who may do
    /// anything.
    pub(crate) fn around(&self, function: Option<&'static str>, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(CountingClient { calls: self.clone(), function, inner })
    }

    /// Whether the function may make this request.
    fn allows(&self, function: &str, target: &str, request: &HttpRequest) -> bool {
        let request = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let policies = Policies::deployed();
        let needed = policies.needed(function, target, &request);
        let denied: BTreeSet<Action> = needed.difference(policies.allowed()).cloned().collect();
        let mut state = self.lock();
        if denied.is_empty() {
            state.used.extend(needed);
            return true;
        }
        state.denied.extend(denied);
        false
    }

    fn begin(&self, operation: &str) -> Option<CallFault> {
        let mut state = self.lock();
        state.made.push(operation.to_owned());
        if state.under_way == 0 {
            state.rounds = state.rounds.saturating_add(1);
        }
        state.under_way = state.under_way.saturating_add(1);
        let (fault, left) = state.faults.get_mut(operation)?;
        let fault = *fault;
        *left = left.saturating_sub(1);
        if *left == 0 {
            state.faults.remove(operation);
        }
        Some(fault)
    }

    fn end(&self) {
        let mut state = self.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }
}

#[derive(Debug)]
struct CountingClient {
    calls: Calls,
    function: Option<&'static str>,
    inner: SharedHttpClient,
}

impl HttpClient for CountingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        parts: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(CountingConnector {
            calls: self.calls.clone(),
            function: self.function,
            inner,
        })
    }
}

#[derive(Debug)]
struct CountingConnector {
    calls: Calls,
    function: Option<&'static str>,
    inner: SharedHttpConnector,
}

impl HttpConnector for CountingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let target = target.to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let (calls, function, inner) = (self.calls.clone(), self.function, self.inner.clone());
        HttpConnectorFuture::new(async move {
            let recording = calls.lock().recorded.is_some();
            let (request, asked) = if recording { metered(&target, request) } else { (request, Value::Null) };
            let allowed = function.is_none_or(|function| calls.allows(function, &target, &request));
            let fault = calls.begin(&operation);
            if let Some(gate) = calls.held(&operation) {
                gate.reached.notify_one();
                gate.released.notified().await;
            }
            tokio::time::sleep(OVERLAP).await;
            let answer = match fault {
                _ if !allowed => Ok(access_denied()),
                None => inner.call(request).await,
                Some(CallFault::Down) => Ok(down()),
                Some(CallFault::AnswerLost) => inner.call(request).await.map(|_| down()),
                Some(CallFault::EntriesRefused) => Ok(entries_refused(&request)),
            };
            let answer = match answer {
                Ok(answer) => whole(answer).await,
                error => error,
            };
            calls.end();
            if let (true, Ok(answer)) = (recording, &answer) {
                let exchange = RecordedCall { operation, request: asked, response: body(answer.body()) };
                calls.lock().recorded.get_or_insert_default().push(exchange);
            }
            answer
        })
    }
}

/// The answer with all of its body, which over a socket is still on its way.
pub(crate) async fn whole(answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = ByteStream::new(answer.into_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    let mut answer = HttpResponse::new(status, SdkBody::from(body));
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// A body in memory as JSON.
pub(crate) fn body(body: &SdkBody) -> Value {
    serde_json::from_slice(body.bytes().unwrap_or_default()).unwrap_or_default()
}

/// The request, asking DynamoDB what it consumes, and its JSON.
fn metered(target: &str, mut request: HttpRequest) -> (HttpRequest, Value) {
    let mut asked = body(request.body());
    if target.starts_with("DynamoDB_") && asked.is_object() {
        asked["ReturnConsumedCapacity"] = "TOTAL".into();
        *request.body_mut() = SdkBody::from(asked.to_string());
    }
    (request, asked)
}

fn access_denied() -> HttpResponse {
    let body = r#"{"__type":"AccessDeniedException","Message":"no policy of the role allows it"}"#;
    answer(400, body.to_owned())
}

fn down() -> HttpResponse {
    answer(500, r#"{"__type":"InternalServerError","message":"injected"}"#.to_owned())
}

fn entries_refused(request: &HttpRequest) -> HttpResponse {
    let entries = body(request.body())["Entries"].as_array().cloned().unwrap_or_default();
    let failed = entries.iter().map(|entry| {
        serde_json::json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false, "Message": "injected" })
    });
    let failed: Vec<serde_json::Value> = failed.collect();
    answer(200, serde_json::json!({ "Successful": [], "Failed": failed }).to_string())
}

fn answer(status: u16, body: String) -> HttpResponse {
    let status = status.try_into().expect("a status code");
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
