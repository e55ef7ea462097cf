//! The members of a node: their shapes, and that each is bound to the chain and covered by the
//! proof.

use serde_json::json;

use super::*;
use crate::vocabulary::context;

#[test]
fn every_member_is_bound() {
    let world = TestChain::new("alice");
    let two = world.two();
    let node = world.add(&two, 3, 1);
    let bobs = TestChain::new("bob").add(&two, 3, 1);
    let ghost = multibase::encode(&Signer::new(8).sign(b"x"));
    for (pointer, value, expected) in [
        ("/actor", bobs["actor"].clone(), ChainError::WrongActor),
        ("/actor", json!("https://b.example/user/alice"), ChainError::WrongActor),
        (
            "/id",
            json!("https://a.example/user/alice/devices/1"),
            ChainError::WrongId { expected: "https://a.example/user/alice/devices/2".into() },
        ),
        ("/device", bobs["device"].clone(), ChainError::WrongDevice),
        ("/device", json!("https://b.example/user/alice/device/x"), ChainError::WrongDevice),
        (
            "/keyPackage",
            json!(world.origin.key_package(&world.user, &device(1))),
            ChainError::WrongKeyPackage,
        ),
        ("/possession", json!(ghost), ChainError::BadPossession),
        ("/registrationId", json!(77), ChainError::BadPossession),
        ("/identityKey", json!(Signer::new(1).identity()), ChainError::BadPossession),
        (
            "/proof/verificationMethod",
            json!(world.origin.device(&world.user, &device(2))),
            ChainError::BadProof,
        ),
        (
            "/proof/verificationMethod",
            bobs["device"].clone(),
            ChainError::WrongSigner("an active device of this user"),
        ),
    ] {
        let changed = world.changed(&node, pointer, value, 1);
        let error = world.append(&two, &changed).unwrap_err();
        assert_eq!(error, expected, "{pointer}");
        assert!(changed.pointer(&error.invalid().pointer).is_some(), "{error}");
    }
    for (pointer, value) in [
        ("/published", json!("2026-01-29T19:30:01Z")),
        ("/registrationId", json!(77)),
        ("/approvalMac", json!(JoiningMac::from([9; 32]))),
        ("/type/1", json!("ResetDevices")),
    ] {
        let mut unsigned = node.clone();
        *unsigned.pointer_mut(pointer).unwrap() = value;
        if pointer == "/type/1" {
            // Only an addition has this member.
            unsigned.as_object_mut().unwrap().remove("approvalMac").unwrap();
        }
        let error = world.append(&two, &unsigned).unwrap_err();
        assert!(matches!(error, ChainError::BadProof | ChainError::WrongSigner(_)), "{pointer}: {error}");
    }
}

#[test]
fn nodes_of_another_user_do_not_fit() {
    let (alice, bob) = (TestChain::new("alice"), TestChain::new("bob"));
    let first = alice.add(&alice.empty(), 1, 1);
    assert_eq!(bob.append(&bob.empty(), &first), Err(ChainError::WrongActor));
    assert_eq!(
        alice.empty().append(
            &bob.origin,
            &bob.user,
            &ChainNode::parse(&bob.add(&bob.empty(), 1, 1)).unwrap()
        ),
        Err(ChainError::WrongActor)
    );
}

#[test]
fn shapes_are_refused_where_they_stand() {
    let world = TestChain::new("alice");
    let two = world.two();
    let (add, revoke) = (world.add(&two, 3, 1), world.revoke(&two, 1, 1));
    let low_order = json!("BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for (node, pointer, value, at) in [
        (&add, "/@context", json!("https://www.w3.org/ns/activitystreams"), "/@context"),
        (&add, "/@context", context(), "/@context"),
        (&add, "/@context/2/device", json!("https://eko.network/ns#device"), "/@context"),
        (&add, "/type", json!("AddDevice"), "/type"),
        (&add, "/type/0", json!("Activity"), "/type/0"),
        (&add, "/type/1", json!("Create"), "/type/1"),
        (&add, "/type/1", json!("RevokeDevice"), "/identityKey"),
        (&revoke, "/type/1", json!("AddDevice"), ""),
        (&add, "/seq", json!(-1), "/seq"),
        (&add, "/seq", json!(2.0), "/seq"),
        (&add, "/seq", json!(1u64 << 60), "/seq"),
        (&add, "/previous", json!("AB".repeat(32)), "/previous"),
        (&add, "/previous", json!("ab"), "/previous"),
        (&add, "/published", json!("2026-01-29T19:30:00+01:00"), "/published"),
        (&add, "/published", json!("now"), "/published"),
        (&add, "/identityKey", json!("AAAA"), "/identityKey"),
        (&add, "/identityKey", low_order, "/identityKey"),
        (&add, "/registrationId", json!(0), "/registrationId"),
        (&add, "/possession", json!("z1"), "/possession"),
        (&add, "/approvalMac", json!("AAAA"), "/approvalMac"),
        (&add, "/type/1", json!("ResetDevices"), "/approvalMac"),
        (&add, "/proof/proofValue", json!("u"), "/proof/proofValue"),
        (&add, "/proof/type", json!("X"), "/proof/type"),
        (&add, "/proof/cryptosuite", json!("eddsa-2022"), "/proof/cryptosuite"),
        (&add, "/proof/proofPurpose", json!("x"), "/proof/proofPurpose"),
        (&add, "/proof", json!([]), "/proof"),
    ] {
        let mut node = node.clone();
        *node.pointer_mut(pointer).unwrap() = value;
        assert_eq!(ChainNode::parse(&node).unwrap_err().pointer, at, "{pointer}");
    }
    for (node, name) in [(&add, "extra"), (&revoke, "extra")] {
        let mut node = node.clone();
        node[name] = json!(1);
        assert_eq!(ChainNode::parse(&node).unwrap_err().pointer, "/extra");
        node.as_object_mut().unwrap().remove("extra");
        node["proof"]["created"] = json!("2026-01-29T19:30:00Z");
        assert_eq!(ChainNode::parse(&node).unwrap_err().pointer, "/proof/created");
    }
    for missing in [
        "@context",
        "type",
        "id",
        "actor",
        "seq",
        "device",
        "identityKey",
        "registrationId",
        "keyPackage",
        "published",
        "possession",
        "proof",
    ] {
        let mut node = add.clone();
        node.as_object_mut().unwrap().remove(missing);
        assert!(ChainNode::parse(&node).is_err(), "{missing}");
    }
    for null in ["identityKey", "registrationId", "keyPackage", "possession", "previous"] {
        let mut node = revoke.clone();
        node[null] = json!(null);
        assert_eq!(ChainNode::parse(&node).unwrap_err().pointer, format!("/{null}"));
    }
    assert!(ChainNode::parse(&json!([])).is_err());
}

#[test]
fn what_is_stored_is_what_was_signed() {
    let world = TestChain::new("alice");
    let node = world.add(&world.empty(), 1, 1);
    let read = ChainNode::parse(&node).unwrap();
    assert_eq!(read.canonical(), crate::json::canonical(&node).unwrap());
    assert_eq!(
        (read.to_value(), ChainNode::from_stored(&read.to_stored())),
        (node.clone(), Ok(read.clone()))
    );
    assert_eq!((read.seq(), read.previous(), read.device()), (0, None, node["device"].as_str().unwrap()));
    assert_eq!((json!(read.id()), json!(read.actor())), (node["id"].clone(), node["actor"].clone()));
    assert_eq!(read.published_ms(), NOW_MS);
    let after = read.position();
    assert_eq!(
        (after.length, after.head.as_deref(), after.published_ms),
        (1, Some(&*read.hash()), Some(NOW_MS))
    );
    assert_eq!(read.hash().len(), 64);
    let two = world.two();
    let third = ChainNode::parse(&world.revoke(&two, 2, 1)).unwrap();
    assert_eq!((third.seq(), third.previous()), (2, two.position.head.as_deref()));
    assert!(ChainNode::from_stored(b"{").is_err());
}
