//! The answer to a client's `Create`.

use serde_json::{Map, Value, json};

use crate::envelope::{Create, put_time};
use crate::vocabulary::context;

/// The state of delivery when the answer to a client's `Create` is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryProgress {
    /// Every ciphertext is queued for its device (HTTP 201).
    Done,
    /// The recipient's server could not be reached yet. The outcome arrives in the sending device's
    /// mailbox (HTTP 202).
    Queued,
}

/// Writes the answer to a client's `Create`: the activity with its ids, without the ciphertexts.
///
/// `activity` is the id of the activity, which is also the answer's `Location`.
pub fn create_accepted(activity: &str, create: &Create, delivery: DeliveryProgress) -> Value {
    let header = &create.header;
    let mut object = Map::new();
    object.insert("type".to_owned(), json!(["Object", "SignalEnvelope"]));
    object.insert("id".to_owned(), json!(header.id));
    put_time(&mut object, "published", header.published_ms);
    let mut body = Map::new();
    body.insert("@context".to_owned(), context());
    body.insert("type".to_owned(), json!("Create"));
    body.insert("id".to_owned(), json!(activity));
    body.insert("actor".to_owned(), json!(header.author));
    body.insert("to".to_owned(), json!(create.to));
    body.insert("object".to_owned(), Value::Object(object));
    if delivery == DeliveryProgress::Queued {
        body.insert("eko:delivery".to_owned(), json!("queued"));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_the_ids_and_holds_no_messages() {
        let activity = "https://b.example/activity/1";
        let create = json!({
            "type": "Create", "actor": "https://a.example/user/alice", "to": "https://b.example/user/bob",
            "object": {
                "type": "SignalEnvelope", "id": "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
                "published": "1970-01-01T00:00:00Z", "messages": [{
                    "to": "https://b.example/user/bob/device/d",
                    "from": "https://a.example/user/alice/device/c",
                    "content": "AQ==",
                }],
            },
        });
        let create = Create::parse(&create, -1).unwrap();
        assert_eq!(
            create_accepted(activity, &create, DeliveryProgress::Done),
            json!({
                "@context": context(),
                "type": "Create", "id": "https://b.example/activity/1",
                "actor": "https://a.example/user/alice", "to": "https://b.example/user/bob",
                "object": {"type": ["Object", "SignalEnvelope"],
                "id": "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11", "published": "1970-01-01T00:00:00Z"},
            })
        );
        let later = create_accepted(activity, &create, DeliveryProgress::Queued);
        assert_eq!(later["eko:delivery"], "queued");
    }
}
