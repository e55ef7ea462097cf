//! The joining code of a device, and the two MACs under it. The chain is that of `chain.json`.

use eko_protocol::chain::{ChainNode, JoiningVerdict};
use serde_json::{Value, json};

use super::chain::described;
use super::{hex, hkdf, hmac, origin};
use crate::cast::{ALICE, ALICE_TABLET};

/// The fields of a MAC, each after its length.
fn framed(fields: &[&[u8]]) -> Vec<u8> {
    let frame = |field: &&[u8]| [&u32::try_from(field.len()).unwrap().to_be_bytes()[..], field].concat();
    fields.iter().flat_map(frame).collect()
}

pub(super) fn vectors(nodes: &[ChainNode]) -> Value {
    let (origin, user, code) = (origin(), ALICE.user(), ALICE_TABLET.joining_code());
    let (secret, new) = (ALICE_TABLET.joining_secret(), described(&ALICE_TABLET));
    let (actor, device) = (origin.actor(&user), origin.device(&user, &new.id));
    let registration_id = new.registration_id.get().to_be_bytes();
    let description: [&[u8]; 4] =
        [actor.as_bytes(), device.as_bytes(), new.identity_key.as_bytes(), &registration_id];
    let (registration_key, approval_key) =
        (hkdf(&secret, "eko-join-v1 registration"), hkdf(&secret, "eko-join-v1 approval"));

    let registered = framed(&description);
    let joining_mac = code.keys().joining_mac(&origin, &user, &new);
    assert_eq!(*joining_mac.as_bytes(), hmac(&registration_key, &registered));

    let (root, approval) = (nodes[0].hash(), &nodes[1]);
    let place: [&[u8]; 3] =
        [&approval.seq().to_be_bytes(), approval.previous().unwrap().as_bytes(), root.as_bytes()];
    let approved = framed(&[&description[..], &place[..]].concat());
    let approval_mac = approval.approval_mac().unwrap();
    assert_eq!(*approval_mac.as_bytes(), hmac(&approval_key, &approved));
    assert_eq!(code.keys().judge(&origin, &user, &new, nodes), JoiningVerdict::Approved);
    json!({
        "secret": hex(secret),
        "code": code.digits(),
        "scannable": code.scannable(),
        "registrationKey": hex(registration_key),
        "approvalKey": hex(approval_key),
        "registration": {
            "actor": actor, "device": device, "identityKey": new.identity_key.to_base64(),
            "registrationId": new.registration_id.get(), "signed": hex(&registered), "joiningMac": joining_mac,
        },
        "approval": {
            "seq": approval.seq(), "previous": approval.previous(), "root": root, "signed": hex(&approved),
            "approvalMac": approval_mac,
        },
    })
}
