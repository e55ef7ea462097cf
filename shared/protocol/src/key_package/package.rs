//! Key packages.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{KyberPreKey, OneTimePreKey, SignedPreKey};
use crate::Invalid;
use crate::address::{Origin, UserName};
use crate::device_set::DeviceSetRef;
use crate::id::DeviceId;
use crate::json::{has_type, only_as_object, shape};
use crate::key::{CurveKey, IdentityKey, KeyId, KyberKey, RegistrationId, Signature};

/// The public keys with which others begin a session with one device (section 4).
///
/// ```text
/// {"type": ["Object", "KeyPackage"], "id": <URL>, "device": <URL>,
///  "identityKey": <base64>, "registrationId": <number>,
///  "signedPreKeyId": <number>, "signedPreKey": <base64>, "signedPreKeySignature": <base64>,
///  "preKeyId": <number>, "preKey": <base64>,                                                optional
///  "kyberPreKeyId": <number>, "kyberPreKey": <base64>, "kyberPreKeySignature": <base64>,    optional
///  "eko:deviceSet": {…}}                                                                    optional
/// ```
///
/// ```
/// use eko_protocol::key::Signature;
/// use eko_protocol::key_package::KeyPackage;
///
/// # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/key-package.json");
/// # let vectors = std::fs::read_to_string(file)?;
/// let vectors: serde_json::Value = serde_json::from_str(&vectors)?;
/// let mut package = KeyPackage::parse(&vectors["package"])?;
/// assert_eq!(package.registration_id.get(), 1234);
/// assert_eq!(package.verify(), Ok(()));
///
/// package.signed_pre_key.signature = Signature::from_bytes(&[0; 64])?;
/// assert_eq!(package.verify().unwrap_err().pointer, "/signedPreKeySignature");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackage {
    /// The package's address.
    pub id: String,
    /// The device's address.
    pub device: String,
    /// The device's identity key.
    pub identity_key: IdentityKey,
    /// The device's registration id.
    pub registration_id: RegistrationId,
    /// The signed prekey.
    pub signed_pre_key: SignedPreKey,
    /// A one-time prekey. Only the answer to a `Take` has one, and only while the device's pool is
    /// not empty.
    pub pre_key: Option<OneTimePreKey>,
    /// A one-time Kyber key or the last-resort Kyber key; `None` for a device that speaks X3DH
    /// only.
    pub kyber_pre_key: Option<KyberPreKey>,
    /// The owner's device set when the server answered.
    pub device_set: Option<DeviceSetRef>,
}

/// The members of the wire form.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
struct WireKeyPackage {
    id: String,
    device: String,
    identity_key: IdentityKey,
    registration_id: RegistrationId,
    signed_pre_key_id: KeyId,
    signed_pre_key: CurveKey,
    signed_pre_key_signature: Signature,
    pre_key_id: Option<KeyId>,
    pre_key: Option<CurveKey>,
    kyber_pre_key_id: Option<KeyId>,
    kyber_pre_key: Option<KyberKey>,
    kyber_pre_key_signature: Option<Signature>,
    #[serde(rename = "eko:deviceSet")]
    device_set: Option<DeviceSetRef>,
}

only_as_object!(WireKeyPackage);

impl KeyPackage {
    /// Creates the package of a local device without one-time keys. The answer to a `Take` sets
    /// `pre_key` and `kyber_pre_key` to the keys that it consumed.
    pub fn new(
        origin: &Origin,
        user: &UserName,
        device: &DeviceId,
        identity_key: IdentityKey,
        registration_id: RegistrationId,
        signed_pre_key: SignedPreKey,
        last_resort: Option<KyberPreKey>,
    ) -> Self {
        Self {
            id: origin.key_package(user, device),
            device: origin.device(user, device),
            identity_key,
            registration_id,
            signed_pre_key,
            pre_key: None,
            kyber_pre_key: last_resort,
            device_set: None,
        }
    }

    /// Returns the wire form, without a context.
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("type", json!(["Object", "KeyPackage"]));
        put("id", json!(self.id));
        put("device", json!(self.device));
        put("identityKey", json!(self.identity_key.to_base64()));
        put("registrationId", json!(self.registration_id.get()));
        put("signedPreKeyId", json!(self.signed_pre_key.id.get()));
        put("signedPreKey", json!(self.signed_pre_key.key.to_base64()));
        put("signedPreKeySignature", json!(self.signed_pre_key.signature.to_base64()));
        if let Some(key) = &self.pre_key {
            put("preKeyId", json!(key.id.get()));
            put("preKey", json!(key.key.to_base64()));
        }
        if let Some(key) = &self.kyber_pre_key {
            put("kyberPreKeyId", json!(key.id.get()));
            put("kyberPreKey", json!(key.key.to_base64()));
            put("kyberPreKeySignature", json!(key.signature.to_base64()));
        }
        if let Some(set) = &self.device_set {
            put("eko:deviceSet", json!({"length": set.length, "head": set.head}));
        }
        Value::Object(object)
    }

    /// Reads the wire form. Unknown members are ignored. The signatures are not verified; see
    /// [`KeyPackage::verify`].
    ///
    /// # Errors
    /// [`Invalid`] for the first member of the wrong shape, and for a key without its id or
    /// signature.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, "KeyPackage") {
            return Err(Invalid::at("/type", "must be, or hold, KeyPackage"));
        }
        let wire: WireKeyPackage = shape(value)?;
        let pre_key = match (wire.pre_key_id, wire.pre_key) {
            (None, None) => None,
            (Some(id), Some(key)) => Some(OneTimePreKey { id, key }),
            _ => return Err(Invalid::at("/preKey", "needs preKeyId, and the other way round")),
        };
        let kyber_pre_key = match (wire.kyber_pre_key_id, wire.kyber_pre_key, wire.kyber_pre_key_signature) {
            (None, None, None) => None,
            (Some(id), Some(key), Some(signature)) => Some(KyberPreKey { id, key, signature }),
            _ => return Err(Invalid::at("/kyberPreKey", "needs kyberPreKeyId and kyberPreKeySignature")),
        };
        Ok(Self {
            id: wire.id,
            device: wire.device,
            identity_key: wire.identity_key,
            registration_id: wire.registration_id,
            signed_pre_key: SignedPreKey {
                id: wire.signed_pre_key_id,
                key: wire.signed_pre_key,
                signature: wire.signed_pre_key_signature,
            },
            pre_key,
            kyber_pre_key,
            device_set: wire.device_set,
        })
    }

    /// Verifies the signatures of the signed prekey and of the Kyber key with the package's own
    /// identity key. The caller must compare the identity key with the one in the device chain.
    ///
    /// # Errors
    /// [`Invalid`] at `/signedPreKeySignature` or `/kyberPreKeySignature` if that signature is not
    /// the identity key's.
    pub fn verify(&self) -> Result<(), Invalid> {
        let at = |pointer: &'static str| move |fault: Invalid| Invalid::at(pointer, fault.detail);
        self.signed_pre_key.verify(&self.identity_key).map_err(at("/signedPreKeySignature"))?;
        match &self.kyber_pre_key {
            Some(key) => key.verify(&self.identity_key).map_err(at("/kyberPreKeySignature")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
