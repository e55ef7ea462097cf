//! The bytes that devices sign. Each begins with a prefix of its own and a zero byte, so that a
//! signature for one purpose cannot serve another.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::NewDevice;
use crate::Invalid;
use crate::device_set::DeviceSetRef;
use crate::json::canonical;
use crate::key::{IdentityKey, RegistrationId};

/// Returns the bytes that a new device signs at registration, to prove that it holds its identity
/// key.
///
/// ```text
/// ┌────────────────────────────┬──────┬─────────────────────────────────────────────────────────────┐
/// │ "eko-device-possession-v1" │ 0x00 │ canonical {"actor","device","identityKey","registrationId"} │
/// └────────────────────────────┴──────┴─────────────────────────────────────────────────────────────┘
/// ```
///
/// `actor` and `device` are addresses; the identity key is in base64.
pub fn possession_base(
    actor: &str,
    device: &str,
    identity: &IdentityKey,
    registration: RegistrationId,
) -> Vec<u8> {
    // The canonical form is written by hand, so that the function cannot fail: the members are in
    // order, and serde_json escapes strings as RFC 8785 requires. A property test compares it with
    // `canonical`.
    let [actor, device, identity] = [actor, device, &identity.to_base64()].map(Value::from);
    format!(
        "eko-device-possession-v1\0{{\"actor\":{actor},\"device\":{device},\"identityKey\":{identity},\"registrationId\":{registration}}}"
    )
    .into_bytes()
}

/// Returns the bytes that a node's proof signs.
///
/// ```text
/// ┌───────────────────────┬──────┬─────────────────────────────────────────┐
/// │ "eko-device-chain-v1" │ 0x00 │ canonical node without `proof` and `id` │
/// └───────────────────────┴──────┴─────────────────────────────────────────┘
/// ```
///
/// # Errors
/// [`Invalid`] if the node is not an object, or if [`canonical`] refuses it.
pub fn proof_base(node: &Value) -> Result<Vec<u8>, Invalid> {
    let mut members = node.as_object().cloned().ok_or_else(|| Invalid::whole("must be an object"))?;
    members.remove("proof");
    members.remove("id");
    let mut base = b"eko-device-chain-v1\0".to_vec();
    base.extend(canonical(&Value::Object(members))?);
    Ok(base)
}

/// Returns the bytes that an active device signs to turn a pending one away.
///
/// ```text
/// ┌───────────────────────────┬──────┬──────────────────────────────────────────────────────────┐
/// │ "eko-device-rejection-v1" │ 0x00 │ canonical {"actor","device","head","identityKey","length", │
/// │                           │      │            "registrationId"}                              │
/// └───────────────────────────┴──────┴──────────────────────────────────────────────────────────┘
/// ```
///
/// `actor` and `device` are addresses. Identity key (in base64) and registration id are those of
/// the pending device. `length` and `head` are the user's device set, so that the signature is
/// worthless once the chain has grown.
pub fn rejection_base(actor: &str, device: &str, pending: &NewDevice, set: &DeviceSetRef) -> Vec<u8> {
    // The canonical form is written by hand, as in `possession_base`.
    let [actor, device, head] = [actor, device, &set.head].map(Value::from);
    let identity = Value::from(pending.identity_key.to_base64());
    format!(
        "eko-device-rejection-v1\0{{\"actor\":{actor},\"device\":{device},\"head\":{head},\"identityKey\":{identity},\"length\":{},\"registrationId\":{}}}",
        set.length, pending.registration_id
    )
    .into_bytes()
}

/// Returns the bytes that a registered device signs to sign in again (section 10).
///
/// ```text
/// ┌────────────────────────┬──────┬───────────────────────────────────┐
/// │ "eko-device-signin-v1" │ 0x00 │ SHA-256 of the ID token, 32 bytes │
/// └────────────────────────┴──────┴───────────────────────────────────┘
/// ```
///
/// The ID token changes with every sign-in, so an old signature cannot be used again.
pub fn sign_in_base(id_token: &[u8]) -> Vec<u8> {
    let mut base = b"eko-device-signin-v1\0".to_vec();
    base.extend(Sha256::digest(id_token));
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DeviceId;
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
        fn possessions_and_rejections_are_canonical(
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

            let id = DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap();
            let possession = Signer::new(seed).sign(b"");
            let pending =
                NewDevice { id, identity_key: identity, registration_id: registration, possession };
            let set = DeviceSetRef::new(n, "ab".repeat(32)).unwrap();
            let members = json!({"registrationId": n, "length": n, "identityKey": identity, "head": set.head,
            "device": device, "actor": actor});
            let expected = [b"eko-device-rejection-v1\0".to_vec(), canonical(&members).unwrap()].concat();
            prop_assert_eq!(rejection_base(&actor, &device, &pending, &set), expected);
        }
    }
}
