//! Dollars for a million of what a server does: requests and invocations counted, capacity units as the engine and the
//! formulas say, times AWS's list prices. Played with the real functions over the embedded engines.

use anyhow::ensure;
use eko_client::Device;
use eko_client::KeyCounts;
use eko_client::device::{JoinKind, OutgoingEnvelope, SendOutcome};
use eko_testkit::{COUNTS, Direct, Internet, World};
use serde::Serialize;

use crate::capacity::consumed;
use crate::prices::{PRICES, Work};

/// What an invocation is billed beyond its calls, in milliseconds: more than any function here computes.
const BASE_MS: f64 = 3.0;
/// What a round of AWS calls is taken to last, in milliseconds. The engines here answer sooner, DynamoDB does not.
const ROUND_MS: f64 = 5.0;
/// Messages that travel together where they travel together: what an event source mapping hands over at most.
const TOGETHER: usize = 10;

/// A step, and what one message's part of it takes.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What it is.
    pub name: &'static str,
    /// What it takes.
    pub work: Work,
    /// Dollars for a million.
    pub dollars: f64,
}

/// A way of a message, step by step.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// What it is.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Their sum, dollars for a million messages.
    pub dollars: f64,
}

impl Way {
    fn new(name: String) -> Self {
        Self { name, steps: Vec::new(), dollars: 0.0 }
    }

    fn push(&mut self, name: &'static str, work: Work) {
        let dollars = work.dollars(&PRICES);
        self.dollars += dollars;
        self.steps.push(Step { name, work, dollars });
    }
}

/// Counts what a world does.
struct Meter<'a> {
    world: &'a World,
}

impl<'a> Meter<'a> {
    fn new(world: &'a World) -> Self {
        world.calls.record();
        world.calls.reset();
        Self { world }
    }

    /// What was done since, by requests and invocations of these numbers.
    async fn read(&self, api_requests: usize, invocations: usize) -> anyhow::Result<Work> {
        let rounds = self.world.calls.rounds();
        let exchanges = self.world.calls.recorded();
        self.world.calls.reset();
        // The pump's last look at an empty queue is the event source's idle polling, which is not a message's.
        let empty = |exchange: &&eko_testkit::Exchange| {
            exchange.operation == "ReceiveMessage"
                && exchange.response["Messages"].as_array().is_none_or(Vec::is_empty)
        };
        let polls = exchanges.iter().filter(empty).count();
        // What the event source does is no function's time: receiving, deleting.
        let source = |exchange: &&eko_testkit::Exchange| {
            matches!(exchange.operation.as_str(), "ReceiveMessage" | "DeleteMessageBatch")
        };
        let source = exchanges.iter().filter(source).count();
        let exchanges: Vec<_> = exchanges.iter().filter(|exchange| !empty(exchange)).cloned().collect();
        ensure!(exchanges.len() + polls >= source, "more polls than calls");
        Ok(Work {
            api_requests: api_requests as f64,
            invocations: invocations as f64,
            lambda_ms: BASE_MS * invocations as f64 + ROUND_MS * (rounds.saturating_sub(source)) as f64,
            consumed: consumed(&self.world.engines, &exchanges).await?,
        })
    }
}

/// Everything, in the order of the table.
///
/// # Errors
/// Something does not go as it must, or a figure of the engine is not the formula's.
pub async fn measure() -> anyhow::Result<Vec<Way>> {
    Ok(vec![
        local(1, 512).await?,
        local(TOGETHER, 512).await?,
        local(TOGETHER, 1_500).await?,
        federated(1, 512).await?,
        federated(TOGETHER, 512).await?,
        takes().await?,
    ])
}

/// A message to two devices of a user here: `together` of them are sent, then delivered, fetched, acknowledged at once.
async fn local(together: usize, bytes: usize) -> anyhow::Result<Way> {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    world.empty(&second).await;
    // The first is as all others: no budget is new, no record.
    send(&world, &alice, [&bob, &second], bytes).await?;
    world.deliver().await;
    for device in [&bob, &second] {
        world.confirm(device).await;
    }
    world.deliver().await;
    world.empty(&alice).await;

    let mut way = Way::new(format!("{together} local at a time, {bytes} bytes for each of two devices"));
    let share = |work: Work| work.a_part(together as f64);
    let meter = Meter::new(&world);
    for _ in 0..together {
        world.advance(1);
        send(&world, &alice, [&bob, &second], bytes).await?;
    }
    way.push("send", share(meter.read(together, together).await?));
    world.deliver().await;
    way.push("deliver to two mailboxes", share(meter.read(0, 1).await?));
    received(&mut way, &meter, [&bob, &second], together).await?;
    world.deliver().await;
    way.push("deliver the receipt", share(meter.read(0, 1).await?));
    world.empty(&alice).await;
    Ok(way)
}

/// A message to two devices of a user on another server, whom the author knows, until the author has the receipt in
/// the mailbox. Both servers are paid for.
async fn federated(together: usize, bytes: usize) -> anyhow::Result<Way> {
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

    let mut way = Way::new(format!("{together} federated at a time, {bytes} bytes for each of two devices"));
    let share = |work: Work| work.a_part(together as f64);
    let (author, recipient) = (Meter::new(&here), Meter::new(&there));
    for _ in 0..together {
        internet.advance(1);
        send(&there, &alice, [&bob, &second], bytes).await?;
    }
    way.push("send, at the author's server", share(author.read(together, together).await?));
    way.push("take it, at the recipient's", share(recipient.read(together, together).await?));
    there.deliver().await;
    way.push("deliver to two mailboxes", share(recipient.read(0, 1).await?));
    received(&mut way, &recipient, [&bob, &second], together).await?;
    there.federate().await;
    way.push("send the receipt, at the recipient's", share(recipient.read(0, 1).await?));
    way.push("take the receipt, at the author's", share(author.read(together, together).await?));
    here.deliver().await;
    way.push("deliver the receipt", share(author.read(0, 1).await?));
    settle().await;
    here.empty(&alice).await;
    Ok(way)
}

/// Both devices fetch what there is, then acknowledge it, each in one request.
async fn received(
    way: &mut Way,
    meter: &Meter<'_>,
    devices: [&Device<Direct>; 2],
    together: usize,
) -> anyhow::Result<()> {
    let mut pages = Vec::new();
    for device in devices {
        pages.push(device.fetch().await?);
    }
    way.push("two devices fetch", meter.read(2, 2).await?.a_part(together as f64));
    for (device, page) in devices.into_iter().zip(pages) {
        let entries: Vec<String> = page.entries.into_iter().map(|entry| entry.address).collect();
        ensure!(entries.len() == together, "{} entries of {together}", entries.len());
        device.acknowledge(&entries).await?;
    }
    way.push("two devices acknowledge", meter.read(2, 2).await?.a_part(together as f64));
    Ok(())
}

/// Key packages with one-time keys.
async fn takes() -> anyhow::Result<Way> {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let bob = world.user_with("bob", KeyCounts { pre_keys: 10, kyber_pre_keys: 10, last_resort: true }).await;
    let mut way = Way::new("take".to_owned());
    alice.take(bob.user()).await?;
    let meter = Meter::new(&world);
    let taken = alice.take(bob.user()).await?;
    ensure!(taken.packages.iter().all(|package| package.pre_key.is_some()), "no one-time key was left");
    way.push("the packages of one device", meter.read(1, 1).await?);
    // Another device with keys of its own, approved by the first.
    let second = world.device("bob", "two", COUNTS);
    second.register(&world.id_token("bob").await, JoinKind::Further).await?;
    world.deliver().await;
    world.empty(&bob).await;
    bob.approve(second.id()).await?;
    let meter = Meter::new(&world);
    ensure!(alice.take(bob.user()).await?.packages.len() == 2, "two packages");
    way.push("the packages of two devices", meter.read(1, 1).await?);
    world.deliver().await;
    Ok(way)
}

/// Sends one message and looks that it is taken at once.
async fn send(
    there: &World,
    from: &Device<Direct>,
    to: [&Device<Direct>; 2],
    bytes: usize,
) -> anyhow::Result<()> {
    let [first, _] = to;
    let messages = to.map(|device| (device.id().clone(), vec![7; bytes])).into();
    let id = from.environment().envelope_id();
    let outgoing = OutgoingEnvelope::new(first.user().clone(), id, messages).at(there.state.origin());
    let outcome = from.send(&outgoing).await?;
    ensure!(matches!(outcome, SendOutcome::Accepted { .. }), "the message is not taken: {outcome:?}");
    Ok(())
}

/// A table for people, with the arithmetic of each step.
pub fn table(ways: &[Way]) -> String {
    let mut text = String::new();
    for way in ways {
        text.push_str(&format!("\n### {}\n\n", way.name));
        text.push_str(
            "| step | API requests | invocations | Lambda ms | read units | write units | SQS requests | $ a million |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for step in &way.steps {
            let work = &step.work;
            text.push_str(&format!(
                "| {} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {:.2} |\n",
                step.name,
                work.api_requests,
                work.invocations,
                work.lambda_ms,
                work.consumed.read_units,
                work.consumed.write_units,
                work.consumed.sqs_requests,
                step.dollars,
            ));
        }
        text.push_str(&format!("| **all of it** | | | | | | | **{:.2}** |\n", way.dollars));
    }
    text
}
