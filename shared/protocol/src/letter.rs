//! Letters: accepted envelopes on their way through this server (`docs/protocol.md`, sections 5 and
//! 6).
//!
//! ```text
//! Create (a sender's)  ──accept──▶  Letter  ──queue, mailbox──▶  FetchedLetter (a device's)
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::activity::queued;
use crate::envelope::{Create, EnvelopeHeader};
use crate::id::EntryKey;
use crate::json::{optional, text};
use crate::{Invalid, timestamp};

/// An envelope that this server has accepted, without its ciphertexts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The envelope's members.
    pub header: EnvelopeHeader,
    /// The id of the `Create` activity, on the author's origin. `None` if another server gave it
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// The time of the first acceptance of any part of the envelope, in epoch milliseconds.
    pub accepted_ms: i64,
    /// True if its author is a stranger to a user who lets only known actors write.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_request: bool,
}

impl Letter {
    /// Returns the key of the letter's entry, which is the same in every device's mailbox.
    pub fn entry_key(&self) -> EntryKey {
        EntryKey::new(self.accepted_ms.unsigned_abs(), &self.header.author, &self.header.id.key())
    }
}

/// A letter with one device's ciphertext, as that device fetches it (section 6).
///
/// ```text
/// {"type": "Create", "id": <activity>, optional, "actor": <author>, "to": <recipient>,
///  "object": {…, "messages": [<the ciphertext for this device>]},    see `envelope::Create`
///  "eko:request": true, optional,
///  "eko:received": <time of acceptance>, "eko:entry": <URL of the entry>}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedLetter {
    /// The letter.
    pub letter: Letter,
    /// The recipient's actor id.
    pub to: String,
    /// The URL of the device whose mailbox holds it.
    pub device: String,
    /// The ciphertext for that device.
    pub ciphertext: Vec<u8>,
}

impl FetchedLetter {
    /// Writes, without a context, the `Create` that the device fetches. `entry` is the URL of the
    /// entry, by which the device acknowledges it.
    pub fn to_value(&self, entry: &str) -> Value {
        let header = &self.letter.header;
        let content = STANDARD.encode(&self.ciphertext);
        let messages = json!([{"to": self.device, "from": header.from, "content": content}]);
        let mut body = json!({
            "type": "Create",
            "actor": header.author,
            "to": self.to,
            "object": header.to_object(messages),
        });
        if let (Some(members), Some(id)) = (body.as_object_mut(), &self.letter.activity) {
            members.insert("id".to_owned(), json!(id));
        }
        if let (Some(members), true) = (body.as_object_mut(), self.letter.is_request) {
            members.insert("eko:request".to_owned(), json!(true));
        }
        queued(body, self.letter.accepted_ms, entry)
    }

    /// Reads a `Create` that a device fetched from its own server.
    ///
    /// An expired envelope is accepted: the server leaves expired entries out when it makes the
    /// page.
    ///
    /// # Errors
    /// [`Invalid`] for the first member that is missing or has the wrong shape, and for more or
    /// less than one ciphertext.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let accepted_ms = timestamp::parse(text(value, "eko:received")?);
        let accepted_ms = accepted_ms.map_err(|fault| fault.under("/eko:received"))?;
        let is_request = optional(value, "eko:request")?.is_some_and(|member| *member == json!(true));
        let create = Create::parse(value, i64::MIN)?;
        let [message] = <[_; 1]>::try_from(create.messages)
            .map_err(|_| Invalid::at("/object/messages", "must hold one message"))?;
        Ok(Self {
            letter: Letter { header: create.header, activity: create.activity, accepted_ms, is_request },
            to: create.to,
            device: message.to,
            ciphertext: message.content,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::device_set::DeviceSetRef;
    use crate::franking::Franking;
    use crate::id::EnvelopeId;

    fn fetched(ciphertext: Vec<u8>, notify: bool, ms: Option<i64>) -> FetchedLetter {
        FetchedLetter {
            letter: Letter {
                header: EnvelopeHeader {
                    author: "https://a.example/user/alice".into(),
                    id: EnvelopeId::parse("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap(),
                    from: "https://a.example/user/alice/device/c".into(),
                    published_ms: ms,
                    expires_ms: ms,
                    notify,
                    device_set: DeviceSetRef::new(2, "ab".repeat(32)).ok(),
                    franking: ms.map(|ms| Franking {
                        tag: [7; 32].into(),
                        mac: notify.then(|| [ms.unsigned_abs() as u8; 32].into()),
                    }),
                },
                activity: ms.map(|ms| format!("https://a.example/activities?id={ms}#create")),
                accepted_ms: 1000,
                is_request: notify,
            },
            to: "https://b.example/user/bob".into(),
            device: "https://b.example/user/bob/device/d".into(),
            ciphertext,
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            ciphertext in proptest::collection::vec(any::<u8>(), 1..100),
            notify: bool,
            ms in proptest::option::of(0i64..4_000_000_000_000),
        ) {
            let fetched = fetched(ciphertext, notify, ms);
            let value = fetched.to_value("https://b.example/user/bob/inbox/x");
            prop_assert_eq!(&value["eko:received"], "1970-01-01T00:00:01Z");
            prop_assert_eq!(&value["eko:entry"], "https://b.example/user/bob/inbox/x");
            prop_assert_eq!(FetchedLetter::parse(&value).unwrap(), fetched.clone());
            let letter = serde_json::to_string(&fetched.letter).unwrap();
            prop_assert_eq!(serde_json::from_str::<Letter>(&letter).unwrap(), fetched.letter);
        }
    }
}
