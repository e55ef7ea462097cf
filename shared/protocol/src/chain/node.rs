use serde_json::Value;
use sha2::{Digest, Sha256};

use super::proof_base;
use super::wire::WireNode;
use crate::Invalid;
use crate::device_set::is_hash;
use crate::invalid::token;
use crate::json::{canonical, shape};
use crate::key::{IdentityKey, RegistrationId, Signature};

/// One node of a device chain: well formed, and as yet unproven ([`super::verify_next`] proves it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainNode {
    pub(super) context: [String; 2],
    pub(super) id: String,
    pub(super) actor: String,
    pub(super) seq: u64,
    pub(super) prev: Option<String>,
    pub(super) device: String,
    pub(super) kind: NodeKind,
    pub(super) published: String,
    pub(super) proof: Proof,
    pub(super) canonical: Vec<u8>,
}

/// What a node does with its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// `AddDevice`: makes a device active.
    Add(Addition),
    /// `RevokeDevice`: ends an active device, for ever.
    Revoke,
    /// `ResetDevices`: ends every device and makes this one the only active; recovery after all were lost.
    Reset(Addition),
}

/// What a node says of the device it makes active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The device's identity key.
    pub identity_key: IdentityKey,
    /// The device's registration id.
    pub registration_id: RegistrationId,
    /// The address of the device's key package.
    pub key_package: String,
    /// The device's own signature over [`super::possession_base`].
    pub possession: Signature,
}

/// Who signed a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The address of the device that signed.
    pub verification_method: String,
    /// The signature over [`super::proof_base`].
    pub value: Signature,
}

impl ChainNode {
    /// Reads a node. Every kind has exactly its members: nodes are hashed and stored as they came, so an
    /// unknown member is refused, not ignored. `type` and `@context` must be arrays of two, `published` in
    /// UTC.
    ///
    /// # Errors
    /// The first member that is missing, unknown or of the wrong shape.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        check_nulls(value)?;
        let wire: WireNode = shape(value)?;
        let node = wire.read(canonical(value)?)?;
        match &node.prev {
            Some(prev) if !is_hash(prev) => {
                Err(Invalid::at("/prev", "must be 64 lower-case hex digits, or null"))
            }
            _ => Ok(node),
        }
    }

    /// Reads a stored node.
    ///
    /// # Errors
    /// As [`ChainNode::parse`], and bytes that are not JSON.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, Invalid> {
        let value = crate::json::parse(bytes).map_err(|error| Invalid::whole(error.to_string()))?;
        Self::parse(&value)
    }

    /// The canonical JSON (RFC 8785): what is stored, and what [`ChainNode::hash`] hashes.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The node as a value, as the chain's collection lists it.
    pub fn to_value(&self) -> Value {
        serde_json::from_slice(&self.canonical).unwrap_or_default()
    }

    /// SHA-256 of the canonical node, lower-case hex: the next node's `prev`.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.canonical))
    }

    /// The node's address.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The user's actor id.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The node's place in the chain, from 0.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of the node before it; `None` on the first.
    pub fn prev(&self) -> Option<&str> {
        self.prev.as_deref()
    }

    /// The address of the device it is about.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// What it does with that device.
    pub fn kind(&self) -> &NodeKind {
        &self.kind
    }

    /// What it says of the device it makes active; `None` for a revocation.
    pub fn addition(&self) -> Option<&Addition> {
        match &self.kind {
            NodeKind::Add(addition) | NodeKind::Reset(addition) => Some(addition),
            NodeKind::Revoke => None,
        }
    }

    /// When it was made, by its maker's clock; RFC 3339 in UTC.
    pub fn published(&self) -> &str {
        &self.published
    }

    /// Who signed it.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The bytes its proof signs.
    pub(super) fn proof_base(&self) -> Result<Vec<u8>, Invalid> {
        proof_base(&self.to_value())
    }
}

/// Null and absent are the same to the reader, and not to the hash: `prev` is null on the first node, never
/// absent, and no other member is ever null.
fn check_nulls(value: &Value) -> Result<(), Invalid> {
    let Some(members) = value.as_object() else { return Ok(()) };
    if !members.contains_key("prev") {
        return Err(Invalid::at("/prev", "is missing; null on the first node"));
    }
    match members.iter().find(|(name, member)| member.is_null() && *name != "prev") {
        Some((name, _)) => Err(Invalid::at(format!("/{}", token(name)), "is null")),
        None => Ok(()),
    }
}
