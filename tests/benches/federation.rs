//! The time that a message takes to another server, also while a dead server has messages waiting.
//!
//! `cargo bench -p eko-tests --bench federation` starts two local servers and prints the time of a
//! send to the other server beside one to the own, and the time of a receipt from the
//! acknowledgement to the author's mailbox. It measures both again while a thousand activities wait
//! for a server that refuses connections, and for one that accepts connections and never answers.
//! Nothing here asserts a time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use eko_client::device::{EntryContent, JoinKind, OutgoingEnvelope, SendOutcome};
use eko_client::transport::HttpTransport;
use eko_client::{Body, Device, DeviceKeys, Environment, Exchange, KeyCounts};
use eko_local::cloud::Cloud;
use eko_local::server::{AUDIENCE, BoundServer, ISSUER_PATH, ServerOptions};
use eko_protocol::address::{Origin, UserName};
use eko_store::parcels::{Parcel, ParcelBody};
use http::Method;
use tokio::net::TcpListener;

const SENDS: usize = 300;
const RECEIPTS: usize = 30;
/// The activities that wait for a dead server.
const DEAD: usize = 1_000;
const CIPHERTEXT_BYTES: usize = 512;
const COUNTS: KeyCounts = KeyCounts { pre_keys: 0, kyber_pre_keys: 0, last_resort: false };

fn main() -> anyhow::Result<()> {
    // `cargo bench` passes --bench. `cargo test --benches` does not, and must not measure.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let (a, b) = (start().await?, start().await?);
    let alice = device(&a.0, "alice").await?;
    let carol = device(&a.0, "carol").await?;
    let bob = device(&b.0, "bob").await?;
    send(&alice, &bob, 20).await?;
    send(&alice, &carol, 20).await?;
    let here = send(&alice, &carol, SENDS).await?;
    let there = send(&alice, &bob, SENDS).await?;
    empty(&bob).await?;
    empty(&alice).await?;
    print("send to the own server", &here);
    print("send to another server", &there);
    println!("p50 another / p50 own                     {:>8.1}", ratio(&there, &here));
    let quiet = receipts(&alice, &bob).await?;
    print("receipt, acknowledged to mailbox", &quiet);

    let refusing = {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listener.local_addr()?.port()
    };
    // This listener takes connections into its backlog and never accepts them.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    for (name, port) in [("refuses connections", refusing), ("says nothing", silent.local_addr()?.port())] {
        println!();
        println!("{DEAD} activities wait on either server for one that {name}");
        for cloud in [&a.1, &b.1] {
            let begun = Instant::now();
            queue(cloud, port).await?;
            println!(
                "  queued in                               {:>8.0} ms",
                begun.elapsed().as_secs_f64() * 1e3
            );
        }
        let sends = send(&alice, &bob, SENDS).await?;
        print("send to a live server meanwhile", &sends);
        empty(&bob).await?;
        empty(&alice).await?;
        let receipts = receipts(&alice, &bob).await?;
        print("receipt meanwhile", &receipts);
        println!("  still waiting                           {:>8}", a.1.queued(&a.1.federation.queue).await?);
    }
    Ok(())
}

/// Takes the budgets out of the way of a measurement.
fn unlimit(options: &mut ServerOptions) {
    let limits = &mut options.limits;
    for budget in [
        &mut limits.sender_budget,
        &mut limits.sender_bytes_budget,
        &mut limits.server_budget,
        &mut limits.server_bytes_budget,
        &mut limits.recipient_budget,
        &mut limits.recipient_bytes_budget,
        &mut limits.account_budget,
        &mut limits.account_bytes_budget,
    ] {
        *budget = u64::MAX >> 1;
    }
}

/// Starts a server in memory, which runs until the end of the process.
async fn start() -> anyhow::Result<(Origin, Cloud)> {
    let mut options = ServerOptions::default();
    unlimit(&mut options);
    let server = BoundServer::bind(&options).await?;
    let running = (server.origin.clone(), server.cloud().clone());
    tokio::spawn(server.run(std::future::pending()));
    Ok(running)
}

/// Queues the activities for a server at this port of this machine.
async fn queue(cloud: &Cloud, port: u16) -> anyhow::Result<()> {
    let now_ms = (Environment::system().clock)();
    let author = UserName::parse("bob")?;
    let parcel = |n: usize| Parcel {
        to: format!("http://localhost:{port}/user/nobody{n}"),
        author: author.clone(),
        first_ms: now_ms,
        not_before_ms: None,
        expires_ms: None,
        outcome_to: None,
        listed_as: None,
        is_deletion: false,
        by_server: false,
        body: ParcelBody::Text("{}".to_owned()),
    };
    Ok(cloud.store().queue_parcels((0..DEAD).map(parcel).collect(), now_ms, String::new).await?)
}

/// Sends envelopes one after another, and returns the time of each.
async fn send(
    from: &Device<HttpTransport>,
    to: &Device<HttpTransport>,
    count: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let id = from.envelope_id();
        let messages = vec![(to.id().clone(), vec![0x5a; CIPHERTEXT_BYTES])];
        let outgoing = OutgoingEnvelope::new(to.user().clone(), id, messages).at(to.origin());
        let begun = Instant::now();
        let outcome = from.send(&outgoing).await?;
        took.push(begun.elapsed());
        ensure!(matches!(outcome, SendOutcome::Accepted { .. }), "a send came to {outcome:?}");
    }
    Ok(took)
}

/// Sends, waits for the entry, acknowledges it, and returns the time from there to the report in
/// the author's mailbox.
async fn receipts(
    alice: &Device<HttpTransport>,
    bob: &Device<HttpTransport>,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(RECEIPTS);
    for _ in 0..RECEIPTS {
        send(alice, bob, 1).await?;
        let entry = loop {
            match bob.fetch().await?.entries.into_iter().next() {
                Some(entry) => break entry,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let begun = Instant::now();
        bob.acknowledge(&[entry.address]).await?;
        loop {
            if let Some(entry) = alice.fetch().await?.entries.into_iter().next() {
                took.push(begun.elapsed());
                ensure!(matches!(entry.content, EntryContent::Report(_)), "not a report");
                alice.discard(&entry.address).await?;
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(took)
}

/// Discards everything in a device's mailbox.
async fn empty(device: &Device<HttpTransport>) -> anyhow::Result<()> {
    // The queued messages arrive first.
    tokio::time::sleep(Duration::from_millis(300)).await;
    loop {
        let page = device.fetch().await?.entries;
        if page.is_empty() {
            return Ok(());
        }
        for entry in page {
            device.discard(&entry.address).await?;
        }
    }
}

/// Registers the first device of a new user.
async fn device(origin: &Origin, user: &str) -> anyhow::Result<Device<HttpTransport>> {
    let environment = Environment::system();
    let keys = DeviceKeys::generate(COUNTS, &environment)?;
    let device =
        Device::new(HttpTransport::new()?, origin.clone(), UserName::parse(user)?, keys, environment);
    let url = format!("{origin}{ISSUER_PATH}/token");
    let challenge = device.challenge();
    let nonce = challenge.nonce();
    let form = format!("grant_type=password&username={user}&client_id={AUDIENCE}&nonce={nonce}");
    let body = Body::Raw(Some("application/x-www-form-urlencoded"), form.into());
    let answer = Exchange::send(&HttpTransport::new()?, Method::POST, &url, body, None).await?.json()?;
    let token = answer["id_token"].as_str().context("no ID token")?;
    device.register(&challenge.answered(token), JoinKind::First).await?;
    Ok(device)
}

/// Returns the time that this part of all times does not exceed.
fn percentile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part).round() as usize]
}

fn ratio(a: &[Duration], b: &[Duration]) -> f64 {
    percentile(a, 0.5).as_secs_f64() / percentile(b, 0.5).as_secs_f64()
}

fn print(name: &str, times: &[Duration]) {
    let ms = |part: f64| percentile(times, part).as_secs_f64() * 1e3;
    println!("{name:<36} p50 {:>7.2}  p99 {:>7.2}  most {:>7.2} ms", ms(0.5), ms(0.99), ms(1.0));
}
