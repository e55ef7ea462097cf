//! A queue's attributes: names, ranges, defaults.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::fault::Fault;
use super::message::LARGEST;

/// Attributes as the protocol carries them: all text.
pub(super) type Texts = BTreeMap<String, String>;

/// What the ARN of every queue here starts with.
const ARN: &str = "arn:aws:sqs:local:000000000000:";

/// What can be set on a queue. Times in seconds, as in the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) visibility: i64,
    pub(super) delay: i64,
    pub(super) retention: i64,
    pub(super) wait: i64,
    pub(super) max_size: i64,
    pub(super) redrive: Option<Redrive>,
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    /// The dead-letter queue's name.
    pub(super) dead_letters: String,
    pub(super) max_receives: i64,
}

impl Default for Settings {
    fn default() -> Self {
        let max_size = LARGEST as i64;
        Self { visibility: 30, delay: 0, retention: 345_600, wait: 0, max_size, redrive: None }
    }
}

impl Settings {
    /// Sets one attribute from its text.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let within = |range: std::ops::RangeInclusive<i64>| {
            let number = value.parse().ok().filter(|n| range.contains(n));
            number.ok_or_else(|| Fault::InvalidAttributeValue(name.to_owned()))
        };
        match name {
            "VisibilityTimeout" => self.visibility = within(0..=43_200)?,
            "DelaySeconds" => self.delay = within(0..=900)?,
            "MessageRetentionPeriod" => self.retention = within(60..=1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait = within(0..=20)?,
            "MaximumMessageSize" => self.max_size = within(1024..=LARGEST as i64)?,
            "RedrivePolicy" => self.redrive = Redrive::parse(value)?,
            "FifoQueue" => return Err(Fault::UnsupportedOperation("FIFO queues")),
            _ => return Err(Fault::InvalidAttributeName(name.to_owned())),
        }
        Ok(())
    }

    pub(super) fn texts(&self) -> Texts {
        let mut texts = Texts::from([
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
    /// Reads a policy; an empty text takes it away.
    fn parse(text: &str) -> Result<Option<Self>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Policy {
            dead_letter_target_arn: String,
            max_receive_count: Count,
        }
        // AWS takes both and CloudFormation sends either.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Count {
            Number(i64),
            Text(String),
        }
        if text.is_empty() {
            return Ok(None);
        }
        let read = || {
            let policy: Policy = serde_json::from_str(text).ok()?;
            let max_receives = match policy.max_receive_count {
                Count::Number(n) => n,
                Count::Text(text) => text.parse().ok()?,
            };
            let dead_letters = policy.dead_letter_target_arn.strip_prefix(ARN)?.to_owned();
            (1..=1000).contains(&max_receives).then_some(Self { dead_letters, max_receives })
        };
        read().map(Some).ok_or_else(|| Fault::invalid("Value for parameter RedrivePolicy is invalid."))
    }

    fn text(&self) -> String {
        let (target, most) = (arn(&self.dead_letters), self.max_receives);
        json!({ "deadLetterTargetArn": target, "maxReceiveCount": most }).to_string()
    }
}

pub(super) fn arn(name: &str) -> String {
    format!("{ARN}{name}")
}

pub(super) fn url(host: &str, name: &str) -> String {
    format!("http://{host}/000000000000/{name}")
}

/// The queue that a URL names by its last part; host and account do not matter here, so that the engine can
/// be reached under any.
pub(super) fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
