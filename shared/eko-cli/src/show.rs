//! Messages and news, for a person and for a script.

use eko_client::messenger::{GroupEvent, Notice};
use eko_client::store::{EnvelopeRecord, EnvelopeState, StoredMessage};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::context::Client;
use crate::people::{conversation, named};

/// Characters of a message that stand for it elsewhere.
const EXCERPT_CHARS: usize = 32;

/// A message on its lines: when, who, where, what.
pub(crate) fn message(client: &Client, message: &StoredMessage) -> String {
    let m = &message.content;
    let who = if m.outgoing { "you".to_owned() } else { named(client, &m.actor) };
    let within = conversation(client, &m.conversation);
    let place = match (m.conversation.starts_with("urn:uuid:"), m.outgoing) {
        (true, _) => format!(" in {within}"),
        (false, true) => format!(" to {within}"),
        (false, false) => String::new(),
    };
    let indented = m.text.replace('\n', "\n    ");
    let mut text = format!("{}  {who}{place}: {indented}", clock(m.published_ms));
    for file in &m.attachments {
        let id = m.id.trim_start_matches("urn:uuid:");
        text.push_str(&format!("\n    file {:?}, {} bytes: eko attachments save {id}", file.name, file.size));
    }
    if let Some(warning) = &m.warning {
        text.push_str(&format!("\n    BEWARE: {warning}"));
    }
    text
}

/// The same as an object.
pub(crate) fn message_object(message: &StoredMessage) -> Value {
    let m = &message.content;
    let file = |file: &eko_client::attachment::Attachment| json!({ "name": file.name, "mediaType": file.media_type, "size": file.size });
    json!({
        "type": "message", "id": m.id, "from": m.actor, "conversation": m.conversation, "outgoing": m.outgoing,
        "device": m.device, "sequence": m.sequence, "published": instant(m.published_ms),
        "received": instant(m.received_ms), "text": m.text, "warning": m.warning,
        "attachments": m.attachments.iter().map(file).collect::<Vec<_>>(),
    })
}

/// News in a line, or nothing where a person need not hear of it.
pub(crate) fn notice(client: &Client, notice: &Notice) -> Option<String> {
    let name = |actor: &str| named(client, actor);
    Some(match notice {
        Notice::Settled(envelope) => return settled(client, envelope),
        Notice::DeviceWaits(waiting) => format!(
            "A device{} asks to be yours. If it shows the fingerprint\n    {}\n  approve it: eko devices approve {}\n  \
             if it is not yours: eko devices turn-away {}",
            waiting.name.as_ref().map(|name| format!(" that calls itself {name:?}")).unwrap_or_default(),
            client.fingerprint_of(waiting),
            waiting.device.id,
            waiting.device.id
        ),
        Notice::Read { actor, id } => format!("{} has read {}", name(actor), excerpt(client, id)?),
        Notice::Unreadable { actor, why } => format!("A message of {} cannot be read: {why}", name(actor)),
        Notice::Refused { actor, why } => {
            format!("BEWARE: a message that seems to come from {} is not taken: {why}", name(actor))
        }
        Notice::Contradiction { seen_by, of } => format!(
            "BEWARE: {} was shown other devices of {} than this device was: one of the two lists is false",
            name(seen_by),
            name(of)
        ),
        Notice::Waits { actor, why } => format!("Something from {} waits at your server: {why}", name(actor)),
        Notice::Group { id, by, event } => {
            let what = group_event(event);
            format!("{} changed the group {}: {what}", name(by), conversation(client, id.as_str()))
        }
    })
}

fn settled(client: &Client, envelope: &EnvelopeRecord) -> Option<String> {
    if envelope.recipient == client.me().actor() {
        return None;
    }
    let (who, what) = (named(client, &envelope.recipient), excerpt(client, &envelope.message)?);
    let reason = envelope.reason.as_deref().unwrap_or("their server refused it");
    Some(match envelope.state {
        EnvelopeState::Delivered => format!("{who} has {what}"),
        EnvelopeState::Accepted => format!("{who}'s server has {what} now"),
        EnvelopeState::Queued | EnvelopeState::ToSend => return None,
        EnvelopeState::Failed => format!("{what} cannot be sent to {who}: {reason}"),
        EnvelopeState::Refused => format!("BEWARE: {what} was not sent to {who}: {reason}"),
    })
}

/// The same as an object.
pub(crate) fn notice_object(notice: &Notice) -> Value {
    match notice {
        Notice::Settled(envelope) => envelope_object(envelope),
        Notice::DeviceWaits(waiting) => {
            json!({ "type": "deviceWaits", "device": waiting.device.id, "name": waiting.name })
        }
        Notice::Read { actor, id } => json!({ "type": "read", "by": actor, "id": id }),
        Notice::Unreadable { actor, why } => {
            json!({ "type": "unreadable", "from": actor, "why": why.to_string() })
        }
        Notice::Refused { actor, why } => {
            json!({ "type": "refused", "from": actor, "why": why.to_string() })
        }
        Notice::Contradiction { seen_by, of } => {
            json!({ "type": "contradiction", "seenBy": seen_by, "of": of })
        }
        Notice::Waits { actor, why } => json!({ "type": "waits", "from": actor, "why": why }),
        Notice::Group { id, by, event } => {
            json!({ "type": "group", "id": id, "by": by, "change": group_event(event) })
        }
    }
}

/// Returns the effect of a group's control in words.
fn group_event(event: &GroupEvent) -> String {
    match event {
        GroupEvent::Changed(change) => change.to_string(),
        GroupEvent::Replaced(change) => format!("{change}, in place of another change"),
        GroupEvent::Refused(why) => format!("refused: {why}"),
    }
}

/// An envelope as an object.
pub(crate) fn envelope_object(envelope: &EnvelopeRecord) -> Value {
    json!({
        "type": "envelope", "message": envelope.message, "to": envelope.recipient, "state": word(envelope.state),
        "reason": envelope.reason,
    })
}

/// A state as a word.
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

/// The beginning of a message that this device knows.
fn excerpt(client: &Client, id: &str) -> Option<String> {
    let text = client.message(id).ok()??.content.text;
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(EXCERPT_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    Some(format!("\u{201c}{cut}{more}\u{201d}"))
}

/// A moment as this machine's clock shows it.
pub(crate) fn clock(ms: i64) -> String {
    let moment = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(TimeZone::system());
    moment.strftime("%Y-%m-%d %H:%M").to_string()
}

/// RFC 3339, in UTC.
pub(crate) fn instant(ms: i64) -> String {
    eko_protocol::timestamp::format(ms)
}
