//! The wire form of a node, drawn at [`ChainNode`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::node::{Addition, ChainNode, MoveTarget, NodeKind, Proof};
use crate::address::Origin;
use crate::device_set::is_hash;
use crate::json::only_as_object;
use crate::key::{IdentityKey, JoiningMac, RegistrationId};
use crate::limits::MAX_ID_BYTES;
use crate::vocabulary::node_context;
use crate::{Invalid, multibase, timestamp};

/// The members of all kinds of nodes. Unknown members are refused, because a node is stored and
/// hashed as it came.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WireNode {
    #[serde(rename = "@context")]
    context: Value,
    #[serde(rename = "type")]
    types: [String; 2],
    id: String,
    actor: String,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_key: Option<IdentityKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_id: Option<RegistrationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_package: Option<String>,
    published: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    possession: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_mac: Option<JoiningMac>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_root: Option<String>,
    proof: WireProof,
}

only_as_object!(WireNode);

/// The members of a node's proof.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
struct WireProof {
    #[serde(rename = "type")]
    kind: String,
    cryptosuite: String,
    proof_purpose: String,
    verification_method: String,
    proof_value: String,
}

only_as_object!(WireProof);

impl WireNode {
    /// Checks the members and pairs the node with its canonical form.
    pub(super) fn read(self, canonical: Vec<u8>) -> Result<ChainNode, Invalid> {
        if self.context != node_context() {
            return Err(Invalid::at("/@context", "must be exactly the context of chain nodes"));
        }
        let [standard, kind] = self.types;
        if standard != "Object" {
            return Err(Invalid::at("/type/0", "must be Object"));
        }
        let addition = match (self.identity_key, self.registration_id, self.key_package, self.possession) {
            (Some(identity_key), Some(registration_id), Some(key_package), Some(possession)) => {
                let possession =
                    multibase::decode(&possession).map_err(|fault| fault.under("/possession"))?;
                Some(Addition { identity_key, registration_id, key_package, possession })
            }
            (None, None, None, None) => None,
            _ => {
                return Err(Invalid::whole(
                    "needs identityKey, registrationId, keyPackage and possession together",
                ));
            }
        };
        let mut target = match (self.target, self.target_root) {
            (Some(actor), Some(_)) if !is_user(&actor) => {
                return Err(Invalid::at("/target", "must be the actor id of a user"));
            }
            (Some(_), Some(root)) if !is_hash(&root) => {
                return Err(Invalid::at("/targetRoot", "must be 64 lower-case hex digits"));
            }
            (Some(actor), Some(root)) => Some(MoveTarget { actor, root }),
            (None, None) => None,
            _ => return Err(Invalid::whole("needs target and targetRoot together")),
        };
        let kind = match (kind.as_str(), addition) {
            ("AddDevice", Some(addition)) => NodeKind::Add(addition),
            ("ResetDevices", Some(addition)) => NodeKind::Reset(addition),
            ("RevokeDevice", None) => NodeKind::Revoke,
            ("AddDevice" | "ResetDevices", None) => {
                return Err(Invalid::whole("lacks identityKey, registrationId, keyPackage and possession"));
            }
            ("Move", None) => {
                NodeKind::Move(target.take().ok_or_else(|| Invalid::whole("lacks target and targetRoot"))?)
            }
            ("RevokeDevice" | "Move", Some(_)) => {
                return Err(Invalid::at("/identityKey", "is of an AddDevice or ResetDevices only"));
            }
            _ => return Err(Invalid::at("/type/1", "must be AddDevice, RevokeDevice, ResetDevices or Move")),
        };
        if target.is_some() {
            return Err(Invalid::at("/target", "is of a Move only"));
        }
        if self.origin.is_some() && !matches!(kind, NodeKind::Add(_)) {
            return Err(Invalid::at("/origin", "is of an AddDevice only"));
        }
        if self.origin.as_deref().is_some_and(|origin| !is_user(origin)) {
            return Err(Invalid::at("/origin", "must be the actor id of a user"));
        }
        if self.approval_mac.is_some() && !matches!(kind, NodeKind::Add(_)) {
            return Err(Invalid::at("/approvalMac", "is of an AddDevice only"));
        }
        let published_ms =
            timestamp::parse_utc(&self.published).map_err(|fault| fault.under("/published"))?;
        Ok(ChainNode {
            id: self.id,
            actor: self.actor,
            seq: self.seq,
            previous: self.previous,
            device: self.device,
            kind,
            published_ms,
            approval_mac: self.approval_mac,
            moved_from: self.origin,
            proof: self.proof.read().map_err(|fault| fault.under("/proof"))?,
            canonical,
        })
    }
}

/// True if a text is the actor id of a user, in the layout of section 1.
fn is_user(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && Origin::of(id).is_some_and(|origin| origin.parse_actor(id).is_some())
}

impl WireProof {
    /// Checks the constant members and decodes the signature.
    fn read(self) -> Result<Proof, Invalid> {
        for (member, found, expected) in [
            ("/type", &self.kind, "DataIntegrityProof"),
            ("/cryptosuite", &self.cryptosuite, "xeddsa-2022"),
            ("/proofPurpose", &self.proof_purpose, "authentication"),
        ] {
            if found != expected {
                return Err(Invalid::at(member, format!("must be {expected}")));
            }
        }
        let value = multibase::decode(&self.proof_value).map_err(|fault| fault.under("/proofValue"))?;
        Ok(Proof { verification_method: self.verification_method, value })
    }
}
