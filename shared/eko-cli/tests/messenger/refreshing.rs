//! Tests of several processes for one account whose access token has ended: one of them replaces it, and
//! the others wait for that one, which may be dead.

use std::time::Duration;

use eko_cli::LibSignal;
use eko_client::store::EnvelopeState;
use eko_client::{DeviceStore, Environment, Messenger};
use eko_testkit::World;
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::people::{TestMessenger, befriend, first, request, say, sign_in, text};
use crate::test_network::{FalseAnswer, TestNetwork};

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
        let (store, environment) = (self.store(), self.environment());
        Messenger::open(self.wire.clone(), LibSignal, store, environment).unwrap().unwrap()
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
