//! Tests of several processes for one account whose access token has ended: one of them replaces it, and
//! the others wait for that one, which may be dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eko_cli::LibSignal;
use eko_client::store::EnvelopeState;
use eko_client::{DeviceStore, Environment, Messenger};
use eko_testkit::World;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::people::{TestMessenger, befriend, first, request, say, sign_in, text};
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

/// A time in which an access token ends.
const TOKEN_ENDS_MS: i64 = 20 * 60_000;

/// Alice, with the store that her processes share, and Bob.
struct SharedStore {
    world: World,
    wire: TestNetwork,
    folder: TempDir,
    bob: TestMessenger,
}

impl SharedStore {
    async fn new() -> Self {
        let world = World::new().await;
        let (wire, folder) = (TestNetwork::to(&[&world]), TempDir::new().unwrap());
        let bob = first(&world, &wire, "bob").await;
        let scene = Self { world, wire, folder, bob };
        let request = request(&scene.world, "alice", false);
        let (alice, _) =
            sign_in(&scene.world, &scene.wire, scene.store(), scene.environment(), request).await.unwrap();
        befriend(&alice, &scene.bob).await;
        say(&alice, &scene.bob.me(), "hello").await;
        scene
    }

    fn store(&self) -> DeviceStore {
        DeviceStore::open(&self.folder.path().join("eko.db")).unwrap()
    }

    /// The random bytes are not seeded: each process draws its own ids.
    fn environment(&self) -> Environment {
        Environment { clock: self.world.clock(), ..Environment::system() }
    }

    /// Starts a process.
    fn process(&self) -> TestMessenger {
        self.process_with(&self.wire)
    }

    /// Starts a process with a network of its own.
    fn process_with(&self, wire: &TestNetwork) -> TestMessenger {
        let (store, environment) = (self.store(), self.environment());
        Messenger::open(wire.clone(), LibSignal, store, environment).unwrap().unwrap()
    }

    /// Starts a refresh that dies on its way.
    async fn leave_a_dead_refresh(&self) {
        let dying = self.process();
        tokio::select! {
            biased;
            waited = self.wire.hold_together(|path| path == "/auth/refresh", 1) => {
                assert_eq!(waited, ["/auth/refresh"]);
            }
            _ = dying.key_status() => panic!("the refresh was not held"),
        }
    }
}

#[tokio::test]
async fn a_message_waits_for_the_refresh_of_a_process_that_is_dead() {
    let scene = SharedStore::new().await;
    scene.world.advance(TOKEN_ENDS_MS);
    scene.leave_a_dead_refresh().await;
    let (alice, bob) = (scene.process(), scene.bob.me());
    let time_passes = async {
        sleep(Duration::from_millis(300)).await;
        scene.world.advance(30_000);
    };
    let (sent, ()) = tokio::join!(alice.send(&bob, text("one")), time_passes);
    let sent = sent.unwrap();
    assert_eq!(sent.state(&alice.me()), EnvelopeState::Accepted, "{:?}", sent.envelopes);
    say(&scene.process(), &bob, "two").await;
    scene.world.deliver().await;
}

/// The reading of `eko listen` goes on, too.
#[tokio::test]
async fn a_look_waits_for_the_refresh_of_a_process_that_is_dead() {
    let scene = SharedStore::new().await;
    scene.world.advance(TOKEN_ENDS_MS);
    scene.leave_a_dead_refresh().await;
    let alice = scene.process();
    let time_passes = async {
        sleep(Duration::from_millis(300)).await;
        scene.world.advance(30_000);
    };
    let (received, ()) = tokio::join!(alice.receive(), time_passes);
    received.unwrap();
    scene.world.deliver().await;
}

#[tokio::test]
async fn of_processes_that_ask_at_once_after_a_pause_one_refreshes() {
    let scene = SharedStore::new().await;
    scene.world.advance(TOKEN_ENDS_MS);
    scene.wire.asked.lock().unwrap().clear();
    let processes = [(); 4].map(|()| scene.process());
    let looks = join_all(processes.iter().map(|alice| alice.key_status()));
    let held = scene.wire.hold_together(|path| path == "/auth/refresh", 2);
    let (waited, looked) = tokio::join!(held, looks);
    assert_eq!(waited, ["/auth/refresh"]);
    for status in looked {
        status.unwrap();
    }
    let asked = std::mem::take(&mut *scene.wire.asked.lock().unwrap());
    assert_eq!(asked.iter().filter(|url| url.ends_with("/auth/refresh")).count(), 1);
    scene.world.deliver().await;
}

/// A process is stopped during a refresh that gets no answer, and goes on after others have refreshed twice.
/// A repetition of the first refresh would end the session of all.
#[tokio::test]
async fn a_process_without_an_answer_uses_the_tokens_that_others_have_kept() {
    let scene = SharedStore::new().await;
    scene.world.advance(TOKEN_ENDS_MS);
    let (line, is_stopped) = (TestNetwork::to(&[&scene.world]), Arc::new(AtomicBool::new(true)));
    let (held, is_lost) = (Arc::clone(&is_stopped), AtomicBool::new(true));
    line.fail(move || is_lost.swap(false, Ordering::Relaxed).then_some(NetworkFault::LostRequest));
    let hold = line.hold_together(move |_| held.load(Ordering::Relaxed), usize::MAX);
    assert_eq!(hold.now_or_never(), None);
    let stopped = scene.process_with(&line);
    let others = async {
        while line.asked.lock().unwrap().is_empty() {
            yield_now().await;
        }
        // The time of its lease.
        scene.world.advance(30_000);
        for _ in 0..2 {
            scene.process().key_status().await.unwrap();
            scene.world.advance(TOKEN_ENDS_MS);
        }
        scene.process().key_status().await.unwrap();
        is_stopped.store(false, Ordering::Relaxed);
    };
    let (status, ()) = tokio::join!(stopped.key_status(), others);
    status.unwrap();
    let refreshes = line.asked.lock().unwrap().iter().filter(|url| url.ends_with("/auth/refresh")).count();
    assert_eq!(refreshes, 1);
    scene.world.advance(TOKEN_ENDS_MS);
    scene.process().key_status().await.unwrap();
    scene.world.deliver().await;
}

/// The functions of a server may have different keys for a time.
#[tokio::test]
async fn a_message_waits_while_the_server_refuses_new_tokens() {
    let scene = SharedStore::new().await;
    let (alice, bob) = (scene.process(), scene.bob.me());
    scene.wire.tamper(|passing| {
        let refusal = br#"{ "type": "x/unauthenticated", "title": "no", "status": 401 }"#;
        let is_outbox = passing.endpoint == ("POST", "/user/alice/outbox");
        is_outbox.then(|| FalseAnswer { status: 401, body: refusal.to_vec() })
    });
    let sent = alice.send(&bob, text("one")).await.unwrap();
    assert_eq!(sent.state(&alice.me()), EnvelopeState::ToSend, "{:?}", sent.envelopes);
    scene.wire.honest();
    scene.world.advance(60_000);
    alice.receive().await.unwrap();
    assert_eq!(alice.sent(&sent.id).unwrap().state(&alice.me()), EnvelopeState::Accepted);
    scene.world.deliver().await;
}
