//! Publications: they replenish pools and rotate signed keys, whole or not at all, and repeating
//! one adds nothing.

use eko_client::device::RegistrationProof;
use eko_protocol::key_package::PublicationKind;
use eko_testkit::{BARE, World, post_registration, refusal, refused};
use serde_json::{Value, json};

use super::{add, curve, left, more, post_add, signed_add, take};
use crate::people::alice_and_bob;
use crate::requests::post;
use crate::variants::changed;
use crate::{HOUR_MS, MINUTE_MS};

#[tokio::test]
async fn a_pool_is_replenished_after_it_ran_dry() {
    let (_world, alice, mut bob) = alice_and_bob().await;
    // Bob has three Curve25519 keys and two Kyber keys: the third take finds the Kyber pool empty.
    for _ in 0..3 {
        take(&alice, &bob).await;
    }
    let keys = more(&mut bob, 2, 1);
    assert_eq!(bob.publish(&keys).await.unwrap(), left(2, 1));
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(2, 1));
    assert_eq!(take(&alice, &bob).await, (Some(4), Some(4)));
    assert_eq!(take(&alice, &bob).await, (Some(5), Some(1)));
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(0, 0));
}

#[tokio::test]
async fn one_kind_is_replenished_while_the_other_stays_empty() {
    let world = World::with(|config| config.limits.take_budget = 100).await;
    let (alice, mut bob) = (world.user("alice").await, world.user_with("bob", curve(2)).await);
    let mut seen = Vec::new();
    for round in 0..3_u16 {
        let keys = more(&mut bob, 25, 0);
        bob.publish(&keys).await.unwrap();
        for _ in 0..25 + 2 * u16::from(round == 0) {
            seen.extend(take(&alice, &bob).await.0);
        }
        assert_eq!(take(&alice, &bob).await, (None, None));
    }
    assert_eq!(seen, (1..=77).collect::<Vec<u32>>());
    // A device may publish its first Kyber keys late; the pool then begins at its first place.
    let keys = more(&mut bob, 0, 1);
    bob.publish(&keys).await.unwrap();
    assert_eq!(take(&alice, &bob).await, (None, Some(1)));
}

#[tokio::test]
async fn a_signed_key_is_rotated() {
    let (_world, alice, mut bob) = alice_and_bob().await;
    let environment = bob.environment().clone();
    assert!(bob.check_keys().await.unwrap());
    let rotated = bob.keys_mut().rotate(&environment).unwrap();
    // The client has made a new signed key and has not published it yet.
    assert!(!bob.check_keys().await.unwrap());
    assert_eq!(bob.publish(&rotated).await.unwrap(), left(3, 2));
    assert!(bob.check_keys().await.unwrap());
    let listed = alice.key_packages(bob.user()).await.unwrap().packages;
    assert_eq!(Some(&listed[0].signed_pre_key), rotated.signed_pre_key.as_ref());
    assert_eq!(listed[0].kyber_pre_key, rotated.last_resort);
    assert_eq!(take(&alice, &bob).await, (Some(1), Some(2)));
    assert_eq!(add(&alice, &json!(rotated)).await, "422 invalid #/object/signedPreKey/signature");
}

#[tokio::test]
async fn published_whole_or_not_at_all() {
    let (world, alice, mut bob) = alice_and_bob().await;
    let fresh = json!(more(&mut bob, 2, 1));
    let environment = bob.environment().clone();
    let rotated = json!(bob.keys_mut().rotate(&environment).unwrap());
    let mut good = fresh.clone();
    good["signedPreKey"] = rotated["signedPreKey"].clone();
    good["lastResortKyberPreKey"] = rotated["lastResortKyberPreKey"].clone();
    let first = json!(bob.keys().first());
    let theirs = json!(alice.keys().first());
    let key = good["preKeys"][0]["key"].as_str().unwrap().to_owned();
    let changed = |pointer: &str, to: Value| changed(&good, pointer, to);
    let hundred_and_one = |id: u32| json!({ "keyId": id, "key": key });
    let flooded = changed("/preKeys", (10..111).map(hundred_and_one).collect());
    let cases: Vec<(&str, Value, &str)> = vec![
        (
            "another's signature",
            changed("/signedPreKey/signature", theirs["signedPreKey"]["signature"].clone()),
            "/signedPreKey/signature",
        ),
        (
            "another's Kyber key",
            changed("/kyberPreKeys/0/key", theirs["kyberPreKeys"][0]["key"].clone()),
            "/kyberPreKeys/0/signature",
        ),
        (
            "another's last resort",
            changed("/lastResortKyberPreKey", theirs["lastResortKyberPreKey"].clone()),
            "/lastResortKyberPreKey/signature",
        ),
        (
            "a signature too short",
            changed("/signedPreKey/signature", json!("AAAA")),
            "/signedPreKey/signature",
        ),
        ("a key too short", changed("/preKeys/1/key", json!("BQAA")), "/preKeys/1/key"),
        (
            "a key of another kind",
            changed("/preKeys/1/key", json!(key.replacen('B', "C", 1))),
            "/preKeys/1/key",
        ),
        ("a Kyber key too short", changed("/kyberPreKeys/0/key", json!("CAAA")), "/kyberPreKeys/0/key"),
        ("no base64", changed("/preKeys/0/key", json!("?")), "/preKeys/0/key"),
        ("an id that is no number", changed("/preKeys/0/keyId", json!("4")), "/preKeys/0/keyId"),
        ("an id below 0", changed("/preKeys/0/keyId", json!(-1)), "/preKeys/0/keyId"),
        ("an id above 2^31 - 1", changed("/preKeys/0/keyId", json!(1_u64 << 31)), "/preKeys/0/keyId"),
        ("an id twice", changed("/preKeys/1/keyId", good["preKeys"][0]["keyId"].clone()), "/preKeys/1/keyId"),
        (
            "the last resort's id",
            changed("/kyberPreKeys/0/keyId", good["lastResortKyberPreKey"]["keyId"].clone()),
            "/kyberPreKeys/0/keyId",
        ),
        ("more than a hundred", flooded, "/preKeys"),
        (
            "an id of other bytes",
            changed("/preKeys/0/keyId", first["preKeys"][2]["keyId"].clone()),
            "/preKeys/0/keyId",
        ),
        (
            "a signed key's id of other bytes",
            changed("/signedPreKey/keyId", first["signedPreKey"]["keyId"].clone()),
            "/signedPreKey/keyId",
        ),
        (
            "a last resort's id of other bytes",
            changed("/lastResortKyberPreKey/keyId", first["lastResortKyberPreKey"]["keyId"].clone()),
            "/lastResortKyberPreKey/keyId",
        ),
        ("a key that is none", changed("/preKeys/0", json!("key")), "/preKeys/0"),
        ("keys that are no array", changed("/preKeys", json!({})), "/preKeys"),
        ("nothing", json!({}), ""),
        ("no object", json!([]), ""),
    ];
    let before = world.stored().await;
    for (name, object, pointer) in &cases {
        assert_eq!(add(&bob, object).await, format!("422 invalid #/object{pointer}"), "{name}");
    }
    assert_eq!(world.stored().await.difference(&before), []);
    let activity = signed_add(&bob, &good, PublicationKind::Addition);
    let answer = post(&bob, "/user/bob/keyPackages", &activity).await;
    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!(answer.json().unwrap(), @r#"
    {
      "eko:kyberPreKeyCount": 3,
      "eko:preKeyCount": 5
    }
    "#);
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(5, 3));
}

#[tokio::test]
async fn published_again_with_the_same_bytes_adds_nothing() {
    let (world, alice, mut bob) = alice_and_bob().await;
    let keys = more(&mut bob, 3, 1);
    assert_eq!(bob.publish(&keys).await.unwrap(), left(6, 3));
    let before = world.stored().await;
    assert_eq!(bob.publish(&keys).await.unwrap(), left(6, 3));
    assert_eq!(bob.publish(&bob.keys().first().clone()).await.unwrap(), left(6, 3));
    assert_eq!(world.stored().await.difference(&before), []);
    // The same holds after some of them were taken: a device whose answer was lost publishes again.
    for _ in 0..5 {
        take(&alice, &bob).await;
    }
    assert_eq!(bob.publish(&keys).await.unwrap(), left(1, 0));
    // A request may repeat old keys beside new ones: only the new ones are added.
    let mut both = more(&mut bob, 1, 0);
    both.pre_keys.extend(keys.pre_keys);
    assert_eq!(bob.publish(&both).await.unwrap(), left(2, 0));
    world.advance(HOUR_MS);
    bob.refresh().await.unwrap();
    alice.refresh().await.unwrap();
    assert_eq!(take(&alice, &bob).await.0, Some(6));
    assert_eq!(take(&alice, &bob).await.0, Some(7));
}

/// The ids of one-time keys only grow, and by 4000 at most.
#[tokio::test]
async fn ids_do_not_jump() {
    let (world, _alice, bob) = alice_and_bob().await;
    let first = json!(bob.keys().first());
    let with_id = |kind: &str, id: u32| {
        let mut key = first[kind][0].clone();
        key["keyId"] = json!(id);
        json!({ kind: [key] })
    };
    let before = world.stored().await;
    for (kind, highest) in [("preKeys", 3), ("kyberPreKeys", 3)] {
        for id in [highest + 4001, 0x7FFF_FFFF] {
            let answer = add(&bob, &with_id(kind, id)).await;
            assert_eq!(answer, format!("422 invalid #/object/{kind}/0/keyId"), "{id}");
        }
    }
    assert_eq!(world.stored().await.difference(&before), []);
    for (kind, highest) in [("preKeys", 3), ("kyberPreKeys", 3)] {
        let answer = add(&bob, &with_id(kind, highest + 4000)).await;
        assert!(answer.starts_with("200 "), "{kind}: {answer}");
        let answer = add(&bob, &with_id(kind, highest + 8000)).await;
        assert!(answer.starts_with("200 "), "{kind}: {answer}");
    }
    // The ids of a registration begin at 0.
    let carol = world.device("carol", "one", curve(1));
    for (id, expected) in [(4001, "422 invalid #/preKeys/0/keyId"), (4000, "201")] {
        let mut body = carol.registration(RegistrationProof::Node(carol.first_node().unwrap()));
        body["preKeys"][0]["keyId"] = json!(id);
        let answer = post_registration(&carol, &world.id_token(&carol).await, &body).await;
        assert!(refusal(&answer).starts_with(expected), "{id}: {}", refusal(&answer));
    }
}

/// A signed key is not replaced by one whose publication is older.
#[tokio::test]
async fn signed_keys_do_not_go_back() {
    let (world, alice, mut bob) = alice_and_bob().await;
    let environment = bob.environment().clone();
    let mut publications = Vec::new();
    for _ in 0..2 {
        let rotated = json!(bob.keys_mut().rotate(&environment).unwrap());
        publications.push(signed_add(&bob, &rotated, PublicationKind::Addition));
        world.advance(1);
    }
    let [older, newer] = publications.as_slice() else { panic!("two publications") };
    assert!(post_add(&bob, newer).await.starts_with("200 "));
    assert_eq!(post_add(&bob, older).await, "422 invalid #/published");
    // Repeating the newer one changes nothing.
    let before = world.stored().await;
    assert!(post_add(&bob, newer).await.starts_with("200 "));
    assert_eq!(world.stored().await.difference(&before), []);
    let listed = alice.key_packages(bob.user()).await.unwrap().packages;
    assert_eq!(listed[0].signed_pre_key, *bob.keys().signed_pre_key());
    assert_eq!(listed[0].kyber_pre_key.as_ref(), bob.keys().last_resort());
}

/// The older of two publications is planned first and written last.
#[tokio::test]
async fn signed_keys_do_not_go_back_in_a_race() {
    let (world, alice, mut bob) = alice_and_bob().await;
    let environment = bob.environment().clone();
    let older = json!(bob.keys_mut().rotate(&environment).unwrap());
    let older = signed_add(&bob, &older, PublicationKind::Addition);
    world.advance(1);
    let newer = bob.keys_mut().rotate(&environment).unwrap();
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        bob.publish(&newer).await.unwrap();
        held.release();
    };
    let (answer, ()) = tokio::join!(post_add(&bob, &older), meanwhile);
    assert_eq!(answer, "422 invalid #/published");
    let listed = alice.key_packages(bob.user()).await.unwrap().packages;
    assert_eq!(Some(&listed[0].signed_pre_key), newer.signed_pre_key.as_ref());
}

#[tokio::test]
async fn a_pool_holds_four_hundred() {
    let world = World::new().await;
    let mut bob = world.user_with("bob", curve(100)).await;
    for _ in 0..3 {
        let keys = more(&mut bob, 100, 0);
        bob.publish(&keys).await.unwrap();
    }
    let one = more(&mut bob, 1, 0);
    assert_eq!(refused(bob.publish(&one).await), "422 invalid #/object/preKeys");
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(400, 0));
}

/// Spent blocks are deleted by a later publication, a minute after the last take could have read
/// them.
#[tokio::test]
async fn spent_blocks_go() {
    let world =
        World::with(|config| (config.limits.take_budget, config.limits.take_total_budget) = (1000, 1000))
            .await;
    let (alice, mut bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(40)).await);
    let batches = [more(&mut bob, 20, 0), more(&mut bob, 20, 0), more(&mut bob, 20, 0)];
    for _ in 0..40 {
        take(&alice, &bob).await;
    }
    let blocks = async || world.stored().await.keys(bob.id().as_str(), "OPK#").len();
    assert_eq!(blocks().await, 2);
    bob.publish(&batches[0]).await.unwrap();
    bob.publish(&batches[1]).await.unwrap();
    assert_eq!(blocks().await, 4);
    world.advance(MINUTE_MS);
    bob.publish(&batches[2]).await.unwrap();
    assert_eq!(blocks().await, 3);
    let mut given = Vec::new();
    while let (Some(id), _) = take(&alice, &bob).await {
        given.push(id);
    }
    assert_eq!(given, (41..=100).collect::<Vec<u32>>());
}
