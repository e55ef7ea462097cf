//! A message that is being sent: its limits and its digests.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::fault::SqsFault;

/// The largest size in bytes of a message, and of a batch, with bodies and attributes.
pub(super) const LARGEST: usize = 1024 * 1024;

/// The attributes that a sender gives a message.
pub(super) type MessageAttributes = BTreeMap<String, AttributeValue>;

/// The value of an attribute. Exactly one of the two fields `string_value` and `binary_value` is
/// set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttributeValue {
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    /// The bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

/// A message in `SendMessage`, or in an entry of `SendMessageBatch`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewMessage {
    #[serde(default, rename = "MessageBody")]
    pub(super) body: String,
    /// The delay in seconds. `None` means the queue's.
    #[serde(rename = "DelaySeconds")]
    pub(super) delay: Option<i64>,
    #[serde(default, rename = "MessageAttributes")]
    pub(super) attributes: MessageAttributes,
    #[serde(default)]
    message_system_attributes: BTreeMap<String, AttributeValue>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

impl NewMessage {
    /// Returns the number of bytes that count against the limits.
    pub(super) fn size(&self) -> usize {
        let attribute = |(name, a): (&String, &AttributeValue)| {
            let binary =
                a.binary_value.as_deref().map_or(0, |b| STANDARD.decode(b).map_or(b.len(), |v| v.len()));
            name.len() + a.data_type.len() + a.string_value.as_deref().map_or(0, str::len) + binary
        };
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// Checks everything about the message that does not depend on its queue or batch.
    ///
    /// # Errors
    /// `UnsupportedOperation`, `MissingParameter`, `InvalidParameterValue` or
    /// `InvalidMessageContents`.
    pub(super) fn check(&self, largest: usize) -> Result<(), SqsFault> {
        if self.message_group_id.is_some() || self.message_deduplication_id.is_some() {
            return Err(SqsFault::UnsupportedOperation("message groups and FIFO queues"));
        }
        if !self.message_system_attributes.is_empty() {
            return Err(SqsFault::UnsupportedOperation("message system attributes"));
        }
        if self.body.is_empty() {
            return Err(SqsFault::MissingParameter("MessageBody"));
        }
        if self.size() > largest {
            return Err(SqsFault::invalid(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {largest} bytes."
            )));
        }
        if !self.body.chars().all(allowed) {
            return Err(SqsFault::InvalidMessageContents);
        }
        if self.attributes.len() > 10 {
            return Err(SqsFault::invalid("Number of message attributes exceeds the allowed maximum of 10."));
        }
        self.attributes.iter().try_for_each(|(name, attribute)| attribute.check(name))
    }
}

impl AttributeValue {
    /// Checks the attribute's name, type and value.
    fn check(&self, name: &str) -> Result<(), SqsFault> {
        let kind = self.data_type.split('.').next().unwrap_or_default();
        let good = match (kind, &self.string_value, &self.binary_value) {
            ("String", Some(text), None) => !text.is_empty() && text.chars().all(allowed),
            ("Number", Some(text), None) => text.parse::<f64>().is_ok(),
            ("Binary", None, Some(bytes)) => STANDARD.decode(bytes).is_ok_and(|b| !b.is_empty()),
            _ => false,
        };
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if good && !name.is_empty() && name.len() <= 256 && name.bytes().all(plain) {
            return Ok(());
        }
        Err(SqsFault::invalid(format!("The message attribute '{name}' is invalid.")))
    }
}

/// True for a character that XML 1.0 allows. SQS allows no others.
fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Returns the MD5 of a body in hexadecimal.
pub(super) fn md5_of_body(body: &str) -> String {
    hex::encode(Md5::digest(body))
}

/// Returns the MD5 of attributes in hexadecimal, over SQS's encoding of them. `None` if there are
/// none.
///
/// Source: "Calculating the MD5 message digest for message attributes" in the SQS developer guide.
pub(super) fn md5_of_attributes(attributes: &MessageAttributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    let mut part = |bytes: &[u8], tag: Option<u8>| {
        if let Some(tag) = tag {
            digest.update([tag]);
        }
        digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(bytes);
    };
    for (name, attribute) in attributes {
        part(name.as_bytes(), None);
        part(attribute.data_type.as_bytes(), None);
        match (&attribute.string_value, &attribute.binary_value) {
            (Some(text), _) => part(text.as_bytes(), Some(1)),
            (None, binary) => {
                let bytes = STANDARD.decode(binary.as_deref().unwrap_or_default()).unwrap_or_default();
                part(&bytes, Some(2));
            }
        }
    }
    Some(hex::encode(digest.finalize()))
}
