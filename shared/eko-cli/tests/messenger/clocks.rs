//! Tests of a clock that was wrong once: two days ahead, and then right again. Nothing that the device has
//! stored meanwhile holds anything up.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use eko_client::messenger::{DeliveryMode, Notice, RECEIPTS_PAUSE_MS, SIDE_ENVELOPES};
use eko_client::store::EnvelopeState;
use eko_client::{DeviceStore, Environment};
use eko_testkit::{World, seeded};
use futures_util::FutureExt as _;
use http::Method;

use crate::live::{LONGEST_PAUSE_MS, numbered};
use crate::people::{TestMessenger, befriend, first, hear, request, say, shown, sign_in, text};
use crate::receipts::state;
use crate::resending::damage;
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

const DAY_MS: i64 = 24 * 3_600_000;

/// Bob, whose clock can be wrong, and Alice, whose clock is the server's.
struct ClockScene {
    world: Arc<World>,
    alice: TestMessenger,
    bob: TestMessenger,
    hers: TestNetwork,
    his: TestNetwork,
    ahead_ms: Arc<AtomicI64>,
}

impl ClockScene {
    async fn new() -> Self {
        let world = Arc::new(World::live().await);
        let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
        his.sockets.lead_to(&world);
        let alice = first(&world, &hers, "alice").await;
        let ahead_ms = Arc::new(AtomicI64::new(0));
        let (true_clock, offset) = (world.clock(), Arc::clone(&ahead_ms));
        let clock = Arc::new(move || true_clock() + offset.load(Ordering::SeqCst));
        let environment = Environment { clock, random: seeded("bob/one") };
        let (store, request) = (DeviceStore::in_memory().unwrap(), request(&world, "bob", false));
        let (bob, _) = sign_in(&world, &his, store, environment, request).await.unwrap();
        befriend(&alice, &bob).await;
        say(&alice, &bob.me(), "hello").await;
        say(&bob, &alice.me(), "hello").await;
        world.deliver().await;
        hear(&world, &alice).await;
        hear(&world, &bob).await;
        world.deliver().await;
        Self { world, alice, bob, hers, his, ahead_ms }
    }

    /// Sets Bob's clock two days ahead.
    fn set_ahead(&self) {
        self.ahead_ms.store(2 * DAY_MS, Ordering::SeqCst);
    }

    /// Sets Bob's clock right. A minute has passed.
    fn set_right(&self) {
        self.ahead_ms.store(0, Ordering::SeqCst);
        self.world.advance(60_000);
    }

    /// Lets Alice write, and Bob look once. Returns what he is shown.
    async fn bob_hears(&self, words: &str) -> Vec<String> {
        say(&self.alice, &self.bob.me(), words).await;
        self.world.deliver().await;
        shown(&self.bob, &self.bob.receive().await.unwrap())
    }
}

/// The process ends in the middle of a refresh, which leaves its lease behind.
#[tokio::test]
async fn a_refresh_under_way_holds_up_no_later_one() {
    let scene = ClockScene::new().await;
    scene.set_ahead();
    scene.his.fail(|| Some(NetworkFault::LostRequest));
    let dying = scene.bob.receive();
    assert!(dying.now_or_never().is_none_or(|looked| looked.is_err()));
    scene.his.honest();
    scene.set_right();
    scene.world.advance(20 * 60_000);
    assert_eq!(scene.bob_hears("one").await, ["one"]);
    // The tokens that came while the clock was ahead seem to last for two days.
    scene.set_ahead();
    assert_eq!(scene.bob_hears("two").await, ["two"]);
    scene.set_right();
    scene.world.advance(20 * 60_000);
    assert_eq!(scene.bob_hears("three").await, ["three"]);
    scene.world.deliver().await;
    hear(&scene.world, &scene.alice).await;
    scene.world.deliver().await;
}

#[tokio::test]
async fn a_message_that_waits_to_be_sent_is_due() {
    let scene = ClockScene::new().await;
    scene.set_ahead();
    scene.his.drop_requests(|request| {
        let is_outbox = request.method() == Method::POST && request.uri().path() == "/user/bob/outbox";
        is_outbox.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let waiting = scene.bob.send(&scene.alice.me(), text("one")).await.unwrap();
    assert_eq!(waiting.envelopes[0].state, EnvelopeState::ToSend);
    scene.his.honest();
    scene.set_right();
    assert!(scene.bob.next_due_ms().unwrap().unwrap() <= scene.world.now_ms());
    // The next one does not overtake it.
    say(&scene.bob, &scene.alice.me(), "two").await;
    assert_eq!(state(&scene.bob, &waiting.id), EnvelopeState::Accepted);
    scene.world.deliver().await;
    let received = scene.alice.receive().await.unwrap();
    assert_eq!(
        (shown(&scene.alice, &received), received.look_again_ms),
        (vec!["one".into(), "two".into()], None)
    );
    scene.world.deliver().await;
}

#[tokio::test]
async fn receipts_find_room_beside_what_was_sent_then() {
    let scene = ClockScene::new().await;
    scene.set_ahead();
    for line in numbered(SIDE_ENVELOPES) {
        say(&scene.bob, &scene.alice.me(), &line).await;
    }
    scene.set_right();
    scene.world.deliver().await;
    hear(&scene.world, &scene.alice).await;
    let sent = say(&scene.alice, &scene.bob.me(), "one").await;
    scene.world.deliver().await;
    scene.bob.receive().await.unwrap();
    scene.world.deliver().await;
    hear(&scene.world, &scene.alice).await;
    assert_eq!(state(&scene.alice, &sent.id), EnvelopeState::Delivered);
    scene.world.deliver().await;
}

/// The first of two messages is late.
#[tokio::test]
async fn a_message_that_waits_for_another_one_is_shown() {
    let scene = ClockScene::new().await;
    scene.set_ahead();
    let late = say(&scene.alice, &scene.bob.me(), "one").await;
    scene.world.deliver().await;
    // A server holds it back.
    scene.his.tamper(|passing| {
        if passing.endpoint.0 != "GET" || !passing.endpoint.1.ends_with("/user/bob/inbox") {
            return None;
        }
        let mut page: serde_json::Value = serde_json::from_slice(passing.answer).ok()?;
        page["orderedItems"].as_array_mut()?.retain(|entry| entry["object"]["messages"].is_null());
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    assert_eq!(shown(&scene.bob, &scene.bob.receive().await.unwrap()), [""; 0]);
    scene.his.honest();
    // Entries of one millisecond have no order.
    scene.world.advance(1);
    say(&scene.alice, &scene.bob.me(), "two").await;
    scene.world.deliver().await;
    let entries = scene.bob.device().fetch().await.unwrap().entries;
    let first = entries.iter().map(|entry| entry.address.clone()).min().unwrap();
    scene.bob.device().discard(&first).await.unwrap();
    assert_eq!(shown(&scene.bob, &scene.bob.receive().await.unwrap()), [""; 0], "it waits");
    scene.set_right();
    assert_eq!(shown(&scene.bob, &scene.bob.receive().await.unwrap()), ["two"]);
    assert_ne!(state(&scene.bob, &late.id), EnvelopeState::Refused);
    scene.world.deliver().await;
    hear(&scene.world, &scene.alice).await;
    scene.world.deliver().await;
}

/// The server takes no keys that are dated a day away from its own time.
#[tokio::test]
async fn a_wrong_clock_makes_no_keys() {
    let scene = ClockScene::new().await;
    let made = scene.bob.key_status().await.unwrap();
    for days in [400, 40, 2, -2, -400] {
        scene.ahead_ms.store(days * DAY_MS, Ordering::SeqCst);
        scene.bob.receive().await.unwrap();
        assert_eq!(scene.bob.key_status().await.unwrap(), made, "{days} days");
    }
    scene.set_right();
    scene.bob.receive().await.unwrap();
    assert_eq!(scene.bob.key_status().await.unwrap(), made);
    scene.world.advance(7 * DAY_MS);
    scene.bob.receive().await.unwrap();
    let now = scene.bob.key_status().await.unwrap();
    assert_eq!((now.renewed_ms, now.agrees), (scene.world.now_ms(), true));
    assert_eq!(scene.bob_hears("one").await, ["one"]);
    scene.world.deliver().await;
    hear(&scene.world, &scene.alice).await;
    scene.world.deliver().await;
}

#[tokio::test]
async fn a_run_by_a_clock_far_ahead_leaves_the_keys_that_the_server_gives_out() {
    let scene = ClockScene::new().await;
    scene.ahead_ms.store(400 * DAY_MS, Ordering::SeqCst);
    for _ in 0..2 {
        scene.bob.receive().await.ok();
        scene.world.advance(60_000);
    }
    let carol = first(&scene.world, &scene.hers, "carol").await;
    say(&carol, &scene.bob.me(), "do you know me?").await;
    scene.set_right();
    scene.world.deliver().await;
    assert_eq!(scene.bob.receive().await.unwrap().notices, [Notice::Request { actor: carol.me().actor() }]);
    assert_eq!(scene.bob.requests().unwrap()[0].messages[0].text, "do you know me?");
    scene.world.deliver().await;
}

#[tokio::test]
async fn a_run_by_a_clock_far_ahead_keeps_what_may_be_asked_for() {
    let scene = ClockScene::new().await;
    let sent = say(&scene.bob, &scene.alice.me(), "one").await;
    scene.world.deliver().await;
    scene.ahead_ms.store(400 * DAY_MS, Ordering::SeqCst);
    scene.bob.receive().await.ok();
    scene.bob.send_receipts().await.ok();
    scene.set_right();
    damage(&scene.hers, "alice");
    let awaited = Notice::Awaited { actor: scene.bob.me().actor() };
    // Bob's receipt cannot be read either.
    assert!(scene.alice.receive().await.unwrap().notices.contains(&awaited));
    scene.hers.honest();
    scene.world.deliver().await;
    assert_eq!(scene.bob.receive().await.unwrap().notices, []);
    scene.world.deliver().await;
    assert_eq!(hear(&scene.world, &scene.alice).await, ["one"]);
    scene.world.deliver().await;
    hear(&scene.world, &scene.bob).await;
    assert_eq!(state(&scene.bob, &sent.id), EnvelopeState::Delivered);
    scene.world.deliver().await;
}

/// By a clock that is 400 days ahead the message waits until the clock is right.
#[tokio::test]
async fn an_author_sees_the_time_of_the_server_too() {
    for ahead_ms in [-20 * 3_600_000, 2 * DAY_MS, 400 * DAY_MS] {
        let scene = ClockScene::new().await;
        scene.ahead_ms.store(ahead_ms, Ordering::SeqCst);
        let sent = scene.bob.send(&scene.alice.me(), text("one")).await.unwrap();
        scene.set_right();
        scene.bob.receive().await.unwrap();
        let [message] = &scene.bob.messages_with_id(&sent.id).unwrap()[..] else { panic!("{sent:?}") };
        let apart_ms = message.content.published_ms - message.content.received_ms;
        // The server names whole seconds, and a minute has passed.
        assert!((apart_ms - ahead_ms).abs() <= 61_000, "{ahead_ms}: {apart_ms}");
        scene.world.deliver().await;
        hear(&scene.world, &scene.alice).await;
        scene.world.deliver().await;
    }
}

/// The clock is set right while the program runs.
#[tokio::test]
async fn a_feed_goes_on_after_the_clock_was_set_back() {
    let scene = ClockScene::new().await;
    scene.set_ahead();
    let mut feed = scene.bob.live_feed(LONGEST_PAUSE_MS);
    for _ in 0..4 {
        feed.advance().await.unwrap();
    }
    assert_eq!(feed.mode(), &DeliveryMode::Live);
    scene.set_right();
    let sent = say(&scene.alice, &scene.bob.me(), "one").await;
    scene.world.deliver().await;
    let mut heard = Vec::new();
    for _ in 0..20 {
        heard.extend(shown(&scene.bob, &feed.advance().await.unwrap()));
        let wait_ms = feed.due_ms().saturating_sub(scene.world.now_ms()).clamp(1, RECEIPTS_PAUSE_MS);
        scene.world.advance(wait_ms);
    }
    assert_eq!((&heard[..], feed.mode()), (&["one".to_owned()][..], &DeliveryMode::Live));
    scene.world.deliver().await;
    hear(&scene.world, &scene.alice).await;
    assert_eq!(state(&scene.alice, &sent.id), EnvelopeState::Delivered);
    scene.world.deliver().await;
    feed.end().await;
}
