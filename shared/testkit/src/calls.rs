//! An HTTP client between the SDK and the engines. It counts calls, groups them into rounds,
//! injects faults and records calls. It denies a function the calls that its role does not allow.

mod counting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::Value;
use tokio::sync::Notify;

pub(crate) use counting::{body, whole, with_body};

use crate::{Action, Policies};
use counting::CountingClient;

/// The calls that were made since the last [`Calls::reset`], and the faults that are planned.
/// Clones share them.
#[derive(Clone, Debug)]
pub struct Calls {
    state: Arc<Mutex<CallState>>,
    death: Arc<Notify>,
}

/// The calls and the plans of one world.
#[derive(Debug, Default)]
struct CallState {
    made: Vec<String>,
    rounds: usize,
    /// The number of calls that are running.
    running: usize,
    /// The planned faults by operation.
    faults: BTreeMap<String, PlannedFault>,
    /// The planned faults by the place of the call among those that are made.
    faults_at: BTreeMap<usize, CallFault>,
    holds: Vec<CallHold>,
    /// True if refusals do not show the stored item.
    hides_refused: bool,
    /// The ids of the connections whose posts are not answered.
    hanging: Vec<String>,
    recorded: Option<Vec<RecordedCall>>,
    used: BTreeSet<Action>,
    denied: BTreeSet<Action>,
}

/// A fault of the next calls of an operation.
#[derive(Debug)]
struct PlannedFault {
    fault: CallFault,
    /// The number of calls that still fail.
    times: usize,
}

/// A call with its answer, as JSON.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// The operation, such as `PutItem`.
    pub operation: String,
    /// The request. In a recording, requests to DynamoDB ask for the consumed capacity.
    pub request: Value,
    /// The answer.
    pub response: Value,
}

/// A plan to hold a call.
#[derive(Debug)]
struct CallHold {
    operation: String,
    /// The number of calls that still pass before the one that is held.
    before: usize,
    gate: Arc<CallGate>,
}

/// The two events of a held call.
#[derive(Debug, Default)]
struct CallGate {
    reached: Notify,
    released: Notify,
}

/// A call that waits before the engine until it is released.
#[derive(Debug)]
pub struct HeldCall {
    gate: Arc<CallGate>,
}

impl HeldCall {
    /// Waits until the call was made.
    pub async fn reached(&self) {
        self.gate.reached.notified().await;
    }

    /// Lets the call pass.
    pub fn release(&self) {
        self.gate.released.notify_one();
    }
}

/// A fault of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// The service answers an internal error and does nothing.
    Down,
    /// The service performs the call, and its answer is lost.
    AnswerLost,
    /// The service performs the call, and the process dies before the answer arrives. Nothing that
    /// waits for the call goes on, see [`Calls::until_death`].
    ProcessDies,
    /// `SendMessageBatch` answers that no entry was accepted, by a fault of the service.
    EntriesRefused,
    /// DynamoDB answers that a transaction is writing the item, and does nothing.
    Conflict,
}

impl Calls {
    /// Makes an empty list of calls.
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), death: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the calls.
    pub fn reset(&self) {
        let mut state = self.lock();
        state.made.clear();
        state.rounds = 0;
    }

    /// Returns the operations since the last reset, in the order in which they began.
    pub fn made(&self) -> Vec<String> {
        self.lock().made.clone()
    }

    /// Returns the number of rounds since the last reset. A call begins a round if no other call is
    /// running.
    pub fn rounds(&self) -> usize {
        self.lock().rounds
    }

    /// Records calls from now on. Requests to DynamoDB then ask for the consumed capacity
    /// (`ReturnConsumedCapacity`).
    pub fn record(&self) {
        self.lock().recorded = Some(Vec::new());
    }

    /// Returns the calls that were recorded since the last call of this function, in the order of
    /// their answers.
    pub fn recorded(&self) -> Vec<RecordedCall> {
        self.lock().recorded.replace(Vec::new()).unwrap_or_default()
    }

    /// Makes the next `times` calls of an operation, such as `PutItem`, fail. The SDK itself tries
    /// three times.
    pub fn fail(&self, operation: &str, fault: CallFault, times: usize) {
        self.lock().faults.insert(operation.to_owned(), PlannedFault { fault, times });
    }

    /// Makes one call fail: the one that is the `place`th to be made after the last reset, counted
    /// from 0, whatever its operation.
    pub fn fail_at(&self, place: usize, fault: CallFault) {
        self.lock().faults_at.insert(place, fault);
    }

    /// Lets refusals by a failed condition leave out the stored item from now on, as some engines do
    /// although the request asks for it (`ReturnValuesOnConditionCheckFailure`).
    pub fn hide_refused_items(&self) {
        self.lock().hides_refused = true;
    }

    /// Does work until it is done, or until a planned [`CallFault::ProcessDies`] ends the process
    /// that does it. Returns `None` then.
    pub async fn until_death<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.death.notified() => None,
        }
    }

    /// Holds one call of an operation after `before` others have passed. A test can then act
    /// between two calls of a request.
    pub fn hold(&self, operation: &str, before: usize) -> HeldCall {
        let gate = Arc::<CallGate>::default();
        let hold = CallHold { operation: operation.to_owned(), before, gate: Arc::clone(&gate) };
        self.lock().holds.push(hold);
        HeldCall { gate }
    }

    /// Leaves every post to a connection without an answer from now on.
    pub fn hang_posts_to(&self, connection: &str) {
        let encoded = connection.replace('=', "%3D").replace('+', "%2B").replace('/', "%2F");
        self.lock().hanging.push(encoded);
    }

    /// True if a post to this URI is left without an answer.
    fn hangs(&self, uri: &str) -> bool {
        self.lock().hanging.iter().any(|connection| uri.contains(&format!("/@connections/{connection}")))
    }

    /// Returns the gate that holds this call, if it is to be held.
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

    /// Returns the actions that functions performed, from the beginning.
    pub fn used(&self) -> BTreeSet<Action> {
        self.lock().used.clone()
    }

    /// Returns the actions that functions were denied.
    pub(crate) fn denied(&self) -> BTreeSet<Action> {
        self.lock().denied.clone()
    }

    /// Wraps the HTTP client of a function, whose role is enforced, or of the test (`None`), which
    /// may do anything.
    pub(crate) fn around(&self, function: Option<&'static str>, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(CountingClient { calls: self.clone(), function, inner })
    }

    /// True if the function may make this request. Notes the actions.
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

    /// Notes that a call begins. Returns its fault, if one is planned.
    fn begin(&self, operation: &str) -> Option<CallFault> {
        let mut state = self.lock();
        let place = state.made.len();
        state.made.push(operation.to_owned());
        if state.running == 0 {
            state.rounds = state.rounds.saturating_add(1);
        }
        state.running = state.running.saturating_add(1);
        if let Some(fault) = state.faults_at.remove(&place) {
            return Some(fault);
        }
        let planned = state.faults.get_mut(operation)?;
        let fault = planned.fault;
        planned.times = planned.times.saturating_sub(1);
        if planned.times == 0 {
            state.faults.remove(operation);
        }
        Some(fault)
    }

    /// Notes that a call has ended.
    fn end(&self) {
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
    }
}
