//! Replacements: a device drops all keys that the server has of it, and publishes others.

use eko_client::Device;
use eko_protocol::key::KeyId;
use eko_protocol::key_package::{PublicationKind, PublishedKeys};
use eko_testkit::{BARE, CallFault, DirectTransport, World, refused};
use serde_json::json;

use super::{curve, left, more, post_add, signed_add, take};
use crate::people::alice_and_bob;
use crate::{HOUR_MS, MINUTE_MS};

/// Returns a full set of keys of a device, ready to replace all others.
fn all_new(device: &mut Device<DirectTransport>, pre_keys: u16, kyber_pre_keys: u16) -> PublishedKeys {
    let environment = device.environment().clone();
    let one_time = more(device, pre_keys, kyber_pre_keys);
    let signed = device.keys_mut().rotate(&environment).unwrap();
    PublishedKeys { signed_pre_key: signed.signed_pre_key, last_resort: signed.last_resort, ..one_time }
}

#[tokio::test]
async fn all_keys_are_replaced_at_once() {
    let (world, alice, mut bob) = alice_and_bob().await;
    take(&alice, &bob).await;
    let keys = all_new(&mut bob, 2, 1);
    let now_ms = world.now_ms();
    assert_eq!(bob.replace_keys(&keys, now_ms).await.unwrap(), left(2, 1));
    assert!(bob.check_keys().await.unwrap());
    assert_eq!(bob.fetch().await.unwrap().keys_left, left(2, 1));
    let ids = (Some(keys.pre_keys[0].id.get()), Some(keys.kyber_pre_keys[0].id.get()));
    assert_eq!(take(&alice, &bob).await, ids);
    assert_eq!(take(&alice, &bob).await.0, Some(keys.pre_keys[1].id.get()));
    assert_eq!(take(&alice, &bob).await.0, None, "a former key was handed out");
    // The pools go on from there.
    let next = more(&mut bob, 1, 1);
    assert_eq!(bob.publish(&next).await.unwrap(), left(1, 1));
    assert_eq!(
        take(&alice, &bob).await,
        (Some(next.pre_keys[0].id.get()), Some(next.kyber_pre_keys[0].id.get()))
    );
}

/// A replacement drops the highest ids too: lower ones can be published afterwards.
#[tokio::test]
async fn ids_begin_anew() {
    let (world, alice, mut bob) = alice_and_bob().await;
    let mut high = more(&mut bob, 1, 0);
    high.pre_keys[0].id = KeyId::new(4000).unwrap();
    bob.publish(&high).await.unwrap();
    world.advance(MINUTE_MS);
    let low = more(&mut bob, 1, 0);
    assert_eq!(refused(bob.publish(&low).await), "422 invalid #/object/preKeys/0/keyId");
    let keys = all_new(&mut bob, 0, 0);
    assert_eq!(bob.replace_keys(&keys, world.now_ms()).await.unwrap(), left(0, 0));
    assert_eq!(bob.publish(&low).await.unwrap(), left(1, 0));
    assert_eq!(take(&alice, &bob).await.0, Some(low.pre_keys[0].id.get()));
}

/// A replacement without a last-resort key drops the former one.
#[tokio::test]
async fn a_last_resort_key_is_dropped() {
    let (world, alice, mut bob) = alice_and_bob().await;
    let keys = PublishedKeys { last_resort: None, ..all_new(&mut bob, 0, 0) };
    bob.replace_keys(&keys, world.now_ms()).await.unwrap();
    let listed = alice.key_packages(bob.user()).await.unwrap().packages;
    assert_eq!(listed[0].kyber_pre_key, None);
    assert_eq!(Some(&listed[0].signed_pre_key), keys.signed_pre_key.as_ref());
}

/// Keys that a take claims while they are replaced stay readable for it, and are no others.
#[tokio::test]
async fn a_take_and_a_replacement_race() {
    let world = World::new().await;
    let (alice, mut bob) = (world.user_with("alice", BARE).await, world.user_with("bob", curve(2)).await);
    let keys = all_new(&mut bob, 1, 0);
    let now_ms = world.now_ms();
    // The take owns its place and has not read the key yet.
    let held = world.calls.hold("BatchGetItem", 1);
    let meanwhile = async {
        held.reached().await;
        bob.replace_keys(&keys, now_ms).await.unwrap();
        held.release();
    };
    let (taken, ()) = tokio::join!(alice.take(bob.user()), meanwhile);
    assert_eq!(taken.unwrap().packages[0].pre_key.as_ref().map(|key| key.id.get()), Some(1));
    assert_eq!(take(&alice, &bob).await.0, Some(keys.pre_keys[0].id.get()));

    // The replacement is planned and not written yet when a take moves the head.
    world.advance(HOUR_MS);
    bob.refresh().await.unwrap();
    alice.refresh().await.unwrap();
    let first = more(&mut bob, 1, 0);
    bob.publish(&first).await.unwrap();
    world.advance(MINUTE_MS);
    let keys = all_new(&mut bob, 1, 0);
    let now_ms = world.now_ms();
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        let taken = alice.take(bob.user()).await.unwrap().packages;
        assert_eq!(taken[0].pre_key, Some(first.pre_keys[0].clone()));
        held.release();
    };
    let (replaced, ()) = tokio::join!(bob.replace_keys(&keys, now_ms), meanwhile);
    assert_eq!(replaced.unwrap(), left(1, 0));
    assert_eq!(take(&alice, &bob).await.0, Some(keys.pre_keys[0].id.get()));
}

/// An addition that was planned before a replacement and is written after it adds nothing.
#[tokio::test]
async fn an_addition_does_not_outlive_a_replacement() {
    let (world, alice, mut bob) = alice_and_bob().await;
    let late = json!(more(&mut bob, 1, 0));
    let late = signed_add(&bob, &late, PublicationKind::Addition);
    world.advance(1);
    let keys = all_new(&mut bob, 1, 0);
    let now_ms = world.now_ms();
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        bob.replace_keys(&keys, now_ms).await.unwrap();
        held.release();
    };
    let (answer, ()) = tokio::join!(post_add(&bob, &late), meanwhile);
    assert_eq!(answer, "422 invalid #/published");
    assert_eq!(take(&alice, &bob).await.0, Some(keys.pre_keys[0].id.get()));
    assert_eq!(take(&alice, &bob).await.0, None);
}

/// A replacement that never arrived is sent after newer signed keys, by a thief or by a device whose
/// clock ran ahead once: the newer keys stay.
#[tokio::test]
async fn a_late_replacement_is_refused() {
    let (world, _alice, mut bob) = alice_and_bob().await;
    let late = json!(all_new(&mut bob, 1, 0));
    let late = signed_add(&bob, &late, PublicationKind::Replacement);
    world.advance(MINUTE_MS);
    let environment = bob.environment().clone();
    let newer = bob.keys_mut().rotate(&environment).unwrap();
    let newest = bob.keys_mut().rotate(&environment).unwrap();
    bob.publish(&newer).await.unwrap();
    let before = world.stored().await;
    assert_eq!(post_add(&bob, &late).await, "422 invalid #/published");
    assert_eq!(world.stored().await.difference(&before), []);
    // The same while newer keys are published.
    world.advance(MINUTE_MS);
    let late = json!(all_new(&mut bob, 1, 0));
    let late = signed_add(&bob, &late, PublicationKind::Replacement);
    world.advance(MINUTE_MS);
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        bob.publish(&newest).await.unwrap();
        held.release();
    };
    let (answer, ()) = tokio::join!(post_add(&bob, &late), meanwhile);
    assert_eq!(answer, "422 invalid #/published");
}

/// The answer to a replacement is lost, and keys are taken before the device repeats it: no key is
/// handed out twice.
#[tokio::test]
async fn a_repetition_replaces_nothing() {
    let (world, alice, mut bob) = alice_and_bob().await;
    let keys = all_new(&mut bob, 2, 1);
    let now_ms = world.now_ms();
    world.calls.fail("TransactWriteItems", CallFault::AnswerLost, 3);
    assert_eq!(refused(bob.replace_keys(&keys, now_ms).await), "503 unavailable");
    assert_eq!(take(&alice, &bob).await.0, Some(keys.pre_keys[0].id.get()));
    let before = world.stored().await;
    assert_eq!(bob.replace_keys(&keys, now_ms).await.unwrap(), left(1, 0));
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(take(&alice, &bob).await.0, Some(keys.pre_keys[1].id.get()));
}

#[tokio::test]
async fn once_an_hour_and_never_back() {
    let (world, _alice, mut bob) = alice_and_bob().await;
    let start_ms = world.now_ms();
    let keys = all_new(&mut bob, 1, 0);
    bob.replace_keys(&keys, start_ms).await.unwrap();
    let next = all_new(&mut bob, 1, 0);
    assert_eq!(refused(bob.replace_keys(&next, start_ms - 1).await), "422 invalid #/published");
    assert_eq!(refused(bob.replace_keys(&next, start_ms + HOUR_MS - 1).await), "429 too-many");
    world.advance(HOUR_MS);
    bob.refresh().await.unwrap();
    bob.replace_keys(&next, start_ms + HOUR_MS).await.unwrap();
    // The former one is an old publication now, in both of its forms.
    assert_eq!(refused(bob.replace_keys(&keys, start_ms).await), "422 invalid #/published");
    let addition = bob.add_activity(&json!(keys), PublicationKind::Addition, start_ms).unwrap();
    assert_eq!(post_add(&bob, &addition).await, "422 invalid #/published");
}

/// The blocks of a replaced pool are removed by the next publication, however many they are.
#[tokio::test]
async fn blocks_of_former_keys_go() {
    let world = World::new().await;
    let mut bob = world.user_with("bob", curve(100)).await;
    let device = bob.id().clone();
    let blocks = async || world.stored().await.keys(device.as_str(), "OPK#").len();
    for _ in 0..3 {
        let keys = more(&mut bob, 100, 0);
        bob.publish(&keys).await.unwrap();
    }
    assert_eq!(blocks().await, 20);
    let keys = all_new(&mut bob, 20, 0);
    let now_ms = world.now_ms();
    // Takes may still read the blocks that were spent a moment ago.
    assert_eq!(refused(bob.replace_keys(&keys, now_ms).await), "429 too-many");
    world.advance(MINUTE_MS);
    bob.replace_keys(&keys, now_ms).await.unwrap();
    assert_eq!(blocks().await, 21);
    world.advance(MINUTE_MS);
    let next = more(&mut bob, 20, 0);
    world.calls.reset();
    bob.publish(&next).await.unwrap();
    assert_eq!(blocks().await, 2);
    let transactions = world.calls.made().iter().filter(|call| *call == "TransactWriteItems").count();
    assert_eq!(transactions, 2, "one for the blocks beyond fifteen");
}

/// However often a device publishes and replaces, what is stored of it stays small.
#[tokio::test]
async fn replacing_fills_no_table() {
    let world = World::new().await;
    let mut bob = world.user_with("bob", curve(100)).await;
    let device = bob.id().clone();
    for _ in 0..4 {
        world.advance(HOUR_MS);
        bob.refresh().await.unwrap();
        let keys = all_new(&mut bob, 100, 0);
        bob.replace_keys(&keys, world.now_ms()).await.unwrap();
        for _ in 0..3 {
            let keys = more(&mut bob, 100, 0);
            bob.publish(&keys).await.unwrap();
        }
        // The pool that was replaced, and the new one.
        assert!(world.stored().await.keys(device.as_str(), "OPK#").len() <= 40);
    }
}
