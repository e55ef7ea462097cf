//! The nonce of a sign-in (section 10), which binds an ID token to one device at one server.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::address::Origin;
use crate::key::{IdentityKey, NonceRandom};

/// Returns the nonce that an ID token must carry to sign in the device with this identity key at the
/// server of this origin: a SHA-256 in lower-case hex.
///
/// ```text
///          ┌───────────────┬──────┬───────────────────────────────────────────────┐
/// SHA-256( │ "eko-oidc-v1" │ 0x00 │ canonical {"identityKey","origin","random"}   │ )
///          └───────────────┴──────┴───────────────────────────────────────────────┘
/// ```
///
/// The identity key and the random bytes are in base64. A server that passes a user's ID token on to
/// another server cannot use it there: the other server computes the nonce with its own origin.
/// Whoever steals an ID token cannot register a key of their own with it.
pub fn nonce(origin: &Origin, identity: &IdentityKey, random: &NonceRandom) -> String {
    // The canonical form is written by hand, so that the function cannot fail: the members are in
    // order, and serde_json escapes strings as RFC 8785 requires. A property test compares it with
    // `canonical`.
    let [identity, random] = [identity.to_base64(), random.to_base64()].map(Value::from);
    let origin = Value::from(origin.as_str());
    let members = format!("{{\"identityKey\":{identity},\"origin\":{origin},\"random\":{random}}}");
    hex::encode(Sha256::new().chain_update(b"eko-oidc-v1\0").chain_update(members).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::canonical;
    use crate::signer::Signer;
    use proptest::prelude::*;
    use serde_json::json;

    /// Origins of both kinds: https, and http for a loopback server in local mode.
    const ORIGINS: [&str; 3] = ["https://a.example", "https://b.example:8443", "http://localhost:8080"];

    proptest! {
        #[test]
        fn a_nonce_hashes_canonical_json(
            origin in proptest::sample::select(&ORIGINS[..]),
            seed in any::<u64>(),
            random in any::<[u8; 32]>(),
        ) {
            let (origin, identity) = (Origin::parse(origin).unwrap(), Signer::new(seed).identity());
            let random = NonceRandom::from(random);
            let members = json!({"random": random, "origin": origin.as_str(), "identityKey": identity});
            let hashed = [b"eko-oidc-v1\0".to_vec(), canonical(&members).unwrap()].concat();
            prop_assert_eq!(nonce(&origin, &identity, &random), hex::encode(Sha256::digest(hashed)));
        }

        #[test]
        fn another_server_key_or_draw_has_another_nonce(seed in 0..u64::MAX, byte in 0usize..32) {
            let (origin, identity) = (Origin::parse(ORIGINS[0]).unwrap(), Signer::new(seed).identity());
            let mut bytes = [7; 32];
            let made = nonce(&origin, &identity, &NonceRandom::from(bytes));
            prop_assert_eq!(&made, &nonce(&origin, &identity, &NonceRandom::from(bytes)));
            for origin in &ORIGINS[1..] {
                let origin = Origin::parse(origin).unwrap();
                prop_assert_ne!(&made, &nonce(&origin, &identity, &NonceRandom::from(bytes)));
            }
            let other = Signer::new(seed + 1).identity();
            prop_assert_ne!(&made, &nonce(&origin, &other, &NonceRandom::from(bytes)));
            bytes[byte] ^= 1;
            prop_assert_ne!(&made, &nonce(&origin, &identity, &NonceRandom::from(bytes)));
        }
    }
}
