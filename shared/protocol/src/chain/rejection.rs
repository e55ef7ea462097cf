//! The rejection of a pending device, by which an active device turns it away. It is no node: the
//! chain never named the pending device.

use serde_json::Value;

use super::{NewDevice, rejection_base};
use crate::device_set::DeviceSetRef;
use crate::json::{only, shape, text};
use crate::key::{IdentityKey, Signature};
use crate::{Invalid, multibase, xeddsa};

/// A `Reject` of a pending device (section 3). It is well formed, but not verified.
///
/// ```text
/// {"type": "Reject", "object": <the pending device's address>,
///  "eko:deviceSet": {"length": <nodes>, "head": <hash>},
///  "eko:signature": <multibase of the signature over rejection_base>}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRejection {
    /// The address of the device that is turned away.
    pub device: String,
    /// The device set of the user when the device signed.
    pub device_set: DeviceSetRef,
    signature: Signature,
}

impl DeviceRejection {
    /// Reads a `Reject`.
    ///
    /// # Errors
    /// [`Invalid`] for the first member that is missing or has the wrong shape.
    pub fn parse(activity: &Value) -> Result<Self, Invalid> {
        let device = text(activity, "object")?.to_owned();
        let device_set =
            shape(only(activity, "eko:deviceSet")?).map_err(|fault| fault.under("/eko:deviceSet"))?;
        let signature = multibase::decode(text(activity, "eko:signature")?)
            .map_err(|fault| fault.under("/eko:signature"))?;
        Ok(Self { device, device_set, signature })
    }

    /// Verifies that the owner of `signer` signed the rejection of exactly this device. `actor` is
    /// the user's actor id, and `pending` is the device as it registered.
    ///
    /// # Errors
    /// [`Invalid`] at `/eko:signature` if the signature is not the signer's over
    /// [`rejection_base`].
    pub fn verify(&self, actor: &str, pending: &NewDevice, signer: &IdentityKey) -> Result<(), Invalid> {
        let base = rejection_base(actor, &self.device, pending, &self.device_set);
        if xeddsa::verify(signer, &base, &self.signature) {
            Ok(())
        } else {
            let detail = "is not the calling device's signature over the rejection of this device";
            Err(Invalid::at("/eko:signature", detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DeviceId;
    use crate::key::RegistrationId;
    use crate::signer::Signer;
    use serde_json::json;

    const ACTOR: &str = "https://a.example/user/alice";
    const DEVICE: &str = "https://a.example/user/alice/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11";

    fn pending(seed: u64, registration_id: u64) -> NewDevice {
        NewDevice {
            id: DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap(),
            identity_key: Signer::new(seed).identity(),
            registration_id: RegistrationId::new(registration_id).unwrap(),
            possession: Signer::new(seed).sign(b""),
        }
    }

    fn set(length: u64, head: &str) -> DeviceSetRef {
        DeviceSetRef::new(length, head.repeat(32)).unwrap()
    }

    fn signed() -> Value {
        let (signer, set) = (Signer::new(1), set(2, "ab"));
        let signature = signer.sign(&rejection_base(ACTOR, DEVICE, &pending(9, 7), &set));
        json!({
            "type": "Reject", "object": DEVICE, "eko:deviceSet": set,
            "eko:signature": multibase::encode(&signature),
        })
    }

    #[test]
    fn the_signature_names_one_device_at_one_place_of_the_chain() {
        let read = DeviceRejection::parse(&signed()).unwrap();
        let signer = Signer::new(1).identity();
        assert_eq!(read.verify(ACTOR, &pending(9, 7), &signer), Ok(()));
        let refused =
            |rejection: &DeviceRejection, actor: &str, pending: &NewDevice, signer: &IdentityKey| {
                rejection.verify(actor, pending, signer).unwrap_err().pointer == "/eko:signature"
            };
        assert!(refused(&read, DEVICE, &pending(9, 7), &signer), "another actor");
        assert!(refused(&read, ACTOR, &pending(8, 7), &signer), "another identity key");
        assert!(refused(&read, ACTOR, &pending(9, 8), &signer), "another registration id");
        assert!(refused(&read, ACTOR, &pending(9, 7), &Signer::new(2).identity()), "another signer");
        for other in [
            DeviceRejection { device: ACTOR.to_owned(), ..read.clone() },
            DeviceRejection { device_set: set(3, "ab"), ..read.clone() },
            DeviceRejection { device_set: set(2, "ac"), ..read.clone() },
        ] {
            assert!(refused(&other, ACTOR, &pending(9, 7), &signer), "{other:?}");
        }
    }

    #[test]
    fn wrong_members_are_refused_where_they_stand() {
        for (name, to, pointer) in [
            ("object", json!(null), "/object"),
            ("object", json!([DEVICE, DEVICE]), "/object"),
            ("eko:deviceSet", json!({ "length": 0, "head": "ab".repeat(32) }), "/eko:deviceSet"),
            ("eko:deviceSet", json!({ "length": 1, "head": "AB".repeat(32) }), "/eko:deviceSet"),
            ("eko:deviceSet", json!({ "length": 1 }), "/eko:deviceSet/head"),
            ("eko:signature", json!("z1"), "/eko:signature"),
            ("eko:signature", json!(1), "/eko:signature"),
        ] {
            let mut activity = signed();
            activity[name] = to.clone();
            let fault = DeviceRejection::parse(&activity).unwrap_err();
            assert!(fault.pointer.starts_with(pointer), "{name}: {to}: {fault}");
            activity.as_object_mut().unwrap().remove(name);
            assert_eq!(DeviceRejection::parse(&activity).unwrap_err().pointer, format!("/{name}"));
        }
    }
}
