use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chain::{NewDevice, UnsignedNode, possession_base, proof_base};
use crate::multibase;
use crate::signer::Signer;

const NOW_MS: i64 = 1_769_715_000_000;

/// A user with devices, each a number that seeds its keys and makes its id.
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

    fn add(&self, state: &ChainState, new: u64, by: u64) -> Value {
        let node =
            UnsignedNode::add(&self.origin, &self.user, &state.position, &self.new_device(new), NOW_MS);
        self.signed(node, by)
    }

    fn reset(&self, state: &ChainState, new: u64, by: u64) -> Value {
        let node =
            UnsignedNode::reset(&self.origin, &self.user, &state.position, &self.new_device(new), NOW_MS);
        self.signed(node, by)
    }

    fn revoke(&self, state: &ChainState, gone: u64, by: u64) -> Value {
        let node = UnsignedNode::revoke(&self.origin, &self.user, &state.position, &device(gone), NOW_MS);
        self.signed(node, by)
    }

    fn append(&self, state: &ChainState, node: &Value) -> Result<ChainState, ChainError> {
        state.append(&self.origin, &self.user, &ChainNode::parse(node).unwrap())
    }

    /// Device 1, then 2 by 1.
    fn two(&self) -> ChainState {
        let one = self.append(&self.empty(), &self.add(&self.empty(), 1, 1)).unwrap();
        self.append(&one, &self.add(&one, 2, 1)).unwrap()
    }

    /// A node with a member changed and signed again by the device that signed it.
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

#[test]
fn the_life_of_a_chain() {
    let world = TestChain::new("alice");
    let empty = world.empty();
    let nodes = |list: &[&Value]| list.iter().map(|node| ChainNode::parse(node).unwrap()).collect::<Vec<_>>();

    let first = world.add(&empty, 1, 1);
    let one = world.append(&empty, &first).unwrap();
    let second = world.add(&one, 2, 1);
    let two = world.append(&one, &second).unwrap();
    assert_eq!(active(&two), [device(1), device(2)]);

    let third = world.revoke(&two, 1, 2);
    let three = world.append(&two, &third).unwrap();
    assert_eq!(active(&three), [device(2)]);

    let fourth = world.revoke(&three, 2, 2);
    let four = world.append(&three, &fourth).unwrap();
    assert!(four.active.is_empty());

    let fifth = world.reset(&four, 5, 5);
    let five = world.append(&four, &fifth).unwrap();
    assert_eq!(active(&five), [device(5)]);

    let all = nodes(&[&first, &second, &third, &fourth, &fifth]);
    assert_eq!(ChainState::replay(&world.origin, &world.user, &all), Ok(five.clone()));
    let set = five.device_set();
    assert_eq!((set.length, set.head.as_deref()), (5, Some(all[4].hash().as_str())));
    assert_eq!(set.active[&device(5)].get(), 6);
    assert_eq!(set.reference().unwrap().head, all[4].hash());
}

#[test]
fn a_reset_leaves_its_device_only() {
    let world = TestChain::new("alice");
    let two = world.two();
    let reset = world.append(&two, &world.reset(&two, 3, 3)).unwrap();
    assert_eq!(active(&reset), [device(3)]);
    assert_eq!(
        world.append(&reset, &world.add(&reset, 4, 1)),
        Err(ChainError::WrongSigner("an active device of this user"))
    );
    assert_eq!(world.append(&reset, &world.add(&reset, 1, 3)), Err(ChainError::DeviceIdReused));
}

#[test]
fn who_may_append() {
    let world = TestChain::new("alice");
    let (empty, two) = (world.empty(), world.two());
    let three = world.append(&two, &world.revoke(&two, 1, 2)).unwrap();
    let (not_new, not_active) = (
        Err(ChainError::WrongSigner("the new device itself")),
        Err(ChainError::WrongSigner("an active device of this user")),
    );
    for (name, state, node, expected) in [
        ("the first is signed by another", &empty, world.add(&empty, 1, 2), &not_new),
        ("the first is a reset", &empty, world.reset(&empty, 1, 1), &Err(ChainError::FirstNodeMustAdd)),
        ("the first is a revocation", &empty, world.revoke(&empty, 1, 1), &Err(ChainError::FirstNodeMustAdd)),
        ("a ghost adds itself", &two, world.add(&two, 3, 3), &not_active),
        ("a ghost revokes", &two, world.revoke(&two, 1, 3), &not_active),
        ("a revoked device adds", &three, world.add(&three, 3, 1), &not_active),
        ("a revoked device revokes", &three, world.revoke(&three, 2, 1), &not_active),
        ("an active device resets for another", &two, world.reset(&two, 3, 1), &not_new),
        (
            "a revoked device resets for itself",
            &three,
            world.reset(&three, 1, 1),
            &Err(ChainError::DeviceIdReused),
        ),
        (
            "an active device resets for itself",
            &two,
            world.reset(&two, 1, 1),
            &Err(ChainError::DeviceIdReused),
        ),
        ("a device is added twice", &two, world.add(&two, 2, 1), &Err(ChainError::DeviceIdReused)),
        ("a revoked device comes back", &three, world.add(&three, 1, 2), &Err(ChainError::DeviceIdReused)),
        ("a device is revoked twice", &three, world.revoke(&three, 1, 2), &Err(ChainError::DeviceNotActive)),
        ("an unknown device is revoked", &two, world.revoke(&two, 7, 2), &Err(ChainError::DeviceNotActive)),
    ] {
        assert_eq!(&world.append(state, &node), expected, "{name}");
    }
}

#[test]
fn stale_heads_are_told_apart() {
    let world = TestChain::new("alice");
    let two = world.two();
    let (a, b) = (world.add(&two, 3, 1), world.add(&two, 4, 2));
    let three = world.append(&two, &a).unwrap();
    let error = world.append(&three, &b).unwrap_err();
    assert_eq!(error, ChainError::WrongSeq { expected: 3 });
    assert!(error.is_stale_head());
    assert_eq!(world.append(&three, &a), Err(ChainError::WrongSeq { expected: 3 }));
    let other_view = world.changed(&a, "/prev", json!("ab".repeat(32)), 1);
    let error = world.append(&two, &other_view).unwrap_err();
    assert_eq!(error, ChainError::WrongPrev { expected: two.position.head.clone() });
    assert!(error.is_stale_head());
    assert!(!ChainError::BadProof.is_stale_head());
    let replaced_first = world.add(&world.empty(), 9, 9);
    let nodes = [replaced_first, a].map(|node| ChainNode::parse(&node).unwrap());
    assert_eq!(
        ChainState::replay(&world.origin, &world.user, &nodes).unwrap_err(),
        ReplayError { index: 1, error: ChainError::WrongSeq { expected: 1 } }
    );
}

#[test]
fn every_member_is_bound() {
    let world = TestChain::new("alice");
    let two = world.two();
    let node = world.add(&two, 3, 1);
    let bobs = TestChain::new("bob").add(&two, 3, 1);
    let ghost = multibase::encode(&Signer::new(8).sign(b"x"));
    for (pointer, value, expected) in [
        (
            "/@context",
            json!(["https://www.w3.org/ns/activitystreams", "https://b.example/ns"]),
            ChainError::WrongContext,
        ),
        (
            "/@context",
            json!(["https://a.example/ns", "https://www.w3.org/ns/activitystreams"]),
            ChainError::WrongContext,
        ),
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
        ("/type/1", json!("ResetDevices")),
    ] {
        let mut unsigned = node.clone();
        *unsigned.pointer_mut(pointer).unwrap() = value;
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
fn at_most_sixteen_are_active() {
    let world = TestChain::new("alice");
    let mut state = world.append(&world.empty(), &world.add(&world.empty(), 1, 1)).unwrap();
    for n in 2..=16 {
        state = world.append(&state, &world.add(&state, n, 1)).unwrap();
    }
    assert_eq!(world.append(&state, &world.add(&state, 17, 1)), Err(ChainError::TooManyDevices));
    state = world.append(&state, &world.revoke(&state, 16, 3)).unwrap();
    assert_eq!(world.append(&state, &world.add(&state, 17, 1)).unwrap().active.len(), 16);
}

#[test]
fn shapes_are_refused_where_they_stand() {
    let world = TestChain::new("alice");
    let two = world.two();
    let (add, revoke) = (world.add(&two, 3, 1), world.revoke(&two, 1, 1));
    let low_order = json!("BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for (node, pointer, value, at) in [
        (&add, "/@context", json!("https://a.example/ns"), "/@context"),
        (&add, "/type", json!("AddDevice"), "/type"),
        (&add, "/type/0", json!("Activity"), "/type/0"),
        (&add, "/type/1", json!("Create"), "/type/1"),
        (&add, "/type/1", json!("RevokeDevice"), "/identityKey"),
        (&revoke, "/type/1", json!("AddDevice"), ""),
        (&add, "/seq", json!(-1), "/seq"),
        (&add, "/seq", json!(2.0), "/seq"),
        (&add, "/seq", json!(1u64 << 60), "/seq"),
        (&add, "/prev", json!("AB".repeat(32)), "/prev"),
        (&add, "/prev", json!("ab"), "/prev"),
        (&add, "/published", json!("2026-01-29T19:30:00+01:00"), "/published"),
        (&add, "/published", json!("now"), "/published"),
        (&add, "/identityKey", json!("AAAA"), "/identityKey"),
        (&add, "/identityKey", low_order, "/identityKey"),
        (&add, "/registrationId", json!(0), "/registrationId"),
        (&add, "/possession", json!("z1"), "/possession"),
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
        "prev",
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
    for null in ["identityKey", "registrationId", "keyPackage", "possession"] {
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
        (read.to_value(), ChainNode::from_canonical(read.canonical())),
        (node.clone(), Ok(read.clone()))
    );
    assert_eq!((read.seq(), read.prev(), read.device()), (0, None, node["device"].as_str().unwrap()));
    assert_eq!(read.hash().len(), 64);
    assert!(ChainNode::from_canonical(b"{").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is tried, in whatever order: the active set is what a plain model says, and replaying gives
    /// it again.
    #[test]
    fn chains_follow_the_model(steps in proptest::collection::vec((0u8..3, 0u64..6, 0u64..6), 1..14)) {
        let world = TestChain::new("alice");
        let (mut state, mut nodes) = (world.empty(), Vec::new());
        let (mut model, mut used) = (BTreeSet::new(), BTreeSet::new());
        for (what, subject, by) in steps {
            let by = if nodes.is_empty() || what == 2 { subject } else { by };
            let (node, allowed) = match what {
                0 => (world.add(&state, subject, by),
                !used.contains(&subject) && (nodes.is_empty() || model.contains(&by))),
                1 => (world.revoke(&state, subject, by), model.contains(&subject) && model.contains(&by)),
                _ => (world.reset(&state, subject, by), !nodes.is_empty() && !used.contains(&subject)),
            };
            let outcome = world.append(&state, &node);
            prop_assert_eq!(outcome.is_ok(), allowed, "{} {} by {}: {:?}", what, subject, by, outcome);
            let Ok(next) = outcome else { continue };
            match what {
                0 => { model.insert(subject); used.insert(subject); }
                1 => { model.remove(&subject); }
                _ => { model = BTreeSet::from([subject]); used.insert(subject); }
            }
            nodes.push(ChainNode::parse(&node).unwrap());
            state = next;
            prop_assert_eq!(active(&state), model.iter().map(|n| device(*n)).collect::<Vec<_>>());
        }
        prop_assert_eq!(ChainState::replay(&world.origin, &world.user, &nodes), Ok(state));
    }

    #[test]
    fn nodes_round_trip(new in 0u64..16000, by in 0u64..1000, what in 0u8..3) {
        let world = TestChain::new("alice");
        let two = world.two();
        let node = match what { 0 => world.add(&two, new, by), 1 => world.reset(&two, new, new),
        _ => world.revoke(&two, new, by) };
        let read = ChainNode::parse(&node).unwrap();
        prop_assert_eq!(read.to_value(), node);
        prop_assert_eq!(ChainNode::from_canonical(read.canonical()), Ok(read));
    }
}
