//! Chains of test devices, and the tests of the chain by topic.

use serde_json::{Value, json};

use super::*;
use crate::chain::{MoveTarget, NewDevice, NextNode, UnsignedNode, possession_base, proof_base};
use crate::key::JoiningMac;
use crate::multibase;
use crate::signer::Signer;

mod append;
mod members;
mod model;
mod moving;
mod rules;

const NOW_MS: i64 = 1_769_715_000_000;

/// A user whose devices are numbers. The number of a device determines its keys and its id.
struct TestChain {
    origin: Origin,
    user: UserName,
}

impl TestChain {
    fn new(user: &str) -> Self {
        Self { origin: Origin::parse("https://a.example").unwrap(), user: UserName::parse(user).unwrap() }
    }

    fn empty(&self) -> ChainState {
        ChainState::empty(self.origin.actor(&self.user))
    }

    fn new_device(&self, n: u64) -> NewDevice {
        let (signer, registration_id) = (Signer::new(n), RegistrationId::new(n + 1).unwrap());
        let (actor, address) = (self.origin.actor(&self.user), self.origin.device(&self.user, &device(n)));
        let possession = signer.sign(&possession_base(&actor, &address, &signer.identity(), registration_id));
        NewDevice { id: device(n), identity_key: signer.identity(), registration_id, possession }
    }

    fn signed(&self, node: UnsignedNode, by: u64) -> Value {
        let signature = Signer::new(by).sign(&node.signing_bytes().unwrap());
        node.finish(&device(by), &signature)
    }

    fn next<'a>(&'a self, state: &'a ChainState) -> NextNode<'a> {
        NextNode::new(&self.origin, &self.user, &state.position, NOW_MS)
    }

    fn add(&self, state: &ChainState, new: u64, by: u64) -> Value {
        let next = self.next(state);
        let node = match state.position.length {
            0 => next.begin(&self.new_device(new)),
            // Only the added device can tell a true approval from a false one.
            _ => next.approve(&self.new_device(new), &JoiningMac::from([5; 32])),
        };
        self.signed(node, by)
    }

    fn reset(&self, state: &ChainState, new: u64, by: u64) -> Value {
        self.signed(self.next(state).reset(&self.new_device(new)), by)
    }

    fn revoke(&self, state: &ChainState, gone: u64, by: u64) -> Value {
        self.signed(self.next(state).revoke(&device(gone)), by)
    }

    fn begin_moved(&self, new: u64, origin: &str) -> Value {
        let empty = self.empty();
        self.signed(self.next(&empty).begin_moved(&self.new_device(new), origin), new)
    }

    fn move_to(&self, state: &ChainState, target: &MoveTarget, device_of: u64, by: u64) -> Value {
        self.signed(self.next(state).move_to(&device(device_of), target), by)
    }

    fn append(&self, state: &ChainState, node: &Value) -> Result<ChainState, ChainError> {
        state.append(&self.origin, &self.user, &ChainNode::parse(node).unwrap())
    }

    /// Returns the state of a chain in which device 1 added device 2.
    fn two(&self) -> ChainState {
        let one = self.append(&self.empty(), &self.add(&self.empty(), 1, 1)).unwrap();
        self.append(&one, &self.add(&one, 2, 1)).unwrap()
    }

    /// Returns the node with a member changed and with a new proof by device `by`.
    fn changed(&self, node: &Value, pointer: &str, value: Value, by: u64) -> Value {
        let mut node = node.clone();
        *node.pointer_mut(pointer).unwrap() = value;
        let signature = Signer::new(by).sign(&proof_base(&node).unwrap());
        node["proof"]["proofValue"] = json!(multibase::encode(&signature));
        node
    }
}

fn device(n: u64) -> DeviceId {
    DeviceId::parse(&format!("0f3c9b1e-5a57-4b0e-9c39-{:012x}", n + 1)).unwrap()
}

fn active(state: &ChainState) -> Vec<DeviceId> {
    state.active.keys().cloned().collect()
}
