//! A thief who has a device's access token, and what passed between the device and its server, but
//! no private key.

use eko_client::Device;
use eko_protocol::chain::rejection_base;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::key_package::{PublicationKind, publication_base};
use eko_protocol::{multibase, timestamp};
use eko_testkit::{COUNTS, DirectTransport};
use serde_json::{Value, json};

use crate::scene::AttackScene;

const PACKAGES: &str = "/user/bob/keyPackages";
const HOUR_MS: i64 = 3_600_000;

/// Returns a publication of this object for Bob's device, signed by another identity.
fn forged(
    scene: &AttackScene,
    signer: &Device<DirectTransport>,
    of: &Device<DirectTransport>,
    object: &Value,
    kind: PublicationKind,
) -> Value {
    let published = timestamp::format(scene.world.now_ms());
    let base = publication_base(&of.actor(), &of.address(), object, &published, kind).unwrap();
    let signature = signer.keys().identity().sign(&base, signer.environment());
    json!({
        "type": "Add",
        "published": published,
        "object": object,
        "eko:replacesAll": kind == PublicationKind::Replacement,
        "eko:signature": multibase::encode(&signature),
    })
}

/// Publishing the highest id would end all publications of the device.
#[tokio::test]
async fn that_publishes_the_highest_id() {
    let mut scene = AttackScene::with(COUNTS, |_| {}).await;
    let key = scene.alice.keys().signed_pre_key().key.to_base64();
    let highest = json!({ "preKeys": [{ "keyId": 0x7FFF_FFFF_u32, "key": key }] });
    let unsigned = json!({ "type": "Add", "object": highest });
    let (addition, replacement) = (PublicationKind::Addition, PublicationKind::Replacement);
    let mut all = json!(scene.bob.keys().first());
    all["preKeys"][2]["keyId"] = json!(0x7FFF_FFFF_u32);
    let cases = [
        ("without a signature", unsigned.clone(), "422 invalid #/published"),
        (
            "signed by the thief",
            forged(&scene, &scene.alice, &scene.bob, &highest, addition),
            "422 invalid #/eko:signature",
        ),
        (
            "replacing all",
            forged(&scene, &scene.alice, &scene.bob, &all, replacement),
            "422 invalid #/eko:signature",
        ),
        // Even a device that signs it cannot do that to itself by mistake.
        (
            "signed by the device",
            forged(&scene, &scene.bob, &scene.bob, &highest, addition),
            "422 invalid #/object/preKeys/0/keyId",
        ),
    ];
    for (name, activity, expected) in cases {
        assert_eq!(scene.post(&scene.bob, PACKAGES, &activity).await, expected, "{name}");
        scene.assert_unchanged(name).await;
    }
    let environment = scene.bob.environment().clone();
    let keys = scene.bob.keys_mut().more(1, 1, &environment).unwrap();
    scene.bob.publish(&keys).await.unwrap();
}

/// Keys of the thief would let the thief read first messages.
#[tokio::test]
async fn that_publishes_keys_of_its_own() {
    let scene = AttackScene::with(COUNTS, |_| {}).await;
    let captured = json!({ "preKeys": [{ "keyId": 4, "key": scene.bob.keys().signed_pre_key().key }] });
    let captured =
        scene.bob.add_activity(&captured, PublicationKind::Addition, scene.world.now_ms()).unwrap();
    let theirs = json!({ "preKeys": [{ "keyId": 4, "key": scene.alice.keys().signed_pre_key().key }] });
    let changed = |name: &str, to: Value| {
        let mut activity = captured.clone();
        activity[name] = to;
        activity
    };
    let mut one_more = captured["object"].clone();
    one_more["preKeys"].as_array_mut().unwrap().push(theirs["preKeys"][0].clone());
    let other_device = forged(&scene, &scene.bob, &scene.alice, &theirs, PublicationKind::Addition);
    let cases = [
        ("in place of the device's", changed("object", theirs.clone())),
        ("beside the device's", changed("object", one_more)),
        ("as a replacement", changed("eko:replacesAll", json!(true))),
        ("at another time", changed("published", json!(timestamp::format(scene.world.now_ms() + 1)))),
        ("as they were signed for another device", other_device),
        (
            "with another's signature",
            forged(&scene, &scene.alice, &scene.bob, &theirs, PublicationKind::Addition),
        ),
    ];
    for (name, activity) in cases {
        let activity = match name {
            "as a replacement" => {
                let mut activity = activity;
                activity["object"]["signedPreKey"] = json!(scene.bob.keys().signed_pre_key());
                activity
            }
            _ => activity,
        };
        let answer = scene.post(&scene.bob, PACKAGES, &activity).await;
        assert_eq!(answer, "422 invalid #/eko:signature", "{name}");
        scene.assert_unchanged(name).await;
    }
    assert_eq!(scene.post(&scene.bob, PACKAGES, &captured).await, "200");
}

/// A captured publication brings nothing back: no one-time key, no signed key, no pool.
#[tokio::test]
async fn that_replays_a_publication() {
    let mut scene = AttackScene::with(COUNTS, |_| {}).await;
    let environment = scene.bob.environment().clone();
    let mut captured = Vec::new();
    for round in 0..3 {
        let now_ms = scene.world.now_ms();
        let mut keys = scene.bob.keys_mut().more(1, 1, &environment).unwrap();
        let signed = scene.bob.keys_mut().rotate(&environment).unwrap();
        (keys.signed_pre_key, keys.last_resort) = (signed.signed_pre_key, signed.last_resort);
        let kind = if round == 1 { PublicationKind::Replacement } else { PublicationKind::Addition };
        let activity = scene.bob.add_activity(&json!(keys), kind, now_ms).unwrap();
        assert_eq!(scene.post(&scene.bob, PACKAGES, &activity).await, "200");
        captured.push(activity);
        scene.world.advance(2 * HOUR_MS);
        scene.bob.refresh().await.unwrap();
    }
    scene.alice.refresh().await.unwrap();
    for _ in 0..3 {
        scene.alice.take(scene.bob.user()).await.unwrap();
    }
    scene.take_baseline().await;
    let expected = ["422 invalid #/published", "422 invalid #/published", "200"];
    for (activity, expected) in captured.iter().zip(expected) {
        assert_eq!(scene.post(&scene.bob, PACKAGES, activity).await, expected);
        scene.assert_unchanged("a replayed publication").await;
    }
    scene.world.advance(24 * HOUR_MS);
    scene.bob.refresh().await.unwrap();
    scene.take_baseline().await;
    for activity in &captured {
        assert_eq!(scene.post(&scene.bob, PACKAGES, activity).await, "422 invalid #/published");
        scene.assert_unchanged("an old publication").await;
    }
}

/// Turning a device away uses its id up, and its owner has to begin anew.
#[tokio::test]
async fn that_turns_a_device_away() {
    let mut scene = AttackScene::new().await;
    let tablet = scene.world.pending(&scene.bob, "tablet").await;
    let laptop = scene.world.pending(&scene.bob, "laptop").await;
    scene.world.deliver().await;
    scene.take_baseline().await;
    let set = scene.bob.chain(scene.bob.user()).await.unwrap().1.device_set().reference().unwrap();
    let good = scene.bob.rejection(&laptop.described(), &set);
    let changed = |name: &str, to: Value| {
        let mut activity = good.clone();
        activity[name] = to;
        activity
    };
    let mut other_keys = tablet.described();
    other_keys.identity_key = laptop.described().identity_key;
    let mut other_registration = tablet.described();
    other_registration.registration_id = laptop.described().registration_id;
    let sign =
        |base: &[u8]| multibase::encode(&scene.alice.keys().identity().sign(base, scene.alice.environment()));
    let base = rejection_base(&scene.bob.actor(), &tablet.address(), &tablet.described(), &set);
    let longer = DeviceSetRef { length: set.length + 1, ..set.clone() };
    let unsigned = json!({ "type": "Reject", "object": tablet.address() });
    let mut by_the_thief = scene.bob.rejection(&tablet.described(), &set);
    by_the_thief["eko:signature"] = json!(sign(&base));
    let wrong = "422 invalid #/eko:signature";
    let cases = [
        ("without a signature", unsigned, "422 invalid #/eko:deviceSet"),
        ("signed by the thief", by_the_thief, wrong),
        ("as another one was", changed("object", json!(tablet.address())), wrong),
        ("with another identity key", scene.bob.rejection(&other_keys, &set), wrong),
        ("with another registration id", scene.bob.rejection(&other_registration, &set), wrong),
        ("at another place", changed("eko:deviceSet", json!(longer)), "409 stale-head"),
        ("of a longer chain", scene.bob.rejection(&tablet.described(), &longer), "409 stale-head"),
        ("signed by itself", tablet.rejection(&tablet.described(), &set), wrong),
    ];
    for (name, activity, expected) in cases {
        assert_eq!(scene.post(&scene.bob, "/user/bob/devices", &activity).await, expected, "{name}");
        scene.assert_unchanged(name).await;
    }
    assert_eq!(scene.post(&scene.bob, "/user/bob/devices", &good).await, "204");
}
