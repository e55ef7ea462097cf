//! New nodes, as clients make them.

use serde_json::{Map, Value, json};

use super::{ChainPosition, MoveTarget, proof_base};
use crate::address::{Origin, UserName};
use crate::id::DeviceId;
use crate::key::{IdentityKey, JoiningMac, RegistrationId, Signature};
use crate::vocabulary::node_context;
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

/// The next node of a chain before its content: the chain, its end, and the time.
///
/// ```
/// use eko_protocol::address::{Origin, UserName};
/// use eko_protocol::chain::{ChainPosition, NextNode};
/// use eko_protocol::id::DeviceId;
///
/// let (origin, alice) = (Origin::parse("https://a.example")?, UserName::parse("alice")?);
/// let head = Some("ab".repeat(32));
/// let position = ChainPosition { length: 2, head, published_ms: Some(1_769_715_000_000), has_moved: false };
/// let next = NextNode::new(&origin, &alice, &position, 1_769_715_000_007);
/// let revocation = next.revoke(&DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11")?);
///
/// // The revoking device signs these bytes, and `finish` adds the signature.
/// assert!(revocation.signing_bytes()?.starts_with(b"eko-device-chain-v1\0{"));
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct NextNode<'a> {
    origin: &'a Origin,
    user: &'a UserName,
    position: &'a ChainPosition,
    published_ms: i64,
}

impl<'a> NextNode<'a> {
    /// Creates the next node of the chain that ends at `position`. `now_ms` is the device's own
    /// time in epoch milliseconds.
    ///
    /// The node states the time of the last node if that is later, as the times of a chain never
    /// run backwards. A device whose clock is slow can therefore append, and so can one whose
    /// user's chain was pushed into the future by a thief.
    pub fn new(origin: &'a Origin, user: &'a UserName, position: &'a ChainPosition, now_ms: i64) -> Self {
        let published_ms = position.published_ms.map_or(now_ms, |last_ms| now_ms.max(last_ms));
        Self { origin, user, position, published_ms }
    }

    /// Creates the first `AddDevice` of a chain. The new device signs it.
    pub fn begin(&self, new: &NewDevice) -> UnsignedNode {
        self.node("AddDevice", &new.id).with_addition(self, new)
    }

    /// Creates the first `AddDevice` of an account that takes over from the account `origin`, of which
    /// the user moves. The new device signs it.
    pub fn begin_moved(&self, new: &NewDevice, origin: &str) -> UnsignedNode {
        let mut node = self.begin(new);
        node.put("origin", json!(origin));
        node
    }

    /// Creates a `Move` to another account. The active device `device` signs it.
    pub fn move_to(&self, device: &DeviceId, target: &MoveTarget) -> UnsignedNode {
        let mut node = self.node("Move", device);
        node.put("target", json!(target.actor));
        node.put("targetRoot", json!(target.root));
        node
    }

    /// Creates an `AddDevice` that approves a further device. An active device signs it.
    pub fn approve(&self, new: &NewDevice, approval_mac: &JoiningMac) -> UnsignedNode {
        let mut node = self.node("AddDevice", &new.id).with_addition(self, new);
        node.put("approvalMac", json!(approval_mac));
        node
    }

    /// Creates a `ResetDevices`. The new device signs it.
    pub fn reset(&self, new: &NewDevice) -> UnsignedNode {
        self.node("ResetDevices", &new.id).with_addition(self, new)
    }

    /// Creates a `RevokeDevice`. An active device signs it; it may revoke itself.
    pub fn revoke(&self, device: &DeviceId) -> UnsignedNode {
        self.node("RevokeDevice", device)
    }

    /// Creates a node with the members that all kinds have.
    fn node(&self, kind: &str, device: &DeviceId) -> UnsignedNode {
        let Self { origin, user, position, published_ms } = *self;
        let device_prefix = format!("{}/device/", origin.actor(user));
        let mut node = UnsignedNode { members: Map::new(), device_prefix };
        node.put("@context", node_context());
        node.put("type", json!(["Object", kind]));
        node.put("id", json!(origin.chain_node(user, position.length)));
        node.put("actor", json!(origin.actor(user)));
        node.put("seq", json!(position.length));
        if let Some(head) = &position.head {
            node.put("previous", json!(head));
        }
        node.put("device", json!(origin.device(user, device)));
        node.put("published", json!(timestamp::format(published_ms)));
        node
    }
}

/// A node without its proof. The signing device signs [`UnsignedNode::signing_bytes`] with its
/// identity key and completes the node with [`UnsignedNode::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedNode {
    members: Map<String, Value>,
    device_prefix: String,
}

impl UnsignedNode {
    fn with_addition(mut self, next: &NextNode<'_>, new: &NewDevice) -> Self {
        self.put("identityKey", json!(new.identity_key.to_base64()));
        self.put("registrationId", json!(new.registration_id.get()));
        self.put("keyPackage", json!(next.origin.key_package(next.user, &new.id)));
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
