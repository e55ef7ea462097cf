//! Takes that run beside takes, publications and a revocation: no key is handed out twice, and none
//! is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use eko_client::KeyCounts;
use eko_protocol::key_package::PublishedKeys;
use eko_testkit::{BARE, CallFault, ChainChanges as _, World, parallel, refused};
use futures_util::future::join_all;

use super::{curve, left, more, take};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_parallel_takes_of_twenty_keys() {
    let world = World::with(|config| config.limits.take_budget = 100).await;
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
    let world = World::with(|config| config.limits.take_budget = 100).await;
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

/// Takes run while the pool is replenished, again and again: each published key goes to exactly one
/// of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_and_publications_race() {
    let world =
        World::with(|config| (config.limits.take_budget, config.limits.take_total_budget) = (1000, 1000))
            .await;
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
    let world = World::with(|config| config.limits.take_budget = 100).await;
    let (alice, mut bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(1)).await);
    let batches: Vec<PublishedKeys> = (0..4).map(|_| more(&mut bob, 2, 0)).collect();
    // Ids must grow. Of two publications at once, the one with lower ids may come too late; it is
    // refused whole.
    let outcomes = join_all(batches.iter().map(|keys| bob.publish(keys))).await;
    let mut due: Vec<u32> = vec![1];
    for (keys, outcome) in batches.iter().zip(outcomes) {
        match outcome {
            Ok(_) => due.extend(keys.pre_keys.iter().map(|key| key.id.get())),
            Err(error) => assert_eq!(refused::<()>(Err(error)), "422 invalid #/object/preKeys/0/keyId"),
        }
    }
    let mut given = Vec::new();
    while let (Some(id), _) = take(&alice, &bob).await {
        given.push(id);
    }
    assert_eq!(given, due);
}

/// A take claims its place before it reads the key there. Publications in between do not remove
/// that key.
#[tokio::test]
async fn a_publication_between_a_claim_and_its_key() {
    let world = World::with(|config| config.limits.take_budget = 100).await;
    let alice = world.user_with("alice", BARE).await;
    // Bob's last key is also the last of its block, which is then spent. Carol's is in the middle
    // of a block, and another take finds her pool empty before the keys are published.
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
        // The next takes get the keys that were published in between, in order.
        assert_eq!(take(&alice, &device).await.0, Some(place + 1));
        assert_eq!(device.fetch().await.unwrap().keys_left.pre_keys, 3);
    }
}

/// Takes run beside a revocation: each has the package of the device that stays, and may have the
/// revoked one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_and_a_revocation_race() {
    let world = World::with(|config| config.limits.take_budget = 100).await;
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

/// A publication writes the device record in a transaction. A take that meets it tries again, five
/// times at most, and loses no key by it.
#[tokio::test]
async fn a_take_meets_a_transaction() {
    let world = World::new().await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(2)).await);
    world.calls.fail("UpdateItem", CallFault::Conflict, 5);
    assert_eq!(take(&alice, &bob).await, (Some(1), None));
    world.calls.fail("UpdateItem", CallFault::Conflict, 6);
    assert_eq!(refused(alice.take(bob.user()).await), "503 unavailable");
    assert_eq!(take(&alice, &bob).await, (Some(2), None));
}
