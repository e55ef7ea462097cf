//! Invokes functions in other processes by Lambda's `Invoke` API, which `cargo lambda watch`
//! serves.
//!
//! A function gets the event that it gets from an event source mapping or a WebSocket API in
//! Lambda.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::sockets::SocketFunction;

/// The longest time that an invocation may take: Lambda's own limit. The first one includes
/// building the function.
const LONGEST: Duration = Duration::from_secs(900);

/// A function of the `Invoke` API.
#[derive(Clone, Debug)]
pub(crate) struct InvokedFunction {
    client: reqwest::Client,
    name: &'static str,
    url: String,
}

impl InvokedFunction {
    /// Makes the function `name` of the `Invoke` API at `base`.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub(crate) fn new(base: &str, name: &'static str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(LONGEST).build()?;
        let url = format!("{}/2015-03-31/functions/{name}/invocations", base.trim_end_matches('/'));
        Ok(Self { client, name, url })
    }

    /// Invokes the function with an event. Returns its response.
    async fn invoke<T: DeserializeOwned>(&self, event: &Value) -> anyhow::Result<T> {
        let answer = self.client.post(&self.url).body(event.to_string()).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await?;
        let failed = headers.contains_key("x-amz-function-error");
        ensure!(status.is_success() && !failed, "{status}: {body}");
        serde_json::from_str(&body).with_context(|| format!("it answered {body}"))
    }

    /// Returns the function as the one of a WebSocket API.
    pub(crate) fn socket_function(self) -> SocketFunction {
        Arc::new(move |event| {
            let function = self.clone();
            async move { function.invoke(&event).await }.boxed()
        })
    }
}

/// A function that handles the messages of a queue.
#[derive(Clone, Debug)]
pub(crate) struct QueueFunction {
    function: InvokedFunction,
    queue_arn: String,
}

/// The response of a queue function: the messages that failed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that failed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

impl QueueFunction {
    /// Makes the function `name` of the `Invoke` API at `base`, for messages of the queue with this
    /// ARN.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub(crate) fn new(base: &str, name: &'static str, queue_arn: String) -> anyhow::Result<Self> {
        Ok(Self { function: InvokedFunction::new(base, name)?, queue_arn })
    }

    /// Invokes the function with a batch. Returns the ids of the messages that failed: all of them,
    /// if the invocation failed.
    pub(crate) async fn handle(self, batch: Vec<Message>) -> Vec<String> {
        match self.invoke(&batch).await {
            Ok(failed) => failed,
            Err(error) => {
                let (function, messages) = (self.function.name, batch.len());
                tracing::error!(function, messages, error = format!("{error:#}"), "the invocation failed");
                batch.into_iter().filter_map(|message| message.message_id).collect()
            }
        }
    }

    /// Invokes the function, and returns the ids that its response names.
    async fn invoke(&self, batch: &[Message]) -> anyhow::Result<Vec<String>> {
        let response: BatchResponse = self.function.invoke(&self.event(batch)).await?;
        Ok(response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
    }

    /// Returns the event for a batch, with all members that it has in Lambda.
    fn event(&self, batch: &[Message]) -> Value {
        let region = self.queue_arn.split(':').nth(3);
        let records = batch.iter().map(|message| {
            let attributes: HashMap<&str, &String> =
                (message.attributes.iter().flatten()).map(|(name, value)| (name.as_str(), value)).collect();
            let message_attributes: HashMap<&String, Value> = (message.message_attributes.iter().flatten())
                .map(|(name, value)| (name, attribute(value)))
                .collect();
            json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": attributes,
                "messageAttributes": message_attributes,
                "md5OfBody": message.md5_of_body,
                "eventSource": "aws:sqs",
                "eventSourceARN": self.queue_arn,
                "awsRegion": region,
            })
        });
        json!({ "Records": records.collect::<Vec<_>>() })
    }
}

/// Returns a message attribute as the event has it.
fn attribute(value: &MessageAttributeValue) -> Value {
    json!({
        "stringValue": value.string_value,
        "binaryValue": value.binary_value.as_ref().map(|bytes| STANDARD.encode(bytes)),
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value.data_type,
    })
}
