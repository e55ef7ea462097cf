//! Franking: the commitment by which a recipient can report what a message said, without that any
//! server can read messages (`docs/protocol.md`, sections 5 and 9).
//!
//! ```text
//! content  the canonical JSON of the encrypted activity, without `@context` and the members
//!          that begin with `eko:`
//! tag      HMAC-SHA-256(key, "eko-franking-tag-v1" ‖ 0 ‖ content)
//!          the key: 32 random bytes, `eko:frankingKey` of the encrypted activity
//! MAC      HMAC-SHA-256(server's key, "eko-franking-mac-v1" ‖ 0 ‖ canonical JSON of
//!          {"activity", "author", "device", "envelope", "tag", "to"})
//! ```
//!
//! A tag commits to one content, since HMAC-SHA-256 under keys of one length is free of collisions.
//! Whether a ciphertext decrypts under several keys does not matter: the tag is of what it decrypts to.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::Invalid;
use crate::envelope::EnvelopeHeader;
use crate::json::{canonical, only_as_object};
use crate::key::{FrankingKey, FrankingMac, FrankingTag};

/// The beginning of what a tag is made of, followed by a zero byte.
const TAG: &[u8] = b"eko-franking-tag-v1\0";
/// The beginning of what a MAC is made of, followed by a zero byte, and the label of its key.
const MAC: &[u8] = b"eko-franking-mac-v1\0";
/// The label of the key of MACs, for HKDF.
const MAC_KEY: &[u8] = b"eko-franking-mac-v1";

type HmacState = Hmac<Sha256>;

/// The commitment to an envelope's content, `eko:franking` (section 5).
///
/// ```text
/// {"tag": <base64 of 32 bytes>, "mac": <base64 of 32 bytes>, optional}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireFranking")]
pub struct Franking {
    /// The sending device's commitment.
    pub tag: FrankingTag,
    /// The word of the sender's server. `None` on the way there, and if that server gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<FrankingMac>,
}

/// The members of a [`Franking`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "Self")]
struct WireFranking {
    tag: FrankingTag,
    mac: Option<FrankingMac>,
}

only_as_object!(WireFranking);

impl From<WireFranking> for Franking {
    fn from(WireFranking { tag, mac }: WireFranking) -> Self {
        Self { tag, mac }
    }
}

/// Returns what a tag commits to: the activity as its author wrote it, without the members that speak
/// of devices and of other people. What a reader is shown is all in it.
///
/// # Errors
/// [`Invalid`] if the activity is no object, or has a number beyond ±(2^53 − 1).
pub fn franked_content(activity: &Value) -> Result<Vec<u8>, Invalid> {
    let members = activity.as_object().ok_or_else(|| Invalid::whole("must be an object"))?;
    let is_franked = |name: &str| name != "@context" && !name.starts_with("eko:");
    let franked = members.iter().filter(|(name, _)| is_franked(name));
    let franked: Map<String, Value> = franked.map(|(name, member)| (name.clone(), member.clone())).collect();
    canonical(&Value::Object(franked))
}

/// Returns the tag of a content ([`franked_content`]).
pub fn franking_tag(key: &FrankingKey, content: &[u8]) -> FrankingTag {
    FrankingTag::from(finished(tag_state(key, content)))
}

/// True if the tag is the one of this key and content. Compares in constant time.
pub fn is_tag_of(key: &FrankingKey, content: &[u8], tag: &FrankingTag) -> bool {
    tag_state(key, content).verify_slice(tag.as_bytes()).is_ok()
}

fn tag_state(key: &FrankingKey, content: &[u8]) -> HmacState {
    let mut state = keyed(key.as_bytes());
    state.update(TAG);
    state.update(content);
    state
}

/// The statement of a sender's server on an envelope: what its MAC is made of.
#[derive(Debug, Clone, Copy)]
pub struct FrankingStatement<'a> {
    /// The id that the server gave to the `Create`. The time of the first acceptance is in it.
    pub activity: &'a str,
    /// The author's actor id.
    pub author: &'a str,
    /// The address of the sending device.
    pub device: &'a str,
    /// The key of the envelope's id ([`crate::id::EnvelopeId::key`]).
    pub envelope: &'a str,
    /// The commitment.
    pub tag: &'a FrankingTag,
    /// The recipient's actor id.
    pub to: &'a str,
}

/// The key with which a server makes MACs.
#[derive(Clone)]
pub struct FrankingSecret(HmacState);

impl FrankingSecret {
    /// Derives the key from a secret of the server by HKDF-SHA-256.
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 fails beyond 8,160 bytes only")]
    pub fn derive(secret: &[u8]) -> Self {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, secret).expand(MAC_KEY, &mut key).expect("32 bytes");
        Self(keyed(&key))
    }

    /// Returns the MAC of a statement.
    pub fn mac(&self, statement: FrankingStatement<'_>) -> FrankingMac {
        FrankingMac::from(finished(self.state(statement)))
    }

    /// True if the MAC is the one of this statement. Compares in constant time.
    pub fn is_mac_of(&self, statement: FrankingStatement<'_>, mac: &FrankingMac) -> bool {
        self.state(statement).verify_slice(mac.as_bytes()).is_ok()
    }

    /// Returns the franking of an envelope of a user of this server, with the MAC.
    pub fn stamp(&self, header: &EnvelopeHeader, activity: &str, to: &str) -> Option<Franking> {
        let tag = header.franking?.tag;
        let envelope = header.id.key();
        let EnvelopeHeader { author, from, .. } = header;
        let statement =
            FrankingStatement { activity, author, device: from, envelope: &envelope, tag: &tag, to };
        Some(Franking { tag, mac: Some(self.mac(statement)) })
    }

    fn state(&self, statement: FrankingStatement<'_>) -> HmacState {
        let FrankingStatement { activity, author, device, envelope, tag, to } = statement;
        let said = json!({
            "activity": activity,
            "author": author,
            "device": device,
            "envelope": envelope,
            "tag": tag,
            "to": to,
        });
        let mut state = self.0.clone();
        state.update(MAC);
        // Canonical JSON of an object of texts cannot fail.
        state.update(&canonical(&said).unwrap_or_default());
        state
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn keyed(key: &[u8; 32]) -> HmacState {
    HmacState::new_from_slice(key).expect("a key of any length")
}

fn finished(state: HmacState) -> [u8; 32] {
    state.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn activity() -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/activitystreams"],
            "type": "Create",
            "id": "urn:uuid:1d2c3b4a-5f6e-4d7c-8b9a-0a1b2c3d4e01",
            "actor": "https://a.example/user/alice",
            "to": ["https://b.example/user/bob"],
            "object": { "type": "Note", "content": "Hello Bob" },
            "eko:frankingKey": "AAAA",
            "eko:deviceSets": { "https://c.example/user/carol": {} },
        })
    }

    #[test]
    fn a_content_says_nothing_of_devices_and_of_others() {
        let content = String::from_utf8(franked_content(&activity()).unwrap()).unwrap();
        insta::assert_snapshot!(content, @r#"{"actor":"https://a.example/user/alice","id":"urn:uuid:1d2c3b4a-5f6e-4d7c-8b9a-0a1b2c3d4e01","object":{"content":"Hello Bob","type":"Note"},"to":["https://b.example/user/bob"],"type":"Create"}"#);
        assert!(franked_content(&json!("text")).is_err());
        assert!(franked_content(&json!({ "n": 1e300 })).is_err());
    }

    /// The bytes under a tag and a MAC, put together by hand.
    #[test]
    fn tag_and_mac_are_hmacs_of_labelled_bytes() {
        let hmac = |key: &[u8], parts: &[&[u8]]| {
            let mut state = HmacState::new_from_slice(key).unwrap();
            parts.iter().for_each(|part| state.update(part));
            finished(state)
        };
        let (key, content) = (FrankingKey::from([1; 32]), br#"{"actor":"a"}"#);
        let tag = franking_tag(&key, content);
        assert_eq!(tag.as_bytes(), &hmac(&[1; 32], &[b"eko-franking-tag-v1", &[0], content]));
        assert!(is_tag_of(&key, content, &tag));
        let mut server_key = [0; 32];
        Hkdf::<Sha256>::new(None, b"secret").expand(b"eko-franking-mac-v1", &mut server_key).unwrap();
        let statement = FrankingStatement {
            activity: "https://a.example/activity/1",
            author: "https://a.example/user/alice",
            device: "https://a.example/user/alice/device/1",
            envelope: "https://a.example/message/1",
            tag: &tag,
            to: "https://b.example/user/bob",
        };
        let said = format!(
            r#"{{"activity":"https://a.example/activity/1","author":"https://a.example/user/alice","device":"https://a.example/user/alice/device/1","envelope":"https://a.example/message/1","tag":"{}","to":"https://b.example/user/bob"}}"#,
            tag.to_base64()
        );
        let mac = FrankingSecret::derive(b"secret").mac(statement);
        assert_eq!(mac.as_bytes(), &hmac(&server_key, &[b"eko-franking-mac-v1", &[0], said.as_bytes()]));
        let secret = FrankingSecret::derive(b"secret");
        assert!(secret.is_mac_of(statement, &mac));
        assert!(!FrankingSecret::derive(b"other").is_mac_of(statement, &mac));
        for other in [
            FrankingStatement { activity: "https://a.example/activity/2", ..statement },
            FrankingStatement { author: "https://a.example/user/eve", ..statement },
            FrankingStatement { device: "https://a.example/user/alice/device/2", ..statement },
            FrankingStatement { envelope: "https://a.example/message/2", ..statement },
            FrankingStatement { tag: &FrankingTag::from([9; 32]), ..statement },
            FrankingStatement { to: "https://b.example/user/carol", ..statement },
        ] {
            assert!(!secret.is_mac_of(other, &mac), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_is_of_one_key_and_content(
            key in any::<[u8; 32]>(), other in any::<[u8; 32]>(), a in ".{0,20}", b in ".{0,20}",
        ) {
            let tag = franking_tag(&key.into(), a.as_bytes());
            prop_assert_eq!(is_tag_of(&key.into(), b.as_bytes(), &tag), a == b);
            prop_assert_eq!(is_tag_of(&other.into(), a.as_bytes(), &tag), key == other);
        }
    }
}
