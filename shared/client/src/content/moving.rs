//! The news that a user has moved, with the nodes of the old device chain that prove it. The new account tells
//! it, and members of a group who have followed pass it on.

use eko_protocol::Invalid;
use eko_protocol::chain::ChainNode;
use eko_protocol::json::{required_list, text};
use serde_json::{Value, json};

/// The greatest number of nodes in one activity.
pub const MAX_MOVE_NODES: usize = 64;
/// The greatest length of all nodes in one activity, in bytes.
const MAX_NODES_BYTES: usize = 60_000;

/// The last nodes of the chain of an account whose user has moved, the `Move` last. They are well formed
/// and of one chain; no signature is verified.
///
/// ```text
/// {"type": "Move", "actor": <the author>, "object": <the old actor>, "target": <the new actor>,
///  "eko:nodes": [<node without its context>, …, <Move>]}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveEvidence {
    nodes: Vec<ChainNode>,
}

impl MoveEvidence {
    /// Returns the evidence of a whole chain that ends with a move: its last nodes, as many as one activity
    /// takes. Returns `None` if it ends otherwise.
    pub fn of(chain: &[ChainNode]) -> Option<Self> {
        chain.last()?.target()?;
        let mut bytes = 0_usize;
        let fits = |node: &&ChainNode| {
            bytes = bytes.saturating_add(node.to_stored().len());
            bytes <= MAX_NODES_BYTES
        };
        let mut nodes: Vec<ChainNode> =
            chain.iter().rev().take(MAX_MOVE_NODES).take_while(fits).cloned().collect();
        nodes.reverse();
        Some(Self { nodes })
    }

    /// Returns the nodes, the `Move` last.
    pub fn nodes(&self) -> &[ChainNode] {
        &self.nodes
    }

    /// Returns the actor id of the account that was left.
    pub fn old_actor(&self) -> &str {
        self.nodes.last().map(ChainNode::actor).unwrap_or_default()
    }

    /// Returns the actor id of the new account, as the last node names it.
    pub fn new_actor(&self) -> &str {
        self.nodes.last().and_then(ChainNode::target).map(|target| &*target.actor).unwrap_or_default()
    }

    /// Reads the members of an activity.
    pub(super) fn read(activity: &Value) -> Result<Self, Invalid> {
        let items = required_list(activity, "eko:nodes")?;
        if items.is_empty() || items.len() > MAX_MOVE_NODES {
            return Err(Invalid::at("/eko:nodes", format!("must be 1 to {MAX_MOVE_NODES} nodes")));
        }
        let node = |(index, item): (usize, &Value)| {
            ChainNode::from_stored(item.to_string().as_bytes())
                .map_err(|fault| fault.under(format!("/eko:nodes/{index}")))
        };
        let nodes = items.iter().enumerate().map(node).collect::<Result<Vec<_>, _>>()?;
        let (old, target) = (text(activity, "object")?, text(activity, "target")?);
        let leads = |node: &ChainNode| node.target().is_some_and(|named| named.actor == target);
        let follow = |pair: &[ChainNode]| match pair {
            [one, next] => next.previous() == Some(one.hash().as_str()) && one.target().is_none(),
            _ => true,
        };
        match nodes.iter().all(|node| node.actor() == old)
            && nodes.last().is_some_and(leads)
            && nodes.windows(2).all(follow)
        {
            true => Ok(Self { nodes }),
            false => {
                Err(Invalid::at("/eko:nodes", "must be the end of one chain, with a move to the target"))
            }
        }
    }

    /// Returns the members of an activity.
    pub(super) fn write(&self) -> Vec<(&'static str, Value)> {
        let node = |node: &ChainNode| serde_json::from_slice(&node.to_stored()).unwrap_or_default();
        let nodes: Vec<Value> = self.nodes.iter().map(node).collect();
        vec![
            ("object", json!(self.old_actor())),
            ("target", json!(self.new_actor())),
            ("eko:nodes", json!(nodes)),
        ]
    }
}
