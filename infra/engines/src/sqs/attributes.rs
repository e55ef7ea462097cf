//! The attributes of a queue: their names, ranges and defaults.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::fault::SqsFault;
use super::message::LARGEST;

/// The attributes in a request or an answer. All values are texts there.
pub(super) type AttributeTexts = BTreeMap<String, String>;

/// The beginning of every queue's ARN.
const ARN: &str = "arn:aws:sqs:local:000000000000:";

/// The attributes that can be set on a queue. Times are in seconds, as in the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueSettings {
    pub(super) visibility: i64,
    pub(super) delay: i64,
    pub(super) retention: i64,
    pub(super) wait: i64,
    pub(super) max_size: i64,
    pub(super) redrive: Option<Redrive>,
}

/// The dead-letter queue for messages that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    /// The dead-letter queue's name.
    pub(super) dead_letters: String,
    /// The number of receives after which a message is moved.
    pub(super) max_receives: i64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        let max_size = LARGEST as i64;
        Self { visibility: 30, delay: 0, retention: 345_600, wait: 0, max_size, redrive: None }
    }
}

impl QueueSettings {
    /// Sets one attribute from its text.
    ///
    /// # Errors
    /// `InvalidAttributeValue` outside of the attribute's range, `UnsupportedOperation` for a FIFO
    /// queue, `InvalidAttributeName` for an attribute that the engine does not have.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), SqsFault> {
        let within = |range: std::ops::RangeInclusive<i64>| {
            let number = value.parse().ok().filter(|n| range.contains(n));
            number.ok_or_else(|| SqsFault::InvalidAttributeValue(name.to_owned()))
        };
        match name {
            "VisibilityTimeout" => self.visibility = within(0..=43_200)?,
            "DelaySeconds" => self.delay = within(0..=900)?,
            "MessageRetentionPeriod" => self.retention = within(60..=1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait = within(0..=20)?,
            "MaximumMessageSize" => self.max_size = within(1024..=LARGEST as i64)?,
            "RedrivePolicy" => self.redrive = Redrive::parse(value)?,
            "FifoQueue" => return Err(SqsFault::UnsupportedOperation("FIFO queues")),
            _ => return Err(SqsFault::InvalidAttributeName(name.to_owned())),
        }
        Ok(())
    }

    /// Returns all attributes as texts.
    pub(super) fn texts(&self) -> AttributeTexts {
        let mut texts = AttributeTexts::from([
            ("VisibilityTimeout".to_owned(), self.visibility.to_string()),
            ("DelaySeconds".to_owned(), self.delay.to_string()),
            ("MessageRetentionPeriod".to_owned(), self.retention.to_string()),
            ("ReceiveMessageWaitTimeSeconds".to_owned(), self.wait.to_string()),
            ("MaximumMessageSize".to_owned(), self.max_size.to_string()),
        ]);
        if let Some(redrive) = &self.redrive {
            texts.insert("RedrivePolicy".to_owned(), redrive.text());
        }
        texts
    }
}

impl Redrive {
    /// Parses a redrive policy. An empty text means that there is none.
    fn parse(text: &str) -> Result<Option<Self>, SqsFault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct RedrivePolicy {
            dead_letter_target_arn: String,
            max_receive_count: ReceiveCount,
        }
        // AWS accepts a number or a text. CloudFormation sends either.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum ReceiveCount {
            Number(i64),
            Text(String),
        }
        if text.is_empty() {
            return Ok(None);
        }
        let read = || {
            let policy: RedrivePolicy = serde_json::from_str(text).ok()?;
            let max_receives = match policy.max_receive_count {
                ReceiveCount::Number(n) => n,
                ReceiveCount::Text(text) => text.parse().ok()?,
            };
            let dead_letters = policy.dead_letter_target_arn.strip_prefix(ARN)?.to_owned();
            (1..=1000).contains(&max_receives).then_some(Self { dead_letters, max_receives })
        };
        read().map(Some).ok_or_else(|| SqsFault::invalid("Value for parameter RedrivePolicy is invalid."))
    }

    /// Returns the policy as JSON.
    fn text(&self) -> String {
        let (target, most) = (arn(&self.dead_letters), self.max_receives);
        json!({ "deadLetterTargetArn": target, "maxReceiveCount": most }).to_string()
    }
}

/// Returns the ARN of a queue.
pub(super) fn arn(name: &str) -> String {
    format!("{ARN}{name}")
}

/// Returns the URL of a queue at `host`.
pub(super) fn url(host: &str, name: &str) -> String {
    format!("http://{host}/000000000000/{name}")
}

/// Returns the name of the queue that a URL names: its last segment. Host and account are ignored,
/// so that the engine can be reached at any address.
pub(super) fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
