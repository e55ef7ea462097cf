//! Tests of the MACs of joining: what each of them binds.

use super::*;
use crate::chain::{NextNode, UnsignedNode};
use crate::id::DeviceId;
use crate::key::RegistrationId;
use crate::signer::Signer;

const SECRET: [u8; 16] = [9; 16];

fn user(name: &str) -> (Origin, UserName) {
    (Origin::parse("https://a.example").unwrap(), UserName::parse(name).unwrap())
}

fn device(n: u64) -> NewDevice {
    let signer = Signer::new(n);
    NewDevice {
        id: DeviceId::parse(&format!("0f3c9b1e-5a57-4b0e-9c39-{n:012x}")).unwrap(),
        identity_key: signer.identity(),
        registration_id: RegistrationId::new(n).unwrap(),
        possession: signer.sign(b"possession is not verified here"),
    }
}

/// Appends a node to a chain. Proofs are not verified here, so device 1 signs everything.
fn append(chain: &[ChainNode], make: impl FnOnce(NextNode<'_>) -> UnsignedNode) -> Vec<ChainNode> {
    let (origin, user) = user("bob");
    let position = chain.last().map(ChainNode::position).unwrap_or_default();
    let unsigned = make(NextNode::new(&origin, &user, &position, 0));
    let signature = Signer::new(1).sign(&unsigned.signing_bytes().unwrap());
    let node = ChainNode::parse(&unsigned.finish(&device(1).id, &signature)).unwrap();
    [chain, &[node]].concat()
}

/// Returns the chain of device 1.
fn begun() -> Vec<ChainNode> {
    append(&[], |next| next.begin(&device(1)))
}

/// Returns the chain in which the holder of the joining code approved device `n` after `chain`.
fn approved(chain: &[ChainNode], n: u64) -> Vec<ChainNode> {
    let (origin, user) = user("bob");
    let mac = JoiningKeys::derive(&SECRET).approval_mac(&origin, &user, &device(n), chain).unwrap();
    append(chain, |next| next.approve(&device(n), &mac))
}

fn judge(secret: [u8; 16], of: &str, new: &NewDevice, chain: &[ChainNode]) -> JoiningVerdict {
    let (origin, user) = user(of);
    JoiningKeys::derive(&secret).judge(&origin, &user, new, chain)
}

#[test]
fn the_keys_are_those_of_hkdf() {
    // Python: hkdf(secret, salt=b"", info=b"eko-join-v1 registration"), then HMAC of nothing.
    let of_nothing = |state: HmacState| hex::encode(finished(state).as_bytes());
    let JoiningKeys { registration, approval } = JoiningKeys::derive(&SECRET);
    assert_eq!(of_nothing(registration), "092ad582eff39c1893327b9cfbd268274c17266795ecc8167fe1887ae18385f0");
    assert_eq!(of_nothing(approval), "2abd73141bbb568784db5239733db449190067f5fd26a8e906fac9e7f1670b0f");
}

#[test]
fn a_registration_binds_its_device_and_user() {
    let (origin, bob) = user("bob");
    let keys = JoiningKeys::derive(&SECRET);
    let new = device(2);
    let mac = keys.joining_mac(&origin, &bob, &new);
    assert!(keys.registered(&origin, &bob, &new, &mac));
    assert!(!JoiningKeys::derive(&[8; 16]).registered(&origin, &bob, &new, &mac));
    assert!(!keys.registered(&origin, &UserName::parse("eve").unwrap(), &new, &mac));
    assert!(!keys.registered(&Origin::parse("https://b.example").unwrap(), &bob, &new, &mac));
    for other in [
        NewDevice { id: device(3).id, ..new.clone() },
        NewDevice { identity_key: device(3).identity_key, ..new.clone() },
        NewDevice { registration_id: device(3).registration_id, ..new.clone() },
    ] {
        assert!(!keys.registered(&origin, &bob, &other, &mac));
    }
    // The MAC of a registration approves nothing.
    let chain = append(&begun(), |next| next.approve(&new, &mac));
    assert_eq!(judge(SECRET, "bob", &new, &chain), JoiningVerdict::False);
}

#[test]
fn an_approval_binds_the_whole_chain_before_it() {
    let chain = approved(&begun(), 2);
    assert_eq!(judge(SECRET, "bob", &device(2), &chain), JoiningVerdict::Approved);
    assert_eq!(judge(SECRET, "bob", &device(2), &begun()), JoiningVerdict::NotAdded);
    assert_eq!(judge([8; 16], "bob", &device(2), &chain), JoiningVerdict::False);
    // What comes after it follows the usual rules.
    let longer = append(&chain, |next| next.revoke(&device(1).id));
    assert_eq!(judge(SECRET, "bob", &device(2), &longer), JoiningVerdict::Approved);
    // A reset needs nobody's consent, so it ends what the approval says.
    let reset = append(&longer, |next| next.reset(&device(5)));
    assert_eq!(judge(SECRET, "bob", &device(2), &reset), JoiningVerdict::Replaced);

    let mac = *chain[1].approval_mac().unwrap();
    for (what, before) in [
        ("another root", append(&[], |next| next.begin(&device(7)))),
        ("one more node", approved(&begun(), 3)),
        ("a reset before it", append(&begun(), |next| next.reset(&device(4)))),
    ] {
        let replayed = append(&before, |next| next.approve(&device(2), &mac));
        assert_eq!(judge(SECRET, "bob", &device(2), &replayed), JoiningVerdict::False, "{what}");
    }
}

#[test]
fn an_approval_binds_the_device() {
    let chain = approved(&begun(), 2);
    let mac = *chain[1].approval_mac().unwrap();
    let (origin, bob) = user("bob");
    // The approval of one device, put into the node of another; and a node with another key under
    // this device's id.
    let of_another = append(&begun(), |next| next.approve(&device(3), &mac));
    assert_eq!(judge(SECRET, "bob", &device(3), &of_another), JoiningVerdict::False);
    let swapped = NewDevice { id: device(2).id, ..device(3) };
    for described in [&device(2), &swapped] {
        let mac = JoiningKeys::derive(&SECRET).approval_mac(&origin, &bob, described, &begun()).unwrap();
        let chain = append(&begun(), |next| next.approve(&swapped, &mac));
        assert_eq!(judge(SECRET, "bob", &device(2), &chain), JoiningVerdict::False);
    }
    // A device that began the chain, or began it anew, was approved by nobody.
    assert_eq!(judge(SECRET, "bob", &device(1), &begun()), JoiningVerdict::False);
    let reset = append(&begun(), |next| next.reset(&device(2)));
    assert_eq!(judge(SECRET, "bob", &device(2), &reset), JoiningVerdict::False);
}

#[test]
fn an_empty_chain_is_approved_for_nobody() {
    let (origin, bob) = user("bob");
    assert_eq!(JoiningKeys::derive(&SECRET).approval_mac(&origin, &bob, &device(2), &[]), None);
    let mac = JoiningMac::from([0; 32]);
    let first = append(&[], |next| next.approve(&device(2), &mac));
    assert_eq!(judge(SECRET, "bob", &device(2), &first), JoiningVerdict::False);
}
