//! Lost answers while devices register, join, leave, and publish keys.

use std::collections::BTreeSet;
use std::sync::Mutex;

use eko_client::Device;
use eko_client::device::{EntryContent, JoinKind, RegistrationStatus};
use eko_protocol::chain::{MoveTarget, NextNode};
use eko_testkit::{BARE, COUNTS, ChainChanges as _, DirectTransport, World, lose_each_answer, refused};
use serde_json::Value;

use super::{Pair, deliver_later, told};
use crate::devices::approval;

/// Registers a device, and signs it in if it is registered already, as a client does that does not
/// know.
async fn join(
    world: &World,
    device: &Device<DirectTransport>,
    kind: JoinKind,
    attempt: usize,
) -> Result<(), String> {
    if attempt > 0 && device.sign_in_again(&world.id_token(device).await).await.is_ok() {
        return Ok(());
    }
    told(device.register(&world.id_token(device).await, kind).await)
}

/// Makes a user with an active device and one that is not registered yet.
async fn one_and_an_unknown() -> Pair {
    let world = World::new().await;
    let bob = world.user_with("bob", BARE).await;
    let second = world.device("bob", "two", BARE);
    (world, bob, second)
}

/// Makes a user with an active device and a pending one.
async fn one_and_a_pending() -> Pair {
    let world = World::new().await;
    let bob = world.user_with("bob", BARE).await;
    let second = world.pending(&bob, "two").await;
    world.deliver().await;
    world.empty(&bob).await;
    (world, bob, second)
}

#[tokio::test]
async fn a_first_device() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let alice = world.device("alice", "one", BARE);
            (world, alice)
        },
        |(world, _)| &world.calls,
        async |(world, alice), attempt| join(world, alice, JoinKind::First, attempt).await,
        async |(_, alice), run| {
            assert_eq!(alice.chain(alice.user()).await.unwrap().0.len(), 1, "{run}");
            alice.refresh().await.expect(run);
            alice.fetch().await.expect(run);
        },
    )
    .await;
}

/// The active device is told of the pending one, once.
#[tokio::test]
async fn a_further_device() {
    lose_each_answer(
        one_and_an_unknown,
        |(world, ..)| &world.calls,
        async |(world, _, second), attempt| join(world, second, second.as_further(), attempt).await,
        async |(world, bob, second), run| {
            second.refresh().await.expect(run);
            world.deliver().await;
            assert_eq!(bob.pending_devices().await.unwrap().len(), 1, "{run}");
            let entries = bob.fetch().await.unwrap().entries;
            let offers = entries.iter().filter(|e| matches!(e.content, EntryContent::DeviceOffered(_)));
            assert_eq!((offers.count(), entries.len()), (1, 1), "{run}");
        },
    )
    .await;
}

/// A scene with a node that is to be appended.
type Appending = (World, Device<DirectTransport>, Device<DirectTransport>, Value);

/// Appends the node of a scene.
async fn append((_, bob, _, node): &Appending, _: usize) -> Result<(), String> {
    told(bob.append(node).await)
}

#[tokio::test]
async fn an_approval() {
    lose_each_answer(
        async || {
            let (world, bob, second) = one_and_a_pending().await;
            let node = approval(&bob, &second).await;
            (world, bob, second, node)
        },
        |(world, ..)| &world.calls,
        append,
        async |(_, bob, second, _), run| {
            assert_eq!(bob.chain(bob.user()).await.unwrap().1.active.len(), 2, "{run}");
            second.fetch().await.expect(run);
        },
    )
    .await;
}

#[tokio::test]
async fn a_revocation() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let bob = world.user_with("bob", BARE).await;
            let second = world.further(&bob, "two").await;
            let position = bob.chain(bob.user()).await.unwrap().1.position;
            let node = NextNode::new(bob.origin(), bob.user(), &position, world.now_ms()).revoke(second.id());
            let node = bob.sign_node(node).unwrap();
            (world, bob, second, node)
        },
        |(world, ..)| &world.calls,
        append,
        async |(world, bob, second, _), run| {
            assert_eq!(bob.chain(bob.user()).await.unwrap().1.active.len(), 1, "{run}");
            assert_erased(world, second, run).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_move() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let bob = world.user_with("bob", BARE).await;
            let position = bob.chain(bob.user()).await.unwrap().1.position;
            let actor = "https://b.example/user/bob".to_owned();
            let target = MoveTarget { actor, root: "ab".repeat(32) };
            let node = bob.departure(&position, &target).unwrap();
            (world, bob, (), node)
        },
        |(world, ..)| &world.calls,
        async |(_, bob, (), node), _| told(bob.append(node).await),
        async |(_, bob, (), _), run| {
            assert!(bob.chain(bob.user()).await.unwrap().1.position.has_moved, "{run}");
        },
    )
    .await;
}

/// Asserts that a device is revoked, and that nothing else is left of it after the erasure.
async fn assert_erased(world: &World, device: &Device<DirectTransport>, run: &str) {
    assert_eq!(refused(device.refresh().await), "401 unauthenticated", "{run}");
    world.erase().await;
    let partition = format!("D#bob#{}", device.id());
    assert_eq!(world.stored().await.keys(&partition, "").len(), 1, "{run}");
}

#[tokio::test]
async fn an_erasure() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let bob = world.user_with("bob", BARE).await;
            let second = world.further(&bob, "two").await;
            bob.revoke(second.id()).await.unwrap();
            (world, bob, second)
        },
        |(world, ..)| &world.calls,
        async |(world, ..), _| {
            world.erase().await;
            Ok(())
        },
        async |(world, _, second), run| assert_erased(world, second, run).await,
    )
    .await;
}

/// A repeated rejection may say that the device does not wait any more.
#[tokio::test]
async fn a_rejection() {
    lose_each_answer(
        one_and_a_pending,
        |(world, ..)| &world.calls,
        async |(_, bob, second), attempt| {
            let is_gone = attempt > 0 && bob.pending_devices().await.unwrap().is_empty();
            if is_gone { Ok(()) } else { told(bob.turn_away(second.id()).await) }
        },
        async |(world, bob, second), run| {
            assert_eq!(bob.pending_devices().await.unwrap(), [], "{run}");
            assert_erased(world, second, run).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_reset() {
    lose_each_answer(
        one_and_an_unknown,
        |(world, ..)| &world.calls,
        async |(world, _, second), attempt| join(world, second, JoinKind::Reset, attempt).await,
        async |(world, bob, second), run| {
            assert_eq!(second.chain(bob.user()).await.unwrap().0.len(), 2, "{run}");
            second.refresh().await.expect(run);
            assert_erased(world, bob, run).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_repeated_sign_in() {
    lose_each_answer(
        one_and_a_pending,
        |(world, ..)| &world.calls,
        async |(world, bob, second), _| {
            told(bob.sign_in_again(&world.id_token(bob).await).await)?;
            let again = second.sign_in_again(&world.id_token(second).await).await;
            told(again.inspect(|again| assert_eq!(again.status, RegistrationStatus::Pending)))
        },
        async |(world, bob, second), run| {
            bob.fetch().await.expect(run);
            bob.refresh().await.expect(run);
            second.refresh().await.expect(run);
            world.deliver().await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_publication() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let mut bob = world.user_with("bob", BARE).await;
            let environment = bob.environment().clone();
            let more = bob.keys_mut().more(5, 0, &environment).unwrap();
            (world, bob, more)
        },
        |(world, ..)| &world.calls,
        async |(_, bob, more), _| told(bob.publish(more).await),
        async |(_, bob, _), run| {
            assert_eq!(bob.fetch().await.unwrap().keys_left.pre_keys, 5, "{run}");
        },
    )
    .await;
}

/// No key is given twice, and a key whose take was lost is given to nobody.
#[tokio::test]
async fn a_take() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", COUNTS).await);
            (world, alice, bob, Mutex::new(BTreeSet::new()))
        },
        |(world, ..)| &world.calls,
        async |(_, alice, bob, given), _| {
            let taken = alice.take(bob.user()).await.map_err(|error| error.to_string())?;
            let key = taken.packages[0].pre_key.as_ref().map(|key| key.id.get());
            assert!(key.is_none_or(|id| given.lock().unwrap().insert(id)), "{key:?} was given before");
            Ok(())
        },
        async |(_, alice, bob, given), run| {
            for _ in 0..COUNTS.pre_keys {
                let taken = alice.take(bob.user()).await.unwrap();
                let key = taken.packages[0].pre_key.as_ref().map(|key| key.id.get());
                assert!(key.is_none_or(|id| given.lock().unwrap().insert(id)), "{run}: {key:?}");
            }
        },
    )
    .await;
}

/// The notice of a pending device reaches the mailboxes, whichever step of its delivery is lost.
#[tokio::test]
async fn a_notice() {
    lose_each_answer(
        async || {
            let world = World::new().await;
            let bob = world.user_with("bob", BARE).await;
            let second = world.pending(&bob, "two").await;
            (world, bob, second)
        },
        |(world, ..)| &world.calls,
        async |(world, ..), _| {
            deliver_later(world).await;
            Ok(())
        },
        async |(world, bob, _), run| {
            deliver_later(world).await;
            assert_eq!(bob.fetch().await.unwrap().entries.len(), 1, "{run}");
        },
    )
    .await;
}
