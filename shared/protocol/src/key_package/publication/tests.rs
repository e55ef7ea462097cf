//! Publications: members, signature and times.

use proptest::prelude::*;

use super::*;
use crate::key::KeyId;
use crate::key_package::{OneTimePreKey, SignedPreKey};
use crate::signer::Signer;

const ACTOR: &str = "https://a.example/user/alice";
const DEVICE: &str = "https://a.example/user/alice/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11";
const PUBLISHED: &str = "2026-01-29T19:30:00Z";
const PUBLISHED_MS: i64 = 1_769_715_000_000;
const DAY_MS: i64 = 86_400_000;

/// Returns a signed prekey and a one-time prekey.
fn keys(signer: &Signer) -> Value {
    let (key, one_time) = (Signer::new(8).curve(), Signer::new(9).curve());
    json!(PublishedKeys {
        signed_pre_key: Some(SignedPreKey {
            id: KeyId::new(1).unwrap(),
            key,
            signature: signer.sign(key.as_bytes()),
        }),
        pre_keys: vec![OneTimePreKey { id: KeyId::new(1).unwrap(), key: one_time }],
        ..PublishedKeys::default()
    })
}

/// Returns a publication that is signed.
fn signed(signer: &Signer, object: &Value, kind: PublicationKind) -> Value {
    let base = publication_base(ACTOR, DEVICE, object, PUBLISHED, kind).unwrap();
    let mut activity = json!({
        "type": "Add",
        "published": PUBLISHED,
        "object": object,
        "eko:signature": multibase::encode(&signer.sign(&base)),
    });
    if kind == PublicationKind::Replacement {
        activity["eko:replacesAll"] = json!(true);
    }
    activity
}

/// Reads and verifies a publication, and returns the pointer of its fault.
fn fault(activity: &Value, now_ms: i64) -> String {
    let identity = Signer::new(1).identity();
    let verified =
        Publication::parse(activity).and_then(|read| read.verify(ACTOR, DEVICE, &identity, now_ms));
    verified.map_or_else(|fault| fault.pointer, |()| "none".to_owned())
}

#[test]
fn the_signature_covers_every_member() {
    let signer = Signer::new(1);
    let object = keys(&signer);
    let good = signed(&signer, &object, PublicationKind::Addition);
    assert_eq!(fault(&good, PUBLISHED_MS), "none");
    let replacement = signed(&signer, &object, PublicationKind::Replacement);
    assert_eq!(fault(&replacement, PUBLISHED_MS), "none");

    let changed = |activity: &Value, name: &str, to: Value| {
        let mut changed = activity.clone();
        changed[name] = to;
        fault(&changed, PUBLISHED_MS)
    };
    let mut other_id = object.clone();
    other_id["preKeys"][0]["id"] = json!(2);
    let mut other_key = object.clone();
    other_key["preKeys"][0]["key"] = object["signedPreKey"]["key"].clone();
    let mut one_more = object.clone();
    one_more["other"] = json!(1);
    for other in [other_id, other_key, one_more] {
        assert_eq!(changed(&good, "object", other.clone()), "/eko:signature", "{other}");
    }
    assert_eq!(changed(&good, "published", json!("2026-01-29T19:30:01Z")), "/eko:signature");
    assert_eq!(changed(&good, "published", json!("2026-01-29T19:30:00.0Z")), "/eko:signature");
    assert_eq!(changed(&good, "eko:replacesAll", json!(true)), "/eko:signature");
    assert_eq!(changed(&good, "eko:replacesAll", json!(false)), "none");
    assert_eq!(changed(&replacement, "eko:replacesAll", json!(false)), "/eko:signature");
    assert_eq!(
        fault(&signed(&Signer::new(2), &object, PublicationKind::Addition), PUBLISHED_MS),
        "/eko:signature"
    );

    let publication = Publication::parse(&good).unwrap();
    let identity = signer.identity();
    for (actor, device) in [(DEVICE, DEVICE), (ACTOR, ACTOR)] {
        let refused = publication.verify(actor, device, &identity, PUBLISHED_MS).unwrap_err();
        assert_eq!(refused.pointer, "/eko:signature");
    }
}

#[test]
fn the_order_of_keys_is_signed_too() {
    let signer = Signer::new(1);
    let mut object = json!({ "preKeys": [
        { "keyId": 1, "key": Signer::new(8).curve() },
        { "keyId": 2, "key": Signer::new(9).curve() },
    ] });
    let mut activity = signed(&signer, &object, PublicationKind::Addition);
    assert_eq!(fault(&activity, PUBLISHED_MS), "none");
    object["preKeys"].as_array_mut().unwrap().reverse();
    activity["object"] = object;
    assert_eq!(fault(&activity, PUBLISHED_MS), "/eko:signature");
}

#[test]
fn a_publication_is_of_today() {
    let signer = Signer::new(1);
    let good = signed(&signer, &keys(&signer), PublicationKind::Addition);
    for (now_ms, due) in [
        (PUBLISHED_MS + DAY_MS, "none"),
        (PUBLISHED_MS + DAY_MS + 1, "/published"),
        (PUBLISHED_MS - DAY_MS, "none"),
        (PUBLISHED_MS - DAY_MS - 1, "/published"),
        (i64::MIN, "/published"),
        (i64::MAX, "/published"),
    ] {
        assert_eq!(fault(&good, now_ms), due, "{now_ms}");
    }
    let publication = Publication::parse(&good).unwrap();
    let late = publication.verify(ACTOR, DEVICE, &signer.identity(), PUBLISHED_MS + 2 * DAY_MS).unwrap_err();
    assert!(late.detail.contains("2026-01-31T19:30:00Z"), "the server's time: {}", late.detail);
}

#[test]
fn wrong_members_are_refused_where_they_stand() {
    let signer = Signer::new(1);
    let good = signed(&signer, &keys(&signer), PublicationKind::Replacement);
    for (name, to, pointer) in [
        ("object", Value::Null, "/object"),
        ("object", json!([]), "/object"),
        ("object", json!({}), "/object"),
        ("object", json!({ "preKeys": good["object"]["preKeys"] }), "/object/signedPreKey"),
        ("object", json!({ "preKeys": [], "other": u64::MAX }), "/object"),
        ("published", Value::Null, "/published"),
        ("published", json!("2026-01-29T20:30:00+01:00"), "/published"),
        ("published", json!(0), "/published"),
        ("eko:replacesAll", json!("true"), "/eko:replacesAll"),
        ("eko:replacesAll", json!(1), "/eko:replacesAll"),
        ("eko:signature", Value::Null, "/eko:signature"),
        ("eko:signature", json!("z1"), "/eko:signature"),
    ] {
        let mut activity = good.clone();
        activity[name] = to.clone();
        assert_eq!(fault(&activity, PUBLISHED_MS), pointer, "{name}: {to}");
        if to.is_null() {
            activity.as_object_mut().unwrap().remove(name);
            assert_eq!(fault(&activity, PUBLISHED_MS), pointer, "no {name}");
        }
    }
    let mut unsafe_number = good;
    unsafe_number["object"]["other"] = json!(u64::MAX);
    assert_eq!(fault(&unsafe_number, PUBLISHED_MS), "/object/other");
}

proptest! {
    #[test]
    fn any_activity_is_read_without_panic(
        published in ".{0,30}",
        signature in ".{0,90}",
        replaces in any::<Option<bool>>(),
    ) {
        let object = keys(&Signer::new(1));
        let activity = json!({
            "object": object, "published": published, "eko:signature": signature,
            "eko:replacesAll": replaces,
        });
        let _ = fault(&activity, 0);
    }
}
