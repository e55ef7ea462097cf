//! Nodes of a device chain.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::wire::WireNode;
use super::{ChainPosition, proof_base};
use crate::Invalid;
use crate::device_set::{DeviceSetRef, is_hash};
use crate::invalid::token;
use crate::json::{self, canonical, exact};
use crate::key::{IdentityKey, JoiningMac, RegistrationId, Signature};
use crate::vocabulary::node_context;

/// A node of a device chain. It is well formed, but not verified; [`super::verify_next`] verifies
/// it.
///
/// ```text
/// {"@context": <crate::vocabulary::node_context>,
///  "type": ["Object", "AddDevice" | "RevokeDevice" | "ResetDevices" | "Move"],
///  "id": "ORIGIN/user/{name}/devices/{seq}", "actor": "ORIGIN/user/{name}",
///  "seq": <place from 0>, "previous": <hash of the node before>,                 not in the first node
///  "device": "ORIGIN/user/{name}/device/{device}", "published": <RFC 3339, UTC>,
///  "identityKey": <base64>, "registrationId": <number>, "keyPackage": <URL>,   not in RevokeDevice, Move
///  "possession": <multibase>,                                                  not in RevokeDevice, Move
///  "approvalMac": <base64>,                       in every AddDevice but the first node, and only there
///  "origin": <the actor id that this account takes over from>,   in a first node, if there is one
///  "target": <the new actor id>, "targetRoot": <hash of the first node there>,         in Move only
///  "proof": {"type": "DataIntegrityProof", "cryptosuite": "xeddsa-2022",
///            "proofPurpose": "authentication", "verificationMethod": <the signing device's address>,
///            "proofValue": <multibase>}}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainNode {
    pub(super) id: String,
    pub(super) actor: String,
    pub(super) seq: u64,
    pub(super) previous: Option<String>,
    pub(super) device: String,
    pub(super) kind: NodeKind,
    pub(super) published_ms: i64,
    pub(super) approval_mac: Option<JoiningMac>,
    pub(super) moved_from: Option<String>,
    pub(super) proof: Proof,
    pub(super) canonical: Vec<u8>,
}

/// The effect of a node on its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// `AddDevice`: the device becomes active.
    Add(Addition),
    /// `RevokeDevice`: the device is no longer active, and its id is never used again.
    Revoke,
    /// `ResetDevices`: every active device is revoked, and this one becomes the only active device.
    /// A user who has lost all devices recovers with it.
    Reset(Addition),
    /// `Move`: the user goes on under another actor id, and the chain ends. The node names the device
    /// that signs it, which stays active.
    Move(MoveTarget),
}

/// The account to which a user has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveTarget {
    /// The new actor id.
    pub actor: String,
    /// The hash of the first node of the new actor's chain. So the new server cannot show a chain of
    /// its own.
    pub root: String,
}

/// The members of a node that describe the device which it makes active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The device's identity key.
    pub identity_key: IdentityKey,
    /// The device's registration id.
    pub registration_id: RegistrationId,
    /// The address of the device's key package.
    pub key_package: String,
    /// The device's signature over [`super::possession_base`].
    pub possession: Signature,
}

/// The signature of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The address of the device that signed.
    pub verification_method: String,
    /// The signature over [`super::proof_base`].
    pub value: Signature,
}

impl ChainNode {
    /// Reads a node. A node is stored and hashed in the form in which it came, so each kind has
    /// exactly its members: an unknown member is refused.
    ///
    /// # Errors
    /// [`Invalid`] for the first member that is missing, unknown, null, or of another
    /// shape than drawn at [`ChainNode`].
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        check_nulls(value)?;
        let wire: WireNode = exact(value)?;
        let node = wire.read(canonical(value)?)?;
        match &node.previous {
            Some(previous) if !is_hash(previous) => {
                Err(Invalid::at("/previous", "must be 64 lower-case hex digits"))
            }
            _ => Ok(node),
        }
    }

    /// Reads the bytes of [`ChainNode::to_stored`].
    ///
    /// # Errors
    /// [`Invalid`] if the bytes are not JSON, or for the faults of [`ChainNode::parse`].
    pub fn from_stored(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut value = json::parse(bytes).map_err(|error| Invalid::whole(error.to_string()))?;
        if let Some(members) = value.as_object_mut() {
            members.insert("@context".to_owned(), node_context());
        }
        Self::parse(&value)
    }

    /// Returns the JSON of the node without its context, which is the same in every node.
    pub fn to_stored(&self) -> Vec<u8> {
        let mut value = self.to_value();
        if let Some(members) = value.as_object_mut() {
            members.remove("@context");
        }
        value.to_string().into_bytes()
    }

    /// Returns the canonical JSON (RFC 8785), which [`ChainNode::hash`] hashes.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Returns the node as JSON, as the collection of the chain lists it.
    pub fn to_value(&self) -> Value {
        serde_json::from_slice(&self.canonical).unwrap_or_default()
    }

    /// Returns the SHA-256 of the canonical node in lower-case hex. It is the `previous` of the next
    /// node.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.canonical))
    }

    /// Returns the end of the chain that ends with this node.
    pub fn position(&self) -> ChainPosition {
        let DeviceSetRef { length, head } = self.device_set();
        let published_ms = Some(self.published_ms);
        ChainPosition { length, head: Some(head), published_ms, has_moved: self.target().is_some() }
    }

    /// Returns the length and the head of the chain that ends with this node.
    pub fn device_set(&self) -> DeviceSetRef {
        DeviceSetRef { length: self.seq.saturating_add(1), head: self.hash() }
    }

    /// Returns the node's address.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the user's actor id.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Returns the node's place in the chain, from 0.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns the hash of the node before it, or `None` for the first node.
    pub fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// Returns the address of the device that the node is about.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Returns the effect on that device.
    pub fn kind(&self) -> &NodeKind {
        &self.kind
    }

    /// Returns the description of the device that the node makes active, or `None` for a
    /// `RevokeDevice` and a `Move`.
    pub fn addition(&self) -> Option<&Addition> {
        match &self.kind {
            NodeKind::Add(addition) | NodeKind::Reset(addition) => Some(addition),
            NodeKind::Revoke | NodeKind::Move(_) => None,
        }
    }

    /// Returns the account to which a `Move` leads, or `None` for a node of another kind.
    pub fn target(&self) -> Option<&MoveTarget> {
        match &self.kind {
            NodeKind::Move(target) => Some(target),
            NodeKind::Add(_) | NodeKind::Revoke | NodeKind::Reset(_) => None,
        }
    }

    /// Returns the actor id of the account that this one takes over from, if its user has moved. Only
    /// the first node of a chain names one, and it proves nothing without the `Move` that leads here;
    /// see [`super::check_move`].
    pub fn moved_from(&self) -> Option<&str> {
        self.moved_from.as_deref()
    }

    /// Returns the MAC by which the new device recognises its approval; see
    /// [`super::JoiningKeys::judge`]. Only an `AddDevice` after the first node has one.
    pub fn approval_mac(&self) -> Option<&JoiningMac> {
        self.approval_mac.as_ref()
    }

    /// Returns the time at which the node was made, by the signing device's clock, in epoch
    /// milliseconds.
    pub fn published_ms(&self) -> i64 {
        self.published_ms
    }

    /// Returns the signature.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Returns the bytes that the proof signs.
    pub(super) fn proof_base(&self) -> Result<Vec<u8>, Invalid> {
        proof_base(&self.to_value())
    }
}

/// Refuses a null member. The decoder treats null and absent alike, but the hash of the node does
/// not.
fn check_nulls(value: &Value) -> Result<(), Invalid> {
    let Some(members) = value.as_object() else { return Ok(()) };
    match members.iter().find(|(_, member)| member.is_null()) {
        Some((name, _)) => Err(Invalid::at(format!("/{}", token(name)), "is null")),
        None => Ok(()),
    }
}
