//! Takes: each hands out the lowest one-time keys that are left, within budgets, of active devices
//! only.

use eko_testkit::{BARE, ChainChanges as _, HeldCall, World, envelope, refused};
use futures_util::future::join_all;
use serde_json::json;

use super::{curve, left, take};
use crate::HOUR_MS;
use crate::people::{alice_and_bob, alice_and_bobs_two};
use crate::requests::post;

#[tokio::test]
async fn each_once_lowest_first_until_there_are_none() {
    let (world, alice, bob) = alice_and_bob().await;
    // The first of Bob's Kyber keys is the last resort, which no take consumes.
    let last_resort = Some(1);
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(3, 2));
    assert_eq!(take(&alice, &bob).await, (Some(1), Some(2)));
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(2, 1));
    assert_eq!(take(&alice, &bob).await, (Some(2), Some(3)));
    assert_eq!(take(&alice, &bob).await, (Some(3), last_resort));
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(0, 0));
    let empty = world.stored().await;
    assert_eq!(take(&alice, &bob).await, (None, last_resort));
    // The public list has the same packages as a take, and reading it consumes nothing.
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
    let answer = post(&alice, "/user/alice/outbox", &handle).await;
    assert_eq!(answer.json().unwrap()["items"][0]["preKeyId"], 4);
    let chain = alice.chain(bob.user()).await.unwrap().1;
    let taken = alice.take(bob.user()).await.unwrap();
    taken.check(bob.origin(), &chain).unwrap();
    assert_eq!(taken.device_set, chain.device_set().reference());
}

#[tokio::test]
async fn over_budget_the_answer_comes_without_one_time_keys() {
    let world =
        World::with(|config| (config.limits.take_budget, config.limits.take_total_budget) = (2, 3)).await;
    let bob = world.user_with("bob", curve(6)).await;
    let (alice, carol) = (world.user_with("alice", BARE).await, world.user_with("carol", BARE).await);
    assert_eq!(take(&alice, &bob).await.0, Some(1));
    assert_eq!(take(&alice, &bob).await.0, Some(2));
    // Alice has used up her budget. Carol has not, until the budget of all takers together is used
    // up.
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

/// Some engines do not show the record that refuses a take. It is read: a device over its budget is
/// still active, and a revoked one is left out.
#[tokio::test]
async fn on_an_engine_that_shows_no_refused_record() {
    let world = World::with(|config| config.limits.take_budget = 1).await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(3)).await);
    let second = world.further(&bob, "two").await;
    world.calls.hide_refused_items();
    for _ in 0..3 {
        assert_eq!(alice.take(bob.user()).await.unwrap().packages.len(), 2);
    }
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(2, 0));
    // The device is revoked after the take has read the device set.
    let claims = [world.calls.hold("UpdateItem", 0), world.calls.hold("UpdateItem", 0)];
    let meanwhile = async {
        join_all(claims.iter().map(HeldCall::reached)).await;
        bob.revoke(second.id()).await.unwrap();
        claims.iter().for_each(HeldCall::release);
    };
    let (taken, ()) = tokio::join!(alice.take(bob.user()), meanwhile);
    assert_eq!(taken.unwrap().packages.len(), 1);
    // The budgets of envelopes refuse as before.
    let mut outgoing = envelope(&alice, &[&bob]);
    outgoing.messages[0].1 = vec![1; 96 * 1024];
    let mut refusal = None;
    while refusal.is_none() {
        outgoing.id = alice.envelope_id();
        refusal = alice.send(&outgoing).await.err();
    }
    assert_eq!(refused(Err::<(), _>(refusal.unwrap())), "429 too-many");
    world.deliver().await;
}

#[tokio::test]
async fn of_devices_that_are_not_active_nothing_is_taken() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    bob.revoke(second.id()).await.unwrap();
    let before = world.stored().await;
    let both = [bob.id().clone(), second.id().clone()];
    assert_eq!(refused(alice.take_devices(bob.user(), &both).await), "422 invalid #/object/1");
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(alice.take(bob.user()).await.unwrap().packages.len(), 1);
}
