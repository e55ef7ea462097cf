//! Web Push: which messages wake which devices, and what becomes of a subscription.

mod answers;
mod checks;
mod sockets;
mod subscriptions;

use eko_client::{Auth, Body, Device};
use eko_testkit::{Browser, DirectTransport, PushAnswer, PushSite, World, envelope};
use http::Method;

use crate::outcomes::accepted;

/// Alice, and Bob with two devices, of which the second is absent and has a subscription.
struct PushScene {
    world: World,
    site: PushSite,
    alice: Device<DirectTransport>,
    bob: Device<DirectTransport>,
    absent: Device<DirectTransport>,
}

impl PushScene {
    async fn new() -> Self {
        Self::on(World::new().await).await
    }

    async fn on(world: World) -> Self {
        let site = PushSite::online(&world.internet, "push.example").await;
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let absent = world.further(&bob, "two").await;
        let scene = Self { world, site, alice, bob, absent };
        scene.subscribe(&scene.absent, &scene.site.browser("1")).await;
        scene
    }

    /// Subscribes a device.
    async fn subscribe(&self, device: &Device<DirectTransport>, browser: &Browser) {
        let path = format!("/user/{}/push", device.user());
        let body = browser.subscription();
        let answer = device.call(Method::POST, &path, Body::Json(&body), Auth::Device).await.unwrap();
        assert_eq!(answer.status, 204, "{:?}", answer.problem());
    }

    /// Removes the subscription of a device.
    async fn unsubscribe(&self, device: &Device<DirectTransport>) {
        let path = format!("/user/{}/push", device.user());
        let answer = device.call(Method::DELETE, &path, Body::Empty, Auth::Device).await.unwrap();
        assert_eq!(answer.status, 204, "{:?}", answer.problem());
    }

    /// Sends a message to both devices, delivers it, and carries out the orders.
    async fn send(&self) {
        self.world.send(&self.alice, &[&self.bob, &self.absent]).await;
        self.settle().await;
    }

    /// Delivers, and carries out the orders that are due.
    async fn settle(&self) {
        self.world.deliver().await;
        self.world.push().await;
    }
}

#[tokio::test]
async fn one_push_for_ten_messages_and_one_again_after_a_fetch() {
    let scene = PushScene::new().await;
    for _ in 0..10 {
        scene.send().await;
        scene.world.advance(1_000);
    }
    let [message] = <[_; 1]>::try_from(scene.site.taken()).unwrap();
    insta::assert_debug_snapshot!(message, @r#"
    TakenMessage {
        id: "1",
        content: "{\"type\":\"Wake\"}",
        ttl_seconds: 2419200,
        topic_and_urgency: (
            "eko-wake",
            "normal",
        ),
    }
    "#);
    assert_eq!(scene.world.messages(&scene.absent).await.len(), 10);
    scene.send().await;
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

#[tokio::test]
async fn a_message_that_expires_soon_wakes_for_those_after_it() {
    let scene = PushScene::new().await;
    let mut outgoing = envelope(&scene.alice, &[&scene.bob, &scene.absent]);
    outgoing.expires_ms = Some(scene.world.now_ms() + 60_000);
    accepted(scene.alice.send(&outgoing).await.unwrap());
    // The message is gone when the push service is there again. Another one has come.
    scene.site.answer([PushAnswer::Status(503)]);
    scene.settle().await;
    assert_eq!(scene.site.requests(), 1);
    scene.send().await;
    scene.world.advance(61_000);
    scene.settle().await;
    let [message] = <[_; 1]>::try_from(scene.site.taken()).unwrap();
    assert_eq!(message.ttl_seconds, 2_419_200);
}

#[tokio::test]
async fn quiet_messages_and_reports_wake_nobody() {
    let scene = PushScene::new().await;
    let mut quiet = envelope(&scene.alice, &[&scene.bob, &scene.absent]);
    quiet.notify = false;
    accepted(scene.alice.send(&quiet).await.unwrap());
    scene.settle().await;
    // A pending device is announced by a report.
    let _pending = scene.world.pending(&scene.bob, "three").await;
    scene.settle().await;
    assert!(scene.site.taken().is_empty());
    // The quiet message was no push, so the next one is.
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

/// The second fetch of the device has ended a push that was sent after the order was queued.
#[tokio::test]
async fn an_order_that_comes_after_the_fetch_sends_nothing() {
    let scene = PushScene::new().await;
    scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
    scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
    scene.site.answer([PushAnswer::Status(500)]);
    scene.settle().await;
    assert_eq!(scene.site.requests(), 1);
    scene.world.advance(2_000);
    scene.absent.fetch().await.unwrap();
    scene.world.advance(30_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.requests(), 0);
}

/// A push that the device did not react to is forgotten after a day: the service may have lost it.
#[tokio::test]
async fn a_push_is_repeated_after_a_day() {
    let scene = PushScene::new().await;
    scene.send().await;
    scene.world.advance(24 * 3_600_000 + 1);
    scene.alice.refresh().await.unwrap();
    scene.send().await;
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 2);
}

#[tokio::test]
async fn a_fetch_costs_one_transaction_and_one_query_more_after_a_push() {
    let scene = PushScene::new().await;
    scene.send().await;
    scene.world.calls.reset();
    let page = scene.absent.fetch().await.unwrap();
    assert_eq!(scene.world.calls.made(), ["Query", "TransactWriteItems", "Query"]);
    scene.world.calls.reset();
    scene.absent.fetch().await.unwrap();
    assert_eq!(scene.world.calls.made(), ["Query"]);

    // An acknowledgement ends a push as well. It orders a check, since there may be more entries.
    scene.send().await;
    scene.world.calls.reset();
    scene.absent.acknowledge(&[page.entries[0].address.clone()]).await.unwrap();
    assert_eq!(
        scene.world.calls.made(),
        [
            "BatchGetItem",
            "UpdateItem",
            "SendMessageBatch",
            "BatchWriteItem",
            "SendMessageBatch",
            "TransactWriteItems"
        ]
    );
    scene.world.deliver().await;
}

#[tokio::test]
async fn the_calls_of_a_push() {
    let scene = PushScene::new().await;
    scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
    scene.world.calls.reset();
    scene.world.deliver().await;
    assert_eq!(
        scene.world.calls.made(),
        [
            "ReceiveMessage",
            "BatchWriteItem",
            "BatchGetItem",
            "SendMessageBatch",
            "DeleteMessageBatch",
            "ReceiveMessage"
        ]
    );
    scene.world.calls.reset();
    scene.world.push().await;
    assert_eq!(
        scene.world.calls.made(),
        ["ReceiveMessage", "BatchGetItem", "TransactWriteItems", "DeleteMessageBatch", "ReceiveMessage"]
    );
    // The next message, whose key is a newer one, finds that a push was sent.
    scene.world.advance(1);
    scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
    scene.world.calls.reset();
    scene.world.deliver().await;
    assert_eq!(
        scene.world.calls.made(),
        ["ReceiveMessage", "BatchWriteItem", "BatchGetItem", "DeleteMessageBatch", "ReceiveMessage"]
    );
}

/// An entry that is delivered between the first read of a fetch and the end of the push orders
/// nothing, because a push was sent. The fetch reads it itself.
#[tokio::test]
async fn a_message_between_the_fetch_and_the_end_of_the_push_is_fetched() {
    let scene = PushScene::new().await;
    scene.send().await;
    let held = scene.world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        scene.send().await;
        held.release();
    };
    let (page, ()) = tokio::join!(scene.absent.fetch(), meanwhile);
    assert_eq!(page.unwrap().entries.len(), 2);
    assert_eq!(scene.site.taken().len(), 1);
}
