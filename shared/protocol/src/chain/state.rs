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

/// What a whole chain amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    /// The user's actor id.
    pub actor: String,
    /// Where the chain ends.
    pub position: ChainPosition,
    /// The devices that are active, by id.
    pub active: BTreeMap<DeviceId, ActiveDevice>,
    /// Every device that ever was in the chain: none comes back.
    pub used: BTreeSet<DeviceId>,
}

/// An active device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveDevice {
    /// Its identity key.
    pub identity_key: IdentityKey,
    /// Its registration id.
    pub registration_id: RegistrationId,
}

impl ChainState {
    /// Before the first node.
    pub fn empty(actor: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            position: ChainPosition::default(),
            active: BTreeMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// The state after one more node.
    ///
    /// # Errors
    /// The first rule that the node breaks.
    pub fn append(&self, origin: &Origin, user: &UserName, node: &ChainNode) -> Result<Self, ChainError> {
        let mut next = self.clone();
        next.apply(origin, user, node)?;
        Ok(next)
    }

    /// The state after a whole chain, from its first node.
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

    /// The device set as the server keeps and gossips it.
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

    /// Changes nothing where the node is refused.
    fn apply(&mut self, origin: &Origin, user: &UserName, node: &ChainNode) -> Result<(), ChainError> {
        if self.actor != node.actor {
            return Err(ChainError::WrongActor);
        }
        let key = |device: &DeviceId| self.active.get(device).map(|active| active.identity_key);
        verify_next(origin, user, &self.position, key, node)?;
        let device = device_of(origin, user, node)?;
        check_membership(&node.kind, self.active.len(), self.standing(&device))?;
        match node.kind {
            NodeKind::Add(_) => {}
            NodeKind::Reset(_) => self.active.clear(),
            NodeKind::Revoke => drop(self.active.remove(&device)),
        }
        if let Some(addition) = node.addition() {
            let (identity_key, registration_id) = (addition.identity_key, addition.registration_id);
            self.active.insert(device.clone(), ActiveDevice { identity_key, registration_id });
            self.used.insert(device);
        }
        self.position =
            ChainPosition { length: self.position.length.saturating_add(1), head: Some(node.hash()) };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
