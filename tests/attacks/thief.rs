//! A thief who has a device's access token, and what passed between the device and its server, but
//! no private key.

use eko_client::Device;
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
    let highest = json!({ "preKeys": [{ "id": 0x7FFF_FFFF_u32, "key": key }] });
    let unsigned = json!({ "type": "Add", "object": highest });
    let (addition, replacement) = (PublicationKind::Addition, PublicationKind::Replacement);
    let mut all = json!(scene.bob.keys().first());
    all["preKeys"][2]["id"] = json!(0x7FFF_FFFF_u32);
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
            "422 invalid #/object/preKeys/0/id",
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
    let captured = json!({ "preKeys": [{ "id": 4, "key": scene.bob.keys().signed_pre_key().key }] });
    let captured =
        scene.bob.add_activity(&captured, PublicationKind::Addition, scene.world.now_ms()).unwrap();
    let theirs = json!({ "preKeys": [{ "id": 4, "key": scene.alice.keys().signed_pre_key().key }] });
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
