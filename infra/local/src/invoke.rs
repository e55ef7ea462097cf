//! Queue functions in processes of their own: invoked as the event source mapping invokes them in Lambda, by
//! Lambda's `Invoke` API, which `cargo lambda watch` offers.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// How long an invocation may take: as long as Lambda's longest. The first one waits until the function is built.
const LONGEST: Duration = Duration::from_secs(900);

/// One function behind one queue.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    client: reqwest::Client,
    name: &'static str,
    url: String,
    queue_arn: String,
}

/// The partial batch response.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    batch_item_failures: Vec<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl Function {
    /// The function `name` of the `Invoke` API at `base`, with messages of the queue of this ARN.
    pub(crate) fn new(base: &str, name: &'static str, queue_arn: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(LONGEST).build()?;
        let url = format!("{}/2015-03-31/functions/{name}/invocations", base.trim_end_matches('/'));
        Ok(Self { client, name, url, queue_arn })
    }

    /// Hands it a batch; the ids of the messages that failed, which are all of them when the function did.
    pub(crate) async fn handle(self, batch: Vec<Message>) -> Vec<String> {
        match self.invoke(&batch).await {
            Ok(failed) => failed,
            Err(error) => {
                let (function, messages) = (self.name, batch.len());
                tracing::error!(function, messages, error = format!("{error:#}"), "the invocation failed");
                batch.into_iter().filter_map(|message| message.message_id).collect()
            }
        }
    }

    async fn invoke(&self, batch: &[Message]) -> anyhow::Result<Vec<String>> {
        let answer = self.client.post(&self.url).body(self.event(batch).to_string()).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await?;
        let failed = headers.contains_key("x-amz-function-error");
        ensure!(status.is_success() && !failed, "{status}: {body}");
        let outcome: Outcome = serde_json::from_str(&body).with_context(|| format!("it answered {body}"))?;
        Ok(outcome.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
    }

    /// The event, with every member that Lambda gives.
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

fn attribute(value: &MessageAttributeValue) -> Value {
    json!({
        "stringValue": value.string_value,
        "binaryValue": value.binary_value.as_ref().map(|bytes| STANDARD.encode(bytes)),
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value.data_type,
    })
}
