//! Hidden messages of queues that have another clock than the test. When the test's clock says so,
//! a ChangeMessageVisibility makes them visible.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use eko_service::aws::AwsClients;
use eko_service::state::Clock;
use eko_store::resources::{DELIVERIES, FEDERATION};
use serde_json::Value;

use crate::calls::body;

/// The messages that were received and not deleted.
#[derive(Clone)]
pub(crate) struct HiddenMessages {
    clock: Clock,
    messages: Arc<Mutex<Vec<HiddenMessage>>>,
}

/// A message that was received.
#[derive(Debug)]
struct HiddenMessage {
    queue: String,
    receipt: String,
    until_ms: i64,
}

impl HiddenMessages {
    /// Makes an empty list.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, messages: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HiddenMessage>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a call of SQS and its answer.
    pub(crate) fn see(&self, operation: &str, request: &Value, answer: &HttpResponse) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let until = |seconds: i64| (self.clock)().saturating_add(seconds.saturating_mul(1_000));
        let queue = text(&request["QueueUrl"]);
        let entries = || request["Entries"].as_array().cloned().unwrap_or_default();
        match operation {
            "ReceiveMessage" => {
                let answer = body(answer.body());
                let spec = if queue.ends_with(FEDERATION.name) { FEDERATION } else { DELIVERIES };
                for message in answer["Messages"].as_array().into_iter().flatten() {
                    self.lock().push(HiddenMessage {
                        queue: queue.clone(),
                        receipt: text(&message["ReceiptHandle"]),
                        until_ms: until(spec.visibility_seconds.into()),
                    });
                }
            }
            "ChangeMessageVisibilityBatch" => {
                for entry in entries() {
                    let mut messages = self.lock();
                    let found = messages.iter_mut().find(|m| m.receipt == text(&entry["ReceiptHandle"]));
                    if let Some(message) = found {
                        message.until_ms = until(entry["VisibilityTimeout"].as_i64().unwrap_or_default());
                    }
                }
            }
            "DeleteMessageBatch" => {
                for entry in entries() {
                    self.lock().retain(|message| message.receipt != text(&entry["ReceiptHandle"]));
                }
            }
            _ => {}
        }
    }

    /// Makes the messages visible whose time is over by the test's clock. A message that was moved
    /// to the dead-letter queue stays there.
    pub(crate) async fn bring_back(&self, clients: &AwsClients) {
        let now_ms = (self.clock)();
        let due: Vec<HiddenMessage> =
            self.lock().extract_if(.., |message| message.until_ms <= now_ms).collect();
        for HiddenMessage { queue, receipt, .. } in due {
            let change = clients.sqs.change_message_visibility().queue_url(queue).receipt_handle(receipt);
            let _ = change.visibility_timeout(0).send().await;
        }
    }
}

impl std::fmt::Debug for HiddenMessages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HiddenMessages").field(&self.messages).finish()
    }
}
