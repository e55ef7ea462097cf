use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Invalid;
use crate::json::canonical;
use crate::key::{IdentityKey, RegistrationId};

/// What a new device signs once, at registration, to show that it holds its identity key: the prefix
/// `eko-device-possession-v1`, a zero byte, and the canonical
/// `{"actor","device","identityKey","registrationId"}`. `actor` and `device` are addresses.
pub fn possession_base(
    actor: &str,
    device: &str,
    identity: &IdentityKey,
    registration: RegistrationId,
) -> Vec<u8> {
    // Canonical by hand, since it cannot fail: members in order, and serde_json escapes strings as RFC 8785
    // does.
    let [actor, device, identity] = [actor, device, &identity.to_base64()].map(Value::from);
    format!(
        "eko-device-possession-v1\0{{\"actor\":{actor},\"device\":{device},\"identityKey\":{identity},\"registrationId\":{registration}}}"
    )
    .into_bytes()
}

/// What a node's proof signs: the prefix `eko-device-chain-v1`, a zero byte, and the canonical node without
/// its `proof` and `id`.
///
/// # Errors
/// The node is no object, or cannot be canonical JSON.
pub fn proof_base(node: &Value) -> Result<Vec<u8>, Invalid> {
    let mut members = node.as_object().cloned().ok_or_else(|| Invalid::whole("must be an object"))?;
    members.remove("proof");
    members.remove("id");
    let mut base = b"eko-device-chain-v1\0".to_vec();
    base.extend(canonical(&Value::Object(members))?);
    Ok(base)
}

/// What a registered device signs to sign in again: the prefix `eko-device-signin-v1`, a zero byte, and the
/// SHA-256 of the ID token it shows. Fresh, since the token is.
pub fn sign_in_base(id_token: &[u8]) -> Vec<u8> {
    let mut base = b"eko-device-signin-v1\0".to_vec();
    base.extend(Sha256::digest(id_token));
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::Signer;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn bases_have_their_own_prefixes() {
        let node = json!({"seq": 0, "id": "x", "proof": {}, "a": [1.0]});
        assert_eq!(proof_base(&node).unwrap(), b"eko-device-chain-v1\0{\"a\":[1],\"seq\":0}");
        assert_eq!(proof_base(&json!([])).unwrap_err().pointer, "");
        assert_eq!(proof_base(&json!({"seq": u64::MAX})).unwrap_err().pointer, "/seq");
        let base = sign_in_base(b"token");
        assert_eq!(&base[..21], b"eko-device-signin-v1\0");
        assert_eq!(base[21..], *Sha256::digest(b"token"));
    }

    proptest! {
        #[test]
        fn possession_is_canonical(
            actor in ".{0,20}",
            device in ".{0,20}",
            seed in any::<u64>(),
            n in 1u64..=0x3FFF,
        ) {
            let identity = Signer::new(seed).identity();
            let registration = RegistrationId::new(n).unwrap();
            let members = json!({"registrationId": n, "identityKey": identity, "device": device,
            "actor": actor});
            let expected = [b"eko-device-possession-v1\0".to_vec(), canonical(&members).unwrap()].concat();
            prop_assert_eq!(possession_base(&actor, &device, &identity, registration), expected);
        }
    }
}
