//! The id of a group, which commits to the group's beginning.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::Invalid;
use eko_protocol::json::canonical;
use serde_json::json;
use uuid::Builder;

use super::GroupOrigin;

/// The prefix of the bytes under the hash.
const DOMAIN: &[u8] = b"eko-group-id-v1\0";

crate::content::id::urn_id! {
    /// A group's id: `urn:uuid:` and a lower-case UUID of version 8 (RFC 9562), which is made of
    /// the first 16 bytes of a hash of the group's creator and nonce.
    GroupId
}

impl GroupId {
    /// Returns the id of a group with this beginning.
    ///
    /// # Errors
    /// [`Invalid`] if the creator has no canonical JSON.
    pub fn of(origin: &GroupOrigin) -> Result<Self, Invalid> {
        let beginning = json!({ "creator": origin.creator, "nonce": STANDARD.encode(origin.nonce) });
        let bytes = [DOMAIN, &canonical(&beginning)?].concat();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        let first = hash.as_ref().first_chunk::<16>().copied().unwrap_or_default();
        Self::parse(&format!("urn:uuid:{}", Builder::from_custom_bytes(first).into_uuid()))
    }
}
