//! The evidence of a move, as it is written and read.

use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{ChainNode, ChainPosition, MoveTarget, NewDevice, NextNode, UnsignedNode};
use eko_protocol::id::DeviceId;
use eko_protocol::key::RegistrationId;

use super::*;
use crate::keys::IdentityPair;

/// Returns a chain of Bob's of so many nodes, of which the last one moves him to Alice's account.
fn chain(length: u64) -> Vec<ChainNode> {
    let environment = repeatable(7);
    let identity = IdentityPair::from_secret([7; 32]);
    let (origin, user) = (Origin::parse("https://b.example").unwrap(), UserName::parse("bob").unwrap());
    let id = DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap();
    let device = NewDevice {
        id: id.clone(),
        identity_key: identity.public(),
        registration_id: RegistrationId::new(7).unwrap(),
        possession: identity.sign(b"", &environment),
    };
    let target = MoveTarget { actor: ALICE.to_owned(), root: "ab".repeat(32) };
    let sign = |node: UnsignedNode| {
        let signature = identity.sign(&node.signing_bytes().unwrap(), &environment);
        ChainNode::parse(&node.finish(&id, &signature)).unwrap()
    };
    let (mut nodes, mut position) = (Vec::new(), ChainPosition::default());
    for place in 1..=length {
        let next = NextNode::new(&origin, &user, &position, 1_769_715_000_000);
        let node = sign(match place {
            _ if place == length => next.move_to(&id, &target),
            1 => next.begin(&device),
            // What the nodes do is judged by whoever knows the chain.
            _ => next.reset(&device),
        });
        position = node.position();
        nodes.push(node);
    }
    nodes
}

fn written(length: u64) -> Value {
    let evidence = MoveEvidence::of(&chain(length)).unwrap();
    let plaintext = activity(ActivityContent::Move(evidence)).to_plaintext().unwrap();
    serde_json::from_slice(unpad(&plaintext).unwrap()).unwrap()
}

#[test]
fn the_last_nodes_that_fit_go_along() {
    for (length, kept) in [(1, 1), (2, 2), (60, 60), (200, 64)] {
        let evidence = MoveEvidence::of(&chain(length)).unwrap();
        assert_eq!((evidence.old_actor(), evidence.new_actor()), (BOB, ALICE));
        let sent = activity(ActivityContent::Move(evidence.clone()));
        assert_eq!(Activity::from_plaintext(&sent.to_plaintext().unwrap()), Ok(sent), "{length}");
        assert!(evidence.nodes().len() <= kept && !evidence.nodes().is_empty());
        assert!(evidence.nodes().last().unwrap().target().is_some());
    }
    assert_eq!(MoveEvidence::of(&chain(3)[..2]), None, "it does not end with a move");
    assert_eq!(MoveEvidence::of(&[]), None);
}

#[test]
fn only_the_end_of_one_chain_that_leads_to_the_target_is_evidence() {
    let whole = written(4);
    let nodes = whole["eko:nodes"].as_array().unwrap().clone();
    let others = written(3)["eko:nodes"].as_array().unwrap().clone();
    let pointer = |name: &str, value: Value| {
        let mut changed = whole.clone();
        changed[name] = value;
        read::activity(&changed).unwrap_err().pointer
    };
    assert_eq!(pointer("target", json!(BOB)), "/eko:nodes");
    assert_eq!(pointer("object", json!(ALICE)), "/eko:nodes");
    for (nodes, at) in [
        (json!([]), "/eko:nodes"),
        (json!(nodes[..3]), "/eko:nodes"),
        (json!([nodes[0], nodes[2], nodes[3]]), "/eko:nodes"),
        (json!([nodes[3], nodes[3]]), "/eko:nodes"),
        (json!([others[0], nodes[1], nodes[3]]), "/eko:nodes"),
        (json!([nodes[0]["id"]]), "/eko:nodes/0"),
        (json!(vec![nodes[3].clone(); 65]), "/eko:nodes"),
        (json!(null), "/eko:nodes"),
    ] {
        assert_eq!(pointer("eko:nodes", nodes), at);
    }
}
