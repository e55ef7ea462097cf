//! The AWS calls that each path makes, and the rounds of calls that follow one another.
//!
//! A change that adds a call or a round fails here, and has to say why it is worth it.

use eko_client::device::{OutgoingEnvelope, RegistrationProof, SendOutcome};
use eko_protocol::block::BlockedParty;
use eko_testkit::{BARE, ChainChanges as _, World, post_registration};
use serde_json::json;

use crate::people::alice_and_bob;

#[tokio::test]
async fn a_message_to_two_devices() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let second = world.further(&bob, "two").await;

    world.calls.reset();
    let taken = alice.take(bob.user()).await.unwrap();
    assert_eq!(taken.packages.len(), 2);
    // One call for the device sets, one claim for each device, and one call for the keys of all
    // devices.
    assert_eq!(world.calls.made(), ["BatchGetItem", "UpdateItem", "UpdateItem", "BatchGetItem"]);
    assert_eq!(world.calls.rounds(), 3);

    let messages = vec![(bob.id().clone(), vec![1; 512]), (second.id().clone(), vec![2; 512])];
    let envelope = OutgoingEnvelope::new(bob.user().clone(), alice.envelope_id(), messages);
    world.calls.reset();
    assert!(matches!(alice.send(&envelope).await.unwrap(), SendOutcome::Accepted { .. }));
    let mut made = world.calls.made();
    made[..3].sort();
    // Round 1: device sets, and the budgets of the account and of the recipient. The account's
    // budget over all recipients is no part of any item that is written anyway. Round 2: the
    // envelope's record. Round 3: the queue.
    assert_eq!(made, ["BatchGetItem", "UpdateItem", "UpdateItem", "UpdateItem", "SendMessageBatch"]);
    assert_eq!(world.calls.rounds(), 3);

    world.calls.reset();
    assert_eq!(world.deliver().await, 1);
    // The last call is the receive that finds the queue empty.
    assert_eq!(
        world.calls.made(),
        // The read is of the item that says who has a socket and who is woken by a push: one for
        // each batch.
        ["ReceiveMessage", "BatchWriteItem", "BatchGetItem", "DeleteMessageBatch", "ReceiveMessage"]
    );

    world.calls.reset();
    let page = second.fetch().await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(world.calls.made(), ["Query"]);

    world.calls.reset();
    second.acknowledge(&[page.entries[0].address.clone()]).await.unwrap();
    // The entry with the device's record, the acknowledgement in the envelope's record, the
    // receipt, and last the deletion. A deletion that came first would lose the receipt with its
    // answer.
    assert_eq!(world.calls.made(), ["BatchGetItem", "UpdateItem", "SendMessageBatch", "BatchWriteItem"]);

    // The second device deletes its entry, and sends no receipt.
    let page = bob.fetch().await.unwrap();
    world.calls.reset();
    bob.acknowledge(&[page.entries[0].address.clone()]).await.unwrap();
    assert_eq!(world.calls.made(), ["BatchGetItem", "UpdateItem", "BatchWriteItem"]);

    world.calls.reset();
    world.deliver().await;
    // The delivery of a report reads the author's device set.
    assert_eq!(
        world.calls.made(),
        [
            "ReceiveMessage",
            "GetItem",
            "BatchWriteItem",
            "BatchGetItem",
            "DeleteMessageBatch",
            "ReceiveMessage"
        ]
    );

    // A sync is charged to the account only.
    let messages = vec![(bob.id().clone(), vec![1; 512])];
    let sync = OutgoingEnvelope::new(bob.user().clone(), second.envelope_id(), messages);
    world.calls.reset();
    assert!(matches!(second.send(&sync).await.unwrap(), SendOutcome::Accepted { .. }));
    let mut made = world.calls.made();
    made[..2].sort();
    assert_eq!(made, ["BatchGetItem", "UpdateItem", "UpdateItem", "SendMessageBatch"]);
    assert_eq!(world.calls.rounds(), 3);

    // A report is discarded without an envelope's record.
    let report = alice.fetch().await.unwrap().entries[0].address.clone();
    world.calls.reset();
    alice.discard(&report).await.unwrap();
    assert_eq!(world.calls.made(), ["BatchGetItem", "BatchWriteItem"]);
    world.deliver().await;
}

#[tokio::test]
async fn an_acknowledgement_of_many_entries() {
    let (world, alice, bob) = alice_and_bob().await;
    for _ in 0..30 {
        world.send(&alice, &[&bob]).await;
    }
    world.deliver().await;
    let entries: Vec<String> =
        bob.fetch().await.unwrap().entries.into_iter().map(|entry| entry.address).collect();
    world.calls.reset();
    bob.acknowledge(&entries).await.unwrap();
    let made = world.calls.made();
    let count = |operation: &str| made.iter().filter(|call| *call == operation).count();
    assert_eq!(
        ["BatchGetItem", "UpdateItem", "SendMessageBatch", "BatchWriteItem"].map(count),
        [1, 30, 3, 2]
    );
    world.deliver().await;
}

/// Receipts need no more than to be deleted: one frame or request for up to a hundred of them.
#[tokio::test]
async fn an_acknowledgement_of_many_receipts() {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    for _ in 0..30 {
        world.send(&alice, &[&bob]).await;
    }
    world.deliver().await;
    world.confirm(&bob).await;
    world.deliver().await;
    let receipts = alice.fetch().await.unwrap().entries.into_iter().map(|entry| entry.address);
    let receipts: Vec<String> = receipts.collect();
    assert_eq!(receipts.len(), 30);
    let mut socket = world.connect(&alice).await.unwrap();
    world.calls.reset();
    socket.say(&json!({ "type": "Delivered", "object": receipts })).await;
    assert_eq!(world.calls.made(), ["UpdateItem", "BatchGetItem", "BatchWriteItem", "BatchWriteItem"]);
    // Both deletions run at once.
    assert_eq!(world.calls.rounds(), 3);
    assert_eq!(alice.fetch().await.unwrap().entries, []);
}

#[tokio::test]
async fn a_take_of_one_device() {
    let (world, alice, bob) = alice_and_bob().await;
    world.calls.reset();
    let taken = alice.take(bob.user()).await.unwrap();
    assert!(taken.packages[0].pre_key.is_some());
    assert_eq!(world.calls.made(), ["BatchGetItem", "UpdateItem", "BatchGetItem"]);
}

/// A block costs two calls, and none on the way of a message (`tests/whole/blocks/hidden.rs`).
#[tokio::test]
async fn a_block() {
    let (world, alice, bob) = alice_and_bob().await;
    let party = BlockedParty::parse(&alice.actor()).unwrap();
    for is_undone in [false, true] {
        world.calls.reset();
        bob.change_block(&party, is_undone).await.unwrap();
        // The account's budget, which also counts what is refused; the digest in the device set, on
        // condition that the device is active, and the item of the list.
        assert_eq!(world.calls.made(), ["UpdateItem", "TransactWriteItems"]);
    }
    world.calls.reset();
    bob.blocks().await.unwrap();
    let mut made = world.calls.made();
    made.sort();
    assert_eq!((made, world.calls.rounds()), (vec!["GetItem".to_owned(), "Query".to_owned()], 1));
}

#[tokio::test]
async fn a_publication_of_keys() {
    let (world, _alice, mut bob) = alice_and_bob().await;
    let environment = bob.environment().clone();
    let more = bob.keys_mut().more(1, 0, &environment).unwrap();
    let mut renewed = bob.keys_mut().rotate(&environment).unwrap();
    world.calls.reset();
    bob.publish(&more).await.unwrap();
    // The identity key that verifies the signature; the device's record and lasting keys; the block
    // that the new key shares with others.
    assert_eq!(world.calls.made(), ["BatchGetItem", "BatchGetItem", "BatchGetItem", "TransactWriteItems"]);
    world.calls.reset();
    bob.publish(&renewed).await.unwrap();
    assert_eq!(world.calls.made(), ["BatchGetItem", "BatchGetItem", "TransactWriteItems"]);
    world.calls.reset();
    bob.publish(&renewed).await.unwrap();
    assert_eq!(world.calls.made(), ["BatchGetItem", "BatchGetItem"]);
    world.advance(60_000);
    renewed.pre_keys = bob.keys_mut().more(1, 0, &environment).unwrap().pre_keys;
    world.calls.reset();
    bob.replace_keys(&renewed, world.now_ms()).await.unwrap();
    assert_eq!(world.calls.made(), ["BatchGetItem", "BatchGetItem", "TransactWriteItems"]);
}

#[tokio::test]
async fn the_end_of_devices() {
    let (world, _alice, bob) = alice_and_bob().await;
    let waiting = world.pending(&bob, "two").await;
    world.deliver().await;
    let set = bob.chain(bob.user()).await.unwrap().1.device_set().reference().unwrap();
    world.calls.reset();
    bob.reject(&waiting.described(), &set).await.unwrap();
    // The device set; the identity keys of both devices, for the signature; the order to erase.
    assert_eq!(world.calls.made(), ["GetItem", "BatchGetItem", "SendMessageBatch", "TransactWriteItems"]);

    let fresh = world.device("bob", "three", BARE);
    let token = world.id_token(&fresh).await;
    let position = fresh.chain(bob.user()).await.unwrap().1.position;
    let body = fresh.registration(RegistrationProof::Node(fresh.reset_node(&position).unwrap()));
    world.calls.reset();
    assert_eq!(post_registration(&fresh, &token, &body).await.status, 201);
    // The account of the subject; the device set with the last reset; the order to erase.
    assert_eq!(world.calls.made(), ["GetItem", "BatchGetItem", "SendMessageBatch", "TransactWriteItems"]);
    world.deliver().await;

    // A reset that is refused orders nothing.
    let again = world.device("bob", "four", BARE);
    let position = again.chain(bob.user()).await.unwrap().1.position;
    let body = again.registration(RegistrationProof::Node(again.reset_node(&position).unwrap()));
    world.calls.reset();
    assert_eq!(post_registration(&again, &world.id_token(&again).await, &body).await.status, 401);
    assert_eq!(world.calls.made(), ["GetItem", "BatchGetItem"]);
}

#[tokio::test]
async fn a_later_page_of_a_mailbox() {
    let world = World::with(|config| config.limits.sender_budget = 1000).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    for _ in 0..101 {
        let messages = vec![(bob.id().clone(), vec![1; 16])];
        let id = alice.envelope_id();
        alice.send(&OutgoingEnvelope::new(bob.user().clone(), id, messages)).await.unwrap();
        world.advance(1);
    }
    world.deliver().await;
    let first = bob.fetch().await.unwrap();
    assert_eq!(first.entries.len(), 100);
    world.calls.reset();
    let second = bob.fetch_after(&first.next.unwrap()).await.unwrap();
    assert_eq!(second.entries.len(), 1);
    assert_eq!(second.next, None);
    let mut made = world.calls.made();
    made.sort();
    // A later page reads the device's record as well, so that a device revoked between two pages
    // reads no further.
    assert_eq!(made, ["GetItem", "Query"]);
    assert_eq!(world.calls.rounds(), 1);
}

/// A device that waits for approval is charged instead of its account, which gets back what was
/// counted.
#[tokio::test]
async fn a_socket_of_a_device_that_waits() {
    let world = World::live().await;
    let bob = world.user("bob").await;
    let waiting = world.pending(&bob, "two").await;
    world.deliver().await;
    world.calls.reset();
    world.connect(&waiting).await.map(drop).unwrap();
    let mut made = world.calls.made();
    made[..4].sort();
    assert_eq!(made, ["GetItem", "UpdateItem", "UpdateItem", "UpdateItem", "PutItem", "UpdateItem"]);
    assert_eq!(world.calls.rounds(), 4);
}

/// The calls of a server with sockets: a send and a fetch make the same calls, and a delivery makes
/// one more for each batch.
#[tokio::test]
async fn a_message_to_sockets() {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    world.deliver().await;

    world.calls.reset();
    let mut socket = world.connect(&bob).await.unwrap();
    let mut made = world.calls.made();
    made[..2].sort();
    // The device's record beside the account's budget; the socket's item for its frames; the user's
    // item for deliveries.
    assert_eq!(made, ["GetItem", "UpdateItem", "PutItem", "UpdateItem"]);
    assert_eq!(world.calls.rounds(), 3);

    world.calls.reset();
    let outgoing = world.send(&alice, &[&bob, &second]).await;
    let mut made = world.calls.made();
    made[..3].sort();
    assert_eq!(made, ["BatchGetItem", "UpdateItem", "UpdateItem", "UpdateItem", "SendMessageBatch"]);
    world.send(&alice, &[&bob, &second]).await;
    world.calls.reset();
    world.deliver().await;
    // Two messages are one batch, which reads once who has a socket.
    assert_eq!(
        world.calls.made(),
        [
            "ReceiveMessage",
            "BatchWriteItem",
            "BatchGetItem",
            "PostToConnection",
            "PostToConnection",
            "DeleteMessageBatch",
            "ReceiveMessage"
        ]
    );
    let frames = socket.frames();

    world.calls.reset();
    assert_eq!(socket.say(&json!({ "type": "Ping" })).await.len(), 1);
    assert_eq!(world.calls.made(), ["UpdateItem", "PostToConnection"]);

    world.calls.reset();
    assert_eq!(socket.fetch().await.len(), 3);
    let posts = ["PostToConnection"; 3];
    assert_eq!(world.calls.made(), [&["UpdateItem", "Query"], &posts[..]].concat());
    world.calls.reset();
    bob.fetch().await.unwrap();
    assert_eq!(world.calls.made(), ["Query"]);

    // As at the outbox, after the count of the frame. A frame without an id has no answer.
    world.calls.reset();
    socket.say(&json!({ "type": "Delivered", "object": frames[0]["eko:entry"] })).await;
    assert_eq!(
        world.calls.made(),
        ["UpdateItem", "BatchGetItem", "UpdateItem", "SendMessageBatch", "BatchWriteItem"]
    );
    world.deliver().await;

    bob.refresh().await.unwrap();
    let token = bob.tokens().unwrap().access;
    world.calls.reset();
    socket.say(&json!({ "type": "Authenticate", "token": token })).await;
    assert_eq!(world.calls.made(), ["UpdateItem", "GetItem", "UpdateItem", "UpdateItem"]);

    world.calls.reset();
    socket.close().await;
    assert_eq!(world.calls.made(), ["GetItem", "UpdateItem", "BatchWriteItem"]);

    // Nobody is connected: nothing is posted. The envelope is one that the device has acknowledged.
    alice.send(&outgoing).await.unwrap();
    world.calls.reset();
    world.deliver().await;
    assert!(!world.calls.made().contains(&"PostToConnection".to_owned()));

    // A revocation orders the erasure before it, and the end of the sockets after it.
    world.calls.reset();
    bob.revoke(second.id()).await.unwrap();
    assert_eq!(
        world.calls.made(),
        // The first one reads the chain.
        ["Query", "GetItem", "BatchGetItem", "SendMessageBatch", "TransactWriteItems", "SendMessageBatch"]
    );
    world.calls.reset();
    bob.logout().await.unwrap();
    // The session and the subscription end together.
    assert_eq!(world.calls.made(), ["GetItem", "TransactWriteItems", "SendMessageBatch"]);
    world.deliver().await;
}
