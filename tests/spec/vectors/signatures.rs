//! The signatures of a device with its own prefixes: `possession` at its registration, `signIn` when
//! it signs in again, with the nonces of its ID tokens; `eko:signature` when it publishes keys, turns
//! another one away, or states its user's device set.

use std::collections::BTreeMap;

use eko_client::content::{HeadStatement, device_sets_hash};
use eko_protocol::address::Origin;
use eko_protocol::chain::{DeviceRejection, NewDevice, possession_base, rejection_base, sign_in_base};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::key::NonceRandom;
use eko_protocol::key_package::{Publication, PublicationKind, publication_base};
use eko_protocol::{multibase, xeddsa};
use serde_json::{Value, json};

use super::{hex, origin, sha256, text};
use crate::cast::{ALICE, ALICE_TABLET, environment, stopped};

pub(super) fn possession() -> Value {
    let (actor, device) = (origin().actor(&ALICE.user()), origin().device(&ALICE.user(), &ALICE.device_id()));
    let identity = ALICE.identity();
    let signed = possession_base(&actor, &device, &identity.public(), ALICE.registration_id());
    let signature = ALICE.possession(&origin());
    assert!(xeddsa::verify(&identity.public(), &signed, &signature));
    let (prefix, canonical) = signed.split_at(signed.iter().position(|byte| *byte == 0).unwrap() + 1);
    assert_eq!(prefix, b"eko-device-possession-v1\0");
    json!({
        "identityPrivate": hex(identity.secret()),
        "actor": actor,
        "device": device,
        "identityKey": identity.public().to_base64(),
        "registrationId": ALICE.registration_id().get(),
        "canonical": text(canonical),
        "signed": hex(&signed),
        "possession": multibase::encode(&signature),
    })
}

pub(super) fn publications() -> Value {
    let kinds = [PublicationKind::Addition, PublicationKind::Replacement];
    json!({
        "identityPrivate": hex(ALICE.identity().secret()),
        "identityKey": ALICE.identity().public().to_base64(),
        "publications": kinds.map(publication),
    })
}

fn publication(kind: PublicationKind) -> Value {
    let (actor, device) = (origin().actor(&ALICE.user()), origin().device(&ALICE.user(), &ALICE.device_id()));
    let object = json!({ "signedPreKey": ALICE.signed_pre_key(), "preKeys": [ALICE.pre_key(3)] });
    let published = "2026-01-29T19:30:00Z";
    let signed = publication_base(&actor, &device, &object, published, kind).unwrap();
    let signature = ALICE.sign(&signed, "publication");
    let mut activity = json!({
        "type": "Add",
        "actor": actor,
        "published": published,
        "object": object,
        "eko:signature": multibase::encode(&signature),
    });
    if kind == PublicationKind::Replacement {
        activity["eko:replacesAll"] = json!(true);
    }
    let published_ms = eko_protocol::timestamp::parse(published).unwrap();
    let read = Publication::parse(&activity).unwrap();
    read.verify(&actor, &device, &ALICE.identity().public(), published_ms).unwrap();
    let (prefix, canonical) = signed.split_at(signed.iter().position(|byte| *byte == 0).unwrap() + 1);
    assert_eq!(prefix, b"eko-publication-v1\0");
    json!({
        "device": device,
        "activity": activity,
        "canonical": text(canonical),
        "signed": hex(&signed),
    })
}

pub(super) fn rejection() -> Value {
    let actor = origin().actor(&ALICE.user());
    let device = origin().device(&ALICE.user(), &ALICE_TABLET.device_id());
    let pending = NewDevice {
        id: ALICE_TABLET.device_id(),
        identity_key: ALICE_TABLET.identity().public(),
        registration_id: ALICE_TABLET.registration_id(),
        possession: ALICE_TABLET.possession(&origin()),
    };
    let set = DeviceSetRef::new(1, sha256("the first node")).unwrap();
    let signed = rejection_base(&actor, &device, &pending, &set);
    let signature = ALICE.sign(&signed, "rejection");
    let activity = json!({
        "type": "Reject",
        "object": device,
        "eko:deviceSet": set,
        "eko:signature": multibase::encode(&signature),
    });
    let identity = ALICE.identity();
    DeviceRejection::parse(&activity).unwrap().verify(&actor, &pending, &identity.public()).unwrap();
    let (prefix, canonical) = signed.split_at(signed.iter().position(|byte| *byte == 0).unwrap() + 1);
    assert_eq!(prefix, b"eko-device-rejection-v1\0");
    json!({
        "identityPrivate": hex(identity.secret()),
        "identityKey": identity.public().to_base64(),
        "pending": { "identityKey": pending.identity_key, "registrationId": pending.registration_id },
        "activity": activity,
        "canonical": text(canonical),
        "signed": hex(&signed),
    })
}

pub(super) fn head() -> Value {
    let (actor, device) = (origin().actor(&ALICE.user()), origin().device(&ALICE.user(), &ALICE.device_id()));
    let set = DeviceSetRef::new(3, sha256("the third node")).unwrap();
    let published = "2026-01-29T19:30:00.007Z";
    let canonical = format!(
        r#"{{"actor":"{actor}","device":"{device}","head":"{}","length":3,"published":"{published}"}}"#,
        set.head
    );
    let signed = format!("eko-device-head-v1\0{canonical}");
    let (identity, published_ms) = (ALICE.identity(), eko_protocol::timestamp::parse(published).unwrap());
    let statement = HeadStatement { actor: &actor, device: &device, published_ms };
    let head = statement.sign(set, &identity, &environment("head", stopped())).unwrap();
    assert!(xeddsa::verify(&identity.public(), signed.as_bytes(), &head.signature));
    let other = DeviceSetRef::new(12, sha256("the twelfth node")).unwrap();
    let bob = "https://b.example/user/bob".to_owned();
    let sets = BTreeMap::from([(actor.clone(), head.set.clone()), (bob, other)]);
    let sets_canonical = text(&eko_protocol::json::canonical(&json!(sets)).unwrap());
    let sets_hash = device_sets_hash(&sets).unwrap();
    assert_eq!(sets_hash, sha256(&sets_canonical));
    json!({
        "identityPrivate": hex(identity.secret()),
        "identityKey": identity.public().to_base64(),
        "deviceSets": {
            "eko:deviceSets": sets,
            "canonical": sets_canonical,
            "eko:deviceSetsHash": sets_hash,
        },
        "activity": {
            "actor": actor,
            "published": published,
            "eko:deviceSet": head.set,
            "eko:signature": multibase::encode(&head.signature),
        },
        "device": device,
        "canonical": canonical,
        "signed": hex(&signed),
    })
}

pub(super) fn sign_in() -> Value {
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
    let identity = ALICE.identity();
    let signed = sign_in_base(token.as_bytes());
    assert_eq!(hex(&signed), hex(b"eko-device-signin-v1\0") + &sha256(token));
    let signature = ALICE.sign(&signed, "sign-in");
    assert!(xeddsa::verify(&identity.public(), &signed, &signature));
    let nonces = ["https://eko.example", "http://localhost:8080"].map(nonce);
    json!({
        "identityPrivate": hex(identity.secret()),
        "identityKey": identity.public().to_base64(),
        "idToken": token,
        "sha256": sha256(token),
        "signed": hex(&signed),
        "signIn": multibase::encode(&signature),
        "nonces": nonces,
    })
}

/// The nonce of an ID token for Alice's device at the server of this origin.
fn nonce(origin: &str) -> Value {
    let (identity, random) =
        (ALICE.identity().public(), NonceRandom::from(*b"32 random bytes of one sign-in.."));
    let members = json!({ "identityKey": identity, "origin": origin, "random": random });
    let canonical = text(&eko_protocol::json::canonical(&members).unwrap());
    let hashed = format!("eko-oidc-v1\0{canonical}");
    let nonce = eko_protocol::sign_in::nonce(&Origin::parse(origin).unwrap(), &identity, &random);
    assert_eq!(nonce, sha256(&hashed));
    json!({
        "origin": origin,
        "nonceRandom": random,
        "canonical": canonical,
        "hashed": hex(&hashed),
        "nonce": nonce,
    })
}
