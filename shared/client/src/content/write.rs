//! Writing activities as JSON.

use eko_protocol::vocabulary::content_context;
use eko_protocol::{multibase, timestamp};
use serde_json::{Map, Value, json};

use super::{Activity, ActivityContent, Note, decision, receipt};
use crate::attachment::Attachment;

/// Returns the activity as JSON.
pub(super) fn value(activity: &Activity) -> Value {
    let (kind, members) = match &activity.content {
        ActivityContent::Control(control) => return control.to_value(),
        ActivityContent::Other(value) => return value.clone(),
        ActivityContent::Note(content) => ("Create", vec![("object", note(content))]),
        ActivityContent::Read(id) => ("Read", vec![("object", json!(id))]),
        ActivityContent::Typing => ("Typing", Vec::new()),
        ActivityContent::TypingEnded => ("Undo", vec![("object", json!({ "type": "Typing" }))]),
        ActivityContent::Receipt(content) => ("Delivered", receipt::write(content)),
        ActivityContent::Join(group) => ("Join", vec![("object", json!(group))]),
        ActivityContent::Announce(control) => ("Announce", vec![("object", control.to_value())]),
        ActivityContent::Block(party) => ("Block", vec![("object", json!(party.as_str()))]),
        ActivityContent::Unblock(party) => {
            ("Undo", vec![("object", json!({ "type": "Block", "object": party.as_str() }))])
        }
        ActivityContent::Decisions(content) => ("Decisions", decision::write(content)),
        ActivityContent::Leave(target) => ("Leave", vec![("target", json!(target))]),
        ActivityContent::Move(evidence) => ("Move", evidence.write()),
        ActivityContent::StateKeys(keys) => ("StateKeys", vec![("object", keys.to_value())]),
    };
    let mut value = Map::new();
    let mut put = |name: &str, member: Value| drop(value.insert(name.to_owned(), member));
    put("@context", content_context());
    put("type", json!(kind));
    put("id", json!(activity.id));
    put("actor", json!(activity.actor));
    put("to", json!([activity.to]));
    put("published", json!(timestamp::format(activity.published_ms)));
    if let Some(sequence) = activity.sequence {
        put("eko:sequence", json!(sequence));
    }
    if !activity.void.is_empty() {
        put("eko:void", json!(activity.void));
    }
    if let Some(head) = &activity.device_set {
        put("eko:deviceSet", json!(head.set));
        put("eko:signature", json!(multibase::encode(&head.signature)));
    }
    if let Some(hash) = &activity.device_sets_hash {
        put("eko:deviceSetsHash", json!(hash));
    }
    if !activity.device_sets.is_empty() {
        put("eko:deviceSets", json!(activity.device_sets));
    }
    if let Some(group) = &activity.group {
        put("eko:group", json!({ "id": group.id, "epoch": group.epoch, "state": group.state }));
    }
    for (name, member) in members {
        put(name, member);
    }
    Value::Object(value)
}

fn note(note: &Note) -> Value {
    let mut object =
        json!({ "type": "Note", "id": note.id, "content": note.text, "mediaType": "text/plain" });
    if let (false, Some(members)) = (note.attachments.is_empty(), object.as_object_mut()) {
        let attachments = note.attachments.iter().map(Attachment::to_value).collect();
        members.insert("attachment".to_owned(), Value::Array(attachments));
    }
    object
}
