//! The state that a whole chain leads to.

use std::collections::{BTreeMap, BTreeSet};

use super::verify::device_of;
use super::{
    ChainError, ChainNode, ChainPosition, DeviceStanding, NodeKind, ReplayError, check_membership,
    verify_next,
};
use crate::address::{Origin, UserName};
use crate::device_set::DeviceSet;
use crate::id::DeviceId;
use crate::key::{IdentityKey, RegistrationId};

/// The state after all nodes of a chain.
///
/// ```
/// use eko_protocol::address::{Origin, UserName};
/// use eko_protocol::chain::{ChainError, ChainNode, ChainState};
///
/// // Three nodes: a device, another device that the first one added, and the revocation of that one.
/// # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/chain.json");
/// # let vectors = std::fs::read_to_string(file)?;
/// let vectors: serde_json::Value = serde_json::from_str(&vectors)?;
/// let nodes = vectors["nodes"].as_array().expect("the nodes").iter();
/// let mut nodes: Vec<_> = nodes.map(|item| ChainNode::parse(&item["node"])).collect::<Result<_, _>>()?;
/// let (origin, alice) = (Origin::parse("https://eko.example")?, UserName::parse("alice")?);
///
/// let state = ChainState::replay(&origin, &alice, &nodes)?;
/// assert_eq!((state.position.length, state.active.len(), state.used.len()), (3, 1, 2));
///
/// // A server cannot hide a node.
/// nodes.remove(1);
/// let refusal = ChainState::replay(&origin, &alice, &nodes).unwrap_err();
/// assert_eq!((refusal.index, refusal.error), (1, ChainError::WrongSeq { expected: 1 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    /// The user's actor id.
    pub actor: String,
    /// The end of the chain.
    pub position: ChainPosition,
    /// The number of nodes from the last `ResetDevices` on, or of all nodes if there is none.
    pub since_reset: u64,
    /// The active devices by id.
    pub active: BTreeMap<DeviceId, ActiveDevice>,
    /// Every device that was ever in the chain. None of these ids can be added again.
    pub used: BTreeSet<DeviceId>,
}

/// Returns the root of a chain: the last node that replaced all devices, or the first node if there
/// is none. All devices of today descend from the root's device.
pub fn root(nodes: &[ChainNode]) -> Option<&ChainNode> {
    nodes.iter().rfind(|node| matches!(node.kind(), NodeKind::Reset(_))).or_else(|| nodes.first())
}

/// An active device of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveDevice {
    /// The device's identity key.
    pub identity_key: IdentityKey,
    /// The device's registration id.
    pub registration_id: RegistrationId,
}

impl ChainState {
    /// Returns the state before the first node.
    pub fn empty(actor: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            position: ChainPosition::default(),
            since_reset: 0,
            active: BTreeMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// Returns the state after one more node.
    ///
    /// # Errors
    /// [`ChainError`] for the first rule that the node breaks.
    pub fn append(&self, origin: &Origin, user: &UserName, node: &ChainNode) -> Result<Self, ChainError> {
        let mut next = self.clone();
        next.apply(origin, user, node)?;
        Ok(next)
    }

    /// Returns the state after a whole chain, from its first node.
    ///
    /// # Errors
    /// [`ReplayError`] for the first node that breaks a rule.
    pub fn replay<'a>(
        origin: &Origin,
        user: &UserName,
        nodes: impl IntoIterator<Item = &'a ChainNode>,
    ) -> Result<Self, ReplayError> {
        let mut state = Self::empty(origin.actor(user));
        for (index, node) in nodes.into_iter().enumerate() {
            state.apply(origin, user, node).map_err(|error| ReplayError { index, error })?;
        }
        Ok(state)
    }

    /// Returns the device set that follows from the chain.
    pub fn device_set(&self) -> DeviceSet {
        DeviceSet {
            length: self.position.length,
            head: self.position.head.clone(),
            active: self.active.iter().map(|(id, device)| (id.clone(), device.registration_id)).collect(),
        }
    }

    fn standing(&self, device: &DeviceId) -> DeviceStanding {
        if self.active.contains_key(device) {
            DeviceStanding::Active
        } else if self.used.contains(device) {
            DeviceStanding::Former
        } else {
            DeviceStanding::New
        }
    }

    /// Changes the state by one node. A refused node changes nothing.
    fn apply(&mut self, origin: &Origin, user: &UserName, node: &ChainNode) -> Result<(), ChainError> {
        if self.actor != node.actor {
            return Err(ChainError::WrongActor);
        }
        let key = |device: &DeviceId| self.active.get(device).map(|active| active.identity_key);
        verify_next(origin, user, &self.position, key, node)?;
        let device = device_of(origin, user, node)?;
        check_membership(&node.kind, self.active.len(), self.since_reset, self.standing(&device))?;
        match node.kind {
            NodeKind::Add(_) | NodeKind::Move(_) => {}
            NodeKind::Reset(_) => {
                self.active.clear();
                self.since_reset = 0;
            }
            NodeKind::Revoke => drop(self.active.remove(&device)),
        }
        if let Some(addition) = node.addition() {
            let (identity_key, registration_id) = (addition.identity_key, addition.registration_id);
            self.active.insert(device.clone(), ActiveDevice { identity_key, registration_id });
            self.used.insert(device);
        }
        self.since_reset = self.since_reset.saturating_add(1);
        self.position = node.position();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
