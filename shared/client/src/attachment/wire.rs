//! Attachments as JSON: the elements of a note's `attachment`.

use eko_protocol::Invalid;
use eko_protocol::json::has_type;
use serde_json::{Value, json};

use super::media_type::media_type;
use super::{Attachment, AttachmentKey, AttachmentLocation, MAX_BYTES, MAX_NAME_CHARS, OVERHEAD};
use crate::content::member::{parsed, required};
use crate::secret::Secret;

impl Attachment {
    /// Reads an element of a note's `attachment`. Unknown members are ignored.
    ///
    /// # Errors
    /// [`Invalid`] at the first member that is missing or wrong.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, "Document") {
            return Err(Invalid::at("/type", "must be Document"));
        }
        let attachment = Self {
            name: parsed(value, "name", name)?,
            media_type: parsed(value, "mediaType", media_type)?,
            size: required(value, "eko:size", 0)?,
            key: parsed(value, "eko:key", AttachmentKey::from_base64)?,
            digest: parsed(value, "eko:digest", digest)?,
            url: parsed(value, "url", AttachmentLocation::parse)?,
        };
        if attachment.size > MAX_BYTES {
            return Err(Invalid::at("/eko:size", format!("is more than {MAX_BYTES}")));
        }
        match &attachment.url {
            AttachmentLocation::Inline(sealed)
                if sealed.len().checked_sub(OVERHEAD) != usize::try_from(attachment.size).ok() =>
            {
                Err(Invalid::at("/eko:size", "is not the size of what is in the url"))
            }
            _ => Ok(attachment),
        }
    }

    /// Returns the element of a note's `attachment`. It holds the key of the file.
    pub fn to_value(&self) -> Value {
        json!({
            "type": "Document", "name": self.name, "mediaType": self.media_type, "eko:size": self.size,
            "eko:key": self.key.0.to_base64(), "eko:digest": hex::encode(self.digest), "url": self.url.to_url(),
        })
    }
}

impl AttachmentKey {
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    fn from_base64(text: &str) -> Result<Self, Invalid> {
        Secret::from_base64(text).map(Self)
    }

    /// Returns the 32 bytes of the key, for a program that keeps the attachment.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

pub(super) fn name(text: &str) -> Result<String, Invalid> {
    if (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        let detail = format!("must be 1 to {MAX_NAME_CHARS} characters, none of them a control character");
        Err(Invalid::whole(detail))
    }
}

fn digest(text: &str) -> Result<[u8; 32], Invalid> {
    let mut digest = [0; 32];
    match hex::decode_to_slice(text, &mut digest) {
        Ok(()) if hex::encode(digest) == text => Ok(digest),
        _ => Err(Invalid::whole("must be 64 lower-case hex digits")),
    }
}
