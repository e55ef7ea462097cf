//! Deletions that are interrupted at each call: everything goes all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use eko_client::Device;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::{DeviceId, GroupStateId};
use eko_testkit::{BARE, CallFault, ChainChanges as _, DirectTransport, TestSocket, World, lose_each_answer};
use serde_json::Value;

use super::delete;
use crate::people::sign_in_again;
use crate::{HOUR_MS, MINUTE_MS};

/// A server with sockets. Wanda has one item of each kind that an erasure deletes by another call.
struct SmallScene {
    world: World,
    wanda: Device<DirectTransport>,
    _socket: TestSocket,
}

async fn small_scene() -> SmallScene {
    let world = World::live().await;
    let (alice, wanda) = (world.user_with("alice", BARE).await, world.user_with("wanda", BARE).await);
    let _ = world.pending(&wanda, "two").await;
    world.deliver().await;
    world.advance(HOUR_MS);
    for device in [&alice, &wanda] {
        sign_in_again(&world, device).await;
    }
    let state = SealedGroupState { epoch: 1, content: vec![7] };
    wanda.keep_group_state(&GroupStateId::from_mac([7; 16]), &state).await.unwrap();
    wanda.accept_actor(&alice.actor()).await.unwrap();
    world.send(&alice, &[&wanda]).await;
    let socket = world.connect(&wanda).await.unwrap();
    world.deliver().await;
    SmallScene { world, wanda, _socket: socket }
}

/// Deletes the account and lets the erasure end, whatever happened before.
async fn delete_and_erase(scene: &SmallScene, _: usize) -> Result<(), String> {
    match delete(&scene.world, &scene.wanda).await.as_str() {
        "204" => {}
        other => return Err(other.to_owned()),
    }
    scene.world.deliver().await;
    scene.world.erase().await;
    Ok(())
}

/// Asserts that nothing names the user except the tombstone.
async fn assert_gone(scene: &SmallScene, run: &str) {
    // What a process that has died had received comes back.
    scene.world.erase().await;
    let left = scene.world.items_naming("wanda").await;
    assert!(matches!(left.as_slice(), [one] if one.starts_with("U#wanda DEVICES")), "{run}: {left:#?}");
    assert_eq!(scene.world.queued().await, (0, 0), "{run}");
}

#[tokio::test]
async fn at_any_call() {
    lose_each_answer(small_scene, |scene| &scene.world.calls, delete_and_erase, assert_gone).await;
}

#[tokio::test]
async fn while_a_part_of_aws_is_down() {
    for operation in ["Query", "BatchWriteItem", "SendMessageBatch", "BatchGetItem", "DeleteMessageBatch"] {
        let scene = small_scene().await;
        assert_eq!(delete(&scene.world, &scene.wanda).await, "204");
        scene.world.calls.fail(operation, CallFault::Down, 6);
        for _ in 0..4 {
            scene.world.advance(60_000);
            scene.world.try_pump().await;
        }
        scene.world.erase().await;
        assert_gone(&scene, operation).await;
    }
}

/// A step that is cut off after it has come some of the way goes on from there, and is no failure, however
/// many follow it. One that has come nowhere is one.
#[tokio::test]
async fn progress_is_no_failure() {
    let world = World::new().await;
    let bob = world.user_with("bob", BARE).await;
    world.advance(HOUR_MS);
    sign_in_again(&world, &bob).await;
    let id = |n: usize| DeviceId::parse(&format!("00000000-5a57-4b0e-9c39-{n:012x}")).unwrap();
    let former: BTreeSet<DeviceId> = (0..12).map(id).collect();
    world.state.store().list_devices(bob.user(), &former).await.unwrap();
    assert_eq!(delete(&world, &bob).await, "204");
    world.advance(MINUTE_MS);
    world.calls.record();
    // The first calls of a step: the message, the account in the first step, the list of devices, and what
    // each device has. The SDK tries a call three times.
    for (down, due) in
        [(1, (15, 1)), (2, (1, 0)), (1, (15, 1)), (1, (30, 2)), (3, (1, 0)), (4, (1, 0)), (2, (15, 1))]
    {
        world.calls.reset();
        (down..down + 3).for_each(|place| world.calls.fail_at(place, CallFault::Down));
        world.deliver().await;
        let calls = world.calls.recorded();
        let order = calls.iter().find(|call| call.operation == "SendMessageBatch").unwrap();
        let entry = &order.request["Entries"][0];
        let body: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        let told = (entry["DelaySeconds"].as_i64().unwrap(), body["failures"].as_i64().unwrap());
        assert_eq!(told, due, "the calls from {down} on are down; {body}");
        world.advance(told.0 * 1_000);
    }
    world.calls.reset();
    world.erase().await;
    assert_eq!(world.stored().await.keys("#bob", "").len(), 1);
}

/// A time in which a step ends that ends at all.
const LONG: Duration = Duration::from_secs(60);

/// Lambda ends a function that takes too long, and after five such ends SQS gives the message up. A step
/// on which a call hangs ends before that, and is queued again.
#[tokio::test]
async fn a_step_that_hangs_ends_before_the_function_does() {
    let deletion = async {
        let scene = small_scene().await;
        assert_eq!(delete(&scene.world, &scene.wanda).await, "204");
        scene.world.deliver().await;
        hang(&scene.world).await;
        scene.world.erase().await;
        assert_gone(&scene, "after a call that hung").await;
    };
    let revocation = async {
        let scene = small_scene().await;
        let second = scene.world.further(&scene.wanda, "three").await;
        scene.wanda.revoke(second.id()).await.unwrap();
        scene.world.deliver().await;
        hang(&scene.world).await;
        scene.world.erase().await;
        assert_eq!(scene.world.stored().await.keys(second.id().as_str(), "").len(), 1, "the record");
        scene.world.deliver().await;
    };
    tokio::join!(deletion, revocation);
}

/// Lets the first call that deletes something hang, in the first step of an erasure.
async fn hang(world: &World) {
    // The sockets of former sessions end again in the first half of the minute.
    world.advance(30_000);
    world.deliver().await;
    world.advance(30_000);
    let held = world.calls.hold("BatchWriteItem", 0);
    let step = tokio::time::timeout(LONG, world.deliver()).await;
    assert!(step.is_ok(), "Lambda ends the function");
    held.reached().await;
    // The next step waits. Nothing is hidden, as the message of a function that has died would be.
    assert_eq!(world.queued().await, (0, 0));
}
