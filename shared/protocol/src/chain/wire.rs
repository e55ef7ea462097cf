//! The wire form of a node, drawn at [`ChainNode`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::node::{Addition, ChainNode, NodeKind, Proof};
use crate::json::only_as_object;
use crate::key::{IdentityKey, JoiningMac, RegistrationId};
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
        let kind = match (kind.as_str(), addition) {
            ("AddDevice", Some(addition)) => NodeKind::Add(addition),
            ("ResetDevices", Some(addition)) => NodeKind::Reset(addition),
            ("RevokeDevice", None) => NodeKind::Revoke,
            ("AddDevice" | "ResetDevices", None) => {
                return Err(Invalid::whole("lacks identityKey, registrationId, keyPackage and possession"));
            }
            ("RevokeDevice", Some(_)) => return Err(Invalid::at("/identityKey", "is not of a RevokeDevice")),
            _ => return Err(Invalid::at("/type/1", "must be AddDevice, RevokeDevice or ResetDevices")),
        };
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
            proof: self.proof.read().map_err(|fault| fault.under("/proof"))?,
            canonical,
        })
    }
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
