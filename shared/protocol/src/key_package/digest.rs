//! `Check`: a device compares its long-lived keys with those that its server has.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{KyberPreKey, SignedPreKey};
use crate::Invalid;
use crate::json::{has_type, text};
use crate::key::{IdentityKey, KeyId, decode};

/// Returns the digest that a `Check` compares (section 4): the SHA-256 of these bytes.
///
/// ```text
/// ┌──────────────┬──────────────────┬───────────────┬────────────────┬─────────────────┐
/// │ identity key │ signed prekey id │ signed prekey │ last-resort id │ last-resort key │
/// │ 33           │ 8, big-endian    │ 33            │ 8, big-endian  │ 1569            │
/// └──────────────┴──────────────────┴───────────────┴────────────────┴─────────────────┘
/// ```
///
/// Keys carry their type byte. The last two parts are left out if the device has no last-resort
/// key.
pub fn check_digest(
    identity: &IdentityKey,
    signed: &SignedPreKey,
    last_resort: Option<&KyberPreKey>,
) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(identity.as_bytes())
        .chain_update(int64(signed.id))
        .chain_update(signed.key.as_bytes());
    if let Some(key) = last_resort {
        hash = hash.chain_update(int64(key.id)).chain_update(key.key.as_bytes());
    }
    hash.finalize().into()
}

/// Returns an id as a signed 64-bit number, big-endian.
fn int64(id: KeyId) -> [u8; 8] {
    i64::from(id.get()).to_be_bytes()
}

/// Reads a `Check` and returns its digest.
///
/// ```text
/// {"type": "Check", "digest": <base64 of 32 bytes>}
/// ```
///
/// ```
/// use eko_protocol::key_package::parse_check;
/// use serde_json::json;
///
/// let digest = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// assert_eq!(parse_check(&json!({"type": "Check", "digest": digest})), Ok([0; 32]));
/// assert_eq!(parse_check(&json!({"type": "Check", "digest": "AAAA"})).unwrap_err().pointer, "/digest");
/// ```
///
/// # Errors
/// [`Invalid`] for another type, or for a digest that is not 32 bytes in base64.
pub fn parse_check(value: &Value) -> Result<[u8; 32], Invalid> {
    if !has_type(value, "Check") {
        return Err(Invalid::at("/type", "must be Check"));
    }
    let bytes = decode(text(value, "digest")?).map_err(|fault| fault.under("/digest"))?;
    bytes.try_into().map_err(|_| Invalid::at("/digest", "must be a SHA-256: 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::{Signer, kyber};
    use base64::Engine;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn digest_is_over_ids_and_keys() {
        let signer = Signer::new(1);
        let signed =
            SignedPreKey { id: KeyId::new(1).unwrap(), key: signer.curve(), signature: signer.sign(b"") };
        let last = KyberPreKey { id: KeyId::new(7).unwrap(), key: kyber(3), signature: signer.sign(b"") };
        let identity = signer.identity();
        let bytes = [
            &identity.as_bytes()[..],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            signed.key.as_bytes(),
            &[0, 0, 0, 0, 0, 0, 0, 7],
            last.key.as_bytes(),
        ]
        .concat();
        let by_hand: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(check_digest(&identity, &signed, Some(&last)), by_hand);
        assert_ne!(check_digest(&identity, &signed, None), by_hand);
    }

    #[test]
    fn other_checks_are_refused() {
        for (value, pointer) in [
            (json!({"digest": "AA=="}), "/type"),
            (json!({"type": "Check"}), "/digest"),
            (json!({"type": "Check", "digest": "AA=="}), "/digest"),
            (json!({"type": "Check", "digest": 1}), "/digest"),
            (json!({"type": "Check", "digest": "00"}), "/digest"),
            (json!([]), "/type"),
        ] {
            assert_eq!(parse_check(&value).unwrap_err().pointer, pointer, "{value}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(digest in any::<[u8; 32]>()) {
            let text = base64::engine::general_purpose::STANDARD.encode(digest);
            prop_assert_eq!(parse_check(&json!({"type": "Check", "digest": text})), Ok(digest));
        }
    }
}
