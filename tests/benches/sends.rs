//! The rate at which the local server accepts messages, against the rate of its engine alone.
//!
//! `cargo bench -p eko-tests --bench sends` prints, for a store in memory and one in a folder:
//! sends a second over 16 connections (512-byte ciphertexts to two devices, until every entry is in
//! its mailbox), the time of a send over one connection, and the same for bare `PutItem`s through
//! the same SDK client against the same engine. Ratios travel between machines better than rates.
//! Nothing here asserts a time.

use eko_testkit::ChainChanges as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use eko_client::device::{JoinKind, OutgoingEnvelope};
use eko_client::transport::HttpTransport;
use eko_client::{Auth, Body, Device, DeviceKeys, Environment, Exchange, IdToken, KeyCounts};
use eko_local::cloud::Cloud;
use eko_local::server::{AUDIENCE, BoundServer, ISSUER_PATH, ServerOptions};
use eko_protocol::address::{Origin, UserName};
use futures_util::future::try_join_all;
use http::Method;

/// The connections that send side by side, and the puts that run side by side.
const CONNECTIONS: usize = 16;
const SENDS_EACH: usize = 250;
const PUTS_EACH: usize = 1000;
const SINGLE: usize = 1000;
/// The pause before each of the rested puts. A server with one client is never warm: a send's parts
/// compare with a put after a pause, while puts in a loop show what the engine can do.
const PAUSE: Duration = Duration::from_millis(1);
const CIPHERTEXT_BYTES: usize = 512;
const COUNTS: KeyCounts = KeyCounts { pre_keys: 0, kyber_pre_keys: 0, last_resort: false };

/// The figures of one store.
struct StoreFigures {
    answered_per_second: f64,
    delivered_per_second: f64,
    puts_per_second: f64,
    send_p50: Duration,
    send_p99: Duration,
    put_p50: Duration,
    rested_put_p50: Duration,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` passes --bench. `cargo test --benches` does not, and must not measure.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let memory = measure(None).await?;
        let folder = tempfile::tempdir()?;
        let data = measure(Some(folder.path().to_owned())).await?;
        print("in memory", &memory);
        print("--data", &data);
        println!();
        println!(
            "sends / bare puts, in memory     {:.2}",
            memory.delivered_per_second / memory.puts_per_second
        );
        println!("p50 send / p50 put, in memory    {:.1}", ratio(memory.send_p50, memory.put_p50));
        println!("p50 send / p50 put after a pause {:.1}", ratio(memory.send_p50, memory.rested_put_p50));
        println!(
            "sends --data / sends in memory   {:.2}",
            data.delivered_per_second / memory.delivered_per_second
        );
        Ok(())
    })
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn print(name: &str, figures: &StoreFigures) {
    println!();
    println!("{name}");
    println!("  sends answered a second, {CONNECTIONS} connections     {:>8.0}", figures.answered_per_second);
    println!("  sends in both mailboxes a second          {:>8.0}", figures.delivered_per_second);
    println!("  bare puts a second, {CONNECTIONS} at a time            {:>8.0}", figures.puts_per_second);
    println!("  send, one connection: p50                 {:>8.0} µs", figures.send_p50.as_secs_f64() * 1e6);
    println!("  send, one connection: p99                 {:>8.0} µs", figures.send_p99.as_secs_f64() * 1e6);
    println!("  bare put, one at a time: p50              {:>8.0} µs", figures.put_p50.as_secs_f64() * 1e6);
    println!(
        "  bare put, after a pause: p50              {:>8.0} µs",
        figures.rested_put_p50.as_secs_f64() * 1e6
    );
}

/// Takes the budgets out of the way of a measurement.
fn unlimit(options: &mut ServerOptions) {
    let limits = &mut options.limits;
    for budget in [
        &mut limits.sender_budget,
        &mut limits.sender_bytes_budget,
        &mut limits.recipient_budget,
        &mut limits.recipient_bytes_budget,
        &mut limits.account_budget,
        &mut limits.account_bytes_budget,
    ] {
        *budget = u64::MAX >> 1;
    }
}

/// Measures a server whose store is in the folder `data`, or in memory without one.
async fn measure(data: Option<std::path::PathBuf>) -> anyhow::Result<StoreFigures> {
    let mut options = ServerOptions { data, ..ServerOptions::default() };
    unlimit(&mut options);
    let server = BoundServer::bind(&options).await?;
    let (origin, cloud) = (server.origin.clone(), server.cloud().clone());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));

    let puts_per_second = bare_puts(&cloud).await?;
    let put_p50 = percentile(&single_puts(&cloud, Duration::ZERO).await?, 0.5);
    let rested_put_p50 = percentile(&single_puts(&cloud, PAUSE).await?, 0.5);
    let mut pairs = Vec::new();
    for index in 0..CONNECTIONS {
        pairs.push(Correspondents::new(&origin, index).await?);
    }
    // The first sends open connections and prepare statements.
    for pair in &pairs {
        pair.send(10).await?;
    }
    settled(&cloud).await?;
    let begun = Instant::now();
    try_join_all(pairs.iter().map(|pair| pair.send(SENDS_EACH))).await?;
    let answered = begun.elapsed();
    settled(&cloud).await?;
    let delivered = begun.elapsed();
    for pair in &pairs {
        pair.check(SENDS_EACH + 10).await?;
    }
    let single = pairs.first().context("a pair")?.send(SINGLE).await?;
    settled(&cloud).await?;

    let _ = stop.send(());
    running.await??;
    let sends = (CONNECTIONS * SENDS_EACH) as f64;
    Ok(StoreFigures {
        answered_per_second: sends / answered.as_secs_f64(),
        delivered_per_second: sends / delivered.as_secs_f64(),
        puts_per_second,
        send_p50: percentile(&single, 0.5),
        send_p99: percentile(&single, 0.99),
        put_p50,
        rested_put_p50,
    })
}

/// A sender with a connection of its own, and a recipient with two devices.
struct Correspondents {
    sender: Device<HttpTransport>,
    devices: [Device<HttpTransport>; 2],
}

impl Correspondents {
    /// Registers both users at the server.
    async fn new(origin: &Origin, index: usize) -> anyhow::Result<Self> {
        let sender = device(origin, &format!("sender{index}"))?;
        let first = device(origin, &format!("recipient{index}"))?;
        let second = device(origin, &format!("recipient{index}"))?;
        sender.register(&id_token(&sender).await?, JoinKind::First).await?;
        first.register(&id_token(&first).await?, JoinKind::First).await?;
        second.register(&id_token(&second).await?, second.as_further()).await?;
        first.approve(second.id()).await?;
        Ok(Self { sender, devices: [first, second] })
    }

    /// Sends envelopes one after another, and returns the time of each.
    async fn send(&self, count: usize) -> anyhow::Result<Vec<Duration>> {
        let mut took = Vec::with_capacity(count);
        let url = self.sender.origin().outbox(self.sender.user());
        for _ in 0..count {
            let id = self.sender.envelope_id();
            let content = vec![0x5a; CIPHERTEXT_BYTES];
            let messages = self.devices.iter().map(|device| (device.id().clone(), content.clone())).collect();
            let [first, _] = &self.devices;
            let body =
                self.sender.create_activity(&OutgoingEnvelope::new(first.user().clone(), id, messages));
            let begun = Instant::now();
            let answer = self.sender.call(Method::POST, &url, Body::Json(&body), Auth::Device).await?;
            took.push(begun.elapsed());
            ensure!(answer.status == 201, "a send was answered {}", answer.status);
        }
        Ok(took)
    }

    /// Checks that each of this many envelopes is in both mailboxes.
    async fn check(&self, sent: usize) -> anyhow::Result<()> {
        for device in &self.devices {
            let mut page = device.fetch().await?;
            let mut messages = 0;
            loop {
                messages += page.entries.iter().filter(|entry| entry.activity["type"] == "Create").count();
                match &page.next {
                    Some(next) => page = device.fetch_after(next).await?,
                    None => break,
                }
            }
            ensure!(messages == sent, "{messages} of {sent} messages are in the mailbox");
        }
        Ok(())
    }
}

/// Makes a device that has not registered.
fn device(origin: &Origin, user: &str) -> anyhow::Result<Device<HttpTransport>> {
    let environment = Environment::system();
    let keys = DeviceKeys::generate(COUNTS, &environment)?;
    Ok(Device::new(HttpTransport::new()?, origin.clone(), UserName::parse(user)?, keys, environment))
}

/// Returns an ID token of the server's development issuer for a device.
async fn id_token(device: &Device<HttpTransport>) -> anyhow::Result<IdToken> {
    let url = format!("{}{ISSUER_PATH}/token", device.origin());
    let (user, challenge) = (device.user(), device.challenge());
    let nonce = challenge.nonce();
    let form = format!("grant_type=password&username={user}&client_id={AUDIENCE}&nonce={nonce}");
    let body = Body::Raw(Some("application/x-www-form-urlencoded"), form.into());
    let answer = Exchange::send(&HttpTransport::new()?, Method::POST, &url, body, None).await?.json()?;
    Ok(challenge.answered(answer["id_token"].as_str().context("no ID token")?))
}

/// Waits until the queue is empty, so that every entry is in its mailbox.
async fn settled(cloud: &Cloud) -> anyhow::Result<()> {
    loop {
        let left = cloud.queued(&cloud.deliveries.queue).await?;
        if left == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Puts one item and returns the time that it took.
async fn put(cloud: &Cloud, name: String) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    cloud
        .clients
        .dynamodb
        .put_item()
        .table_name(cloud.names().table)
        .item("pk", AttributeValue::S(name))
        .item("sk", AttributeValue::S("BENCH".to_owned()))
        .item("b", AttributeValue::B(Blob::new(vec![0x5a; CIPHERTEXT_BYTES])))
        .send()
        .await?;
    Ok(begun.elapsed())
}

/// Puts items over several tasks, and returns the number of puts a second.
async fn bare_puts(cloud: &Cloud) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let task = |task: usize| {
        let cloud = cloud.clone();
        tokio::spawn(async move {
            for index in 0..PUTS_EACH {
                put(&cloud, format!("B#{task}#{index}")).await?;
            }
            anyhow::Ok(())
        })
    };
    for ended in try_join_all((0..CONNECTIONS).map(task)).await? {
        ended?;
    }
    Ok((CONNECTIONS * PUTS_EACH) as f64 / begun.elapsed().as_secs_f64())
}

/// Puts items one after another with a pause before each, and returns the time of each put.
async fn single_puts(cloud: &Cloud, pause: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(SINGLE);
    for index in 0..SINGLE {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        took.push(put(cloud, format!("S#{index}")).await?);
    }
    Ok(took)
}

/// Returns the time that this part of all times does not exceed.
fn percentile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let index = ((times.len() - 1) as f64 * part).round() as usize;
    times[index]
}
