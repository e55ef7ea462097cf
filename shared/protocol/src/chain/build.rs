//! New nodes, as clients make them.

use serde_json::{Map, Value, json};

use super::{ChainPosition, proof_base};
use crate::address::{Origin, UserName};
use crate::id::DeviceId;
use crate::key::{IdentityKey, RegistrationId, Signature};
use crate::{Invalid, multibase, timestamp};

/// A device as it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDevice {
    /// The device's id.
    pub id: DeviceId,
    /// The device's identity key.
    pub identity_key: IdentityKey,
    /// The device's registration id.
    pub registration_id: RegistrationId,
    /// The device's signature over [`super::possession_base`].
    pub possession: Signature,
}

/// A node without its proof. The signing device signs [`UnsignedNode::signing_bytes`] with its
/// identity key and completes the node with [`UnsignedNode::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedNode {
    members: Map<String, Value>,
    device_prefix: String,
}

impl UnsignedNode {
    /// Creates an `AddDevice`. The new device signs it if the chain is empty, and an active device
    /// otherwise. `published_ms` is in epoch milliseconds.
    pub fn add(
        origin: &Origin,
        user: &UserName,
        position: &ChainPosition,
        new: &NewDevice,
        published_ms: i64,
    ) -> Self {
        Self::base("AddDevice", origin, user, position, &new.id, published_ms)
            .with_addition(origin, user, new)
    }

    /// Creates a `ResetDevices`. The new device signs it.
    pub fn reset(
        origin: &Origin,
        user: &UserName,
        position: &ChainPosition,
        new: &NewDevice,
        published_ms: i64,
    ) -> Self {
        Self::base("ResetDevices", origin, user, position, &new.id, published_ms)
            .with_addition(origin, user, new)
    }

    /// Creates a `RevokeDevice`. An active device signs it; it may revoke itself.
    pub fn revoke(
        origin: &Origin,
        user: &UserName,
        position: &ChainPosition,
        device: &DeviceId,
        published_ms: i64,
    ) -> Self {
        Self::base("RevokeDevice", origin, user, position, device, published_ms)
    }

    fn base(
        kind: &str,
        origin: &Origin,
        user: &UserName,
        position: &ChainPosition,
        device: &DeviceId,
        published_ms: i64,
    ) -> Self {
        let mut node = Self { members: Map::new(), device_prefix: format!("{}/device/", origin.actor(user)) };
        node.put("@context", json!(["https://www.w3.org/ns/activitystreams", origin.ns()]));
        node.put("type", json!(["Object", kind]));
        node.put("id", json!(origin.chain_node(user, position.length)));
        node.put("actor", json!(origin.actor(user)));
        node.put("seq", json!(position.length));
        node.put("prev", json!(position.head));
        node.put("device", json!(origin.device(user, device)));
        node.put("published", json!(timestamp::format(published_ms)));
        node
    }

    fn with_addition(mut self, origin: &Origin, user: &UserName, new: &NewDevice) -> Self {
        self.put("identityKey", json!(new.identity_key.to_base64()));
        self.put("registrationId", json!(new.registration_id.get()));
        self.put("keyPackage", json!(origin.key_package(user, &new.id)));
        self.put("possession", json!(multibase::encode(&new.possession)));
        self
    }

    fn put(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// Returns the bytes that the signing device signs with its identity key; see [`proof_base`].
    ///
    /// # Errors
    /// [`Invalid`] if the chain has more nodes than canonical JSON can count (2^53 - 1).
    pub fn signing_bytes(&self) -> Result<Vec<u8>, Invalid> {
        proof_base(&Value::Object(self.members.clone()))
    }

    /// Adds the proof and returns the node in the form in which it is sent.
    pub fn finish(mut self, signer: &DeviceId, signature: &Signature) -> Value {
        let proof = json!({
            "type": "DataIntegrityProof",
            "cryptosuite": "xeddsa-2022",
            "proofPurpose": "authentication",
            "verificationMethod": format!("{}{signer}", self.device_prefix),
            "proofValue": multibase::encode(signature),
        });
        self.put("proof", proof);
        Value::Object(self.members)
    }
}
