//! Failures of DynamoDB and SQS: the answer to the client while they last, and the next try of the
//! client after them.

use std::collections::BTreeSet;

use eko_client::Device;
use eko_client::device::JoinKind;
use eko_protocol::id::EntryKey;
use eko_store::deliveries::{Delivery, ReportDelivery};
use eko_store::resources::DELIVERIES;
use eko_testkit::{
    BARE, CallFault, ChainChanges as _, DirectTransport, Feature, World, ciphertext, envelope, refused,
};
use serde_json::json;

use crate::outcomes::accepted;
use crate::people::{alice_and_bob, alice_and_bobs_two};

/// The tries that the AWS SDK makes of one call.
const TRIES: usize = 3;
/// The time after which a message that was received and not deleted is visible again.
const VISIBILITY_MS: i64 = DELIVERIES.visibility_seconds as i64 * 1000;

#[tokio::test]
async fn the_queue_is_down_and_the_same_envelope_is_sent_again() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    world.calls.fail("SendMessageBatch", CallFault::Down, TRIES);
    assert_eq!(refused(alice.send(&outgoing).await), "503 unavailable");
    assert_eq!(world.queued().await, (0, 0));
    world.advance(5000);
    accepted(alice.send(&outgoing).await.unwrap());
    world.deliver().await;
    for device in [&bob, &second] {
        let [message] = <[_; 1]>::try_from(world.messages(device).await).unwrap();
        assert_eq!(message.ciphertext, ciphertext(device));
    }
}

#[tokio::test]
async fn the_queue_takes_part_of_a_batch() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    // SQS refuses entries for a reason of its own: the store sends them again, up to three times.
    world.calls.fail("SendMessageBatch", CallFault::EntriesRefused, 2);
    accepted(alice.send(&outgoing).await.unwrap());
    assert_eq!(world.queued().await, (1, 0));
    let other = envelope(&alice, &[&bob, &second]);
    world.calls.fail("SendMessageBatch", CallFault::EntriesRefused, TRIES);
    assert_eq!(refused(alice.send(&other).await), "503 unavailable");
    accepted(alice.send(&other).await.unwrap());
    world.deliver().await;
    assert_eq!((world.messages(&bob).await.len(), world.messages(&second).await.len()), (2, 2));
}

#[tokio::test]
async fn an_envelope_of_several_queue_messages_fails_in_the_middle() {
    let world = World::new().await;
    if Feature::LargeMessages.is_lacking().await {
        return;
    }
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", BARE).await);
    let mut others = Vec::new();
    for number in 2..=12 {
        let device = world.device("bob", &format!("number {number}"), BARE);
        device.register(&world.id_token(&device).await, device.as_further()).await.unwrap();
        bob.approve(device.id()).await.unwrap();
        others.push(device);
    }
    world.deliver().await;
    let devices: Vec<&Device<DirectTransport>> = others.iter().chain([&bob]).collect();
    // Twelve ciphertexts of 96 KiB are 1.5 MiB in base64: more than SQS takes in one message.
    let mut outgoing = envelope(&alice, &devices);
    for (device, content) in &mut outgoing.messages {
        content.resize(96 * 1024, device.as_str().as_bytes()[0]);
    }
    let held = world.calls.hold("SendMessageBatch", 1);
    let meanwhile = async {
        held.reached().await;
        // The first batch is sent. The second one fails, twice.
        world.calls.fail("SendMessageBatch", CallFault::Down, TRIES - 1);
        held.release();
    };
    world.calls.reset();
    let (sent, ()) = tokio::join!(alice.send(&outgoing), meanwhile);
    accepted(sent.unwrap());
    assert!(world.calls.made().iter().filter(|call| *call == "SendMessageBatch").count() >= 2);
    world.deliver().await;
    for device in devices {
        let [message] = <[_; 1]>::try_from(world.messages(device).await).unwrap();
        let sent = outgoing.messages.iter().find(|(id, _)| id == device.id()).unwrap();
        assert!(message.ciphertext == sent.1);
    }
}

#[tokio::test]
async fn answers_that_are_lost_change_nothing() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    // Each write of the send happens twice.
    world.calls.fail("UpdateItem", CallFault::AnswerLost, 2);
    world.calls.fail("SendMessageBatch", CallFault::AnswerLost, 1);
    accepted(alice.send(&outgoing).await.unwrap());
    assert_eq!(world.queued().await, (2, 0));
    world.calls.fail("BatchWriteItem", CallFault::AnswerLost, 1);
    world.deliver().await;
    assert_eq!((world.messages(&bob).await.len(), world.messages(&second).await.len()), (1, 1));
    // The claim of the receipt and the receipt happen twice as well.
    world.calls.fail("UpdateItem", CallFault::AnswerLost, 1);
    world.calls.fail("SendMessageBatch", CallFault::AnswerLost, 1);
    world.confirm(&bob).await;
    world.confirm(&second).await;
    world.deliver().await;
    let reported: Vec<_> = world.reports(&alice).await.into_iter().map(|report| report.envelope).collect();
    assert_eq!(reported, [outgoing.id]);
}

#[tokio::test]
async fn a_lost_answer_to_a_transaction() {
    let world = World::new().await;
    if Feature::TransactionTokens.is_lacking().await {
        return;
    }
    let alice = world.device("alice", "one", BARE);
    world.calls.fail("TransactWriteItems", CallFault::AnswerLost, 1);
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    world.calls.fail("TransactWriteItems", CallFault::AnswerLost, 1);
    alice.refresh().await.unwrap();
    alice.refresh().await.unwrap();
    let second = world.pending(&alice, "two").await;
    world.calls.fail("TransactWriteItems", CallFault::AnswerLost, 1);
    assert_eq!(alice.approve(second.id()).await.unwrap().length, 2);
    world.calls.fail("TransactWriteItems", CallFault::AnswerLost, 1);
    assert_eq!(alice.revoke(second.id()).await.unwrap().length, 3);
    assert_eq!(alice.chain(alice.user()).await.unwrap().0.len(), 3);
    world.deliver().await;
}

#[tokio::test]
async fn a_take_whose_answer_is_lost_gives_no_key_twice() {
    let world = World::new().await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user("bob").await);
    let mut given = BTreeSet::new();
    for _ in 0..3 {
        world.calls.fail("UpdateItem", CallFault::AnswerLost, 1);
        let taken = alice.take(bob.user()).await.unwrap();
        let keys = taken.packages[0].pre_key.as_ref().map(|key| key.id.get());
        assert!(keys.is_none_or(|id| given.insert(id)), "{keys:?} was given before");
    }
    assert_eq!(given, BTreeSet::from([2]));
}

#[tokio::test]
async fn the_mailboxes_are_down_and_the_message_comes_back() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    world.send(&alice, &[&bob, &second]).await;
    world.calls.fail("BatchWriteItem", CallFault::Down, TRIES);
    assert_eq!(world.deliver().await, 1);
    assert_eq!(world.messages(&bob).await, []);
    assert_eq!(world.queued().await, (1, 0));
    // The message stays hidden until its visibility timeout is over, and is delivered then.
    world.advance(VISIBILITY_MS - 1);
    assert_eq!(world.deliver().await, 0);
    world.advance(1);
    assert_eq!(world.deliver().await, 1);
    assert_eq!((world.messages(&bob).await.len(), world.messages(&second).await.len()), (1, 1));
}

#[tokio::test]
async fn a_device_set_out_of_reach_delays_its_report_only() {
    let (world, alice, bob) = alice_and_bob().await;
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    world.confirm(&bob).await;
    world.send(&bob, &[&alice]).await;
    world.calls.fail("GetItem", CallFault::Down, TRIES);
    assert_eq!(world.deliver().await, 2);
    assert_eq!(world.messages(&alice).await.len(), 1);
    world.empty(&alice).await;
    world.advance(VISIBILITY_MS);
    assert_eq!(world.deliver().await, 1);
    assert_eq!(world.reports(&alice).await.len(), 1);
}

#[tokio::test]
async fn a_poison_message_goes_to_the_dead_letter_queue_alone() {
    let mut world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let queue = world.cloud.deliveries.queue.clone();
    let report = Delivery::Report(ReportDelivery {
        to: bob.user().clone(),
        device: None,
        entry: EntryKey::new(0, &alice.actor(), "x"),
        ttl: 1,
        charged_to: alice.actor(),
        activity: json!({}),
    });
    let mut for_no_user = json!(report);
    for_no_user["to"] = json!("no user");
    for poison in ["garbage", &for_no_user.to_string()] {
        world.cloud.clients.sqs.send_message().queue_url(&queue).message_body(poison).send().await.unwrap();
    }
    world.send(&alice, &[&bob]).await;
    assert_eq!(world.deliver().await, 3);
    assert_eq!(world.messages(&bob).await.len(), 1);
    for _ in 1..DELIVERIES.max_receives {
        assert_eq!(world.queued().await, (2, 0));
        world.advance(VISIBILITY_MS);
        assert_eq!(world.deliver().await, 2);
    }
    world.advance(VISIBILITY_MS);
    assert_eq!(world.deliver().await, 0);
    assert_eq!(world.queued().await, (0, 2));
    world.leave_queues();
}

#[tokio::test]
async fn a_receipt_that_cannot_be_queued_leaves_its_entry() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    for _ in 0..3 {
        world.send(&alice, &[&bob, &second]).await;
    }
    world.deliver().await;
    let entries = bob.fetch().await.unwrap().entries;
    let addresses: Vec<String> = entries.iter().map(|entry| entry.address.clone()).collect();
    world.calls.fail("SendMessageBatch", CallFault::Down, TRIES);
    assert_eq!(refused(bob.acknowledge(&addresses).await), "503 unavailable");
    assert_eq!(bob.fetch().await.unwrap().entries, entries);
    bob.acknowledge(&addresses).await.unwrap();
    bob.acknowledge(&addresses).await.unwrap();
    world.confirm(&second).await;
    assert_eq!(bob.fetch().await.unwrap().entries, []);
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 3);
}

/// Each call of an acknowledgement fails, or is performed and its answer is lost for good. Either
/// is also what a process leaves that dies there.
#[tokio::test]
async fn an_acknowledgement_that_ends_after_any_call_is_repeated_without_a_loss() {
    for fault in [CallFault::Down, CallFault::AnswerLost] {
        for operation in ["BatchGetItem", "UpdateItem", "SendMessageBatch", "BatchWriteItem"] {
            let (world, alice, bob, second) = alice_and_bobs_two().await;
            world.send(&alice, &[&bob, &second]).await;
            world.deliver().await;
            let entry = bob.fetch().await.unwrap().entries[0].address.clone();
            let acknowledged = async || bob.acknowledge(std::slice::from_ref(&entry)).await;
            world.calls.fail(operation, fault, TRIES);
            assert_eq!(refused(acknowledged().await), "503 unavailable", "{operation} {fault:?}");
            // Time passes, and the other device acknowledges. The receipt stays the first one's.
            world.advance(1_000);
            world.confirm(&second).await;
            acknowledged().await.unwrap();
            assert_eq!(bob.fetch().await.unwrap().entries, [], "{operation} {fault:?}");
            acknowledged().await.unwrap();
            world.deliver().await;
            assert_eq!(world.reports(&alice).await.len(), 1, "{operation} {fault:?}");
        }
    }
}

/// Each call of a discard fails, or its answer is lost. The envelope does not come back afterwards.
#[tokio::test]
async fn a_discard_that_ends_after_any_call_is_repeated() {
    for fault in [CallFault::Down, CallFault::AnswerLost] {
        for operation in ["BatchGetItem", "UpdateItem", "BatchWriteItem"] {
            let (world, alice, bob) = alice_and_bob().await;
            let sent = world.send(&alice, &[&bob]).await;
            world.deliver().await;
            let entry = bob.fetch().await.unwrap().entries[0].address.clone();
            world.calls.fail(operation, fault, TRIES);
            assert_eq!(refused(bob.discard(&entry).await), "503 unavailable", "{operation} {fault:?}");
            bob.discard(&entry).await.unwrap();
            accepted(alice.send(&sent).await.unwrap());
            world.deliver().await;
            assert_eq!(bob.fetch().await.unwrap().entries, [], "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_claim_that_fails_leaves_its_entry() {
    let (world, alice, bob) = alice_and_bob().await;
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    let entries = bob.fetch().await.unwrap().entries;
    world.calls.fail("UpdateItem", CallFault::Down, TRIES);
    assert_eq!(refused(bob.acknowledge(&[entries[0].address.clone()]).await), "503 unavailable");
    assert_eq!(bob.fetch().await.unwrap().entries, entries);
    world.confirm(&bob).await;
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 1);
}

#[tokio::test]
async fn the_table_is_down() {
    let (world, alice, bob) = alice_and_bob().await;
    let carol = world.device("carol", "one", BARE);
    let token = world.id_token(&carol).await;
    let before = world.stored().await;
    let outgoing = envelope(&alice, &[&bob]);
    world.calls.fail("BatchGetItem", CallFault::Down, TRIES);
    assert_eq!(refused(alice.send(&outgoing).await), "503 unavailable");
    // The account and the recipient are charged at once.
    world.calls.fail("UpdateItem", CallFault::Down, 2 * TRIES);
    assert_eq!(refused(alice.send(&outgoing).await), "503 unavailable");
    world.calls.fail("Query", CallFault::Down, TRIES);
    assert_eq!(refused(alice.fetch().await), "503 unavailable");
    world.calls.fail("GetItem", CallFault::Down, TRIES);
    assert_eq!(refused(carol.register(&token, JoinKind::First).await), "503 unavailable");
    world.calls.fail("TransactWriteItems", CallFault::Down, TRIES);
    assert_eq!(refused(carol.register(&token, JoinKind::First).await), "503 unavailable");
    world.calls.fail("UpdateItem", CallFault::Down, TRIES);
    assert_eq!(refused(alice.take(bob.user()).await), "503 unavailable");
    world.calls.fail("TransactWriteItems", CallFault::Down, TRIES);
    assert_eq!(refused(alice.refresh().await), "503 unavailable");
    assert_eq!(world.stored().await.difference(&before), []);
    // The failures used up no name, no budget, no token and no key.
    accepted(alice.send(&outgoing).await.unwrap());
    carol.register(&token, JoinKind::First).await.unwrap();
    alice.refresh().await.unwrap();
    assert_eq!(alice.take(bob.user()).await.unwrap().packages[0].pre_key.as_ref().unwrap().id.get(), 1);
    world.deliver().await;
}

#[tokio::test]
async fn a_device_waits_although_nobody_could_be_told() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    world.calls.fail("SendMessageBatch", CallFault::Down, TRIES);
    let second = world.pending(&bob, "two").await;
    assert_eq!(world.queued().await, (0, 0));
    assert_eq!(bob.pending_devices().await.unwrap().len(), 1);
    bob.approve(second.id()).await.unwrap();
}
