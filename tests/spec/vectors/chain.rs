//! A device chain of three nodes: a first device, a second that the first approves, and the second
//! revoked.

use eko_protocol::chain::{
    ChainNode, ChainPosition, ChainState, MoveTarget, NewDevice, NextNode, UnsignedNode, check_move,
    proof_base,
};
use eko_testkit::START_MS;
use serde_json::{Value, json};

use super::{hex, origin, sha256, text};
use crate::cast::{ALICE, ALICE_TABLET, ALINA, DeviceRole};

pub(super) fn described(role: &DeviceRole) -> NewDevice {
    role.new_device(&origin())
}

/// Returns a move of the user of the chain to the account `alina`: both links.
pub(super) fn moving() -> Value {
    let (origin, user, nodes) = (origin(), ALICE.user(), nodes());
    let position = ChainState::replay(&origin, &user, &nodes).unwrap().position;
    let shown = |unsigned: UnsignedNode, role: &DeviceRole, what: &str| {
        let signed = unsigned.signing_bytes().unwrap();
        let value = unsigned.finish(&role.device_id(), &role.sign(&signed, what));
        let node = ChainNode::parse(&value).unwrap();
        let shown = json!({
            "node": node.to_value(),
            "signed": hex(signed),
            "canonical": text(node.canonical()),
            "hash": node.hash(),
        });
        (node, shown)
    };
    let new = ALINA.user();
    let empty = ChainPosition::default();
    let begin = NextNode::new(&origin, &new, &empty, START_MS + 180_000);
    let begin = begin.begin_moved(&described(&ALINA), &origin.actor(&user));
    let (first, first_shown) = shown(begin, &ALINA, "first node after a move");
    let target = MoveTarget { actor: first.actor().to_owned(), root: first.hash() };
    let leave = NextNode::new(&origin, &user, &position, START_MS + 240_000);
    let (last, last_shown) = shown(leave.move_to(&ALICE.device_id(), &target), &ALICE, "move");
    let old: Vec<ChainNode> = nodes.into_iter().chain([last]).collect();
    assert_eq!(check_move(&old, &[first]), Ok(()));
    json!({
        "first": first_shown,
        "move": last_shown,
        "identityPrivate": hex(ALINA.identity().secret()),
    })
}

/// Returns the nodes of the chain.
pub(super) fn nodes() -> Vec<ChainNode> {
    made().into_iter().map(|(node, _)| node).collect()
}

/// Returns the nodes of the chain, each with the bytes that its proof signs.
fn made() -> Vec<(ChainNode, Vec<u8>)> {
    let (origin, user) = (origin(), ALICE.user());
    let mut made: Vec<(ChainNode, Vec<u8>)> = Vec::new();
    for place in 0..3 {
        let nodes: Vec<ChainNode> = made.iter().map(|(node, _)| node.clone()).collect();
        let position = ChainState::replay(&origin, &user, &nodes).unwrap().position;
        let made_ms = START_MS + place * 60_000;
        let unsigned = match place {
            0 => NextNode::new(&origin, &user, &position, made_ms).begin(&described(&ALICE)),
            1 => {
                let (keys, new) = (ALICE_TABLET.joining_code().keys(), described(&ALICE_TABLET));
                let mac = keys.approval_mac(&origin, &user, &new, &nodes).unwrap();
                NextNode::new(&origin, &user, &position, made_ms).approve(&new, &mac)
            }
            _ => NextNode::new(&origin, &user, &position, made_ms).revoke(&ALICE_TABLET.device_id()),
        };
        let signed = unsigned.signing_bytes().unwrap();
        let signature = ALICE.sign(&signed, &format!("node {place}"));
        let value = unsigned.finish(&ALICE.device_id(), &signature);
        assert_eq!(proof_base(&value).unwrap(), signed);
        made.push((ChainNode::parse(&value).unwrap(), signed));
    }
    made
}

pub(super) fn vectors() -> Value {
    let (origin, user) = (origin(), ALICE.user());
    let shown: Vec<Value> = made()
        .iter()
        .map(|(node, signed)| {
            assert_eq!(sha256(node.canonical()), node.hash());
            json!({
                "node": node.to_value(),
                "signed": hex(signed),
                "canonical": text(node.canonical()),
                "hash": node.hash(),
            })
        })
        .collect();
    let state = ChainState::replay(&origin, &user, &nodes()).unwrap();
    let devices = [ALICE, ALICE_TABLET].map(|role| {
        json!({
            "device": origin.device(&user, &role.device_id()),
            "identityPrivate": hex(role.identity().secret()),
        })
    });
    json!({
        "origin": origin.as_str(),
        "devices": devices,
        "nodes": shown,
        "active": state.active.keys().map(|id| origin.device(&user, id)).collect::<Vec<_>>(),
        "eko:deviceSet": state.device_set().reference(),
    })
}
