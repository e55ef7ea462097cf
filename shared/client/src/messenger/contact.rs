//! A user with the pinned chain, and what the chain says of the user's devices.

use std::collections::BTreeSet;

use eko_protocol::chain::{ChainNode, ChainState, NodeKind, root};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::key::IdentityKey;

use super::{Distrust, MessengerError, Person, Trust};
use crate::store::{DeviceStoreError, PinnedChain};

/// A user whose chain is pinned.
#[derive(Debug, Clone)]
pub(super) struct Contact {
    pub(super) person: Person,
    pub(super) pinned: PinnedChain,
    pub(super) state: ChainState,
}

/// A device that is or was in a chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListedDevice {
    pub(super) identity: IdentityKey,
}

/// The outcome of comparing a head that somebody else saw with the pinned chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadComparison {
    /// The pinned chain has, or once had, this head.
    Same,
    /// The pinned chain has another node at this place.
    Other,
    /// The pinned chain is shorter.
    Later,
}

impl Contact {
    pub(super) fn new(person: Person, pinned: PinnedChain) -> Result<Self, DeviceStoreError> {
        let state = ChainState::replay(&person.origin, &person.user, &pinned.nodes);
        let state = state.map_err(|_| DeviceStoreError::Corrupt("device chain"))?;
        Ok(Self { person, pinned, state })
    }

    pub(super) fn trust(&self) -> Trust {
        let verified = self.pinned.verified.as_ref();
        if verified.is_some_and(|head| self.descends_from(head)) {
            Trust::Verified
        } else if Some(&self.pinned.accepted) == self.root().map(ChainNode::hash).as_ref() {
            if self.pinned.uncompared { Trust::Accepted } else { Trust::FirstUse }
        } else {
            Trust::Reset
        }
    }

    /// Returns the node that all devices of today descend from.
    pub(super) fn root(&self) -> Option<&ChainNode> {
        root(&self.pinned.nodes)
    }

    /// True if the chain has a node of this hash, and no reset follows it.
    pub(super) fn descends_from(&self, head: &str) -> bool {
        let is_reset = |node: &ChainNode| matches!(node.kind(), NodeKind::Reset(_));
        let root = self.pinned.nodes.iter().rposition(is_reset).unwrap_or(0);
        self.pinned.nodes.iter().skip(root).any(|node| node.hash() == head)
    }

    /// Returns the identity key of the chain's anchor, which is part of the safety number: the first
    /// device of the chain that is active today, or the root device if none is.
    pub(super) fn anchor(&self) -> Option<IdentityKey> {
        let active = self.active();
        let mut added = self.pinned.nodes.iter().filter(|node| active.contains(node.device()));
        let first = added.find_map(ChainNode::addition).or_else(|| self.root()?.addition());
        first.map(|addition| addition.identity_key)
    }

    pub(super) fn device_set(&self) -> Option<DeviceSetRef> {
        self.state.device_set().reference()
    }

    /// Returns the number of nodes of the chain, as the store keeps numbers.
    pub(super) fn length(&self) -> i64 {
        i64::try_from(self.pinned.nodes.len()).unwrap_or(i64::MAX)
    }

    /// Returns the length of the chain when a device came into it, or 0 if it has not.
    pub(super) fn length_at(&self, device: &str) -> i64 {
        let is_its = |node: &ChainNode| node.device() == device && node.addition().is_some();
        let at = self.pinned.nodes.iter().rposition(is_its);
        at.and_then(|at| i64::try_from(at.saturating_add(1)).ok()).unwrap_or_default()
    }

    /// Returns a device by its address, active or not.
    pub(super) fn listed(&self, device: &str) -> Option<ListedDevice> {
        let node =
            self.pinned.nodes.iter().rfind(|node| node.device() == device && node.addition().is_some())?;
        let identity = node.addition()?.identity_key;
        Some(ListedDevice { identity })
    }

    /// Returns the addresses of the active devices.
    pub(super) fn active(&self) -> BTreeSet<String> {
        self.state.active.keys().map(|id| self.person.origin.device(&self.person.user, id)).collect()
    }

    /// Returns the addresses of the devices that were in the chain, and are active no more.
    pub(super) fn ended(&self) -> BTreeSet<String> {
        let active = self.active();
        let added = self.pinned.nodes.iter().filter(|node| node.addition().is_some());
        added.map(|node| node.device().to_owned()).filter(|device| !active.contains(device)).collect()
    }

    /// True if a device was active until a reset replaced it.
    pub(super) fn was_reset(&self, device: &str) -> bool {
        let is_reset = |(_, node): &(usize, &ChainNode)| matches!(node.kind(), NodeKind::Reset(_));
        let mut resets = self.pinned.nodes.iter().enumerate().filter(is_reset);
        resets.any(|(at, _)| self.active_at(at).contains(device))
    }

    /// True if a reset came into the chain after all of these devices.
    pub(super) fn was_reset_since(&self, devices: &BTreeSet<String>) -> bool {
        let is_reset = |node: &ChainNode| matches!(node.kind(), NodeKind::Reset(_));
        let reset = self.pinned.nodes.iter().rposition(is_reset).and_then(|at| i64::try_from(at).ok());
        let last = devices.iter().map(|device| self.length_at(device)).max();
        reset.zip(last).is_some_and(|(reset, last)| reset >= last)
    }

    /// Returns the addresses of the devices that were active when the chain had this number of nodes.
    fn active_at(&self, length: usize) -> BTreeSet<String> {
        let mut then = self.pinned.clone();
        then.nodes.truncate(length);
        Self::new(self.person.clone(), then).map(|then| then.active()).unwrap_or_default()
    }

    /// Returns the addresses of the devices that were active under the accepted root, at the end of it: at
    /// the first reset after that root, if one follows.
    pub(super) fn active_before_reset(&self) -> BTreeSet<String> {
        let nodes = &self.pinned.nodes;
        let is_accepted = |node: &ChainNode| node.hash() == self.pinned.accepted;
        let Some(accepted) = nodes.iter().position(is_accepted) else { return BTreeSet::new() };
        let is_reset = |node: &ChainNode| matches!(node.kind(), NodeKind::Reset(_));
        let after = accepted.saturating_add(1);
        self.active_at(nodes.iter().skip(after).position(is_reset).map_or(nodes.len(), |at| after + at))
    }

    /// Compares a device set that somebody else saw with this chain.
    pub(super) fn compare_head(&self, seen: &DeviceSetRef) -> HeadComparison {
        let index = seen.length.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.pinned.nodes.get(index)) {
            Some(node) if node.hash() == seen.head => HeadComparison::Same,
            Some(_) => HeadComparison::Other,
            None => HeadComparison::Later,
        }
    }

    /// Returns the contradiction between this chain and the heads that devices of its user have
    /// signed, if there is one. A head that is contradicted counts before heads that are missing, and
    /// of these the longest counts.
    pub(super) fn hidden(&self) -> Option<Distrust> {
        if let Some(why) = self.disputed() {
            return Some(why);
        }
        let missing = |proven: &&DeviceSetRef| self.compare_head(proven) == HeadComparison::Later;
        let proven = self.pinned.proven.values().filter(missing).map(|proven| proven.length).max()?;
        Some(Distrust::Withheld { shown: self.state.position.length, proven })
    }

    /// Returns the first contradiction of this chain to a head that a device of its user has signed.
    pub(super) fn disputed(&self) -> Option<Distrust> {
        let disputes = |proven: &&DeviceSetRef| self.compare_head(proven) == HeadComparison::Other;
        let length = self.pinned.proven.values().filter(disputes).map(|proven| proven.length).min()?;
        Some(Distrust::Disputed(length.saturating_sub(1)))
    }

    /// True if this chain lacks a proven head, or was contradicted since it was read. It is read again
    /// before anything is sent.
    pub(super) fn is_in_doubt(&self) -> bool {
        let alarm = self.pinned.alarm.as_ref();
        alarm.is_some_and(|alarm| alarm.raised_ms >= self.pinned.looked_ms) || self.hidden().is_some()
    }

    /// Keeps a head that a device of this user has signed, if this chain lacks it. One is kept of each
    /// device: a contradiction, or else the longest. So no device replaces what another one has
    /// proven. Returns false if nothing has changed.
    pub(super) fn prove(&mut self, device: &str, head: &DeviceSetRef) -> bool {
        let kept = self.pinned.proven.get(device);
        let disputed = kept.is_some_and(|kept| self.compare_head(kept) == HeadComparison::Other);
        let longest = kept.is_none_or(|kept| head.length > kept.length);
        let is_new = match self.compare_head(head) {
            HeadComparison::Same => false,
            HeadComparison::Other => !disputed,
            HeadComparison::Later => !disputed && longest,
        };
        if is_new {
            self.pinned.proven.insert(device.to_owned(), head.clone());
        }
        is_new
    }

    /// Forgets the proofs that this chain has settled: it has their heads.
    pub(super) fn settle_proofs(&mut self) {
        let mut proven = std::mem::take(&mut self.pinned.proven);
        proven.retain(|_, head| self.compare_head(head) != HeadComparison::Same);
        self.pinned.proven = proven;
    }

    pub(super) fn distrust(&self, why: Distrust) -> MessengerError {
        MessengerError::Distrust { actor: self.person.actor(), why }
    }
}
