//! The costs of a million of what a server does, in dollars: counted requests and invocations and
//! the capacity consumed, times AWS's list prices. The real functions play it over the embedded
//! engines.

mod account;
mod live;
mod month;

use std::pin::Pin;

use anyhow::ensure;
use eko_client::Device;
use eko_client::KeyCounts;
use eko_client::device::{GroupStateAnswer, OutgoingEnvelope, SendOutcome};
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::limits::MAX_GROUP_STATE_BYTES;
use eko_testkit::{COUNTS, ChainChanges as _, DirectTransport, Internet, World};
use serde::Serialize;

use crate::capacity::consumed;
use crate::prices::{PRICES, Prices, StepWork};
use crate::scene::GROUP_STATE_BYTES;

pub use month::{Month, MonthStep};

/// The milliseconds that an invocation is billed beyond its calls: more than any function here
/// computes.
const BASE_MS: f64 = 3.0;
/// The milliseconds that a round of AWS calls is assumed to last. DynamoDB is slower than the
/// engines here.
const ROUND_MS: f64 = 5.0;
/// The bytes of a ciphertext of a short text: the text is padded to 1,536.
const SHORT_BYTES: usize = 1_700;
/// The bytes of a ciphertext that begins a session, with a short text.
const FIRST_BYTES: usize = 3_320;
/// The messages that travel together: the largest batch that an event source mapping hands over.
const TOGETHER: usize = 10;

/// Everything that is measured.
#[derive(Clone, Debug, Serialize)]
pub struct CostFigures {
    /// The prices.
    pub prices: Prices,
    /// The paths of messages, in the order of the table.
    pub ways: Vec<MessagePath>,
    /// The months of one device.
    pub months: Vec<Month>,
    /// The messages in a month from which on a device on a socket costs less than one that is woken
    /// by a push for each of them.
    pub break_even_messages: f64,
}

/// A step, and one message's part of its work.
#[derive(Clone, Debug, Serialize)]
pub struct PathStep {
    /// The name of the step.
    pub name: &'static str,
    /// The work of the step.
    pub work: StepWork,
    /// The costs of a million steps, in dollars.
    pub dollars: f64,
}

/// The path of a message, step by step.
#[derive(Clone, Debug, Serialize)]
pub struct MessagePath {
    /// The name of the path.
    pub name: String,
    /// The steps, in order.
    pub steps: Vec<PathStep>,
    /// The costs of a million messages, in dollars.
    pub dollars: f64,
}

impl MessagePath {
    fn new(name: String) -> Self {
        Self { name, steps: Vec::new(), dollars: 0.0 }
    }

    /// Adds a step at the end of the path.
    fn push(&mut self, name: &'static str, work: StepWork) {
        let dollars = work.dollars(&PRICES);
        self.dollars += dollars;
        self.steps.push(PathStep { name, work, dollars });
    }
}

/// A counter of the work that a server does.
struct Meter<'a> {
    world: &'a World,
}

impl<'a> Meter<'a> {
    /// Starts counting on this server.
    fn new(world: &'a World) -> Self {
        world.calls.record();
        world.calls.reset();
        Self { world }
    }

    /// Returns the work since the last reading, which took this many requests and invocations.
    async fn read(&self, api_requests: usize, invocations: usize) -> anyhow::Result<StepWork> {
        self.read_live(api_requests, 0, invocations).await
    }

    /// Does as [`Meter::read`]. Devices have sent this many messages on sockets.
    async fn read_live(
        &self,
        api_requests: usize,
        socket_messages: usize,
        invocations: usize,
    ) -> anyhow::Result<StepWork> {
        let rounds = self.world.calls.rounds();
        let exchanges = self.world.calls.recorded();
        self.world.calls.reset();
        // The pump's last look at an empty queue is idle polling, which does not belong to a
        // message.
        let empty = |exchange: &&eko_testkit::RecordedCall| {
            exchange.operation == "ReceiveMessage"
                && exchange.response["Messages"].as_array().is_none_or(Vec::is_empty)
        };
        let polls = exchanges.iter().filter(empty).count();
        // The event source mapping receives and deletes. That is not a function's time.
        let source = |exchange: &&eko_testkit::RecordedCall| {
            matches!(exchange.operation.as_str(), "ReceiveMessage" | "DeleteMessageBatch")
        };
        let source = exchanges.iter().filter(source).count();
        let exchanges: Vec<_> = exchanges.iter().filter(|exchange| !empty(exchange)).cloned().collect();
        ensure!(exchanges.len() + polls >= source, "more polls than calls");
        let posts = exchanges.iter().filter(|exchange| exchange.operation == "PostToConnection").count();
        Ok(StepWork {
            api_requests: api_requests as f64,
            socket_messages: (socket_messages + posts) as f64,
            connection_minutes: 0.0,
            invocations: invocations as f64,
            lambda_ms: BASE_MS * invocations as f64 + ROUND_MS * (rounds.saturating_sub(source)) as f64,
            consumed: consumed(&self.world.engines, &exchanges).await?,
        })
    }
}

/// Plays and measures everything.
///
/// # Errors
/// A request is not answered as expected, or a figure of the engine differs from the formula's.
pub async fn measure() -> anyhow::Result<CostFigures> {
    let on_socket = boxed(|| live::one_device(live::Reach::Socket)).await?;
    let woken = boxed(|| live::one_device(live::Reach::Push)).await?;
    let months = vec![boxed(month::polling).await?, boxed(month::on_socket).await?];
    let [_, connected] = &months[..] else { anyhow::bail!("two months") };
    let break_even_messages = break_even(connected, &on_socket, &woken);
    let ways = vec![
        boxed(|| local(1, SHORT_BYTES)).await?,
        boxed(|| local(TOGETHER, SHORT_BYTES)).await?,
        boxed(|| local(TOGETHER, FIRST_BYTES)).await?,
        boxed(|| federated(1, SHORT_BYTES)).await?,
        boxed(|| federated(TOGETHER, SHORT_BYTES)).await?,
        boxed(|| encrypted_receipts(1)).await?,
        boxed(|| encrypted_receipts(TOGETHER)).await?,
        boxed(takes).await?,
        boxed(group_states).await?,
        boxed(account::requests).await?,
        boxed(|| live::two_devices(1)).await?,
        boxed(|| live::two_devices(TOGETHER)).await?,
        on_socket,
        boxed(|| live::one_device(live::Reach::SocketAndPush)).await?,
        woken,
    ];
    Ok(CostFigures { prices: PRICES, ways, months, break_even_messages })
}

/// Makes a future on the heap. With all of them in one, a test's thread has too small a stack.
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}

/// Returns the messages in a month from which on a device on a socket costs less than one that is
/// woken for each of them. A device that is woken more often than its token expires renews the token
/// once in that time.
fn break_even(connected: &Month, on_socket: &MessagePath, woken: &MessagePath) -> f64 {
    let renewal = woken.steps.iter().find(|step| step.name == live::RENEWAL);
    let renewal = renewal.map_or(0.0, |step| step.dollars) / 1e6;
    // The dollars of a path are those of a million messages.
    let each = (woken.dollars - on_socket.dollars) / 1e6;
    let messages = connected.dollars / each;
    if messages <= month::TOKENS {
        return messages;
    }
    (connected.dollars - month::TOKENS * renewal) / (each - renewal)
}

/// Measures a message to two devices of a user here. `together` messages are sent one by one, then
/// delivered, fetched and acknowledged at once.
async fn local(together: usize, bytes: usize) -> anyhow::Result<MessagePath> {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    world.empty(&second).await;
    // A first message makes the budgets and records that all later ones find.
    send(&world, &alice, [&bob, &second], bytes).await?;
    world.deliver().await;
    for device in [&bob, &second] {
        world.confirm(device).await;
    }
    world.deliver().await;
    world.empty(&alice).await;

    let mut path =
        MessagePath::new(format!("{together} local at a time, {bytes} bytes for each of two devices"));
    let share = |work: StepWork| work.a_part(together as f64);
    let meter = Meter::new(&world);
    for _ in 0..together {
        world.advance(1);
        send(&world, &alice, [&bob, &second], bytes).await?;
    }
    path.push("send", share(meter.read(together, together).await?));
    world.deliver().await;
    path.push("deliver to two mailboxes", share(meter.read(0, 1).await?));
    received(&mut path, &meter, [&bob, &second], together).await?;
    world.deliver().await;
    path.push("deliver the delivery report", share(meter.read(0, 1).await?));
    world.empty(&alice).await;
    Ok(path)
}

/// Measures a message to two devices of a user on another server that the author's server knows,
/// until the delivery report is in the author's mailbox. The costs of both servers count.
async fn federated(together: usize, bytes: usize) -> anyhow::Result<MessagePath> {
    let internet = Internet::new();
    let (here, _) = World::online(&internet, "a.example").await;
    let (there, _) = World::online(&internet, "b.example").await;
    let alice = here.user("alice").await;
    let bob = there.user("bob").await;
    let second = there.further(&bob, "two").await;
    there.deliver().await;
    there.empty(&second).await;
    let settle = async || {
        loop {
            let moved =
                here.deliver().await + here.federate().await + there.deliver().await + there.federate().await;
            if moved == 0 {
                return;
            }
        }
    };
    send(&there, &alice, [&bob, &second], bytes).await?;
    settle().await;
    there.confirm(&bob).await;
    there.confirm(&second).await;
    settle().await;
    here.empty(&alice).await;

    let mut path =
        MessagePath::new(format!("{together} federated at a time, {bytes} bytes for each of two devices"));
    let share = |work: StepWork| work.a_part(together as f64);
    let (author, recipient) = (Meter::new(&here), Meter::new(&there));
    for _ in 0..together {
        internet.advance(1);
        send(&there, &alice, [&bob, &second], bytes).await?;
    }
    path.push("send, at the author's server", share(author.read(together, together).await?));
    path.push("take it, at the recipient's", share(recipient.read(together, together).await?));
    there.deliver().await;
    path.push("deliver to two mailboxes", share(recipient.read(0, 1).await?));
    received(&mut path, &recipient, [&bob, &second], together).await?;
    there.federate().await;
    path.push("send the delivery report, at the recipient's", share(recipient.read(0, 1).await?));
    path.push("take the delivery report, at the author's", share(author.read(together, together).await?));
    here.deliver().await;
    path.push("deliver the delivery report", share(author.read(0, 1).await?));
    settle().await;
    here.empty(&alice).await;
    Ok(path)
}

/// Measures receipts that a device encrypts for two devices of an author here. They wake nobody, and
/// each device deletes each of them without a report.
async fn encrypted_receipts(together: usize) -> anyhow::Result<MessagePath> {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let alice = world.user("alice").await;
    let second = world.further(&alice, "two").await;
    world.deliver().await;
    world.empty(&second).await;
    send(&world, &bob, [&alice, &second], SHORT_BYTES).await?;
    world.deliver().await;
    for device in [&alice, &second] {
        world.empty(device).await;
    }

    let mut path = MessagePath::new(format!("{together} encrypted receipts at a time, for two devices"));
    let share = |work: StepWork| work.a_part(together as f64);
    let meter = Meter::new(&world);
    for _ in 0..together {
        world.advance(1);
        send(&world, &bob, [&alice, &second], SHORT_BYTES).await?;
    }
    path.push("send", share(meter.read(together, together).await?));
    world.deliver().await;
    path.push("deliver to two mailboxes", share(meter.read(0, 1).await?));
    let mut pages = Vec::new();
    for device in [&alice, &second] {
        pages.push(device.fetch().await?);
    }
    path.push("two devices fetch", share(meter.read(2, 2).await?));
    for (device, page) in [&alice, &second].into_iter().zip(pages) {
        ensure!(page.entries.len() == together, "{} entries of {together}", page.entries.len());
        for entry in page.entries {
            device.discard(&entry.address).await?;
        }
    }
    let deletions = 2 * together;
    path.push("two devices delete", share(meter.read(deletions, deletions).await?));
    world.deliver().await;
    Ok(path)
}

/// Has both devices fetch all entries, then acknowledge them, each in one request.
async fn received(
    path: &mut MessagePath,
    meter: &Meter<'_>,
    devices: [&Device<DirectTransport>; 2],
    together: usize,
) -> anyhow::Result<()> {
    let mut pages = Vec::new();
    for device in devices {
        pages.push(device.fetch().await?);
    }
    path.push("two devices fetch", meter.read(2, 2).await?.a_part(together as f64));
    for (device, page) in devices.into_iter().zip(pages) {
        let entries: Vec<String> = page.entries.into_iter().map(|entry| entry.address).collect();
        ensure!(entries.len() == together, "{} entries of {together}", entries.len());
        device.acknowledge(&entries).await?;
    }
    path.push("two devices acknowledge", meter.read(2, 2).await?.a_part(together as f64));
    Ok(())
}

/// Measures takes of key packages with one-time keys.
async fn takes() -> anyhow::Result<MessagePath> {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let bob = world.user_with("bob", KeyCounts { pre_keys: 10, kyber_pre_keys: 10, last_resort: true }).await;
    let mut path = MessagePath::new("take".to_owned());
    alice.take(bob.user()).await?;
    let meter = Meter::new(&world);
    let taken = alice.take(bob.user()).await?;
    ensure!(taken.packages.iter().all(|package| package.pre_key.is_some()), "no one-time key was left");
    path.push("the packages of one device", meter.read(1, 1).await?);
    // A second device has keys of its own, and is approved by the first.
    let second = world.device("bob", "two", COUNTS);
    second.register(&world.id_token(&second).await, second.as_further()).await?;
    world.deliver().await;
    world.empty(&bob).await;
    bob.approve(second.id()).await?;
    let meter = Meter::new(&world);
    ensure!(alice.take(bob.user()).await?.packages.len() == 2, "two packages");
    path.push("the packages of two devices", meter.read(1, 1).await?);
    world.deliver().await;
    Ok(path)
}

/// Measures what a device does with the sealed states of groups.
async fn group_states() -> anyhow::Result<MessagePath> {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let mut path = MessagePath::new("group state".to_owned());
    let id = |n: u8| GroupStateId::from_mac([n; 16]);
    let keep = async |n: u8, epoch: u64, bytes: usize| {
        let state = SealedGroupState { epoch, content: vec![7; bytes] };
        let answer = alice.keep_group_state(&id(n), &state).await?;
        ensure!(answer == GroupStateAnswer::Done, "the state is not taken");
        Ok(())
    };
    keep(0, 1, GROUP_STATE_BYTES).await?;
    let meter = Meter::new(&world);
    keep(1, 1, GROUP_STATE_BYTES).await?;
    path.push("the first state of a group, 4 KB", meter.read(1, 1).await?);
    keep(1, 2, GROUP_STATE_BYTES).await?;
    path.push("another state, 4 KB", meter.read(1, 1).await?);
    alice.group_state(&id(1)).await?;
    path.push("read one, 4 KB", meter.read(1, 1).await?);
    alice.drop_group_state(&id(1), 2).await?;
    path.push("delete one, 4 KB", meter.read(1, 1).await?);
    keep(0, 2, MAX_GROUP_STATE_BYTES).await?;
    path.push("another state, 256 KB", meter.read(1, 1).await?);
    alice.drop_group_state(&id(0), 2).await?;
    for n in 0..100 {
        keep(n, 1, GROUP_STATE_BYTES).await?;
    }
    meter.read(0, 0).await?;
    ensure!(alice.group_states().await?.states.len() == 100, "a page");
    path.push("read a page of 100, 4 KB each", meter.read(1, 1).await?);
    Ok(path)
}

/// Sends one message, and checks that it is accepted at once.
async fn send(
    there: &World,
    from: &Device<DirectTransport>,
    to: [&Device<DirectTransport>; 2],
    bytes: usize,
) -> anyhow::Result<()> {
    let [first, _] = to;
    let messages = to.map(|device| (device.id().clone(), vec![7; bytes])).into();
    let id = from.envelope_id();
    let outgoing = OutgoingEnvelope::new(first.user().clone(), id, messages).at(there.state.origin());
    let outcome = from.send(&outgoing).await?;
    ensure!(matches!(outcome, SendOutcome::Accepted { .. }), "the message is not taken: {outcome:?}");
    Ok(())
}

/// Returns the figures as Markdown tables, with the arithmetic of each step.
pub fn table(figures: &CostFigures) -> String {
    let mut text = String::new();
    for path in &figures.ways {
        text.push_str(&format!("\n### {}\n\n", path.name));
        text.push_str(&format!("| step | {COLUMNS} $ a million |\n|---|---|---|---|---|---|---|---|---|\n"));
        for PathStep { name, work, dollars } in &path.steps {
            text.push_str(&format!("| {name} | {} {dollars:.2} |\n", row(work)));
        }
        text.push_str(&format!("| **all of it** | | | | | | | | **{:.2}** |\n", path.dollars));
    }
    for month in &figures.months {
        text.push_str(&format!("\n### A month of {}\n\n", month.name));
        text.push_str(&format!(
            "| step | times | {COLUMNS} $ a month |\n|---|---|---|---|---|---|---|---|---|---|\n"
        ));
        for MonthStep { name, times, work, dollars } in &month.steps {
            text.push_str(&format!("| {name} | {times} | {} {dollars:.4} |\n", row(work)));
        }
        text.push_str(&format!("| **all of it** | | | | | | | | | **{:.4}** |\n", month.dollars));
    }
    let messages = figures.break_even_messages;
    text.push_str(&format!(
        "\nA socket costs less than a push for each message from {messages:.0} messages a month on.\n"
    ));
    text
}

/// The columns of a step's work.
const COLUMNS: &str =
    "API requests | socket messages | invocations | Lambda ms | read units | write units | SQS requests |";

/// Returns the cells of a step's work.
fn row(work: &StepWork) -> String {
    let StepWork { api_requests, socket_messages, invocations, lambda_ms, consumed, .. } = work;
    format!(
        "{api_requests:.1} | {socket_messages:.1} | {invocations:.1} | {lambda_ms:.1} | {:.2} | {:.2} | {:.2} |",
        consumed.read_units, consumed.write_units, consumed.sqs_requests,
    )
}
