//! The cost of a group by its size: its creation, a message, and a removal with a new key.
//!
//! `cargo bench -p eko-cli --bench group` prints, for groups of up to the greatest number of members,
//! what one device asks of its server for each step: requests, bytes both ways, and the calls that
//! the server makes to AWS, deliveries included. Every member has one device. Two members are
//! clients that read what they are sent; the others are devices that are written to. Nothing here
//! asserts a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use eko_cli::LibSignal;
use eko_client::group::{MAX_MEMBERS, Proposal};
use eko_client::messenger::{MessageDraft, Person, PreparedSignIn, SentActivity, SignInRequest};
use eko_client::store::EnvelopeState;
use eko_client::transport::{Bytes, Transport, TransportError};
use eko_client::{DeviceStore, Environment, KeyCounts, Messenger};
use eko_protocol::address::UserName;
use eko_testkit::{DirectTransport, World, seeded};
use http::{Request, Response};

/// The numbers of members that are measured.
const SIZES: [usize; 4] = [3, 10, 50, MAX_MEMBERS];
/// The keys of each device. A member's package then has a one-time key of each kind.
const COUNTS: KeyCounts = KeyCounts { pre_keys: 4, kyber_pre_keys: 4, last_resort: true };

type Client = Messenger<CountedTransport, LibSignal>;

/// A transport that counts what one device asks for.
#[derive(Clone)]
struct CountedTransport {
    inner: DirectTransport,
    counted: Arc<Mutex<Traffic>>,
}

/// The requests of a device, and the bytes of their bodies.
#[derive(Clone, Copy, Default)]
struct Traffic {
    requests: usize,
    sent: usize,
    received: usize,
}

impl CountedTransport {
    fn new(world: &World) -> Self {
        Self { inner: world.transport(), counted: Arc::default() }
    }

    /// Returns the traffic since the last call.
    fn take(&self) -> Traffic {
        std::mem::take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Transport for CountedTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let sent = request.body().len();
        let response = self.inner.send(request).await?;
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.requests += 1;
        counted.sent += sent;
        counted.received += response.body().len();
        drop(counted);
        Ok(response)
    }
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` passes --bench. `cargo test --benches` does not, and must not measure.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!(
        "{:>7}  {:<28} {:>9} {:>12} {:>12} {:>10} {:>9}",
        "members", "step", "requests", "bytes sent", "received", "AWS calls", "seconds"
    );
    for size in SIZES {
        runtime.block_on(measure(size)).with_context(|| format!("{size} members"))?;
    }
    Ok(())
}

/// Measures a group with this number of members.
async fn measure(size: usize) -> anyhow::Result<()> {
    let world = World::new().await;
    let (alice, wire) = client(&world, "alice").await?;
    let (bob, _) = client(&world, "bob").await?;
    let mut members = vec![bob.me()];
    for number in 2..size {
        let device = world.user(&format!("member_{number}")).await;
        members.push(Person { origin: device.origin().clone(), user: device.user().clone() });
    }
    let mut step = Step { world: &world, wire: &wire, size, began: Instant::now() };

    step.begin();
    let (group, created) = alice.create_group("Choir", &members).await?;
    sent(&alice, &created, size - 1)?;
    step.end("create: takes all packages").await;
    bob.receive().await?;
    bob.join_group(&group, None).await?;
    world.deliver().await;
    alice.receive().await?;
    // The budgets of a minute are for less than what follows.
    world.advance(60_000);

    step.begin();
    let message = alice.send_to_group(&group, text("Good morning")).await?;
    sent(&alice, &message, size - 1)?;
    step.end("a message").await;
    let read = bob.receive().await?;
    ensure!(read.messages.iter().any(|message| message.content.text == "Good morning"), "not read");
    world.deliver().await;
    alice.receive().await?;
    world.advance(60_000);

    step.begin();
    let last = members.last().context("nobody to remove")?.actor();
    let removed = alice.change_group(&group, Proposal::Remove([last].into())).await?.sent;
    sent(&alice, &removed, size - 2)?;
    step.end("a removal, with a new key").await;
    bob.receive().await?;
    let known = bob.groups()?;
    ensure!(known.iter().any(|known| known.state.members().len() == size - 1), "the removal did not arrive");
    Ok(())
}

/// Signs in a client, whose traffic is counted.
async fn client(world: &World, user: &str) -> anyhow::Result<(Client, CountedTransport)> {
    let wire = CountedTransport::new(world);
    let issuer = world.state.config().oidc.clone();
    let request = SignInRequest {
        origin: world.state.origin().clone(),
        issuer: issuer.issuer,
        audience: issuer.audience,
        user: UserName::parse(user)?,
        device_name: None,
        counts: COUNTS,
        reset: false,
    };
    let environment = Environment { clock: world.clock(), random: seeded(user.to_owned()) };
    let store = DeviceStore::in_memory()?;
    let prepared = PreparedSignIn::new(wire.clone(), store, environment, request)?;
    let id_token = world.issue(user, Some(prepared.challenge().nonce())).await;
    let (client, _) = prepared.complete(LibSignal, &id_token).await?;
    Ok((client, wire))
}

fn text(text: &str) -> MessageDraft {
    MessageDraft { text: text.to_owned(), attachments: Vec::new() }
}

/// Checks that every envelope of an activity was accepted.
fn sent(by: &Client, activity: &SentActivity, envelopes: usize) -> anyhow::Result<()> {
    ensure!(activity.envelopes.len() == envelopes, "{} envelopes", activity.envelopes.len());
    ensure!(activity.state(&by.me()) == EnvelopeState::Accepted, "{:?}", activity.envelopes);
    Ok(())
}

/// One step of the measurement.
struct Step<'a> {
    world: &'a World,
    wire: &'a CountedTransport,
    size: usize,
    began: Instant,
}

impl Step<'_> {
    fn begin(&mut self) {
        self.wire.take();
        self.world.calls.reset();
        self.began = Instant::now();
    }

    /// Prints the step, with what its deliveries cost.
    async fn end(&self, name: &str) {
        let (traffic, took): (Traffic, Duration) = (self.wire.take(), self.began.elapsed());
        self.world.deliver().await;
        println!(
            "{:>7}  {name:<28} {:>9} {:>12} {:>12} {:>10} {:>9.2}",
            self.size,
            traffic.requests,
            traffic.sent,
            traffic.received,
            self.world.calls.made().len(),
            took.as_secs_f64()
        );
    }
}
