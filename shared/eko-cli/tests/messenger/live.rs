//! Tests of live delivery: a socket that brings what comes, and one that cuts, repeats, reorders, is
//! mute or talks nonsense. Whatever it does, every message is shown once, in order.

use std::sync::Arc;

use eko_cli::LibSignal;
use eko_client::device::DeviceTokens;
use eko_client::messenger::{
    ANSWER_MS, DeliveryMode, FetchingReason, LONGEST_CONNECT_PAUSE_MS, LiveFeed, MessengerError, PING_MS,
    ReceivedBatch, STABLE_AFTER_MS,
};
use eko_protocol::frame::TerminationReason;
use eko_testkit::{World, seeded};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::people::{TestMessenger, befriend, first, say, shown};
use crate::test_network::{FalseAnswer, TestNetwork};
use crate::test_sockets::FrameFate;

type TestFeed<'m> = LiveFeed<'m, TestNetwork, LibSignal>;

/// The longest pause between two fetches without a socket.
pub(crate) const LONGEST_PAUSE_MS: i64 = 10_000;
/// The number of steps after which a feed that finds no rest is at fault.
const MOST_STEPS: usize = 300;

/// A server with Alice and Bob, who are contacts. Bob's device has sockets.
pub(crate) struct LiveScene {
    pub(crate) world: Arc<World>,
    pub(crate) wire: TestNetwork,
    pub(crate) alice: TestMessenger,
    pub(crate) bob: TestMessenger,
}

impl LiveScene {
    pub(crate) async fn new() -> Self {
        let world = Arc::new(World::live().await);
        let wire = TestNetwork::to(&[&world]);
        let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
        befriend(&alice, &bob).await;
        wire.sockets.lead_to(&world);
        Self { world, wire, alice, bob }
    }

    /// Sends messages to Bob, which are in his mailbox afterwards and on his socket if one is open.
    pub(crate) async fn write(&self, texts: &[&str]) {
        for text in texts {
            say(&self.alice, &self.bob.me(), text).await;
            self.world.deliver().await;
            self.wire.sockets.pass_on().await;
        }
    }

    /// Returns the number of times that Bob's mailbox was fetched since the last call.
    pub(crate) fn fetches(&self) -> usize {
        let asked = std::mem::take(&mut *self.wire.asked.lock().unwrap());
        asked.iter().filter(|url| url.contains("/user/bob/inbox") && !url.contains("/inbox/")).count()
    }
}

/// Bob's feed with what he has seen.
pub(crate) struct Listening<'s> {
    scene: &'s LiveScene,
    pub(crate) feed: TestFeed<'s>,
    pub(crate) heard: Vec<String>,
    /// True if Bob reads what is shown.
    pub(crate) reads: bool,
    due_ms: i64,
}

impl<'s> Listening<'s> {
    pub(crate) fn to(scene: &'s LiveScene) -> Self {
        let feed = scene.bob.live_feed(LONGEST_PAUSE_MS);
        Self { scene, feed, heard: Vec::new(), reads: false, due_ms: i64::MIN }
    }

    /// Takes one step, as a program does when something has come or is due.
    pub(crate) async fn step(&mut self) -> Result<(), MessengerError> {
        let bob = &self.scene.bob;
        let received = match self.feed.advance().await {
            Ok(received) => received,
            Err(error) => {
                self.due_ms = self.feed.due_ms();
                return Err(error);
            }
        };
        self.heard.extend(shown(bob, &received));
        if self.reads {
            bob.put_reading(&received.messages).unwrap();
        }
        let ReceivedBatch { look_again_ms, .. } = received;
        let due = [Some(self.feed.due_ms()), look_again_ms, bob.next_due_ms().unwrap()];
        self.due_ms = due.into_iter().flatten().min().unwrap();
        Ok(())
    }

    /// Goes on until nothing more comes at this time.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..MOST_STEPS {
            // What fails now is tried again later.
            let _ = self.step().await;
            let has_news = self.feed.arrival().now_or_never().is_some();
            if !has_news && self.due_ms > self.scene.world.now_ms() {
                return;
            }
        }
        panic!("the feed finds no rest: {}", self.feed.mode());
    }

    /// Goes on for this time.
    pub(crate) async fn wait(&mut self, ms: i64) {
        let end_ms = self.scene.world.now_ms() + ms;
        for _ in 0..MOST_STEPS {
            self.settle().await;
            let left_ms = end_ms - self.scene.world.now_ms();
            if left_ms <= 0 {
                return;
            }
            self.scene.world.advance((self.due_ms - self.scene.world.now_ms()).clamp(1, left_ms));
        }
        panic!("the feed is never at rest: {}", self.feed.mode());
    }

    pub(crate) fn fetching(&self) -> &FetchingReason {
        match self.feed.mode() {
            DeliveryMode::Fetching(reason) => reason,
            DeliveryMode::Live | DeliveryMode::Waiting => panic!("there is a socket"),
        }
    }
}

pub(crate) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_message_comes_on_the_socket_and_is_acknowledged_there() {
    let scene = LiveScene::new().await;
    scene.write(&["before"]).await;
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    assert_eq!((&*bob.heard, bob.feed.mode()), (&["before".to_owned()][..], &DeliveryMode::Live));
    scene.world.advance(2_000);
    scene.fetches();
    scene.write(&["one"]).await;
    bob.settle().await;
    assert_eq!(bob.heard, ["before", "one"]);
    bob.wait(5_000).await;
    assert_eq!(scene.fetches(), 0, "nothing is fetched over HTTP");
    assert_eq!(scene.wire.sockets.heard(), ["Fetch", "Delivered", "Delivered"]);
    assert_eq!(scene.bob.device().fetch().await.unwrap().entries, []);
    scene.world.deliver().await;
}

/// Messages flow while frames in both directions are cut, lost, repeated and late.
#[tokio::test]
async fn every_message_is_shown_once_in_order_whatever_a_socket_does() {
    for seed in 0..3 {
        let scene = LiveScene::new().await;
        let draw = |label: &str| {
            let random = seeded(format!("{label}/{seed}"));
            move |_: &Value| {
                let mut byte = [0];
                random(&mut byte);
                match byte[0] {
                    0..=150 => FrameFate::Arrives,
                    151..=180 => FrameFate::ArrivesTwice,
                    181..=210 => FrameFate::IsLate,
                    211..=220 => FrameFate::IsLost,
                    221..=238 => FrameFate::Breaks,
                    _ => FrameFate::BreaksAfter,
                }
            }
        };
        let mut bob = Listening::to(&scene);
        scene.wire.sockets.fates_to_device(draw("to the device"));
        scene.wire.sockets.fates_to_server(draw("to the server"));
        let all = numbered(30);
        for (number, text) in all.iter().enumerate() {
            scene.write(&[text]).await;
            if number % 3 == 0 {
                bob.settle().await;
            }
            bob.wait(700).await;
        }
        scene.wire.sockets.honest();
        bob.wait(LONGEST_CONNECT_PAUSE_MS + STABLE_AFTER_MS).await;
        assert_eq!(bob.heard, all, "seed {seed}");
        assert!(scene.wire.sockets.opened() > 3, "seed {seed}: it was cut");
        assert_eq!(bob.feed.mode(), &DeliveryMode::Live);
        assert_eq!(scene.bob.device().fetch().await.unwrap().entries, [], "seed {seed}");
        scene.world.deliver().await;
    }
}

#[tokio::test]
async fn a_frame_that_was_never_sent_is_fetched_when_the_next_one_comes() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    scene.write(&["0"]).await;
    bob.wait(10_000).await;
    let mut is_first = true;
    scene.wire.sockets.fates_to_device(move |_| match std::mem::take(&mut is_first) {
        true => FrameFate::IsLost,
        false => FrameFate::Arrives,
    });
    scene.write(&["1", "2"]).await;
    bob.settle().await;
    assert_eq!(bob.heard, numbered(3), "without a pause");
    scene.world.deliver().await;
}

#[tokio::test]
async fn many_entries_are_announced_and_fetched() {
    let scene = LiveScene::new().await;
    let all = numbered(30);
    scene.write(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    assert_eq!((&bob.heard, bob.feed.mode()), (&all, &DeliveryMode::Live));
    scene.world.deliver().await;
}

/// The server has said on the socket that the mailbox is to be fetched, and the fetch fails.
#[tokio::test]
async fn a_mailbox_that_could_not_be_fetched_does_not_count_as_read() {
    let scene = LiveScene::new().await;
    let all = numbered(31);
    scene.write(&all[..30].iter().map(String::as_str).collect::<Vec<_>>()).await;
    scene.wire.drop_requests(|request| {
        let is_fetch = request.method() == "GET" && request.uri().path().ends_with("/user/bob/inbox");
        is_fetch.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    scene.write(&["30"]).await;
    bob.settle().await;
    let _ = bob.step().await;
    assert_eq!((bob.feed.mode(), bob.feed.has_read()), (&DeliveryMode::Live, false));
    scene.wire.honest();
    bob.wait(2 * LONGEST_PAUSE_MS).await;
    assert_eq!((bob.heard.len(), bob.feed.has_read()), (all.len(), true));
    scene.world.deliver().await;
}

#[tokio::test]
async fn without_a_socket_the_mailbox_is_fetched_and_one_is_opened_later() {
    for status in [0, 429, 500, 404] {
        let scene = LiveScene::new().await;
        scene.wire.sockets.refuse(Some(status));
        let mut bob = Listening::to(&scene);
        scene.write(&["0"]).await;
        bob.settle().await;
        assert_eq!(bob.heard, numbered(1));
        assert!(matches!(bob.fetching(), FetchingReason::Unopened(_)), "{}", bob.feed.mode());
        scene.write(&["1"]).await;
        bob.wait(LONGEST_PAUSE_MS).await;
        assert_eq!(bob.heard, numbered(2));
        scene.wire.sockets.honest();
        bob.wait(60_000).await;
        assert_eq!(bob.feed.mode(), &DeliveryMode::Live);
        scene.world.deliver().await;
    }
}

#[tokio::test]
async fn a_server_without_sockets_is_only_fetched_from() {
    let scene = LiveScene::new().await;
    scene.wire.tamper(|passing| {
        if passing.endpoint != ("GET", "/.well-known/ecp") {
            return None;
        }
        let mut capabilities: Value = serde_json::from_slice(passing.answer).unwrap();
        capabilities.as_object_mut().unwrap().remove("live");
        Some(FalseAnswer { status: 200, body: capabilities.to_string().into_bytes() })
    });
    let mut bob = Listening::to(&scene);
    scene.write(&["0"]).await;
    bob.wait(60_000).await;
    assert_eq!((bob.fetching(), &bob.heard), (&FetchingReason::NoSockets, &numbered(1)));
    assert_eq!(scene.wire.sockets.opened(), 0);
    assert!((6..=16).contains(&scene.fetches()), "about every ten seconds");
    scene.world.deliver().await;
}

#[tokio::test]
async fn a_server_that_is_silent_is_left_and_fetched_from() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    scene.wire.sockets.mute(true);
    scene.write(&["0"]).await;
    bob.settle().await;
    assert_eq!(bob.heard, [""; 0], "older entries may come");
    bob.wait(ANSWER_MS).await;
    assert_eq!((bob.fetching(), &bob.heard), (&FetchingReason::Silent, &numbered(1)));
    scene.wire.sockets.honest();
    bob.wait(60_000).await;
    assert_eq!(bob.feed.mode(), &DeliveryMode::Live);
    // A peer that dies later is noticed by its missing answer to a ping.
    bob.wait(STABLE_AFTER_MS).await;
    scene.wire.sockets.mute(true);
    bob.wait(PING_MS).await;
    scene.wire.sockets.cut();
    bob.wait(ANSWER_MS).await;
    scene.wire.sockets.honest();
    bob.wait(60_000).await;
    assert_eq!(bob.feed.mode(), &DeliveryMode::Live);
    scene.world.deliver().await;
}

/// The connection died while the machine slept, and nobody said so.
#[tokio::test]
async fn what_came_while_the_machine_slept_is_fetched_at_once() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.wait(STABLE_AFTER_MS).await;
    scene.wire.sockets.mute(true);
    scene.world.advance(5 * 60_000);
    scene.write(&["0"]).await;
    bob.step().await.unwrap();
    assert_eq!(bob.heard, numbered(1));
    bob.wait(ANSWER_MS).await;
    assert_eq!(bob.fetching(), &FetchingReason::Silent);
    scene.wire.sockets.honest();
    bob.wait(60_000).await;
    assert_eq!(bob.feed.mode(), &DeliveryMode::Live);
    scene.world.deliver().await;
}

#[tokio::test]
async fn nonsense_ends_a_socket_and_loses_nothing() {
    let long = format!(r#"{{"type": "Announce", "more": "{}"}}"#, "x".repeat(40_000));
    for nonsense in ["", "{", "[]", "\"Announce\"", r#"{"type":"QueueEmpty"}"#, r#"{"eko:entry":7}"#, &long] {
        let scene = LiveScene::new().await;
        let mut bob = Listening::to(&scene);
        bob.settle().await;
        scene.wire.sockets.send_text(nonsense);
        scene.write(&["0"]).await;
        bob.settle().await;
        assert!(matches!(bob.fetching(), FetchingReason::BadFrame(_)), "{nonsense}: {}", bob.feed.mode());
        assert_eq!(bob.heard, numbered(1), "{nonsense}");
        scene.world.deliver().await;
    }
}

#[tokio::test]
async fn floods_of_frames_show_nothing_twice() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    scene.write(&["0", "1"]).await;
    let entries = scene.bob.device().fetch().await.unwrap().entries;
    for _ in 0..200 {
        scene.wire.sockets.send(&json!({ "type": "Novelty" }));
        scene.wire.sockets.send(&json!({ "type": "Pong", "object": "77" }));
        scene.wire.sockets.send(&json!({ "type": "Announce", "object": "x" }));
        entries.iter().rev().for_each(|entry| scene.wire.sockets.send(&entry.activity));
    }
    scene.fetches();
    bob.wait(5_000).await;
    assert_eq!(bob.heard, numbered(2));
    assert!(scene.fetches() <= 6, "announcements cause a fetch a second at most");
    scene.world.deliver().await;
}

#[tokio::test]
async fn each_reason_of_an_end_has_its_pause() {
    use TerminationReason::{DeviceRevoked, Replaced, TokenExpired, TooManyMessages};
    for (reason, soonest_ms, latest_ms) in [
        (TokenExpired, 500, 1_001),
        // The device was not revoked, as the fetch shows.
        (DeviceRevoked, 500, 1_001),
        (TooManyMessages, 60_000, 61_001),
        (Replaced, 3_600_000, 3_600_001),
    ] {
        let scene = LiveScene::new().await;
        let mut bob = Listening::to(&scene);
        bob.wait(STABLE_AFTER_MS).await;
        scene.fetches();
        scene.wire.sockets.send(&json!({ "type": "Terminated", "reason": reason }));
        bob.settle().await;
        assert_eq!(bob.fetching(), &FetchingReason::Terminated(reason));
        assert_eq!(scene.fetches(), 1, "the mailbox is fetched at once");
        let ended_ms = scene.world.now_ms();
        while bob.feed.mode() != &DeliveryMode::Live {
            bob.wait(if reason == Replaced { 10_000 } else { 100 }).await;
        }
        let pause_ms = scene.world.now_ms() - ended_ms;
        assert!((soonest_ms..=latest_ms + 10_000).contains(&pause_ms), "{reason:?}: {pause_ms}");
        scene.world.deliver().await;
    }
}

#[tokio::test]
async fn a_device_that_was_revoked_hears_so() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    scene.wire.tamper(|passing| {
        let problem = json!({ "type": "https://eko.example/problems/device-revoked", "status": 403, "title": "x",
            "detail": "x", "instance": "x" });
        let is_his = passing.endpoint == ("GET", "/user/bob/inbox");
        is_his.then(|| FalseAnswer { status: 403, body: problem.to_string().into_bytes() })
    });
    scene.wire.sockets.send(&json!({ "type": "Terminated", "reason": "device-revoked" }));
    let error = bob.step().await.unwrap_err();
    assert!(matches!(error, MessengerError::Revoked), "{error}");
    scene.wire.honest();
    scene.world.deliver().await;
}

#[tokio::test]
async fn a_socket_outlives_its_token() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    let DeviceTokens { access, .. } = scene.bob.device().tokens().unwrap();
    bob.wait(20 * 60_000).await;
    assert_ne!(scene.bob.device().tokens().unwrap().access, access);
    let heard = scene.wire.sockets.heard();
    assert_eq!(heard.iter().filter(|kind| *kind == "Authenticate").count(), 1, "{heard:?}");
    assert!(heard.iter().any(|kind| kind == "Ping"), "{heard:?}");
    assert_eq!((scene.wire.sockets.opened(), bob.feed.mode()), (1, &DeliveryMode::Live));
    scene.write(&["0"]).await;
    bob.settle().await;
    assert_eq!(bob.heard, numbered(1));
    scene.world.deliver().await;
}

#[tokio::test]
async fn acknowledgements_that_were_not_answered_are_made_over_http() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    scene.wire.sockets.fates_to_server(|frame| match frame["type"][1].as_str() {
        Some("Delivered") => FrameFate::Breaks,
        _ => FrameFate::Arrives,
    });
    scene.write(&["0"]).await;
    bob.settle().await;
    assert_eq!(bob.heard, numbered(1));
    let left = scene.bob.device().fetch().await.unwrap().entries;
    assert_eq!((left.len(), bob.fetching()), (0, &FetchingReason::Closed));
    scene.world.deliver().await;
}
