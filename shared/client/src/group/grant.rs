//! Grants: the evidence that every admin of a group was made one by the group's creator, or by an
//! admin before.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::json::canonical;
use eko_protocol::key::{IdentityKey, Signature};
use eko_protocol::{Invalid, multibase, xeddsa};
use serde_json::{Value, json};

use super::{GroupError, GroupId, GroupSigner, GroupState};
use crate::content::member::{actor, device, parsed};

/// The prefix of the bytes under a grant's signature.
const DOMAIN: &[u8] = b"eko-group-grant-v1\0";

/// The greatest number of grants of a state.
pub const MAX_GRANTS: usize = 64;

/// The signed statement of one admin that makes a member an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupGrant {
    /// The actor id of the new admin.
    pub admin: String,
    /// The actor id of the admin who granted it.
    pub by: String,
    /// The address of the device of that admin that signed.
    pub device: String,
    /// The signature of that device.
    pub signature: Signature,
}

impl GroupGrant {
    /// Makes `admin` an admin of the group `id`.
    ///
    /// # Errors
    /// [`Invalid`] if the actor ids have no canonical JSON.
    pub(super) fn sign(admin: &str, id: &GroupId, signer: &GroupSigner<'_>) -> Result<Self, Invalid> {
        let signature = signer.sign(&signed(admin, signer.actor, signer.device, id)?);
        Ok(Self {
            admin: admin.to_owned(),
            by: signer.actor.to_owned(),
            device: signer.device.to_owned(),
            signature,
        })
    }

    /// True if the signature is that of `identity` over this grant for the group `id`.
    pub fn is_signed_by(&self, id: &GroupId, identity: &IdentityKey) -> bool {
        signed(&self.admin, &self.by, &self.device, id)
            .is_ok_and(|signed| xeddsa::verify(identity, &signed, &self.signature))
    }

    pub(super) fn parse(value: &Value) -> Result<Self, Invalid> {
        Ok(Self {
            admin: parsed(value, "admin", actor)?,
            by: parsed(value, "by", actor)?,
            device: parsed(value, "device", device)?,
            signature: parsed(value, "signature", multibase::decode)?,
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let signature = multibase::encode(&self.signature);
        json!({ "admin": self.admin, "by": self.by, "device": self.device, "signature": signature })
    }
}

/// Returns the bytes that the signature of a grant covers.
fn signed(admin: &str, by: &str, device: &str, id: &GroupId) -> Result<Vec<u8>, Invalid> {
    let statement = json!({ "admin": admin, "by": by, "device": device, "group": id });
    Ok([DOMAIN, &canonical(&statement)?].concat())
}

/// Leaves only the grants that lead from one of these admins to the creator.
pub(super) fn needed(
    grants: &BTreeMap<String, GroupGrant>,
    admins: &BTreeSet<String>,
    creator: &str,
) -> BTreeMap<String, GroupGrant> {
    let mut needed = BTreeMap::new();
    for admin in admins {
        let mut link = admin.as_str();
        while link != creator && !needed.contains_key(link) {
            let Some(grant) = grants.get(link) else { break };
            needed.insert(link.to_owned(), grant.clone());
            link = &grant.by;
        }
    }
    needed
}

/// Checks that a chain of grants leads from each admin to the creator, and that there are no other
/// grants.
pub(super) fn lead_to_creator(
    grants: &BTreeMap<String, GroupGrant>,
    admins: &BTreeSet<String>,
    creator: &str,
) -> Result<(), Invalid> {
    let fault = |detail: &str| Err(Invalid::at("/grants", detail));
    if grants.contains_key(creator) {
        return fault("name the creator, who needs none");
    }
    for admin in admins {
        let mut link = admin.as_str();
        // A walk that is longer than there are grants goes round in a circle.
        for _ in 0..=grants.len() {
            if link == creator {
                break;
            }
            let Some(grant) = grants.get(link) else {
                return fault("do not lead from each admin to the creator");
            };
            link = &grant.by;
        }
        if link != creator {
            return fault("lead in a circle");
        }
    }
    if needed(grants, admins, creator).len() != grants.len() {
        return fault("hold one that no admin needs");
    }
    Ok(())
}

/// Checks the signature of each grant of a state. `identity` returns the key of a device, if the
/// device is or was one of that actor's.
///
/// A state whose grants are right comes from somebody whom the creator made an admin, over however
/// many steps. It may be an old state, or one that a former admin made.
///
/// # Errors
/// [`GroupError::FalseGrant`] for the first grant that is not proven.
pub fn check_lineage(
    state: &GroupState,
    identity: impl Fn(&str, &str) -> Option<IdentityKey>,
) -> Result<(), GroupError> {
    for grant in state.grants() {
        let key = identity(&grant.by, &grant.device);
        if !key.is_some_and(|key| grant.is_signed_by(state.id(), &key)) {
            return Err(GroupError::FalseGrant(grant.admin.clone()));
        }
    }
    Ok(())
}
