//! Erasure: what a revoked device left is deleted in the end, whatever its size and whatever fails.

use eko_client::Device;
use eko_client::device::JoinKind;
use eko_protocol::id::EntryKey;
use eko_store::device::DeviceAddress;
use eko_store::mailbox::{AddressedEntry, Entry, EntryContent};
use eko_testkit::{BARE, CallFault, ChainChanges as _, DirectTransport, World, refused};
use serde_json::json;

use crate::people::alice_and_bobs_two;

/// The tries that the AWS SDK makes of one call.
const TRIES: usize = 3;

/// Writes this many entries into the mailbox of a device.
async fn fill(world: &World, device: &Device<DirectTransport>, count: u64) {
    let entry = |number: u64| AddressedEntry {
        user: device.user().clone(),
        device: device.id().clone(),
        entry: Entry {
            key: EntryKey::new(number, "https://eko.example/actor", "x"),
            ttl: i64::MAX,
            content: EntryContent::Report { charged_to: device.actor(), activity: json!({}) },
        },
    };
    let entries: Vec<AddressedEntry> = (0..count).map(entry).collect();
    assert_eq!(world.state.store().put_entries(&entries).await, Vec::<usize>::new());
}

/// Returns the sort keys of what is stored of a device.
async fn left(world: &World, device: &Device<DirectTransport>) -> Vec<String> {
    let partition = format!("D#{}#{}", device.user(), device.id());
    world.stored().await.keys(&partition, "").into_iter().map(|(_, sort)| sort.clone()).collect()
}

#[tokio::test]
async fn a_revocation_takes_the_same_calls_whatever_the_mailbox_holds() {
    let (world, _, bob, second) = alice_and_bobs_two().await;
    fill(&world, &second, 450).await;
    let node = bob.chain(bob.user()).await.unwrap().1.position;
    let node = eko_protocol::chain::NextNode::new(bob.origin(), bob.user(), &node, world.now_ms());
    let node = bob.sign_node(node.revoke(second.id())).unwrap();
    world.calls.reset();
    bob.append(&node).await.unwrap();
    assert_eq!(world.calls.made(), ["GetItem", "BatchGetItem", "SendMessageBatch", "TransactWriteItems"]);
    assert_eq!(refused(second.fetch().await), "401 device-revoked");

    // The order waits until no request can be under way. Each receive is one bounded step.
    world.advance(59_999);
    assert_eq!(world.deliver().await, 0);
    world.advance(1);
    let mut steps = 0;
    loop {
        world.calls.reset();
        if world.deliver().await == 0 {
            break;
        }
        let made = world.calls.made();
        assert!(made.len() <= 10, "{made:?}");
        steps += 1;
        world.advance(1_000);
    }
    assert!(steps >= 5, "{steps}");
    assert_eq!(left(&world, &second).await, ["DEVICE"]);
    assert!(left(&world, &bob).await.len() > 1);
    world.erase().await;
    assert_eq!(world.queued().await, (0, 0));
}

#[tokio::test]
async fn an_erasure_goes_on_after_any_failure() {
    for operation in ["BatchGetItem", "Query", "BatchWriteItem", "SendMessageBatch", "DeleteMessageBatch"] {
        for fault in [CallFault::Down, CallFault::AnswerLost] {
            let (world, _, bob, second) = alice_and_bobs_two().await;
            fill(&world, &second, 120).await;
            bob.revoke(second.id()).await.unwrap();
            world.advance(60_000);
            world.calls.fail(operation, fault, TRIES);
            world.try_pump().await;
            for _ in 0..4 {
                world.advance(60_000);
                world.try_pump().await;
            }
            assert_eq!(left(&world, &second).await, ["DEVICE"], "{operation} {fault:?}");
            world.erase().await;
            assert_eq!(world.queued().await, (0, 0), "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_long_failure_of_the_table_sends_no_erasure_to_the_dead_letters() {
    let (world, _, bob, second) = alice_and_bobs_two().await;
    bob.revoke(second.id()).await.unwrap();
    world.advance(60_000);
    world.calls.fail("Query", CallFault::Down, 10 * TRIES);
    for _ in 0..10 {
        world.deliver().await;
        world.advance(900_000);
    }
    assert_eq!(world.queued().await.1, 0);
    assert!(left(&world, &second).await.len() > 1);
    world.erase().await;
    assert_eq!(left(&world, &second).await, ["DEVICE"]);
}

#[tokio::test]
async fn a_revocation_that_does_not_happen_erases_nothing() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let before = left(&world, &second).await;
    world.calls.fail("TransactWriteItems", CallFault::Down, TRIES);
    assert_eq!(refused(bob.revoke(second.id()).await), "503 unavailable");
    world.erase().await;
    assert_eq!(left(&world, &second).await, before);
    second.refresh().await.unwrap();
    assert_eq!(world.messages(&second).await.len(), 1);
}

/// An order of many devices, none of which is revoked, is one receive and one read.
#[tokio::test]
async fn an_order_without_a_revocation_is_one_step() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    for label in 2..=6 {
        world.pending(&bob, &label.to_string()).await;
    }
    world.deliver().await;
    let fresh = world.device("bob", "fresh", BARE);
    world.calls.fail("TransactWriteItems", CallFault::Down, TRIES);
    let token = world.id_token(&fresh).await;
    assert_eq!(refused(fresh.register(&token, JoinKind::Reset).await), "503 unavailable");
    world.advance(60_000);
    world.calls.reset();
    world.deliver().await;
    let made = world.calls.made();
    assert_eq!(made, ["ReceiveMessage", "BatchGetItem", "DeleteMessageBatch", "ReceiveMessage"]);
    assert_eq!(world.queued().await, (0, 0));
}

#[tokio::test]
async fn a_revocation_without_an_order_does_not_happen() {
    let (world, _, bob, second) = alice_and_bobs_two().await;
    world.calls.fail("SendMessageBatch", CallFault::Down, TRIES);
    assert_eq!(refused(bob.revoke(second.id()).await), "503 unavailable");
    assert_eq!(second.fetch().await.unwrap().entries, []);
    bob.revoke(second.id()).await.unwrap();
    world.erase().await;
    assert_eq!(left(&world, &second).await, ["DEVICE"]);
}

#[tokio::test]
async fn what_is_delivered_after_the_erasure_is_erased_too() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    world.send(&alice, &[&bob, &second]).await;
    bob.revoke(second.id()).await.unwrap();
    // The letter cannot be written before the erasure is due, and comes back after its first pass.
    world.advance(45_000);
    world.calls.fail("BatchWriteItem", CallFault::Down, TRIES);
    world.deliver().await;
    world.advance(20_000);
    world.deliver().await;
    assert_eq!(left(&world, &second).await, ["DEVICE"]);
    world.advance(30_000);
    world.deliver().await;
    assert_eq!(left(&world, &second).await.len(), 2);
    world.erase().await;
    assert_eq!(left(&world, &second).await, ["DEVICE"]);
}

#[tokio::test]
async fn whoever_is_revoked_is_erased() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let turned_away = world.pending(&bob, "three").await;
    bob.turn_away(turned_away.id()).await.unwrap();
    let waiting = world.pending(&bob, "four").await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let fresh = world.device("bob", "five", BARE);
    fresh.register(&world.id_token(&fresh).await, JoinKind::Reset).await.unwrap();
    world.erase().await;
    for device in [&bob, &second, &turned_away, &waiting] {
        assert_eq!(left(&world, device).await, ["DEVICE"]);
        // The id of the device is never used again.
        let record = DeviceAddress::new(device.user(), device.id());
        assert!(world.state.store().device_record(record).await.unwrap().is_some());
    }
    assert!(left(&world, &fresh).await.len() > 1);
}
