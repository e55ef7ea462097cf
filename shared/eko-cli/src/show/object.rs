//! Messages and notices as JSON objects for a script.

use eko_client::attachment::Attachment;
use eko_client::group::GroupDifference;
use eko_client::messenger::{GroupEvent, Notice, Person};
use eko_client::store::{
    AwaitedMessage, AwaitedReason, EnvelopeState, MessageContent, OutboxEnvelope, StoredMessage,
};
use serde_json::{Value, json};

use super::group_event;
use crate::context::HttpMessenger;
use crate::delivery;
use crate::people::bare_id;

/// Returns a message as a JSON object of the type `message`.
pub(crate) fn message_object(message: &StoredMessage) -> Value {
    let mut object = content_object(&message.content);
    object["missingBefore"] = json!(message.missing_before);
    object
}

/// Returns the content of a message as a JSON object of the type `message`.
pub(crate) fn content_object(m: &MessageContent) -> Value {
    let file =
        |file: &Attachment| json!({ "name": file.name, "mediaType": file.media_type, "size": file.size });
    json!({
        "type": "message", "id": m.id, "from": m.actor, "conversation": m.conversation, "outgoing": m.outgoing,
        "device": m.device, "sequence": m.sequence, "published": instant(m.published_ms),
        "received": instant(m.received_ms), "text": m.text, "warning": m.warning,
        "attachments": m.attachments.iter().map(file).collect::<Vec<_>>(),
    })
}

/// Returns a message that is awaited as a JSON object of the type `awaited`.
pub(crate) fn awaited_object(message: &AwaitedMessage, is_missing: bool) -> Value {
    json!({
        "type": "awaited", "from": message.actor, "device": message.device,
        "received": instant(message.received_ms), "missing": is_missing,
        "why": match message.why {
            AwaitedReason::Undecryptable => "undecryptable",
            AwaitedReason::NotKept => "not-kept",
        },
    })
}

/// Returns a notice as a JSON object.
pub(crate) fn notice_object(client: &HttpMessenger, notice: &Notice) -> Value {
    match notice {
        Notice::Settled(envelope) => sent_object(client, envelope),
        Notice::DeviceWaits(waiting) => {
            json!({ "type": "deviceWaits", "device": waiting.device.id, "name": waiting.name })
        }
        Notice::Read { actor, id, before } => {
            json!({ "type": "read", "by": actor, "id": id, "before": before })
        }
        Notice::Typing { actor, conversation } => {
            json!({ "type": "typing", "by": actor, "conversation": conversation })
        }
        Notice::TypingEnded { actor, conversation } => {
            json!({ "type": "typingEnded", "by": actor, "conversation": conversation })
        }
        Notice::Request { actor } => json!({ "type": "requested", "from": actor }),
        Notice::Missed { actor, ids } => json!({ "type": "missed", "by": actor, "ids": ids }),
        Notice::Awaited { actor } => json!({ "type": "awaited", "from": actor }),
        Notice::NotRead { actor, id } => json!({ "type": "notRead", "by": actor, "id": id }),
        Notice::Moved { actor, to } => json!({ "type": "moved", "from": actor, "to": to }),
        Notice::Forged { actor, count } => json!({ "type": "forged", "by": actor, "count": count }),
        Notice::Unreadable { actor, why } => {
            json!({ "type": "unreadable", "from": actor, "why": why.to_string() })
        }
        Notice::Refused { actor, why } => {
            json!({ "type": "refused", "from": actor, "why": why.to_string() })
        }
        Notice::Contradiction { seen_by, of } => {
            json!({ "type": "contradiction", "seenBy": seen_by, "of": of })
        }
        Notice::Distrusted { actor, why } => {
            json!({ "type": "distrusted", "of": actor, "why": why.to_string() })
        }
        Notice::DevicesChanged { actor, added, removed, reset, .. } => json!({
            "type": "devicesChanged", "of": actor, "added": added, "removed": removed, "reset": reset,
        }),
        Notice::KeyCopied { added, removed, .. } => {
            json!({ "type": "keyCopied", "added": added, "removed": removed })
        }
        Notice::KeysReplaced => json!({ "type": "keysReplaced" }),
        Notice::KnownUntold => json!({ "type": "knownUntold" }),
        Notice::RecordsFull { unreadable } => json!({ "type": "recordsFull", "unreadable": unreadable }),
        Notice::Waits { actor, why } => json!({ "type": "waits", "from": actor, "why": why }),
        Notice::Group { id, by, event, difference } => {
            let mut object = difference_object(difference);
            object["type"] = json!("group");
            object["id"] = json!(id);
            object["by"] = json!(by);
            object["change"] = json!(group_event(event));
            if let GroupEvent::Undone { holds: Some(holds), .. } = event {
                object["holds"] = difference_object(holds);
            }
            object
        }
    }
}

/// Returns a difference of two states of a group as a JSON object.
fn difference_object(difference: &GroupDifference) -> Value {
    json!({
        "added": difference.added, "removed": difference.removed, "promoted": difference.promoted,
        "demoted": difference.demoted, "name": difference.name, "formerName": difference.former_name,
        "rekeyed": difference.rekeyed,
    })
}

/// Returns the JSON object of an envelope that this device has sent, or is to send. Nothing helps where the
/// account of its recipient was deleted.
pub(crate) fn sent_object(client: &HttpMessenger, envelope: &OutboxEnvelope) -> Value {
    let mut object = envelope_object(envelope);
    if delivery::is_deleted(client, &envelope.recipient) {
        object["remedy"] = Value::Null;
    }
    if envelope.state == EnvelopeState::Queued && delivery::has_deleted(client) {
        object["state"] = json!(word(EnvelopeState::Failed));
        object["reason"] = json!("your account was deleted");
    }
    object
}

/// Returns an envelope as a JSON object of the type `envelope`. `due` is the time of the next attempt, and
/// `remedy` a command, where there is one.
fn envelope_object(envelope: &OutboxEnvelope) -> Value {
    let waits = envelope.state == EnvelopeState::ToSend;
    let remedy = match envelope.state {
        EnvelopeState::ToSend | EnvelopeState::Failed => true,
        EnvelopeState::Accepted => envelope.reason.is_some() && !envelope.seen,
        EnvelopeState::Refused | EnvelopeState::Queued | EnvelopeState::Delivered => false,
    };
    let remedy = match (envelope.state, Person::of(&envelope.recipient)) {
        (EnvelopeState::Refused, Some(person)) => Some(format!("eko verify {}", person.handle())),
        _ => remedy.then(|| format!("eko resend {}", bare_id(&envelope.message))),
    };
    json!({
        "type": "envelope", "message": envelope.message, "to": envelope.recipient, "state": word(envelope.state),
        "reason": envelope.reason, "fullDevices": envelope.full_devices, "read": envelope.seen,
        "devices": envelope.devices, "receivedBy": envelope.received_by,
        "due": waits.then(|| instant(envelope.due_ms)), "remedy": remedy,
    })
}

/// Returns a message of a former device, to one recipient, as an envelope that is still to be made.
pub(crate) fn due_object(message: &str, to: &str) -> Value {
    json!({
        "type": "envelope", "message": message, "to": to, "state": word(EnvelopeState::ToSend), "reason": null,
        "fullDevices": [], "read": false, "devices": 0, "receivedBy": 0, "due": null, "remedy": "eko listen",
    })
}

/// Returns the word for an envelope's state.
pub(crate) fn word(state: EnvelopeState) -> &'static str {
    match state {
        EnvelopeState::ToSend => "to-send",
        EnvelopeState::Queued => "queued",
        EnvelopeState::Accepted => "accepted",
        EnvelopeState::Delivered => "delivered",
        EnvelopeState::Failed => "failed",
        EnvelopeState::Refused => "refused",
    }
}

/// Returns a moment, in epoch milliseconds, in UTC as RFC 3339 has it.
pub(crate) fn instant(ms: i64) -> String {
    eko_protocol::timestamp::format(ms)
}
