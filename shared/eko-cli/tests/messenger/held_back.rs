//! Tests of what is held back because a server shows devices that are not to be trusted: it is sent by itself
//! once that is over, and nothing that is written later overtakes it.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use eko_cli::LibSignal;
use eko_client::environment::Clock;
use eko_client::group::GroupId;
use eko_client::store::EnvelopeState;
use eko_client::{Environment, Messenger};
use eko_testkit::World;
use serde_json::{Value, json};

use crate::distrust::{inserted, show_chain};
use crate::friends::Friends;
use crate::people::{TestMessenger, befriend, first, further, hear, text};
use crate::receipts::state;
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, TestNetwork};

/// Alice, whose server has hidden Bob's second device when she wrote to him.
struct HeldBackScene {
    world: World,
    hers: TestNetwork,
    alice: TestMessenger,
    bob: TestMessenger,
    /// The id of the message.
    one: String,
}

impl HeldBackScene {
    async fn begin() -> Self {
        let world = World::new().await;
        let (hers, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
        let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
        further(&world, &wire, &bob, "two").await;
        befriend(&alice, &bob).await;
        show_chain(&hers, |nodes| nodes.truncate(1));
        alice.verification(&bob.me()).await.unwrap();
        let one = put(&alice, &bob, "one").await;
        assert_eq!(state(&alice, &one), EnvelopeState::Refused);
        Self { world, hers, alice, bob, one }
    }

    /// Returns the state of the message.
    fn state(&self) -> EnvelopeState {
        state(&self.alice, &self.one)
    }

    /// Returns how often Bob's chain was read.
    fn reads(&self) -> usize {
        self.hers.asked.lock().unwrap().iter().filter(|url| url.ends_with("/user/bob/devices")).count()
    }

    async fn hear(&self) -> Vec<String> {
        self.world.deliver().await;
        let heard = hear(&self.world, &self.bob).await;
        let history = self.bob.history(None, 10).unwrap();
        assert!(history.iter().all(|message| message.missing_before == 0), "{history:?}");
        heard
    }
}

/// Writes to somebody as `eko chat` does. Returns the id of the message.
async fn put(from: &TestMessenger, to: &TestMessenger, words: &str) -> String {
    let id = from.put_message(&to.me(), text(words)).await.unwrap();
    from.send_message(&id).await.unwrap();
    id
}

/// Has Bob's server want a copy of what Alice sends for a device of its own, the first `times` times. Returns
/// the number of envelopes that she has sent since.
fn ask_for_another_device(world: &World, hers: &TestNetwork, times: usize) -> Arc<AtomicUsize> {
    let mallory = inserted(world, hers);
    let package = world.state.origin().key_package(mallory.user(), mallory.id());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    hers.tamper(move |passing| {
        let sent: Value = serde_json::from_slice(passing.request).ok()?;
        if passing.endpoint != ("POST", "/user/alice/outbox") || sent["object"]["id"].is_null() {
            return None;
        }
        let report = json!({ "type": "Reject", "actor": sent["to"], "to": sent["actor"],
            "object": sent["object"]["id"], "eko:deviceSetOutOfDate": true,
            "missingKeyPackages": [package], "staleDevices": [] });
        let is_refused = counted.fetch_add(1, Ordering::Relaxed) < times;
        is_refused.then(|| FalseAnswer { status: 409, body: report.to_string().into_bytes() })
    });
    count
}

/// The looks read the chain once in ten minutes for it. It is sent by the first look that finds the true one.
#[tokio::test]
async fn it_is_sent_by_itself_once_the_true_chain_is_shown_again() {
    let scene = HeldBackScene::begin().await;
    let before = scene.reads();
    for reads in [1, 1, 2] {
        scene.world.advance(300_000);
        scene.alice.receive().await.unwrap();
        assert_eq!((scene.reads() - before, scene.state()), (reads, EnvelopeState::Refused));
    }
    assert_eq!(scene.hear().await, [""; 0]);
    scene.hers.honest();
    scene.world.advance(600_000);
    scene.alice.receive().await.unwrap();
    assert_eq!(scene.hear().await, ["one"]);
    assert_eq!(scene.reads() - before, 3);
    // The alarm stays until Alice has seen it, and nothing else is read because of it.
    assert!(scene.alice.verification_kept(&scene.bob.me()).unwrap().unwrap().alarm.is_some());
    scene.world.deliver().await;
}

#[tokio::test]
async fn a_note_does_not_overtake_it() {
    let scene = HeldBackScene::begin().await;
    scene.hers.honest();
    scene.world.advance(1);
    let before = scene.reads();
    put(&scene.alice, &scene.bob, "two").await;
    assert_eq!(scene.reads() - before, 1);
    assert_eq!(scene.hear().await, ["one", "two"]);
    scene.world.deliver().await;
}

/// Bob's device confirms his chain before Alice has looked.
#[tokio::test]
async fn a_note_after_a_confirmation_does_not_overtake_it() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let bob = first(&world, &wire, "bob").await;
    befriend(&alice, &bob).await;
    user.change_store(&format!(
        "UPDATE chains SET confirmed = confirmed - 100 * 86400000 WHERE actor = '{}'",
        bob.me().actor()
    ));
    let one = put(&alice, &bob, "one").await;
    assert_eq!(state(&alice, &one), EnvelopeState::Refused);
    user.change_store("UPDATE chains SET confirmed = looked");
    put(&alice, &bob, "two").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["one", "two"]);
    world.deliver().await;
}

/// The others of a group get what is held back from Bob, and he gets it before what follows.
#[tokio::test]
async fn a_note_to_a_group_does_not_overtake_it() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice_line, alice, bob, carol, .. } = &friends;
    further(world, line, bob, "two").await;
    let id: GroupId = friends.group().await;
    show_chain(alice_line, |nodes| nodes.truncate(1));
    alice.verification(&bob.me()).await.unwrap();
    let to_bob = put(alice, bob, "zero").await;
    let sent = alice.send_to_group(&id, text("one")).await.unwrap();
    let states = |state| sent.envelopes.iter().filter(|envelope| envelope.state == state).count();
    assert_eq!((states(EnvelopeState::Refused), states(EnvelopeState::Accepted)), (1, 2), "{sent:?}");
    assert_eq!(state(alice, &to_bob), EnvelopeState::Refused);
    alice_line.honest();
    world.advance(1);
    alice.send_to_group(&id, text("two")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, carol).await, ["one", "two"]);
    let mut heard = hear(world, bob).await;
    assert!(heard.iter().any(|text| text == "zero"), "{heard:?}");
    heard.retain(|text| text != "zero");
    assert_eq!(heard, ["one", "two"]);
    let history = bob.history(None, 10).unwrap();
    assert!(history.iter().all(|message| message.missing_before == 0), "{history:?}");
    world.deliver().await;
}

/// Bob's server wants a copy for a device of its own, whatever chain it shows.
#[tokio::test]
async fn what_is_held_back_again_stops_nothing_and_keeps_its_place() {
    let world = World::new().await;
    let (hers, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    ask_for_another_device(&world, &hers, usize::MAX);
    let one = put(&alice, &bob, "one").await;
    world.advance(1);
    let two = put(&alice, &bob, "two").await;
    assert_eq!([&one, &two].map(|id| state(&alice, id)), [EnvelopeState::Refused; 2]);
    hers.honest();
    world.advance(600_000);
    put(&alice, &bob, "three").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["one", "two", "three"]);
    world.deliver().await;
}

/// The first one is refused once more. What was written after it does not go out before it, and one answer of
/// a server costs one attempt, however much is held back.
#[tokio::test]
async fn what_is_held_back_again_is_not_overtaken_and_costs_one_attempt() {
    for times in [1, usize::MAX] {
        let scene = HeldBackScene::begin().await;
        let HeldBackScene { world, hers, alice, bob, one } = &scene;
        let mut ids = vec![one.clone()];
        for words in ["two", "three", "four"] {
            world.advance(1);
            ids.push(put(alice, bob, words).await);
        }
        let sent = ask_for_another_device(world, hers, times);
        world.advance(1);
        ids.push(put(alice, bob, "five").await);
        assert_eq!(ids.iter().map(|id| state(alice, id)).collect::<Vec<_>>(), [EnvelopeState::Refused; 5]);
        assert_eq!(sent.load(Ordering::Relaxed), 1);
        hers.honest();
        world.advance(600_000);
        alice.receive().await.unwrap();
        assert_eq!(scene.hear().await, ["one", "two", "three", "four", "five"]);
        world.deliver().await;
    }
}

/// Returns how many envelopes Alice has sent.
fn sent(wire: &TestNetwork) -> usize {
    wire.asked.lock().unwrap().iter().filter(|url| url.ends_with("/user/alice/outbox")).count()
}

/// Alice with two processes. One holds back what she wrote to Bob first, and the other has what she wrote then.
struct TwoProcesses {
    world: World,
    user: RestartingUser,
    one: TestMessenger,
    other: TestMessenger,
    /// The network of the other process.
    line: TestNetwork,
    bob: TestMessenger,
    held: String,
    later: String,
}

impl TwoProcesses {
    async fn begin() -> Self {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let (user, one) = RestartingUser::sign_in(&world, "alice").await;
        let bob = first(&world, &wire, "bob").await;
        further(&world, &wire, &bob, "two").await;
        befriend(&one, &bob).await;
        show_chain(&user.line, |nodes| nodes.truncate(1));
        one.verification(&bob.me()).await.unwrap();
        let held = put(&one, &bob, "one").await;
        assert_eq!(state(&one, &held), EnvelopeState::Refused);
        world.advance(600_000);
        let line = TestNetwork::to(&[&world]);
        let environment = Environment { clock: world.clock(), ..Environment::system() };
        let other = Messenger::open(line.clone(), LibSignal, user.store(), environment).unwrap().unwrap();
        let later = other.put_message(&bob.me(), text("two")).await.unwrap();
        Self { world, user, one, other, line, bob, held, later }
    }
}

/// Runs what a process does until it waits for an answer to a request of this path.
async fn held_at(line: &TestNetwork, path: &'static str, mut doing: Pin<&mut impl Future<Output: Debug>>) {
    tokio::select! {
        biased;
        waited = line.hold_together(move |held| held == path, 1) => assert_eq!(waited.len(), 1),
        done = &mut doing => panic!("nothing was held: {done:?}"),
    }
}

/// One process sends what was held back, while another one has begun to send what was written later, and meets a
/// server that asks to wait.
#[tokio::test]
async fn a_note_of_another_process_does_not_overtake_it_while_it_waits() {
    let TwoProcesses { world, user, one, other, line, bob, held, later } = TwoProcesses::begin().await;
    let mut sending = std::pin::pin!(other.send_message(&later));
    held_at(&line, "/user/bob/devices", sending.as_mut()).await;
    user.line.honest();
    user.line.drop_requests(|request| {
        let is_outbox = request.uri().path() == "/user/alice/outbox";
        is_outbox.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    one.flush().await.unwrap();
    assert_eq!(state(&one, &held), EnvelopeState::ToSend);
    sending.await.unwrap();
    assert_eq!((sent(&line), state(&other, &later)), (0, EnvelopeState::ToSend));
    user.line.honest();
    world.advance(10_000);
    other.flush().await.unwrap();
    assert_eq!([&held, &later].map(|id| state(&one, id)), [EnvelopeState::Accepted; 2]);
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["one", "two"]);
    world.deliver().await;
}

/// Between any two looks at the clock of the process that sends what was written later, another one begins to
/// send what was held back, or has it held back again.
#[tokio::test]
async fn a_note_does_not_overtake_what_another_process_releases_and_holds_back_at_any_moment() {
    for is_released in [false, true] {
        let TwoProcesses { world, user, line, bob, held, later, .. } = TwoProcesses::begin().await;
        let (now, change) = (world.clock(), user.changes_at_once());
        // A process with the number 99 sends it, or has met a refusal.
        let turn = format!(
            "UPDATE envelopes SET state = iif(state = 6, 1, 6), claimed = iif(state = 6, 99, 0), put = {now}, \
             due = {now} + 120000 WHERE message = '{held}' AND recipient = '{bob}' AND (state = 6 OR claimed = 99)",
            now = now(),
            bob = bob.me().actor(),
        );
        let is_turning = Arc::new(AtomicBool::new(false));
        let (turns, first) = (Arc::clone(&is_turning), turn.clone());
        let clock: Clock = Arc::new(move || {
            if turns.load(Ordering::Relaxed) {
                // It is left as it is while the process of this clock writes.
                change(&turn);
            }
            now()
        });
        let environment = Environment { clock, ..Environment::system() };
        let other = Messenger::open(line.clone(), LibSignal, user.store(), environment).unwrap().unwrap();
        let mut sending = std::pin::pin!(other.send_message(&later));
        held_at(&line, "/user/bob/devices", sending.as_mut()).await;
        if is_released {
            user.change_store(&first);
        }
        is_turning.store(true, Ordering::Relaxed);
        sending.await.unwrap();
        is_turning.store(false, Ordering::Relaxed);
        let is_sent = [&held, &later].map(|id| state(&other, id) == EnvelopeState::Accepted);
        assert_ne!(is_sent, [false, true], "{is_released}");
        world.advance(10_000);
        other.flush().await.unwrap();
        assert_eq!([&held, &later].map(|id| state(&other, id)), [EnvelopeState::Accepted; 2]);
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, ["one", "two"], "{is_released}");
        world.deliver().await;
    }
}

/// The store has what this version cannot read any more.
#[tokio::test]
async fn what_cannot_be_read_any_more_holds_nothing_back() {
    let TwoProcesses { world, user, one, other, bob, held, later, .. } = TwoProcesses::begin().await;
    user.change_store("UPDATE envelopes SET plaintext = x'00' WHERE state = 6");
    other.send_message(&later).await.unwrap();
    assert_eq!([&held, &later].map(|id| state(&one, id)), [EnvelopeState::Failed, EnvelopeState::Accepted]);
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["two"]);
    world.deliver().await;
}

/// An earlier version has kept the message alone, and has let it be longer.
#[tokio::test]
async fn what_cannot_be_encoded_any_more_fails_alone() {
    let TwoProcesses { world, user, one, other, bob, held, later, .. } = TwoProcesses::begin().await;
    user.change_store(&format!(
        "UPDATE envelopes SET plaintext = NULL WHERE state = 6;
         UPDATE messages SET text = printf('%.100000c', 'x') WHERE id = '{held}'"
    ));
    other.send_message(&later).await.unwrap();
    assert_eq!([&held, &later].map(|id| state(&one, id)), [EnvelopeState::Failed, EnvelopeState::Accepted]);
    let envelopes = one.sent(&held).unwrap().envelopes;
    let reason = envelopes.iter().find_map(|envelope| envelope.reason.as_deref());
    assert_eq!(reason, Some("has more than 94080 bytes with its padding"));
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["two"]);
    world.deliver().await;
}
