//! Delayed messages for queues that have another clock than the test. They are kept here until the
//! test's clock says so, and are sent to the queue then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use eko_service::aws::AwsClients;
use eko_service::state::Clock;
use serde_json::{Value, json};

use crate::calls::{body, with_body};

/// The messages that were sent with a delay, and whose time has not come.
#[derive(Clone)]
pub(crate) struct DelayedMessages {
    clock: Clock,
    messages: Arc<Mutex<Vec<DelayedMessage>>>,
}

/// A message that nobody can receive yet.
#[derive(Debug)]
struct DelayedMessage {
    queue: String,
    body: String,
    from_ms: i64,
}

/// A call of SQS that may be about delayed messages.
#[derive(Debug)]
pub(crate) enum DelayedCall {
    /// A SendMessageBatch to this queue, with the entries that have a delay. They are not in the
    /// request.
    Send(String, Vec<Value>),
    /// A GetQueueAttributes of this queue.
    Count(String),
    /// Any other call.
    Other,
}

impl DelayedMessages {
    /// Makes an empty list.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, messages: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<DelayedMessage>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the delayed messages out of a call. Returns `None` for the request if nothing is left
    /// of it.
    pub(crate) fn take(operation: &str, request: HttpRequest) -> (Option<HttpRequest>, DelayedCall) {
        let mut call = body(request.body());
        let queue = call["QueueUrl"].as_str().unwrap_or_default().to_owned();
        match operation {
            "GetQueueAttributes" => (Some(request), DelayedCall::Count(queue)),
            "SendMessageBatch" => {
                let entries = call["Entries"].as_array().cloned().unwrap_or_default();
                let (kept, sent): (Vec<Value>, Vec<Value>) =
                    entries.into_iter().partition(|entry| entry["DelaySeconds"].as_i64() > Some(0));
                if kept.is_empty() {
                    return (Some(request), DelayedCall::Other);
                }
                let is_empty = sent.is_empty();
                call["Entries"] = sent.into();
                ((!is_empty).then(|| with_body(request, &call)), DelayedCall::Send(queue, kept))
            }
            _ => (Some(request), DelayedCall::Other),
        }
    }

    fn keep(&self, queue: &str, entry: &Value) {
        let delay_ms = entry["DelaySeconds"].as_i64().unwrap_or_default().saturating_mul(1000);
        self.lock().push(DelayedMessage {
            queue: queue.to_owned(),
            body: entry["MessageBody"].as_str().unwrap_or_default().to_owned(),
            from_ms: (self.clock)().saturating_add(delay_ms),
        });
    }

    /// Keeps the delayed messages of a call that succeeded, and adds them to its answer. `answer`
    /// is `None` if nothing else was sent.
    pub(crate) fn complete(&self, call: DelayedCall, answer: Option<HttpResponse>) -> HttpResponse {
        let answer = answer.unwrap_or_else(|| {
            let mut answer = HttpResponse::new(200.try_into().expect("a status code"), SdkBody::from("{}"));
            answer.headers_mut().insert("content-type", "application/x-amz-json-1.0");
            answer
        });
        if !answer.status().is_success() {
            return answer;
        }
        let mut told = body(answer.body());
        match call {
            DelayedCall::Other => return answer,
            DelayedCall::Send(queue, kept) => {
                kept.iter().for_each(|entry| self.keep(&queue, entry));
                let mut taken = told["Successful"].as_array().cloned().unwrap_or_default();
                taken.extend(kept.iter().map(|entry| {
                    json!({ "Id": entry["Id"], "MessageId": "kept by the test", "MD5OfMessageBody": "" })
                }));
                told["Successful"] = taken.into();
            }
            DelayedCall::Count(queue) => {
                let count = self.lock().iter().filter(|message| message.queue == queue).count();
                // A queue that was asked for other attributes does not show this one.
                if let Some(Value::String(delayed)) =
                    told["Attributes"].get_mut("ApproximateNumberOfMessagesDelayed")
                {
                    *delayed = (delayed.parse::<usize>().unwrap_or_default() + count).to_string();
                }
            }
        }
        let mut completed = HttpResponse::new(answer.status(), SdkBody::from(told.to_string()));
        *completed.headers_mut() = answer.headers().clone();
        completed.headers_mut().remove("content-length");
        completed
    }

    /// Sends the messages whose time has come by the test's clock.
    pub(crate) async fn send_due(&self, clients: &AwsClients) {
        let now_ms = (self.clock)();
        let due: Vec<DelayedMessage> =
            self.lock().extract_if(.., |message| message.from_ms <= now_ms).collect();
        for DelayedMessage { queue, body, .. } in due {
            let sent = clients.sqs.send_message().queue_url(queue).message_body(body).send().await;
            sent.expect("a message whose time has come");
        }
    }
}

impl std::fmt::Debug for DelayedMessages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DelayedMessages").field(&self.messages).finish()
    }
}
