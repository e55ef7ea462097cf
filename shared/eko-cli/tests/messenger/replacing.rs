//! Tests of the replacement of a socket: the next one is opened first, and no message is missing or
//! shown twice.

use eko_client::messenger::{DeliveryMode, FetchingReason, RENEWED_AFTER_MS, STABLE_AFTER_MS};
use eko_protocol::frame::TerminationReason;
use serde_json::json;

use crate::live::{Listening, LiveScene, numbered};
use crate::test_sockets::FrameFate;

impl LiveScene {
    /// Tells the device that the server goes away.
    fn say_farewell(&self) {
        self.wire.sockets.send(&json!({ "type": "Terminated", "reason": "going-away" }));
    }
}

#[tokio::test]
async fn a_socket_is_replaced_before_two_hours_and_closed_afterwards() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    scene.write(&["0"]).await;
    scene.fetches();
    bob.wait(RENEWED_AFTER_MS).await;
    assert_eq!((scene.wire.sockets.open(), bob.feed.mode()), (vec![2], &DeliveryMode::Live));
    scene.write(&["1"]).await;
    bob.settle().await;
    assert_eq!((bob.heard, scene.fetches()), (numbered(2), 0));
    scene.world.deliver().await;
}

/// The new socket is slow. Until it has brought its backlog, the old one brings what comes.
#[tokio::test]
async fn both_sockets_bring_entries_until_the_new_one_has_its_backlog() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.wait(STABLE_AFTER_MS).await;
    scene.fetches();
    scene.wire.sockets.heard();
    scene.wire.sockets.fates_to_server(|frame| match frame["type"].as_str() {
        Some("Fetch") => FrameFate::IsLost,
        _ => FrameFate::Arrives,
    });
    scene.say_farewell();
    bob.settle().await;
    assert_eq!(scene.wire.sockets.open(), [1, 2]);
    scene.write(&["0"]).await;
    bob.settle().await;
    assert_eq!(bob.heard, numbered(1), "it has come on the old socket");
    assert_eq!(scene.wire.sockets.heard(), ["Fetch", "Delivered"]);
    scene.write(&["1"]).await;
    scene.wire.sockets.send(&json!({
        "type": "QueueEmpty", "object": "1", "eko:preKeyCount": 10, "eko:kyberPreKeyCount": 5
    }));
    bob.settle().await;
    assert_eq!((&bob.heard, scene.wire.sockets.open()), (&numbered(2), vec![2]));
    scene.wire.sockets.honest();
    bob.wait(5_000).await;
    assert_eq!((bob.heard, scene.fetches()), (numbered(2), 0));
    assert_eq!(scene.bob.device().fetch().await.unwrap().entries, []);
    scene.world.deliver().await;
}

/// Messages are sent at every moment of a replacement, and both sockets break at any frame.
#[tokio::test]
async fn nothing_is_missing_or_repeated_whichever_socket_breaks() {
    let fates = [FrameFate::IsLost, FrameFate::ArrivesTwice, FrameFate::Breaks, FrameFate::BreaksAfter];
    for (fate, at) in fates.into_iter().flat_map(|fate| (0..6).map(move |at| (fate, at))) {
        let scene = LiveScene::new().await;
        let mut bob = Listening::to(&scene);
        bob.wait(STABLE_AFTER_MS).await;
        scene.write(&["0"]).await;
        scene.say_farewell();
        let (mut to_device, mut to_server) = (0, 0);
        let one_of = move |count: &mut usize| {
            *count += 1;
            if *count == at + 1 { fate } else { FrameFate::Arrives }
        };
        scene.wire.sockets.fates_to_device(move |_| one_of(&mut to_device));
        scene.wire.sockets.fates_to_server(move |_| one_of(&mut to_server));
        for text in ["1", "2", "3"] {
            scene.write(&[text]).await;
            let _ = bob.step().await;
            bob.settle().await;
        }
        bob.wait(2 * STABLE_AFTER_MS).await;
        assert_eq!(bob.heard, numbered(4), "{fate:?} at {at}");
        assert_eq!(bob.feed.mode(), &DeliveryMode::Live, "{fate:?} at {at}");
        assert_eq!(scene.wire.sockets.open().len(), 1, "{fate:?} at {at}");
        assert_eq!(scene.bob.device().fetch().await.unwrap().entries, [], "{fate:?} at {at}");
        scene.world.deliver().await;
    }
}

#[tokio::test]
async fn the_old_socket_stays_while_no_other_can_be_opened() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.wait(STABLE_AFTER_MS).await;
    scene.fetches();
    scene.wire.sockets.refuse(Some(500));
    scene.say_farewell();
    bob.wait(60_000).await;
    scene.write(&["0"]).await;
    bob.settle().await;
    assert_eq!((&bob.heard, bob.feed.mode()), (&numbered(1), &DeliveryMode::Live));
    assert_eq!((scene.wire.sockets.open(), scene.fetches()), (vec![1], 0));
    // The server closes it at last.
    scene.wire.sockets.cut();
    bob.settle().await;
    assert_eq!(bob.fetching(), &FetchingReason::Terminated(TerminationReason::GoingAway));
    scene.write(&["1"]).await;
    bob.wait(10_000).await;
    assert_eq!(bob.heard, numbered(2));
    scene.world.deliver().await;
}

/// A server that goes away each time is not asked more often than one that breaks each time.
#[tokio::test]
async fn a_server_that_always_goes_away_is_asked_less_and_less() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.wait(STABLE_AFTER_MS).await;
    for _ in 0..600 {
        scene.say_farewell();
        bob.wait(100).await;
    }
    let opened = scene.wire.sockets.opened();
    assert!((5..=10).contains(&opened), "{opened}");
    scene.world.deliver().await;
}
