//! Key packages (`docs/protocol.md`, section 4): published whole or not at all, handed out once.

use std::collections::BTreeSet;
use std::sync::Arc;

use eko_client::device::PoolCount;
use eko_client::{Auth, Body, Device, KeyCounts};
use eko_protocol::key_package::PublishKeys;
use eko_testkit::{BARE, Direct, World, parallel, refusal, refused};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

fn curve(pre_keys: u16) -> KeyCounts {
    KeyCounts { pre_keys, ..BARE }
}

/// More one-time keys of a device.
fn more(device: &mut Device<Direct>, pre_keys: u16, kyber_pre_keys: u16) -> PublishKeys {
    let environment = device.environment().clone();
    device.keys_mut().more(pre_keys, kyber_pre_keys, &environment).unwrap()
}

fn left(pre_keys: u64, kyber_pre_keys: u64) -> PoolCount {
    PoolCount { pre_keys, kyber_pre_keys }
}

/// The one-time keys that a taker gets of a user with one device: ids of the Curve25519 and the Kyber key.
async fn take(taker: &Device<Direct>, of: &Device<Direct>) -> (Option<u32>, Option<u32>) {
    let [package] = <[_; 1]>::try_from(taker.take(of.user()).await.unwrap().packages).unwrap();
    assert_eq!(package.identity_key, of.keys().identity().public());
    assert_eq!(package.signed_pre_key, *of.keys().signed_pre_key());
    if let Some(one_time) = &package.pre_key {
        let pair = of.keys().one_time_pair(one_time.id).expect("a key that the device made");
        assert_eq!(pair.public(), one_time.key);
    }
    (package.pre_key.map(|key| key.id.get()), package.kyber_pre_key.map(|key| key.id.get()))
}

/// What the server says to an `Add` with this object.
async fn add(device: &Device<Direct>, object: &Value) -> String {
    let body = json!({ "type": "Add", "actor": device.actor(), "object": object });
    let packages = device.origin().key_packages(device.user());
    refusal(&device.call(Method::POST, &packages, Body::Json(&body), Auth::Device).await.unwrap())
}

#[tokio::test]
async fn each_once_lowest_first_until_there_are_none() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    // Of Bob's Kyber keys the first is the last resort, which is never consumed.
    let last_resort = Some(1);
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(3, 2));
    assert_eq!(take(&alice, &bob).await, (Some(1), Some(2)));
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(2, 1));
    assert_eq!(take(&alice, &bob).await, (Some(2), Some(3)));
    assert_eq!(take(&alice, &bob).await, (Some(3), last_resort));
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(0, 0));
    let empty = world.stored().await;
    assert_eq!(take(&alice, &bob).await, (None, last_resort));
    // Nothing of it is told to anyone but its owner, and looking consumes nothing.
    let listed = alice.key_packages(bob.user()).await.unwrap();
    assert_eq!(listed.packages, alice.take(bob.user()).await.unwrap().packages);
    assert_eq!(world.stored().await.difference(&empty), []);
}

#[tokio::test]
async fn a_device_without_kyber_keys_is_the_legacy_profile() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user_with("bob", curve(1)).await);
    assert_eq!(take(&alice, &bob).await, (Some(1), None));
    assert_eq!(take(&alice, &bob).await, (None, None));
}

#[tokio::test]
async fn all_ways_to_take_are_one_pool() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user_with("bob", curve(4)).await);
    let id =
        |taken: eko_client::device::TakenPackages| taken.packages[0].pre_key.as_ref().map(|key| key.id.get());
    assert_eq!(id(alice.take(bob.user()).await.unwrap()), Some(1));
    assert_eq!(id(alice.take_devices(bob.user(), &[bob.id().clone()]).await.unwrap()), Some(2));
    assert_eq!(id(alice.take_through_outbox(bob.user()).await.unwrap()), Some(3));
    let handle = alice.take_activity(json!("@bob@eko.example"));
    let answer =
        alice.call(Method::POST, "/user/alice/outbox", Body::Json(&handle), Auth::Device).await.unwrap();
    assert_eq!(answer.json().unwrap()["items"][0]["preKeyId"], 4);
    let chain = alice.chain(bob.user()).await.unwrap().1;
    let taken = alice.take(bob.user()).await.unwrap();
    taken.check(bob.origin(), &chain).unwrap();
    assert_eq!(taken.device_set, chain.device_set().reference());
}

#[tokio::test]
async fn over_budget_the_answer_comes_without_one_time_keys() {
    let world = World::with(|config| (config.take_budget, config.take_total_budget) = (2, 3)).await;
    let bob = world.user_with("bob", curve(6)).await;
    let (alice, carol) = (world.user_with("alice", BARE).await, world.user_with("carol", BARE).await);
    assert_eq!(take(&alice, &bob).await.0, Some(1));
    assert_eq!(take(&alice, &bob).await.0, Some(2));
    // Alice has had hers, Carol has not, and then all takers together have.
    assert_eq!(take(&alice, &bob).await.0, None);
    assert_eq!(take(&carol, &bob).await.0, Some(3));
    assert_eq!(take(&carol, &bob).await.0, None);
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(3, 0));
    world.advance(HOUR_MS);
    for device in [&alice, &bob] {
        device.refresh().await.unwrap();
    }
    assert_eq!(take(&alice, &bob).await.0, Some(4));
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(2, 0));
}

#[tokio::test]
async fn a_pool_is_replenished_after_it_ran_dry() {
    let world = World::new().await;
    let (alice, mut bob) = (world.user("alice").await, world.user("bob").await);
    // Three of one kind and two of the other: the third take runs past the end of the Kyber pool.
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
    let world = World::with(|config| config.take_budget = 100).await;
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
    // Kyber keys come late to a device that had none, and its first place is the first.
    let keys = more(&mut bob, 0, 1);
    bob.publish(&keys).await.unwrap();
    assert_eq!(take(&alice, &bob).await, (None, Some(1)));
}

#[tokio::test]
async fn a_signed_key_is_rotated() {
    let world = World::new().await;
    let (alice, mut bob) = (world.user("alice").await, world.user("bob").await);
    let environment = bob.environment().clone();
    assert!(bob.check_keys().await.unwrap());
    let rotated = bob.keys_mut().rotate(&environment).unwrap();
    // The client has rotated, the server does not know yet.
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
    let world = World::new().await;
    let (alice, mut bob) = (world.user("alice").await, world.user("bob").await);
    let fresh = json!(more(&mut bob, 2, 1));
    let environment = bob.environment().clone();
    let rotated = json!(bob.keys_mut().rotate(&environment).unwrap());
    let mut good = fresh.clone();
    good["signedPreKey"] = rotated["signedPreKey"].clone();
    good["lastResortKyberPreKey"] = rotated["lastResortKyberPreKey"].clone();
    let first = json!(bob.keys().first());
    let theirs = json!(alice.keys().first());
    let key = good["preKeys"][0]["key"].as_str().unwrap().to_owned();
    let changed = |pointer: &str, to: Value| {
        let mut object = good.clone();
        *object.pointer_mut(pointer).unwrap() = to;
        object
    };
    let hundred_and_one = |id: u32| json!({ "id": id, "key": key });
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
        ("an id that is no number", changed("/preKeys/0/id", json!("4")), "/preKeys/0/id"),
        ("an id below 0", changed("/preKeys/0/id", json!(-1)), "/preKeys/0/id"),
        ("an id above 2^31 - 1", changed("/preKeys/0/id", json!(1_u64 << 31)), "/preKeys/0/id"),
        ("an id twice", changed("/preKeys/1/id", good["preKeys"][0]["id"].clone()), "/preKeys/1/id"),
        (
            "the last resort's id",
            changed("/kyberPreKeys/0/id", good["lastResortKyberPreKey"]["id"].clone()),
            "/kyberPreKeys/0/id",
        ),
        ("more than a hundred", flooded, "/preKeys"),
        (
            "an id of other bytes",
            changed("/preKeys/0/id", first["preKeys"][2]["id"].clone()),
            "/preKeys/0/id",
        ),
        (
            "a signed key's id of other bytes",
            changed("/signedPreKey/id", first["signedPreKey"]["id"].clone()),
            "/signedPreKey/id",
        ),
        (
            "a last resort's id of other bytes",
            changed("/lastResortKyberPreKey/id", first["lastResortKyberPreKey"]["id"].clone()),
            "/lastResortKyberPreKey/id",
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
    assert!(add(&bob, &good).await.starts_with("200 "));
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(5, 3));
}

#[tokio::test]
async fn published_again_with_the_same_bytes_adds_nothing() {
    let world = World::new().await;
    let (alice, mut bob) = (world.user("alice").await, world.user("bob").await);
    let keys = more(&mut bob, 3, 1);
    assert_eq!(bob.publish(&keys).await.unwrap(), left(6, 3));
    let before = world.stored().await;
    assert_eq!(bob.publish(&keys).await.unwrap(), left(6, 3));
    assert_eq!(bob.publish(&bob.keys().first().clone()).await.unwrap(), left(6, 3));
    assert_eq!(world.stored().await.difference(&before), []);
    // Not even when some of them were given out: an answer was lost, and the device asks again.
    for _ in 0..5 {
        take(&alice, &bob).await;
    }
    assert_eq!(bob.publish(&keys).await.unwrap(), left(1, 0));
    // Old and new in one request: the new ones are added.
    let mut both = more(&mut bob, 1, 0);
    both.pre_keys.extend(keys.pre_keys);
    assert_eq!(bob.publish(&both).await.unwrap(), left(2, 0));
    world.advance(HOUR_MS);
    bob.refresh().await.unwrap();
    alice.refresh().await.unwrap();
    assert_eq!(take(&alice, &bob).await.0, Some(6));
    assert_eq!(take(&alice, &bob).await.0, Some(7));
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

#[tokio::test]
async fn of_devices_that_are_not_active_nothing_is_taken() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    bob.revoke(second.id()).await.unwrap();
    let before = world.stored().await;
    let both = [bob.id().clone(), second.id().clone()];
    assert_eq!(refused(alice.take_devices(bob.user(), &both).await), "422 invalid #/object/1");
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(alice.take(bob.user()).await.unwrap().packages.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_parallel_takes_of_twenty_keys() {
    let world = World::with(|config| config.take_budget = 100).await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(20)).await);
    let (alice, bob) = (Arc::new(alice), Arc::new(bob));
    let takes = (0..16).map(|_| {
        let (alice, bob) = (Arc::clone(&alice), Arc::clone(&bob));
        async move { take(&alice, &bob).await }
    });
    let taken: Vec<u32> =
        parallel(takes).await.into_iter().map(|(id, _)| id.expect("a one-time key")).collect();
    assert_eq!(taken.iter().copied().collect::<BTreeSet<_>>(), (1..=16).collect());
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(4, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_takes_of_more_than_there_is() {
    let world = World::with(|config| config.take_budget = 100).await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(5)).await);
    let taken: Vec<Option<u32>> =
        join_all((0..12).map(|_| take(&alice, &bob))).await.into_iter().map(|(id, _)| id).collect();
    let mut given: Vec<u32> = taken.iter().copied().flatten().collect();
    given.sort_unstable();
    assert_eq!(given, [1, 2, 3, 4, 5]);
    assert_eq!(taken.iter().filter(|id| id.is_none()).count(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_holds_against_parallel_takes() {
    let world = World::new().await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(20)).await);
    let taken = join_all((0..12).map(|_| take(&alice, &bob))).await;
    assert_eq!(taken.iter().filter(|(id, _)| id.is_some()).count(), 5);
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(15, 0));
}

/// Takes that run while the pool is replenished, again and again: every key that was published is given to
/// one of them, none to two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_and_publications_race() {
    let world = World::with(|config| (config.take_budget, config.take_total_budget) = (1000, 1000)).await;
    let (alice, mut bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(3)).await);
    let mut given = Vec::new();
    for _ in 0..6 {
        let batches = [more(&mut bob, 9, 0), more(&mut bob, 9, 0)];
        let takes = join_all((0..22).map(|_| take(&alice, &bob)));
        let publications = async {
            for keys in &batches {
                bob.publish(keys).await.unwrap();
            }
        };
        let (taken, ()) = tokio::join!(takes, publications);
        given.extend(taken.into_iter().filter_map(|(id, _)| id));
    }
    while let (Some(id), _) = take(&alice, &bob).await {
        given.push(id);
    }
    given.sort_unstable();
    assert_eq!(given, (1..=3 + 6 * 18).collect::<Vec<u32>>());
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_publications_race() {
    let world = World::with(|config| config.take_budget = 100).await;
    let (alice, mut bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(1)).await);
    let batches: Vec<PublishKeys> = (0..4).map(|_| more(&mut bob, 2, 0)).collect();
    // Ids grow: of two at once the one with lower ids may come too late. What was taken of it is then nothing.
    let outcomes = join_all(batches.iter().map(|keys| bob.publish(keys))).await;
    let mut due: Vec<u32> = vec![1];
    for (keys, outcome) in batches.iter().zip(outcomes) {
        match outcome {
            Ok(_) => due.extend(keys.pre_keys.iter().map(|key| key.id.get())),
            Err(error) => assert_eq!(refused::<()>(Err(error)), "422 invalid #/object/preKeys/0/id"),
        }
    }
    let mut given = Vec::new();
    while let (Some(id), _) = take(&alice, &bob).await {
        given.push(id);
    }
    assert_eq!(given, due);
}

/// A take owns its place before it reads the key there. Whatever is published in between, the key is there.
#[tokio::test]
async fn a_publication_between_a_claim_and_its_key() {
    let world = World::with(|config| config.take_budget = 100).await;
    let alice = world.user_with("alice", BARE).await;
    // The last key of a block that is spent with it; the last of a pool that others then run past.
    for (user, pre_keys, kyber_pre_keys, dry) in [("bob", 20, 0, 0), ("carol", 4, 6, 1)] {
        let mut device =
            world.user_with(user, KeyCounts { pre_keys, kyber_pre_keys, last_resort: false }).await;
        for _ in 1..pre_keys {
            take(&alice, &device).await;
        }
        let fresh = [more(&mut device, 2, 1), more(&mut device, 2, 1)];
        let held = world.calls.hold("BatchGetItem", 1);
        let meanwhile = async {
            held.reached().await;
            for _ in 0..dry {
                assert_eq!(take(&alice, &device).await.0, None);
            }
            for keys in &fresh {
                device.publish(keys).await.unwrap();
            }
            held.release();
        };
        let (taken, ()) = tokio::join!(take(&alice, &device), meanwhile);
        let place = u32::from(pre_keys);
        assert_eq!(taken, (Some(place), (kyber_pre_keys > 0).then_some(place)), "{user}");
        // The next ones are those published meanwhile, in their order.
        assert_eq!(take(&alice, &device).await.0, Some(place + 1));
        assert_eq!(device.fetch().await.unwrap().keys_left.pre_keys, 3);
    }
}

/// Blocks that are spent are cleared away, once nobody can be reading in them.
#[tokio::test]
async fn spent_blocks_go() {
    let world = World::with(|config| (config.take_budget, config.take_total_budget) = (1000, 1000)).await;
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
    world.advance(60_000);
    bob.publish(&batches[2]).await.unwrap();
    assert_eq!(blocks().await, 3);
    let mut given = Vec::new();
    while let (Some(id), _) = take(&alice, &bob).await {
        given.push(id);
    }
    assert_eq!(given, (41..=100).collect::<Vec<u32>>());
}

/// A take whose device is revoked meanwhile gives keys of a device that was active, or none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_and_a_revocation_race() {
    let world = World::with(|config| config.take_budget = 100).await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let takes = join_all((0..12).map(|_| alice.take(bob.user())));
    let (taken, revoked) = tokio::join!(takes, bob.revoke(second.id()));
    revoked.unwrap();
    for taken in taken {
        let devices: Vec<String> =
            taken.unwrap().packages.into_iter().map(|package| package.device).collect();
        assert!(devices.contains(&bob.address()), "{devices:?}");
    }
    assert_eq!(alice.take(bob.user()).await.unwrap().packages.len(), 1);
}
