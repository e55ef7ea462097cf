use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{context, put_device_set, queued};
use crate::address::Origin;
use crate::device_set::DeviceSetRef;
use crate::envelope::Create;
use crate::id::EnvelopeId;
use crate::timestamp;

/// What became of an envelope that was accepted from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryProgress {
    /// Every message is in its device's queue (HTTP 201).
    Done,
    /// The other server could not be asked yet; the outcome arrives in the sender's queue (HTTP 202).
    Queued,
}

/// The answer to a client's `Create`: the activity with its ids, without the messages. `activity` is its
/// address, which is also the answer's `Location`.
pub fn create_accepted(
    origin: &Origin,
    activity: &str,
    create: &Create,
    delivery: DeliveryProgress,
) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!(["Object", "SignalEnvelope"]));
    object.insert("id".to_owned(), json!(create.id));
    put_moment(&mut object, "published", create.published_ms);
    let mut body = Map::new();
    body.insert("@context".to_owned(), context(origin));
    body.insert("type".to_owned(), json!("Create"));
    body.insert("id".to_owned(), json!(activity));
    body.insert("actor".to_owned(), json!(create.actor));
    body.insert("to".to_owned(), json!(create.to));
    body.insert("object".to_owned(), Value::Object(object));
    if delivery == DeliveryProgress::Queued {
        body.insert("eko:delivery".to_owned(), json!("queued"));
    }
    Value::Object(body)
}

/// One message in one device's queue: an envelope's members, and of its messages only this device's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The activity's address.
    pub activity: String,
    /// The author's actor id.
    pub actor: String,
    /// The recipient's actor id.
    pub to: String,
    /// The envelope's id.
    pub envelope: EnvelopeId,
    /// The address of the sending device.
    pub from: String,
    /// The address of the device whose queue it is.
    pub device: String,
    /// The ciphertext.
    pub content: Vec<u8>,
    /// When it was made, by the sender's clock, in epoch milliseconds.
    pub published_ms: Option<i64>,
    /// Whether it woke the device.
    pub notify: bool,
    /// When it is of no more use, in epoch milliseconds.
    pub expires_ms: Option<i64>,
    /// The recipient's device set as the sender saw it.
    pub device_set: Option<DeviceSetRef>,
}

/// The `Create` that a device fetches (section 6). `received_ms` is when it was accepted, `entry` its entry's
/// address.
pub fn queued_create(origin: &Origin, message: &QueuedMessage, received_ms: i64, entry: &str) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!(["Object", "SignalEnvelope"]));
    object.insert("id".to_owned(), json!(message.envelope));
    put_moment(&mut object, "published", message.published_ms);
    object.insert("notify".to_owned(), json!(message.notify));
    put_moment(&mut object, "expires", message.expires_ms);
    put_device_set(&mut object, message.device_set.as_ref());
    let content = STANDARD.encode(&message.content);
    object.insert(
        "messages".to_owned(),
        json!([{"to": message.device, "from": message.from, "content": content}]),
    );
    let body = json!({
        "@context": context(origin),
        "type": "Create",
        "id": message.activity,
        "actor": message.actor,
        "to": message.to,
        "object": object,
    });
    queued(body, received_ms, entry)
}

fn put_moment(object: &mut Map<String, Value>, name: &str, epoch_ms: Option<i64>) {
    if let Some(epoch_ms) = epoch_ms {
        object.insert(name.to_owned(), json!(timestamp::format(epoch_ms)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::shape;
    use proptest::prelude::*;

    fn message(content: Vec<u8>, notify: bool, ms: Option<i64>) -> QueuedMessage {
        QueuedMessage {
            activity: "https://b.example/activity/1".into(),
            actor: "https://a.example/user/alice".into(),
            to: "https://b.example/user/bob".into(),
            envelope: EnvelopeId::parse("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap(),
            from: "https://a.example/user/alice/device/c".into(),
            device: "https://b.example/user/bob/device/d".into(),
            content,
            published_ms: ms,
            notify,
            expires_ms: ms,
            device_set: DeviceSetRef::new(2, "ab".repeat(32)).ok(),
        }
    }

    fn origin() -> Origin {
        Origin::parse("https://b.example").unwrap()
    }

    #[test]
    fn the_answer_names_the_ids_and_holds_no_messages() {
        let value = queued_create(
            &origin(),
            &message(vec![1], true, Some(0)),
            0,
            "https://b.example/user/bob/inbox/x",
        );
        let create = Create::parse(&value, -1).unwrap();
        assert_eq!(
            create_accepted(&origin(), "https://b.example/activity/1", &create, DeliveryProgress::Done),
            json!({
                "@context": ["https://www.w3.org/ns/activitystreams", "https://b.example/ns"],
                "type": "Create", "id": "https://b.example/activity/1",
                "actor": "https://a.example/user/alice", "to": "https://b.example/user/bob",
                "object": {"type": ["Object", "SignalEnvelope"],
                "id": "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11", "published": "1970-01-01T00:00:00Z"},
            })
        );
        let later =
            create_accepted(&origin(), "https://b.example/activity/1", &create, DeliveryProgress::Queued);
        assert_eq!(later["eko:delivery"], "queued");
    }

    proptest! {
        #[test]
        fn what_is_fetched_is_a_create(
            content in proptest::collection::vec(any::<u8>(), 1..100),
            notify: bool,
            ms in proptest::option::of(0i64..4_000_000_000_000),
        ) {
            let message = message(content, notify, ms);
            let value = queued_create(&origin(), &message, 1000, "https://b.example/user/bob/inbox/x");
            let read = Create::parse(&value, -1).unwrap();
            prop_assert_eq!(read.activity, Some(message.activity));
            prop_assert_eq!((read.id, read.notify, read.published_ms, read.expires_ms), (message.envelope,
            notify, ms, ms));
            prop_assert_eq!((read.from, read.device_set), (message.from, message.device_set));
            prop_assert_eq!(&read.messages[0].content, &message.content);
            prop_assert_eq!(&value["eko:received"], "1970-01-01T00:00:01Z");
            prop_assert_eq!(shape::<String>(&value["eko:entry"]).unwrap(),
            "https://b.example/user/bob/inbox/x");
        }
    }
}
