//! The commitment of a note: the key in its plaintext, and the tag beside its ciphertexts
//! (`docs/protocol.md`, section 9).

use eko_protocol::Invalid;
use eko_protocol::franking::{franked_content, franking_tag};
use eko_protocol::id::EnvelopeId;
use eko_protocol::json::{self, text};
use eko_protocol::key::{FrankingKey, FrankingTag};
use serde_json::{Value, json};

use super::{Activity, ActivityContent, pad, unpad};

/// The member of an activity that holds the key.
const KEY: &str = "eko:frankingKey";
/// The beginning of what stands in the place of a tag is made of, followed by a zero byte.
const NO_TAG: &[u8] = b"eko-no-franking-v1\0";

/// A content that a device can commit to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrankedContent {
    /// The key of the tag.
    pub(crate) key: FrankingKey,
    /// The franked content ([`franked_content`]).
    pub(crate) content: String,
}

impl FrankedContent {
    /// Reads key and content of a padded activity. Returns `None` if it has no key.
    pub(crate) fn of(plaintext: &[u8]) -> Option<Self> {
        let value = read(plaintext)?;
        let key = FrankingKey::from_base64(text(&value, KEY).ok()?).ok()?;
        let content = String::from_utf8(franked_content(&value).ok()?).ok()?;
        Some(Self { key, content })
    }

    /// Returns the tag.
    pub(crate) fn tag(&self) -> FrankingTag {
        franking_tag(&self.key, self.content.as_bytes())
    }
}

/// Adds a key to a padded activity.
///
/// # Errors
/// [`Invalid`] if there is no room for it.
pub(crate) fn with_key(plaintext: &[u8], key: &FrankingKey) -> Result<Vec<u8>, Invalid> {
    let mut value = read(plaintext).ok_or_else(|| Invalid::whole("is no padded JSON"))?;
    if let Some(members) = value.as_object_mut() {
        members.insert(KEY.to_owned(), json!(key));
    }
    pad(value.to_string().as_bytes())
}

/// True if a padded activity is a note without a key.
pub(crate) fn lacks_key(plaintext: &[u8]) -> bool {
    FrankedContent::of(plaintext).is_none()
        && Activity::from_plaintext(plaintext)
            .is_ok_and(|activity| matches!(activity.content, ActivityContent::Note(_)))
}

/// Returns the tag of an envelope with this plaintext. In the place of a key of what is no note, bytes stand
/// that nobody can tell from a tag, and that are others in each envelope: so servers do not see what is no
/// note. A note without a key has no tag, since its reader would take another one for a false one.
pub(crate) fn tag_of(envelope: &EnvelopeId, plaintext: &[u8]) -> Option<FrankingTag> {
    if let Some(franked) = FrankedContent::of(plaintext) {
        return Some(franked.tag());
    }
    if lacks_key(plaintext) {
        return None;
    }
    let mut bytes = NO_TAG.to_vec();
    bytes.extend_from_slice(envelope.key().as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(plaintext);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    let mut tag = [0; 32];
    tag.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    Some(FrankingTag::from(tag))
}

fn read(plaintext: &[u8]) -> Option<Value> {
    json::parse(unpad(plaintext).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(value: &Value) -> Vec<u8> {
        pad(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_key_changes_the_plaintext_and_not_the_content() {
        let note = json!({ "type": "Create", "actor": "a", "object": { "content": "x" }, "eko:sequence": 1 });
        let (one, other) = (FrankingKey::from([1; 32]), FrankingKey::from([2; 32]));
        let with_one = with_key(&padded(&note), &one).unwrap();
        let franked = FrankedContent::of(&with_one).unwrap();
        assert_eq!(
            (franked.key, franked.content.as_str()),
            (one, r#"{"actor":"a","object":{"content":"x"},"type":"Create"}"#)
        );
        let replaced = with_key(&with_one, &other).unwrap();
        assert_eq!(FrankedContent::of(&replaced).unwrap(), FrankedContent { key: other, ..franked.clone() });
        assert_ne!(FrankedContent::of(&replaced).unwrap().tag(), franked.tag());
        assert_eq!(FrankedContent::of(&padded(&note)), None);
        let full = json!({ "text": "x".repeat(super::super::MAX_PLAINTEXT - 20) });
        assert!(with_key(&padded(&full), &one).is_err());
    }

    /// A note of an earlier version of this library, or one that has no room for a key.
    #[test]
    fn a_note_without_a_key_has_no_tag() {
        let id = "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11";
        let note = padded(&json!({
            "type": "Create", "id": id, "actor": "https://a.example/user/alice",
            "to": ["https://b.example/user/bob"], "published": "2026-01-29T19:30:00.007Z", "eko:sequence": 17,
            "object": { "type": "Note", "id": id, "content": "x", "mediaType": "text/plain" },
        }));
        let envelope = EnvelopeId::parse("https://a.example/message/1").unwrap();
        assert_eq!(tag_of(&envelope, &note), None);
        let keyed = with_key(&note, &FrankingKey::from([1; 32])).unwrap();
        assert!(tag_of(&envelope, &keyed).is_some() && lacks_key(&note) && !lacks_key(&keyed));
    }

    #[test]
    fn what_has_no_key_has_a_tag_of_its_own_in_each_envelope() {
        let id = |number: u8| EnvelopeId::parse(&format!("https://a.example/message/{number}")).unwrap();
        let read = padded(&json!({ "type": "Read" }));
        assert_eq!(tag_of(&id(1), &read), tag_of(&id(1), &read));
        assert_ne!(tag_of(&id(1), &read), tag_of(&id(2), &read));
        let note = with_key(&read, &FrankingKey::from([1; 32])).unwrap();
        assert_eq!(tag_of(&id(1), &note), tag_of(&id(2), &note));
    }
}
