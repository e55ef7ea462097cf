//! Tests of the answers of a push service and their consequences.

use eko_testkit::{ChainChanges as _, PushAnswer, World};

use super::PushScene;

#[tokio::test]
async fn a_subscription_that_is_gone_is_removed() {
    for status in [404, 410] {
        let scene = PushScene::new().await;
        scene.site.answer([PushAnswer::Status(status)]);
        scene.send().await;
        assert_eq!(scene.site.requests(), 1, "{status}");
        scene.absent.fetch().await.unwrap();
        scene.send().await;
        assert_eq!(scene.site.requests(), 0, "{status}");
        assert_eq!(scene.world.pushes().await, (0, 0));
        // The device subscribes anew.
        scene.subscribe(&scene.absent, &scene.site.browser("2")).await;
        scene.send().await;
        assert_eq!(scene.site.taken().len(), 1, "{status}");
    }
}

/// 401 and 403 say that this server is at fault: the subscription stays, and the order comes back.
#[tokio::test]
async fn a_refusal_of_this_server_keeps_the_subscription() {
    for status in [401, 403] {
        let scene = PushScene::new().await;
        scene.site.answer([PushAnswer::Status(status)]);
        scene.send().await;
        assert!(scene.site.taken().is_empty(), "{status}");
        scene.world.advance(30_000);
        scene.world.push().await;
        assert_eq!(scene.site.taken().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_failure_is_tried_again_later_and_as_late_as_the_service_asks() {
    let scene = PushScene::new().await;
    scene.site.answer([
        PushAnswer::Status(503),
        PushAnswer::RetryAfter(429, 120),
        PushAnswer::RetryAfter(429, 86_400),
        PushAnswer::Status(500),
    ]);
    scene.send().await;
    // The waits: 30 s, 120 s as asked, 15 min instead of the day that was asked, and 4 min.
    for wait_ms in [30_000, 120_000, 900_000, 240_000] {
        scene.site.requests();
        scene.world.advance(wait_ms - 1_000);
        assert_eq!(scene.world.push().await, 0, "{wait_ms}");
        scene.world.advance(1_000);
        assert_eq!(scene.world.push().await, 1, "{wait_ms}");
        assert_eq!(scene.site.requests(), 1, "{wait_ms}");
    }
    assert_eq!(scene.site.taken().len(), 1);
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_given_up() {
    let scene = PushScene::new().await;
    scene.site.answer(vec![PushAnswer::Status(500); 20]);
    scene.send().await;
    let mut tries = scene.site.requests();
    while scene.world.pushes().await != (0, 0) {
        scene.world.advance(900_000);
        scene.world.push().await;
        tries += scene.site.requests();
    }
    assert_eq!(tries, 20);
    // The next message is a reason for another push, and the service is there again.
    scene.alice.refresh().await.unwrap();
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

impl PushScene {
    /// Carries out the orders that are due in a process that dies after the answer of the push
    /// service, before it has noted that the push is given up.
    async fn die_before_the_push_is_given_up(&self) {
        let held = self.world.calls.hold("UpdateItem", 0);
        tokio::select! {
            biased;
            _ = self.world.push() => panic!("the note is held"),
            () = held.reached() => {}
        }
    }
}

/// The order comes back, the push is tried once more, and given up then.
#[tokio::test]
async fn a_process_that_dies_before_a_push_is_given_up_loses_nothing() {
    let scene = PushScene::new().await;
    scene.site.answer(vec![PushAnswer::Status(500); 21]);
    scene.send().await;
    for _ in 1..19 {
        scene.world.advance(900_000);
        scene.world.push().await;
    }
    scene.world.advance(900_000);
    scene.die_before_the_push_is_given_up().await;
    assert_eq!((scene.site.requests(), scene.world.pushes().await), (20, (1, 0)));
    scene.world.advance(90_000);
    scene.world.push().await;
    assert_eq!((scene.site.requests(), scene.world.pushes().await), (1, (0, 0)));
    scene.alice.refresh().await.unwrap();
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

/// After a refusal, the second attempt finds that its cause has passed.
#[tokio::test]
async fn a_process_that_dies_after_a_refusal_loses_nothing() {
    let scene = PushScene::new().await;
    scene.site.answer([PushAnswer::Status(400)]);
    scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
    scene.world.deliver().await;
    scene.die_before_the_push_is_given_up().await;
    scene.world.advance(90_000);
    scene.world.push().await;
    assert_eq!((scene.site.taken().len(), scene.world.pushes().await), (1, (0, 0)));
}

#[tokio::test]
async fn a_device_that_fetches_while_the_service_fails_gets_no_push() {
    let scene = PushScene::new().await;
    scene.site.answer([PushAnswer::Status(500)]);
    scene.send().await;
    scene.world.advance(10_000);
    scene.absent.fetch().await.unwrap();
    scene.world.advance(20_000);
    scene.world.push().await;
    assert_eq!(scene.site.requests(), 1);
    assert!(scene.site.taken().is_empty());
}

/// The device fetches, and another message leads to a push of its own. The first order comes back and
/// is not taken for it.
#[tokio::test]
async fn an_order_does_not_repeat_the_push_of_another_one() {
    let scene = PushScene::new().await;
    scene.site.answer(vec![PushAnswer::Status(503); 2]);
    scene.send().await;
    scene.absent.fetch().await.unwrap();
    scene.world.advance(5_000);
    scene.send().await;
    assert_eq!(scene.site.requests(), 2);
    scene.world.advance(25_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!((scene.site.requests(), scene.world.pushes().await), (0, (1, 0)));
    scene.world.advance(5_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.taken().len(), 1);
}

/// The device acknowledges something while the service fails. It is there, and what is left has its
/// check.
#[tokio::test]
async fn a_device_that_acknowledges_while_the_service_fails_gets_no_push() {
    let scene = PushScene::new().await;
    scene.send().await;
    let page = scene.absent.fetch().await.unwrap();
    scene.site.taken();
    scene.site.answer([PushAnswer::Status(503)]);
    scene.send().await;
    scene.absent.acknowledge(&[page.entries[0].address.clone()]).await.unwrap();
    scene.site.requests();
    scene.world.advance(30_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.requests(), 0);
    scene.world.deliver().await;
    scene.world.confirm(&scene.absent).await;
    scene.world.advance(60_000);
    scene.settle().await;
    assert_eq!((scene.site.requests(), scene.world.pushes().await), (0, (0, 0)));
}

/// The device is revoked while the service fails, and its subscription is not erased yet.
#[tokio::test]
async fn a_device_that_is_revoked_while_the_service_fails_gets_no_push() {
    let scene = PushScene::new().await;
    scene.site.answer([PushAnswer::Status(503)]);
    scene.send().await;
    assert_eq!(scene.site.requests(), 1);
    scene.bob.revoke(scene.absent.id()).await.unwrap();
    scene.world.advance(30_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!((scene.site.requests(), scene.world.pushes().await), (0, (0, 0)));
    scene.world.deliver().await;
    scene.world.erase().await;
}

#[tokio::test]
async fn other_refusals_end_the_order() {
    for status in [400, 413] {
        let scene = PushScene::new().await;
        scene.site.answer([PushAnswer::Status(status)]);
        scene.send().await;
        assert_eq!(scene.site.requests(), 1, "{status}");
        assert_eq!(scene.world.pushes().await, (0, 0), "{status}");
        // The cause has passed. No push was sent yet, so that the next message is a reason for one.
        scene.send().await;
        scene.send().await;
        assert_eq!((scene.site.requests(), scene.site.taken().len()), (1, 1), "{status}");
    }
}

/// The operator is told, and what waits is sent after the key is repaired and the function has
/// started anew.
#[tokio::test]
async fn a_key_that_is_none_keeps_the_order() {
    let world = World::with(|config| config.vapid_key = Some("a key".to_owned())).await;
    let mut scene = PushScene::on(world).await;
    scene.send().await;
    assert_eq!(scene.site.requests(), 0);
    assert_eq!(scene.world.pushes().await, (1, 0));
    scene.world.leave_queues();
}
