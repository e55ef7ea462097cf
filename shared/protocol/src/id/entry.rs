//! Ids that the server derives from an envelope: the keys of mailbox entries, of envelope records,
//! and of activities.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::is_lower_hex;
use crate::Invalid;

/// The greatest time that an entry key or a UUIDv7 can hold: 48 bits of milliseconds, the year
/// 10889.
const MAX_MS: u64 = (1 << 48) - 1;

/// The key of an entry of a mailbox (`docs/protocol.md`, section 6).
///
/// ```text
/// 019c0b3be2c0-a4fbe8a293378a0fa5b3e004c7bf96bd
/// ├──────────┘ └─ the envelope's key, 32 lower-case hex digits
/// └─ time of acceptance in epoch milliseconds, 12 lower-case hex digits
/// ```
///
/// Keys sort by time. The same envelope with the same time of acceptance has the same key.
///
/// ```
/// use eko_protocol::id::EntryKey;
///
/// let key = EntryKey::new(1_769_715_000_000, "https://a.example/user/alice", "urn:uuid:x");
/// assert_eq!(key.as_str(), "019c0b3be2c0-a4fbe8a293378a0fa5b3e004c7bf96bd");
/// assert_eq!(EntryKey::parse(key.as_str())?.accepted_ms(), 1_769_715_000_000);
///
/// assert!(EntryKey::parse("019C0B3BE2C0-a4fbe8a293378a0fa5b3e004c7bf96bd").is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryKey(String);

impl EntryKey {
    /// Creates the key of an envelope, or of a report about it, from the time of acceptance (epoch
    /// milliseconds), the author's actor id and the envelope's id.
    pub fn new(accepted_ms: u64, author: &str, envelope: &str) -> Self {
        Self(format!("{:012x}-{}", accepted_ms.min(MAX_MS), envelope_key(author, envelope)))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`Invalid`] if the text is not 12 and 32 lower-case hex digits with a hyphen between them.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let valid = text.split_once('-').is_some_and(|(time, hash)| {
            time.len() == 12 && hash.len() == 32 && time.bytes().chain(hash.bytes()).all(is_lower_hex)
        });
        if valid { Ok(Self(text.to_owned())) } else { Err(Invalid::whole("is not the key of an entry")) }
    }

    /// Returns the time of acceptance in epoch milliseconds.
    pub fn accepted_ms(&self) -> u64 {
        self.0.split_once('-').and_then(|(time, _)| u64::from_str_radix(time, 16).ok()).unwrap_or_default()
    }

    /// Returns the key of the envelope's record, as [`envelope_key`] makes it.
    pub fn envelope_key(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, hash)| hash)
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for EntryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EntryKey {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<EntryKey> for String {
    fn from(key: EntryKey) -> Self {
        key.0
    }
}

/// Returns the key of an envelope's record: 32 lower-case hex digits, the first 16 bytes of the
/// SHA-256 of the author's actor id, a zero byte and the envelope's id.
///
/// The author is part of the hash, so two authors who choose the same envelope id have different
/// keys.
pub fn envelope_key(author: &str, envelope: &str) -> String {
    hex::encode(envelope_hash(author, envelope))
}

/// Returns the id of the activity that carries an envelope: a UUIDv7 with the time of acceptance
/// (epoch milliseconds), whose other bits are the envelope's hash. An envelope that is sent again
/// therefore gets the same activity id.
pub fn activity_uuid(accepted_ms: u64, author: &str, envelope: &str) -> Uuid {
    let [_, _, _, _, _, _, rest @ ..] = envelope_hash(author, envelope);
    Builder::from_unix_timestamp_millis(accepted_ms.min(MAX_MS), &rest).into_uuid()
}

/// Returns the id of a report with this digest: a UUIDv8 of its first bytes. A report that is made
/// again therefore has the same id.
pub fn report_uuid(digest: &[u8; 32]) -> Uuid {
    let mut first = [0; 16];
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    Builder::from_custom_bytes(first).into_uuid()
}

fn envelope_hash(author: &str, envelope: &str) -> [u8; 16] {
    let digest = Sha256::new_with_prefix(author).chain_update([0]).chain_update(envelope).finalize();
    let mut first = [0; 16];
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALICE: &str = "https://a.example/user/alice";

    #[test]
    fn keys_are_fixed_for_ever() {
        // `printf 'https://a.example/user/alice\0urn:uuid:x' | sha256sum`
        assert_eq!(envelope_key(ALICE, "urn:uuid:x"), "a4fbe8a293378a0fa5b3e004c7bf96bd");
        assert_eq!(
            EntryKey::new(1, ALICE, "urn:uuid:x").as_str(),
            "000000000001-a4fbe8a293378a0fa5b3e004c7bf96bd"
        );
    }

    #[test]
    fn other_texts_are_refused() {
        let key = EntryKey::new(1, "a", "b").as_str().to_owned();
        for text in [
            "",
            "-",
            &key.to_uppercase(),
            &key.replace('-', "_"),
            &format!("{key}0"),
            &format!("0{key}"),
            &key[1..],
        ] {
            assert!(EntryKey::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(ms in 0..=MAX_MS, author in ".{0,20}", envelope in ".{0,20}") {
            let key = EntryKey::new(ms, &author, &envelope);
            prop_assert_eq!(EntryKey::parse(key.as_str()), Ok(key.clone()));
            prop_assert_eq!(key.accepted_ms(), ms);
            prop_assert_eq!(key.envelope_key(), envelope_key(&author, &envelope));
        }

        #[test]
        fn keys_sort_by_time(a in 0..=MAX_MS, b in 0..=MAX_MS) {
            prop_assume!(a != b);
            prop_assert_eq!(EntryKey::new(a, "x", "y") < EntryKey::new(b, "y", "x"), a < b);
        }

        #[test]
        fn activities_are_version_7_and_repeatable(
            ms in any::<u64>(),
            author in ".{0,20}",
            envelope in ".{0,20}",
        ) {
            let id = activity_uuid(ms, &author, &envelope);
            prop_assert_eq!(id, activity_uuid(ms, &author, &envelope));
            prop_assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            prop_assert_eq!(id.as_u128() >> 80, u128::from(ms.min(MAX_MS)));
        }

        #[test]
        fn reports_are_version_8(digest: [u8; 32]) {
            let id = report_uuid(&digest);
            prop_assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
            prop_assert_eq!(id.as_bytes()[..6].to_vec(), digest[..6].to_vec());
        }
    }
}
