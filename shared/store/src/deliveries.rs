//! The queue `deliveries`: letters and reports on their way to the mailboxes.
//!
//! The ciphertexts of one letter travel together, as many in one queue message as fit. That means
//! fewer requests, fewer bytes, and one batch of mailbox writes for one envelope. SQS counts each
//! 64 KB of a message as a request and refuses more than 1 MiB, for one message and for a batch.
//!
//! A message is the JSON form of [`Delivery`]:
//!
//! ```text
//! {"kind": "letter", "to": "bob", "letter": {"header": {…}, "activity": "…", "accepted_ms": …}, "ttl": …,
//!  "ciphertexts": [{"device": "0f3…", "content": "<base64>"}, …], "is_dropped": true}
//! {"kind": "report", "to": "bob", "device": "0f3…", "entry": "<entry key>", "ttl": …, "charged_to": "…",
//!  "activity": {…}}
//! {"kind": "erase", "user": "bob", "devices": ["0f3…"], "erased": [], "pass": "first", "failures": 0}
//! {"kind": "delete", "user": "bob", "after": "0f3…", "told": ["<hashes>"], "pass": "first", "failures": 0}
//! {"kind": "count", "user": "bob", "device": "0f3…", "after": null, "charged": 0, "senders": {}}
//! {"kind": "live", "order": "hang-up", "user": "bob", "devices": ["0f3…"]}
//! {"kind": "live", "order": "end-session", "user": "bob", "device": "0f3…"}
//! {"kind": "live", "order": "approve", "user": "bob", "device": "0f3…", "node": {…}}
//! {"kind": "live", "order": "announce", "user": "bob", "connection": "L0SM9cOFvHcCIhw=", "failures": 0}
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};
use eko_protocol::letter::Letter;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::attribute::corrupt;
use crate::deletion::AccountErasure;
use crate::erasure::Erasure;
use crate::fill::MailboxCount;
use crate::live::LiveOrder;
use crate::mailbox::{AddressedEntry, Entry, EntryContent};
use crate::queue::{MESSAGE_BYTES, OutgoingMessage};
use crate::{Result, Store};

/// One message of the queue `deliveries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Delivery {
    /// A letter with the ciphertexts for some of a user's devices.
    Letter(LetterDelivery),
    /// A report for all of a user's devices, or for one of them.
    Report(ReportDelivery),
    /// The order to erase devices that were revoked.
    Erase(Erasure),
    /// The order to erase what a deleted account left.
    Delete(AccountErasure),
    /// The order to count a mailbox.
    Count(MailboxCount),
    /// The order to do something about sockets.
    Live(LiveOrder),
}

/// A letter with the ciphertexts for some of a user's devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterDelivery {
    /// The recipient.
    pub to: UserName,
    /// The letter.
    pub letter: Letter,
    /// The time after which its entries are gone, in epoch seconds.
    pub ttl: i64,
    /// One ciphertext per device.
    pub ciphertexts: Vec<DeviceCiphertext>,
    /// True for a letter that the user does not want, as one of a sender whom the user blocks. It takes
    /// the same way as any other, so that its sender is answered as fast, and ends in the queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_dropped: bool,
}

/// The ciphertext of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCiphertext {
    /// The recipient's device.
    pub device: DeviceId,
    /// The ciphertext. Base64 (RFC 4648, section 4) in JSON.
    #[serde(serialize_with = "write_base64", deserialize_with = "read_base64")]
    pub content: Vec<u8>,
}

/// A report on its way to a user's devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportDelivery {
    /// The user whose devices get the report.
    pub to: UserName,
    /// The only device that gets the report. All active devices get it if this is `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The key of the report's entry in each mailbox.
    pub entry: EntryKey,
    /// The time after which its entries are gone, in epoch seconds.
    pub ttl: i64,
    /// The actor id whose share of the mailboxes its entries use
    /// ([`MailboxSender`](crate::fill::MailboxSender)).
    pub charged_to: String,
    /// The activity.
    pub activity: serde_json::Value,
}

impl Delivery {
    /// Reads the body of a queue message.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if the body is not what this server
    /// queues.
    pub fn parse(body: &str) -> Result<Self> {
        serde_json::from_str(body).map_err(corrupt)
    }
}

impl LetterDelivery {
    /// Returns the mailbox entries of the letter, one per ciphertext; none if it is dropped.
    pub fn entries(self) -> Vec<AddressedEntry> {
        let Self { to, letter, ttl, ciphertexts, is_dropped } = self;
        if is_dropped {
            return Vec::new();
        }
        let key = letter.entry_key();
        let entry = |DeviceCiphertext { device, content }| AddressedEntry {
            user: to.clone(),
            device,
            entry: Entry {
                key: key.clone(),
                ttl,
                content: EntryContent::Letter { letter: Box::new(letter.clone()), ciphertext: content },
            },
        };
        ciphertexts.into_iter().map(entry).collect()
    }

    /// Splits the delivery so that the JSON of each part stays under [`MESSAGE_BYTES`].
    fn parts(self) -> Vec<Self> {
        // The letter itself has ids of at most 512 bytes each.
        const LETTER_BYTES: usize = 4_096;
        let Self { to, letter, ttl, ciphertexts, is_dropped } = self;
        let part =
            |ciphertexts| Self { to: to.clone(), letter: letter.clone(), ttl, ciphertexts, is_dropped };
        let mut parts: Vec<Self> = Vec::new();
        let mut bytes = usize::MAX;
        for ciphertext in ciphertexts {
            let more = json_bytes(&ciphertext);
            match parts.last_mut() {
                Some(last) if bytes.saturating_add(more) <= MESSAGE_BYTES => {
                    bytes = bytes.saturating_add(more);
                    last.ciphertexts.push(ciphertext);
                }
                _ => {
                    bytes = more.saturating_add(LETTER_BYTES);
                    parts.push(part(vec![ciphertext]));
                }
            }
        }
        parts
    }
}

/// Returns an upper bound of the bytes that a ciphertext takes in JSON.
fn json_bytes(ciphertext: &DeviceCiphertext) -> usize {
    let base64 = ciphertext.content.len().div_ceil(3).saturating_mul(4);
    base64.saturating_add(ciphertext.device.as_str().len()).saturating_add(32)
}

impl Store {
    /// Queues a letter: one SendMessageBatch as long as it is under 1 MB, otherwise as many as it
    /// needs, one after another.
    ///
    /// `Ok` means that SQS holds all of it. If the answer is lost and the call is repeated, a part
    /// may be in the queue twice; both copies become the same mailbox entries.
    ///
    /// # Errors
    /// The queue is out of reach or refuses a message.
    pub async fn queue_letter(&self, delivery: LetterDelivery) -> Result<()> {
        self.queue(delivery.parts().into_iter().map(Delivery::Letter).collect(), 0).await
    }

    /// Queues reports: one SendMessageBatch for each ten, or each megabyte. No call if there are
    /// none.
    ///
    /// # Errors
    /// The queue is out of reach or refuses a message. Some of the reports may be queued then.
    pub async fn queue_reports(&self, reports: Vec<ReportDelivery>) -> Result<()> {
        self.queue(reports.into_iter().map(Delivery::Report).collect(), 0).await
    }

    /// Queues deliveries that nobody can receive for the first `delay_seconds`, 900 at most.
    pub(crate) async fn queue(&self, deliveries: Vec<Delivery>, delay_seconds: i32) -> Result<()> {
        self.queue_at(deliveries.iter().map(|delivery| (delivery, delay_seconds))).await
    }

    /// Queues deliveries, each with the seconds in which nobody can receive it, 900 at most.
    pub(crate) async fn queue_at(
        &self,
        deliveries: impl IntoIterator<Item = (&Delivery, i32)>,
    ) -> Result<()> {
        let message = |(delivery, delay_seconds)| {
            serde_json::to_string(delivery).map(|body| OutgoingMessage { body, delay_seconds })
        };
        let messages = deliveries.into_iter().map(message).collect::<std::result::Result<Vec<_>, _>>();
        self.send(self.deliveries_url(), messages.map_err(corrupt)?).await
    }
}

fn write_base64<S: Serializer>(bytes: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn read_base64<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use eko_protocol::device_set::DeviceSetRef;
    use eko_protocol::envelope::EnvelopeHeader;
    use eko_protocol::id::EnvelopeId;

    use super::*;

    fn delivery(sizes: &[usize]) -> LetterDelivery {
        let device = |n: usize| DeviceId::parse(&format!("0f3c9b1e-5a57-4b0e-9c39-{n:012x}")).unwrap();
        LetterDelivery {
            to: UserName::parse("bob").unwrap(),
            letter: Letter {
                header: EnvelopeHeader {
                    author: "https://a.example/user/alice".to_owned(),
                    id: EnvelopeId::parse("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap(),
                    from: "https://a.example/user/alice/device/c".to_owned(),
                    published_ms: None,
                    expires_ms: Some(1),
                    notify: true,
                    device_set: DeviceSetRef::new(2, "ab".repeat(32)).ok(),
                    franking: None,
                },
                activity: Some("https://b.example/activity/1".to_owned()),
                accepted_ms: 7,
                is_request: false,
            },
            ttl: 9,
            ciphertexts: (1..)
                .zip(sizes)
                .map(|(n, size)| DeviceCiphertext { device: device(n), content: vec![7; *size] })
                .collect(),
            is_dropped: false,
        }
    }

    #[test]
    fn a_dropped_letter_has_no_entry() {
        let letter = LetterDelivery { is_dropped: true, ..delivery(&[1, 2]) };
        for part in letter.clone().parts() {
            let json = serde_json::to_string(&Delivery::Letter(part)).unwrap();
            let Ok(Delivery::Letter(part)) = Delivery::parse(&json) else { panic!("a letter") };
            assert_eq!(part.entries(), []);
        }
        assert_eq!(delivery(&[1, 2]).entries().len(), 2);
    }

    #[test]
    fn parts_stay_under_the_limit_of_a_message_and_lose_nothing() {
        for sizes in [vec![1; 16], vec![96 * 1024; 16], vec![1, 96 * 1024, 96 * 1024, 3], vec![]] {
            let whole = delivery(&sizes);
            let parts = whole.clone().parts();
            for part in &parts {
                let json = serde_json::to_string(&Delivery::Letter(part.clone())).unwrap();
                assert!(json.len() <= MESSAGE_BYTES, "{} bytes", json.len());
                assert_eq!(Delivery::parse(&json).unwrap(), Delivery::Letter(part.clone()));
            }
            let ciphertexts: Vec<_> = parts.into_iter().flat_map(|part| part.ciphertexts).collect();
            assert_eq!(ciphertexts, whole.ciphertexts);
        }
    }

    #[test]
    fn a_body_with_a_bad_id_or_bad_base64_is_corrupt() {
        let good = serde_json::to_string(&Delivery::Letter(delivery(&[1]))).unwrap();
        for (from, to) in [("bob", "b o b"), ("0f3c9b1e-5a57-4b0e-9c39-000000000001", "x"), ("Bw==", "!")] {
            assert!(good.contains(from));
            assert!(Delivery::parse(&good.replace(from, to)).is_err(), "{to}");
        }
        assert!(Delivery::parse("{}").is_err());
    }
}
