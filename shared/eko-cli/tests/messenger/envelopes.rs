//! Tests of what a device does with one envelope: who sends it, how often, and to whom.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use eko_cli::LibSignal;
use eko_client::store::EnvelopeState;
use eko_client::transport::{Bytes, Transport, TransportError};
use eko_client::{Environment, Messenger};
use eko_testkit::{DirectTransport, World};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::people::{TestMessenger, first, further, hear, know, say, shown, text};
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, NetworkFault, PassingExchange, TestNetwork};

/// Returns the envelope that a request sends, if it sends one.
fn envelope(body: &[u8]) -> Option<Value> {
    let mut activity: Value = serde_json::from_slice(body).ok()?;
    let is_envelope = activity["type"] == "Create" && !activity["object"]["messages"].is_null();
    is_envelope.then(|| activity["object"].take())
}

/// Returns the answer to an envelope: a report of this type.
pub(crate) fn report(passing: &PassingExchange<'_>, kind: &str, more: Value) -> Option<FalseAnswer> {
    envelope(passing.request)?;
    let sent: Value = serde_json::from_slice(passing.request).ok()?;
    let mut report =
        json!({ "type": kind, "actor": sent["to"], "to": sent["actor"], "object": sent["object"]["id"] });
    let members = report.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let status = if kind == "Reject" { 409 } else { 207 };
    Some(FalseAnswer { status, body: report.to_string().into_bytes() })
}

async fn two(world: &World, wire: &TestNetwork) -> (TestMessenger, TestMessenger) {
    let (alice, bob) = (first(world, wire, "alice").await, first(world, wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    assert_eq!(hear(world, &bob).await, ["before"]);
    world.deliver().await;
    hear(world, &alice).await;
    (alice, bob)
}

/// A transport that lets requests to an outbox through one by one, as the test permits them.
#[derive(Clone)]
struct GatedTransport {
    inner: DirectTransport,
    gate: Arc<Semaphore>,
    /// The ids of the envelopes that were sent.
    sent: Arc<Mutex<Vec<Value>>>,
    /// The `Retry-After` of the answer to an envelope, in seconds; 0 lets it through.
    asks_s: Arc<AtomicU64>,
}

impl Transport for GatedTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if let Some(mut envelope) = envelope(request.body()) {
            self.sent.lock().unwrap().push(envelope["id"].take());
            self.gate.acquire().await.unwrap().forget();
            let asks_s = self.asks_s.load(Ordering::SeqCst);
            if asks_s > 0 {
                let busy = json!({ "type": "x/too-many", "title": "wait", "status": 429 });
                let answer = Response::builder().status(429).header("Retry-After", asks_s);
                let answer = answer.header("Content-Type", "application/problem+json");
                return Ok(answer.body(busy.to_string().into()).unwrap());
            }
        }
        self.inner.send(request).await
    }
}

/// One process sends what is due while another one has begun to.
#[tokio::test]
async fn two_processes_do_not_send_one_envelope_twice() {
    const ENVELOPES: usize = 10;
    let world = World::new().await;
    let line = TestNetwork::to(&[&world]);
    let bob = first(&world, &line, "bob").await;
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    know(&bob, &alice.me()).await;
    say(&alice, &bob.me(), "before").await;
    user.line.fail(|| Some(NetworkFault::LostRequest));
    for n in 0..ENVELOPES {
        alice.send(&bob.me(), text(&format!("message {n}"))).await.unwrap();
    }
    world.advance(2_000);
    let sent: Arc<Mutex<Vec<Value>>> = Arc::default();
    let gates = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(ENVELOPES))];
    let [slow, quick] = gates.clone().map(|gate| {
        let (inner, sent) = (world.transport(), Arc::clone(&sent));
        let transport = GatedTransport { inner, gate, sent, asks_s: Arc::default() };
        let environment = Environment { clock: world.clock(), ..Environment::system() };
        Messenger::open(transport, LibSignal, user.store(), environment).unwrap().unwrap()
    });
    // The slow process sends the first one. The quick one may not overtake it, and leaves the others to it.
    let slowly = async { slow.flush().await.unwrap().len() };
    let quickly = async {
        while sent.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let quickly = quick.flush().await.unwrap().len();
        gates[0].add_permits(ENVELOPES);
        quickly
    };
    assert_eq!(tokio::join!(slowly, quickly), (ENVELOPES, 0));
    let mut sent: Vec<String> = sent.lock().unwrap().iter().map(Value::to_string).collect();
    sent.sort();
    let every = sent.len();
    sent.dedup();
    assert_eq!((every, sent.len()), (ENVELOPES, ENVELOPES));
    world.deliver().await;
    let received = bob.receive().await.unwrap();
    assert_eq!(received.look_again_ms, None, "nothing is waited for");
    let mut expected: Vec<String> = (0..ENVELOPES).map(|n| format!("message {n}")).collect();
    expected.insert(0, "before".to_owned());
    assert_eq!(shown(&bob, &received), expected);
    world.deliver().await;
}

/// The process that has claimed an envelope is killed while the server answers.
#[tokio::test]
async fn a_claim_ends_with_its_process_and_nothing_overtakes_it() {
    let world = World::new().await;
    let line = TestNetwork::to(&[&world]);
    let bob = first(&world, &line, "bob").await;
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    know(&bob, &alice.me()).await;
    say(&alice, &bob.me(), "before").await;
    let id = alice.put_message(&bob.me(), text("in the middle")).await.unwrap();
    drop(alice);
    let transport = |permits| GatedTransport {
        inner: world.transport(),
        gate: Arc::new(Semaphore::new(permits)),
        sent: Arc::default(),
        asks_s: Arc::default(),
    };
    let open = |transport| {
        let environment = Environment { clock: world.clock(), ..Environment::system() };
        Messenger::open(transport, LibSignal, user.store(), environment).unwrap().unwrap()
    };
    let (stuck, other) = (transport(0), open(transport(9)));
    let sent = Arc::clone(&stuck.sent);
    let dying = open(stuck);
    let mut sending = Box::pin(dying.send_message(&id));
    while sent.lock().unwrap().is_empty() {
        tokio::select! {
            biased;
            _ = &mut sending => panic!("it is stuck"),
            () = tokio::task::yield_now() => {}
        }
    }
    // Another process may not overtake it while it lives.
    let later = other.send(&bob.me(), text("after it")).await.unwrap();
    assert_eq!(later.state(&other.me()), EnvelopeState::ToSend);
    assert_eq!(other.sent(&id).unwrap().state(&other.me()), EnvelopeState::ToSend);
    let due_ms = other.next_due_ms().unwrap().unwrap();
    assert!((1..1_000).contains(&(due_ms - world.now_ms())), "it looks again soon");
    // A process that is killed drops nothing. Its files are closed.
    std::mem::forget(sending);
    drop(dying);
    assert_eq!(other.next_due_ms().unwrap(), Some(world.now_ms()), "it is due at once");
    let again = other.send_again(&id).await.unwrap();
    assert_eq!(again.state(&other.me()), EnvelopeState::Accepted);
    other.send_message(&later.id).await.unwrap();
    world.deliver().await;
    let received = bob.receive().await.unwrap();
    assert_eq!(shown(&bob, &received), ["before", "in the middle", "after it"]);
    assert_eq!(received.look_again_ms, None, "nothing is waited for");
    world.deliver().await;
}

#[tokio::test]
async fn copies_for_the_own_devices_wake_none_of_them() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    let tablet = further(&world, &wire, &alice, "tablet").await;
    wire.seen.lock().unwrap().clear();
    say(&alice, &bob.me(), "hello").await;
    let bodies = wire.seen.lock().unwrap().clone();
    let mut wakes: Vec<(Value, Value)> = Vec::new();
    for body in &bodies {
        let Some(envelope) = envelope(body) else { continue };
        let sent: Value = serde_json::from_slice(body).unwrap();
        wakes.push((sent["to"].clone(), envelope["notify"].clone()));
    }
    wakes.sort_by_key(|(to, _)| to.to_string());
    let (hers, his) = (json!(alice.me().actor()), json!(bob.me().actor()));
    assert_eq!(wakes, [(hers, json!(false)), (his, json!(true))]);
    world.deliver().await;
    assert_eq!(hear(&world, &tablet).await, ["hello"]);
    hear(&world, &bob).await;
    world.deliver().await;
}

#[tokio::test]
async fn a_final_refusal_is_not_tried_again() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    wire.drop_requests(move |request| {
        let passing = PassingExchange { endpoint: ("", ""), request: request.body(), answer: b"" };
        let refusal = report(&passing, "Reject", json!({ "summary": "not here" }))?;
        count.fetch_add(1, Ordering::SeqCst);
        Some(refusal)
    });
    let sent = alice.send(&bob.me(), text("hello")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::Failed);
    assert_eq!(sent.envelopes[0].reason.as_deref(), Some("not here"));
    world.advance(3_600_000);
    assert!(alice.flush().await.unwrap().is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// The process dies after the answer that one of two devices has its ciphertext. The rest is sent,
/// and the first device gets nothing twice.
#[tokio::test]
async fn what_one_device_has_is_not_sent_to_it_again() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    let tablet = further(&world, &wire, &bob, "tablet").await;
    alice.verification(&bob.me()).await.unwrap();
    let package = world.state.origin().key_package(&bob.me().user, tablet.device().id());
    let failing = Arc::new(AtomicUsize::new(0));
    let fails = Arc::clone(&failing);
    wire.tamper(move |passing| {
        let partial =
            json!({ "eko:deviceSetOutOfDate": true, "missingKeyPackages": [package], "staleDevices": [] });
        let answer = report(&passing, "PartialDelivery", partial)?;
        fails.store(1, Ordering::SeqCst);
        Some(answer)
    });
    wire.fail(move || (failing.load(Ordering::SeqCst) > 0).then_some(NetworkFault::LostRequest));
    let sent = alice.send(&bob.me(), text("to both")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::ToSend);
    wire.honest();
    wire.seen.lock().unwrap().clear();
    world.advance(60_000);
    assert_eq!(alice.flush().await.unwrap()[0].state, EnvelopeState::Accepted);
    let bodies = wire.seen.lock().unwrap().clone();
    let to: Vec<Value> = bodies
        .iter()
        .filter_map(|body| envelope(body))
        .flat_map(|envelope| envelope["messages"].as_array().unwrap().clone())
        .map(|mut message| message["to"].take())
        .collect();
    assert_eq!(to, [json!(tablet.device().address())]);
    world.deliver().await;
    for device in [&bob, &tablet] {
        assert_eq!(hear(&world, device).await, ["to both"]);
    }
    world.deliver().await;
}

/// The server refuses devices that are in the chain which it shows.
#[tokio::test]
async fn a_server_that_contradicts_its_own_list_is_not_asked_again() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = two(&world, &wire).await;
    let stale = bob.device().address();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    wire.drop_requests(move |request| {
        let passing = PassingExchange { endpoint: ("", ""), request: request.body(), answer: b"" };
        let stale =
            json!({ "eko:deviceSetOutOfDate": true, "missingKeyPackages": [], "staleDevices": [stale] });
        let refusal = report(&passing, "Reject", stale)?;
        count.fetch_add(1, Ordering::SeqCst);
        Some(refusal)
    });
    let sent = alice.send(&bob.me(), text("hello")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::Failed);
    let reason = sent.envelopes[0].reason.clone().unwrap();
    assert_eq!(reason, "their server refuses devices that its own list has");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// A server may ask for any time. It does not silence a device for good.
#[tokio::test]
async fn a_server_that_asks_for_a_year_is_asked_again_the_next_day() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let (user, signed_in) = RestartingUser::sign_in(&world, "alice").await;
    drop(signed_in);
    let (inner, gate, sent) = (world.transport(), Arc::new(Semaphore::new(9)), Arc::default());
    let asks_s = Arc::new(AtomicU64::new(31_536_000));
    let transport = GatedTransport { inner, gate, sent, asks_s: Arc::clone(&asks_s) };
    let environment = Environment { clock: world.clock(), ..Environment::system() };
    let alice = Messenger::open(transport, LibSignal, user.store(), environment).unwrap().unwrap();
    alice.send(&bob.me(), text("hello")).await.unwrap();
    assert_eq!(alice.next_due_ms().unwrap(), Some(world.now_ms() + DAY_MS));
    asks_s.store(0, Ordering::SeqCst);
    world.advance(DAY_MS);
    assert_eq!(alice.flush().await.unwrap()[0].state, EnvelopeState::Accepted);
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["hello"]);
    world.deliver().await;
}
