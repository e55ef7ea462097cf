//! Tests of the feed of a device that waits for approval.

use eko_client::messenger::{APPROVAL_PAUSE_MS, DeliveryMode, JoinState, MessengerError};
use eko_client::store::DeviceEnd;
use serde_json::json;

use crate::live::{LONGEST_PAUSE_MS, LiveScene};
use crate::people::{code_of, device, know, say};
use crate::test_network::FalseAnswer;

#[tokio::test]
async fn a_device_is_told_of_its_approval_at_once() {
    let scene = LiveScene::new().await;
    let (phone, _) = device(&scene.world, &scene.wire, "bob", "phone").await;
    let mut feed = phone.live_feed(LONGEST_PAUSE_MS);
    for _ in 0..3 {
        assert!(matches!(feed.advance().await.unwrap_err(), MessengerError::Pending));
    }
    assert_eq!((scene.wire.sockets.opened(), feed.mode()), (1, &DeliveryMode::Waiting));
    let asked = std::mem::take(&mut *scene.wire.asked.lock().unwrap());
    assert!(!asked.iter().any(|url| url.contains("/inbox")), "{asked:?}");
    let due_ms = feed.due_ms();
    assert!(due_ms > scene.world.now_ms() + APPROVAL_PAUSE_MS / 2);

    scene.world.advance(2_000);
    scene.bob.approve(&code_of(&phone)).await.unwrap();
    scene.world.deliver().await;
    scene.wire.sockets.pass_on().await;
    feed.arrival().await;
    assert_eq!(feed.join().await.unwrap(), JoinState::Joined);
    assert_eq!(feed.mode(), &DeliveryMode::Live);
    know(&phone, &scene.alice.me()).await;
    // The same socket brings what comes from now on.
    say(&scene.alice, &scene.bob.me(), "0").await;
    scene.world.deliver().await;
    feed.advance().await.unwrap();
    feed.arrival().await;
    let received = feed.advance().await.unwrap();
    assert_eq!(received.messages.len(), 1);
    assert_eq!((scene.wire.sockets.opened(), feed.mode()), (1, &DeliveryMode::Live));
    feed.end().await;
    assert_eq!(scene.wire.sockets.open(), [0; 0]);
    scene.world.deliver().await;
    scene.bob.receive().await.unwrap();
    scene.world.deliver().await;
}

/// The word of the server may be lost, and there may be no socket.
#[tokio::test]
async fn a_device_asks_in_any_case() {
    for status in [None, Some(500)] {
        let scene = LiveScene::new().await;
        scene.wire.sockets.refuse(status);
        let (phone, _) = device(&scene.world, &scene.wire, "bob", "phone").await;
        let mut feed = phone.live_feed(LONGEST_PAUSE_MS);
        assert_eq!(feed.join().await.unwrap(), JoinState::Waiting);
        scene.bob.approve(&code_of(&phone)).await.unwrap();
        scene.wire.sockets.cut();
        let approved_ms = scene.world.now_ms();
        while feed.join().await.unwrap() == JoinState::Waiting {
            scene.world.advance((feed.due_ms() - scene.world.now_ms()).max(1));
        }
        assert!(scene.world.now_ms() - approved_ms <= APPROVAL_PAUSE_MS);
        scene.world.deliver().await;
        scene.bob.receive().await.unwrap();
    }
}

/// A server that says all the time that the device was approved is asked once a second.
#[tokio::test]
async fn false_approvals_prove_nothing_and_cause_few_questions() {
    let scene = LiveScene::new().await;
    let (phone, _) = device(&scene.world, &scene.wire, "bob", "phone").await;
    let mut feed = phone.live_feed(LONGEST_PAUSE_MS);
    assert_eq!(feed.join().await.unwrap(), JoinState::Waiting);
    scene.wire.asked.lock().unwrap().clear();
    for _ in 0..50 {
        scene.wire.sockets.send(&json!({ "type": ["Activity", "AddDevice"], "object": "x" }));
        assert_eq!(feed.join().await.unwrap(), JoinState::Waiting);
        scene.world.advance(100);
    }
    let asked = scene.wire.asked.lock().unwrap().len();
    assert!((4..=20).contains(&asked), "{asked}");
    scene.world.deliver().await;
}

#[tokio::test]
async fn a_device_that_was_turned_away_hears_so() {
    let scene = LiveScene::new().await;
    let (phone, _) = device(&scene.world, &scene.wire, "bob", "phone").await;
    let mut feed = phone.live_feed(LONGEST_PAUSE_MS);
    assert_eq!(feed.join().await.unwrap(), JoinState::Waiting);
    scene.bob.turn_away(phone.device().id()).await.unwrap();
    scene.world.deliver().await;
    scene.wire.sockets.pass_on().await;
    feed.arrival().await;
    let error = feed.join().await.unwrap_err();
    assert!(matches!(error, MessengerError::Revoked), "{error}");
    scene.bob.receive().await.unwrap();
}

/// A server's word ends nothing: the code and the keys are kept, and the wait goes on when the server answers
/// as before.
#[tokio::test]
async fn a_device_that_was_called_revoked_goes_on_waiting_once_its_server_says_otherwise() {
    let scene = LiveScene::new().await;
    let (phone, _) = device(&scene.world, &scene.wire, "bob", "phone").await;
    let code = code_of(&phone);
    scene.wire.tamper(|passing| {
        let problem = json!({ "type": "https://eko.example/problems/device-revoked", "status": 403, "title": "x",
            "detail": "x" });
        (passing.endpoint == ("GET", "/user/bob/devices/pending"))
            .then(|| FalseAnswer { status: 403, body: problem.to_string().into_bytes() })
    });
    for _ in 0..2 {
        assert!(matches!(phone.join().await, Err(MessengerError::Revoked)));
        assert_eq!(phone.device_end().unwrap(), Some(DeviceEnd::Said));
        assert_eq!(code_of(&phone).digits(), code.digits());
    }
    scene.wire.honest();
    assert_eq!(phone.join().await.unwrap(), JoinState::Waiting);
    assert_eq!((phone.device_end().unwrap(), code_of(&phone).digits()), (None, code.digits()));
    scene.bob.approve(&code).await.unwrap();
    assert_eq!(phone.join().await.unwrap(), JoinState::Joined);
    // What the chain proves is for good.
    scene.bob.revoke(phone.device().id()).await.unwrap();
    assert!(matches!(phone.check_this_device().await, Ok(())));
    assert_eq!(phone.device_end().unwrap(), Some(DeviceEnd::Proven));
    scene.world.deliver().await;
    scene.bob.receive().await.unwrap();
    scene.world.deliver().await;
}
