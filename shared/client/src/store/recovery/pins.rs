//! The pinned chains of a store of which a part cannot be read, or does not follow from what is before it.

use std::collections::BTreeMap;

use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{ChainNode, ChainState};
use eko_protocol::device_set::DeviceSetRef;
use rusqlite::params;
use serde_json::{Deserializer, Value};

use super::super::{DeviceStoreError, KeptNotice, Transaction};

/// Reads an actor id, if it has the form that Eko's servers use.
pub(in crate::store) fn user_of(actor: &str) -> Option<(Origin, UserName)> {
    let origin = Origin::of(actor)?;
    let user = origin.parse_actor(actor)?;
    Some((origin, user))
}

/// Returns the number of nodes from the first one that are a chain of this user.
fn replayed(actor: &str, nodes: &[ChainNode]) -> usize {
    let Some((origin, user)) = user_of(actor) else { return 0 };
    ChainState::replay(&origin, &user, nodes).map_or_else(|fault| fault.index, |_| nodes.len())
}

/// Returns the nodes of a stored chain up to the first one that cannot be read.
fn readable_nodes(stored: &[u8]) -> Vec<ChainNode> {
    let (mut nodes, mut rest) = (Vec::new(), stored);
    // A bracket, and then a comma, is before each node.
    while let Some((b'[' | b',', after)) = rest.split_first() {
        let mut values = Deserializer::from_slice(after).into_iter::<Value>();
        let Some(Ok(node)) = values.next().map(|value| value.map(|value| ChainNode::parse(&value))) else {
            break;
        };
        let Ok(node) = node else { break };
        nodes.push(node);
        rest = after.get(values.byte_offset()..).unwrap_or_default();
    }
    nodes
}

impl Transaction<'_> {
    /// True if the pinned chain of an actor can be read, is a chain, and has the device set that is kept with it.
    pub(super) fn is_pin_sound(&self, actor: &str) -> bool {
        let Ok(Some(pinned)) = self.pinned(actor) else { return false };
        let set = pinned.nodes.last().map(ChainNode::device_set);
        replayed(actor, &pinned.nodes) == pinned.nodes.len()
            && set.is_some()
            && self.device_set(actor).is_ok_and(|kept| kept == set)
    }

    /// Cuts the pinned chain of an actor where it cannot be read or is none, with the decisions about it as they
    /// are, and has it read again before it is used. If nothing is left of it, it is forgotten. The user is told of
    /// either: what is lost may have been a revocation, and the server can show another end now.
    pub(super) fn mend_pin(&self, actor: &str) -> Result<(), DeviceStoreError> {
        let sql = "SELECT nodes, proven, verified IS NOT NULL, head FROM chains WHERE actor = ?1";
        let (nodes, proven, was_verified, head): (Vec<u8>, String, bool, String) =
            self.inner
                .query_row(sql, [actor], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let mut nodes = readable_nodes(&nodes);
        nodes.truncate(replayed(actor, &nodes));
        if let Some(set) = nodes.last().map(ChainNode::device_set) {
            let is_proof = serde_json::from_str::<BTreeMap<String, DeviceSetRef>>(&proven).is_ok();
            let proven = if is_proof { proven.as_str() } else { "{}" };
            let nodes: Vec<Value> = nodes.iter().map(ChainNode::to_value).collect();
            let nodes = serde_json::to_vec(&nodes).map_err(|_| DeviceStoreError::Corrupt("device chain"))?;
            let sql = "UPDATE chains SET nodes = ?2, length = ?3, head = ?4, proven = ?5, \
                       told = max(0, min(told, ?3)), looked = 0 WHERE actor = ?1";
            self.inner.execute(sql, params![actor, nodes, set.length, set.head, proven])?;
        }
        let is_whole = nodes.last().is_some_and(|last| last.hash() == head);
        if !self.is_pin_sound(actor) {
            self.unpin(actor)?;
        } else if is_whole {
            return Ok(());
        }
        self.note_pin_lost(actor, was_verified)
    }

    /// Keeps a notice for each contact whose chain was lost with its row.
    pub(super) fn note_lost_rows(&self) -> Result<(), DeviceStoreError> {
        let sql =
            "SELECT actor FROM decisions WHERE accepted = 1 AND actor NOT IN (SELECT actor FROM chains)";
        let mut statement = self.inner.prepare(sql)?;
        let lost: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        lost.iter().try_for_each(|actor| self.note_pin_lost(actor, false))
    }

    fn note_pin_lost(&self, actor: &str, was_verified: bool) -> Result<(), DeviceStoreError> {
        if user_of(actor).is_some() && self.own_actor()?.as_deref() != Some(actor) {
            self.keep_notice(actor, &KeptNotice::PinLost { was_verified })?;
        }
        Ok(())
    }
}
