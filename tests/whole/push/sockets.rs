//! Devices with sockets: who is there gets no push, and whoever seems to be there gets one after a
//! minute.

use eko_store::pushes::CHECK_MS;
use eko_testkit::{CallFault, World, envelope};
use serde_json::json;

use super::PushScene;
use crate::outcomes::accepted;

/// Ten messages within two minutes to a device that acknowledges each: every check finds nothing.
#[tokio::test]
async fn a_device_that_acknowledges_what_its_socket_took_gets_no_push() {
    let scene = PushScene::on(World::live().await).await;
    let mut socket = scene.world.connect(&scene.absent).await.unwrap();
    for _ in 0..10 {
        scene.send().await;
        for frame in socket.frames() {
            if let Some(entry) = frame.get("eko:entry") {
                socket.say(&json!({ "type": "Delivered", "object": entry })).await;
            }
        }
        scene.world.advance(12_000);
        scene.world.push().await;
    }
    scene.world.advance(CHECK_MS);
    scene.world.push().await;
    assert_eq!(scene.site.requests(), 0);
    assert_eq!(scene.world.pushes().await, (0, 0));
    scene.world.deliver().await;
}

/// API Gateway takes frames for a connection whose peer has gone without a word.
#[tokio::test]
async fn a_socket_that_died_in_silence_leads_to_one_push_within_a_minute() {
    let scene = PushScene::on(World::live().await).await;
    let _dead = scene.world.connect(&scene.absent).await.unwrap();
    for _ in 0..10 {
        scene.send().await;
        scene.world.advance(1_000);
    }
    assert_eq!(scene.site.requests(), 0);
    scene.world.advance(CHECK_MS - 10_000);
    scene.world.push().await;
    assert_eq!(scene.site.taken().len(), 1);
    // The push was sent: neither another message nor another minute leads to one.
    scene.send().await;
    scene.world.advance(CHECK_MS);
    scene.world.push().await;
    assert!(scene.site.taken().is_empty());
    assert_eq!(scene.world.pushes().await, (0, 0));
}

#[tokio::test]
async fn a_connection_that_is_gone_leads_to_a_push_at_once() {
    let scene = PushScene::on(World::live().await).await;
    drop(scene.world.connect(&scene.absent).await.unwrap());
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

/// A message shortly before the check of another one has its own minute.
#[tokio::test]
async fn a_message_before_the_check_of_another_is_checked_in_its_turn() {
    let scene = PushScene::on(World::live().await).await;
    let mut socket = scene.world.connect(&scene.absent).await.unwrap();
    scene.send().await;
    let frames = socket.frames();
    socket.say(&json!({ "type": "Delivered", "object": frames[0]["eko:entry"] })).await;
    scene.world.advance(CHECK_MS - 20_000);
    scene.send().await;
    // The first check finds the second message, which is young.
    scene.world.advance(20_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!((scene.site.requests(), scene.world.pushes().await), (0, (1, 0)));
    scene.world.advance(CHECK_MS - 21_000);
    assert_eq!(scene.world.push().await, 0);
    scene.world.advance(1_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.taken().len(), 1);
    scene.world.deliver().await;
}

/// An entry that comes while a check reads the mailbox is seen by the check, or has one of its own.
#[tokio::test]
async fn a_message_during_a_check_is_not_missed() {
    for operation in ["BatchGetItem", "UpdateItem", "Query"] {
        let scene = PushScene::on(World::live().await).await;
        let mut socket = scene.world.connect(&scene.absent).await.unwrap();
        scene.send().await;
        let frames = socket.frames();
        socket.say(&json!({ "type": "Delivered", "object": frames[0]["eko:entry"] })).await;
        scene.world.deliver().await;
        scene.world.advance(CHECK_MS);
        let held = scene.world.calls.hold(operation, 0);
        let meanwhile = async {
            held.reached().await;
            scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
            scene.world.deliver().await;
            held.release();
        };
        tokio::join!(scene.world.push(), meanwhile);
        assert_eq!(scene.site.requests(), 0, "{operation}");
        scene.world.advance(CHECK_MS);
        scene.world.push().await;
        assert_eq!((scene.site.requests(), scene.site.taken().len()), (1, 1), "{operation}");
        scene.world.advance(CHECK_MS);
        scene.world.push().await;
        assert_eq!((scene.site.requests(), scene.world.pushes().await), (0, (0, 0)), "{operation}");
    }
}

/// A present device leaves an entry in its mailbox, and acknowledges all others. It is woken once for
/// that entry, since it may be gone, and not again.
#[tokio::test]
async fn an_entry_that_is_left_in_place_leads_to_one_push() {
    let scene = PushScene::on(World::live().await).await;
    let mut socket = scene.world.connect(&scene.absent).await.unwrap();
    scene.send().await;
    socket.frames();
    let mut pushes = 0;
    for _ in 0..8 {
        scene.alice.refresh().await.unwrap();
        scene.world.advance(20_000);
        scene.send().await;
        for frame in socket.frames() {
            let entry = &frame["eko:entry"];
            socket.say(&json!({ "type": "Delivered", "id": "d", "object": entry })).await;
        }
        scene.settle().await;
        pushes += scene.site.requests();
    }
    scene.world.advance(CHECK_MS);
    scene.settle().await;
    pushes += scene.site.requests();
    assert_eq!((pushes, scene.world.pushes().await), (1, (0, 0)));
    assert_eq!(scene.world.messages(&scene.absent).await.len(), 1);
}

/// A device that was woken connects and fetches on its socket, which ends the push.
#[tokio::test]
async fn a_fetch_on_a_socket_ends_a_push() {
    let scene = PushScene::on(World::live().await).await;
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
    let mut socket = scene.world.connect(&scene.absent).await.unwrap();
    let frames = socket.fetch().await;
    assert_eq!(frames.iter().filter(|frame| frame.get("eko:entry").is_some()).count(), 1);
    drop(socket);
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

/// An acknowledgement alone ends it as well, and what is left is checked.
#[tokio::test]
async fn an_acknowledgement_on_a_socket_ends_a_push_and_what_is_left_is_checked() {
    let scene = PushScene::on(World::live().await).await;
    let mut socket = scene.world.connect(&scene.absent).await.unwrap();
    scene.send().await;
    scene.send().await;
    scene.world.advance(CHECK_MS);
    scene.world.push().await;
    assert_eq!(scene.site.taken().len(), 1);
    // One message is left of those that the push was for, and one has come since.
    scene.send().await;
    let frames = socket.frames();
    for (entry, pushes) in [(0, 1), (2, 0)] {
        socket.say(&json!({ "type": "Delivered", "object": frames[entry]["eko:entry"] })).await;
        scene.world.advance(CHECK_MS);
        scene.world.push().await;
        assert_eq!(scene.site.taken().len(), pushes);
    }
    scene.world.deliver().await;
}

/// A device that was woken connects and sends `Fetch`, and its connection breaks before the frames of
/// the answer arrive. Nothing says so. It is woken once more, and not for ever.
#[tokio::test]
async fn a_fetch_on_a_socket_that_dies_is_checked_once() {
    // A long answer is `Announce` alone.
    for messages in [1, 30] {
        let scene = PushScene::on(World::live().await).await;
        for _ in 0..messages {
            scene.send().await;
        }
        assert_eq!(scene.site.taken().len(), 1);
        let mut woken = Vec::new();
        for _ in 0..3 {
            let mut dying = scene.world.connect(&scene.absent).await.unwrap();
            dying.fetch().await;
            scene.world.advance(CHECK_MS);
            scene.settle().await;
            woken.push(scene.site.taken().len());
        }
        assert_eq!((woken, scene.world.pushes().await), (vec![1, 0, 0], (0, 0)), "{messages}");
        // Another message is woken for, and checked once as well.
        scene.alice.refresh().await.unwrap();
        scene.send().await;
        scene.world.advance(CHECK_MS);
        scene.settle().await;
        assert_eq!(scene.site.taken().len(), 1, "{messages}");
        for pushes in [1, 0] {
            scene.world.connect(&scene.absent).await.unwrap().fetch().await;
            scene.world.advance(CHECK_MS);
            scene.settle().await;
            assert_eq!(scene.site.taken().len(), pushes, "{messages}");
        }
    }
}

#[tokio::test]
async fn a_fetch_on_a_socket_costs_a_check_and_one_query_more_after_a_push() {
    let scene = PushScene::on(World::live().await).await;
    scene.send().await;
    let mut socket = scene.world.connect(&scene.absent).await.unwrap();
    scene.world.calls.reset();
    socket.fetch().await;
    let mut made = scene.world.calls.made();
    made.retain(|call| call != "PostToConnection");
    assert_eq!(made, ["UpdateItem", "Query", "SendMessageBatch", "TransactWriteItems", "Query"]);
    scene.world.calls.reset();
    socket.fetch().await;
    let mut made = scene.world.calls.made();
    made.retain(|call| call != "PostToConnection");
    assert_eq!(made, ["UpdateItem", "Query"]);
    scene.world.advance(CHECK_MS);
    scene.settle().await;
}

/// A message that is sent again for a device that lacked it has the key of its first acceptance. It is
/// checked although a newer message has led to a push.
#[tokio::test]
async fn a_message_with_an_older_key_than_the_last_push_is_checked() {
    let scene = PushScene::on(World::live().await).await;
    let mut early = envelope(&scene.alice, &[&scene.bob]);
    scene.alice.send(&early).await.unwrap();
    scene.settle().await;
    scene.world.advance(1_000);
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
    scene.world.confirm(&scene.absent).await;
    let _dead = scene.world.connect(&scene.absent).await.unwrap();
    early.messages = envelope(&scene.alice, &[&scene.bob, &scene.absent]).messages;
    accepted(scene.alice.send(&early).await.unwrap());
    scene.settle().await;
    scene.world.advance(CHECK_MS);
    scene.settle().await;
    assert_eq!(scene.site.taken().len(), 1);
}

/// A transaction writes the user's item while a delivery marks a device as watched. If it does so for
/// long, the message of that device comes again, and no other one.
#[tokio::test]
async fn a_mark_that_meets_transactions_holds_up_its_own_message_only() {
    for (conflicts, again) in [(2, 0), (100, 1)] {
        let scene = PushScene::on(World::live().await).await;
        let carol = scene.world.user("carol").await;
        let _dead = scene.world.connect(&scene.absent).await.unwrap();
        scene.world.deliver().await;
        scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
        scene.world.send(&scene.alice, &[&carol]).await;
        scene.world.calls.fail("UpdateItem", CallFault::Conflict, conflicts);
        assert_eq!(scene.world.deliver().await, 2);
        scene.world.calls.fail("UpdateItem", CallFault::Conflict, 0);
        scene.world.advance(CHECK_MS * 10);
        assert_eq!(scene.world.deliver().await, again, "{conflicts}");
        scene.world.advance(CHECK_MS);
        scene.settle().await;
        assert_eq!(scene.site.taken().len(), 1, "{conflicts}");
    }
}

/// The queue of the pushes is out of reach. Only the message that wakes somebody comes again.
#[tokio::test]
async fn an_order_that_is_not_queued_holds_up_its_own_message_only() {
    let scene = PushScene::new().await;
    let carol = scene.world.user("carol").await;
    scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
    scene.world.send(&scene.alice, &[&carol]).await;
    scene.world.calls.fail("SendMessageBatch", CallFault::Down, 100);
    assert_eq!(scene.world.deliver().await, 2);
    scene.world.calls.fail("SendMessageBatch", CallFault::Down, 0);
    scene.world.advance(CHECK_MS * 10);
    assert_eq!(scene.world.deliver().await, 1);
    scene.world.push().await;
    assert_eq!(scene.site.taken().len(), 1);
}
