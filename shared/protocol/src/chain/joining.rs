//! The MACs by which a new device and the device that approves it recognise each other
//! (`docs/protocol.md`, section 3).
//!
//! The user carries a secret, the *joining code*, from the new device to an active one. The server
//! never learns it. Two keys follow from it, by HKDF-SHA256 (RFC 5869) without a salt:
//!
//! ```text
//! key of registrations = HKDF(secret, info "eko-join-v1 registration", 32 bytes)
//! key of approvals     = HKDF(secret, info "eko-join-v1 approval", 32 bytes)
//! ```
//!
//! Each MAC is HMAC-SHA256 over a list of fields. A field is its length, 4 bytes big-endian, and
//! its bytes:
//!
//! ```text
//! joiningMac:   actor │ device │ identity key, 33 bytes │ registration id, 2 bytes
//! approvalMac:  actor │ device │ identity key, 33 bytes │ registration id, 2 bytes
//!               │ seq, 8 bytes │ previous, 64 hex digits │ hash of the root node, 64 hex digits
//! ```
//!
//! Numbers are big-endian. `previous` commits to every node before the approval, so the new device
//! knows from the MAC that its user's device saw exactly the chain that the server shows.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{ChainNode, NewDevice, NodeKind, root};
use crate::address::{Origin, UserName};
use crate::key::JoiningMac;

/// The number of bytes of a joining code's secret.
pub const JOINING_SECRET_BYTES: usize = 16;

const REGISTRATION: &[u8] = b"eko-join-v1 registration";
const APPROVAL: &[u8] = b"eko-join-v1 approval";

/// The two keys that follow from a joining code.
#[derive(Clone)]
pub struct JoiningKeys {
    registration: HmacState,
    approval: HmacState,
}

type HmacState = Hmac<Sha256>;

/// The answer to the question whether a chain that a new device is shown is its user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoiningVerdict {
    /// No node adds the device.
    NotAdded,
    /// The node that adds the device carries the approval of whoever has the joining code, for
    /// exactly the nodes before it, and no reset has followed.
    Approved,
    /// A reset has followed such an approval. Any server can append one, so the approval says
    /// nothing of the devices of today.
    Replaced,
    /// A node adds the device without such an approval. The chain is not to be believed.
    False,
}

impl JoiningKeys {
    /// Derives the keys from the secret of a joining code.
    pub fn derive(secret: &[u8; JOINING_SECRET_BYTES]) -> Self {
        let extracted = Hkdf::<Sha256>::new(None, secret);
        Self { registration: expanded(&extracted, REGISTRATION), approval: expanded(&extracted, APPROVAL) }
    }

    /// Returns the MAC that a new device of `user` puts into its registration.
    pub fn joining_mac(&self, origin: &Origin, user: &UserName, device: &NewDevice) -> JoiningMac {
        finished(framed(&self.registration, &description(origin, user, device)))
    }

    /// True if `mac` is the MAC of this device's registration. Compares in constant time.
    pub fn registered(&self, origin: &Origin, user: &UserName, device: &NewDevice, mac: &JoiningMac) -> bool {
        framed(&self.registration, &description(origin, user, device)).verify_slice(mac.as_bytes()).is_ok()
    }

    /// Returns the MAC that the approval of `device` carries if it is the next node of `chain`, or
    /// `None` if the chain is empty.
    pub fn approval_mac(
        &self,
        origin: &Origin,
        user: &UserName,
        device: &NewDevice,
        chain: &[ChainNode],
    ) -> Option<JoiningMac> {
        Some(finished(self.approval(origin, user, device, chain)?))
    }

    /// Decides whether a verified chain was approved for `device`, the new device that asks. A
    /// chain that goes on after the approval is as good as one that ends with it, as long as its
    /// root is the same.
    pub fn judge(
        &self,
        origin: &Origin,
        user: &UserName,
        device: &NewDevice,
        chain: &[ChainNode],
    ) -> JoiningVerdict {
        let address = origin.device(user, &device.id);
        let added = chain.iter().position(|node| node.device() == address && node.addition().is_some());
        let Some((before, node)) = added.and_then(|at| Some((chain.get(..at)?, chain.get(at)?))) else {
            return JoiningVerdict::NotAdded;
        };
        let same_keys = |kind: &NodeKind| match kind {
            NodeKind::Add(addition) => {
                addition.identity_key == device.identity_key
                    && addition.registration_id == device.registration_id
            }
            NodeKind::Reset(_) | NodeKind::Revoke | NodeKind::Move(_) => false,
        };
        let expected = self.approval(origin, user, device, before);
        let approved = expected
            .zip(node.approval_mac())
            .is_some_and(|(expected, mac)| expected.verify_slice(mac.as_bytes()).is_ok());
        match approved && same_keys(node.kind()) {
            false => JoiningVerdict::False,
            true if root(before).map(ChainNode::seq) == root(chain).map(ChainNode::seq) => {
                JoiningVerdict::Approved
            }
            true => JoiningVerdict::Replaced,
        }
    }

    fn approval(
        &self,
        origin: &Origin,
        user: &UserName,
        device: &NewDevice,
        chain: &[ChainNode],
    ) -> Option<HmacState> {
        let (last, root) = (chain.last()?, root(chain)?);
        let mut fields = description(origin, user, device);
        fields.extend([
            last.seq().saturating_add(1).to_be_bytes().to_vec(),
            last.hash().into_bytes(),
            root.hash().into_bytes(),
        ]);
        Some(framed(&self.approval, &fields))
    }
}

/// Returns the fields that describe a device.
fn description(origin: &Origin, user: &UserName, device: &NewDevice) -> Vec<Vec<u8>> {
    vec![
        origin.actor(user).into_bytes(),
        origin.device(user, &device.id).into_bytes(),
        device.identity_key.as_bytes().to_vec(),
        u16::from(device.registration_id).to_be_bytes().to_vec(),
    ]
}

/// Adds fields to a MAC, each after its length.
fn framed(key: &HmacState, fields: &[Vec<u8>]) -> HmacState {
    let mut mac = key.clone();
    for field in fields {
        // No field is longer than an address, which has at most 512 bytes.
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        mac.update(&length.to_be_bytes());
        mac.update(field);
    }
    mac
}

fn finished(mac: HmacState) -> JoiningMac {
    let bytes: [u8; 32] = mac.finalize().into_bytes().into();
    JoiningMac::from(bytes)
}

/// Returns HMAC-SHA256 under the key that HKDF expands for this label.
#[expect(clippy::expect_used, reason = "HKDF-SHA256 fails beyond 8,160 bytes only, and HMAC never")]
fn expanded(extracted: &Hkdf<Sha256>, label: &[u8]) -> HmacState {
    let mut key = [0; 32];
    extracted.expand(label, &mut key).expect("32 bytes");
    HmacState::new_from_slice(&key).expect("a key of any length")
}

#[cfg(test)]
mod tests;
