//! The time from a sender's POST to the frame on the recipient's socket, at a local server over TCP.
//!
//! `cargo bench -p eko-tests --bench live` prints the distribution for a single message on an idle
//! server and for 100 messages a second to 50 sockets, the time until the sender has its answer,
//! and the memory of a thousand open sockets. Server and clients share the process and the machine.
//! Nothing here asserts a time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use eko_client::device::{JoinKind, OutgoingEnvelope};
use eko_client::transport::HttpTransport;
use eko_client::{Auth, Body, Device, DeviceKeys, Environment, Exchange, IdToken, KeyCounts};
use eko_local::server::{AUDIENCE, BoundServer, ISSUER_PATH, ServerOptions};
use eko_local::sockets::LIVE_PATH;
use eko_protocol::address::{Origin, UserName};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Method, header};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The recipients, each with one device and one socket.
const RECIPIENTS: usize = 50;
/// The messages, all recipients together.
const MESSAGES: usize = 2_000;
/// The pause between two messages: a hundred a second.
const PAUSE: Duration = Duration::from_millis(10);
/// The messages to an idle server, and the pause before each.
const SINGLE: usize = 50;
const IDLE: Duration = Duration::from_millis(200);
/// The sockets whose memory is measured.
const SOCKETS: usize = 1_000;
const CIPHERTEXT_BYTES: usize = 512;
const COUNTS: KeyCounts = KeyCounts { pre_keys: 0, kyber_pre_keys: 0, last_resort: false };

type Socket = WebSocketStream<TcpStream>;

/// The times of one message.
struct MessageTimes {
    answered: Duration,
    received: Duration,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` passes --bench. `cargo test --benches` does not, and must not measure.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let mut options = ServerOptions::default();
    let limits = &mut options.limits;
    for budget in [&mut limits.sender_budget, &mut limits.sender_bytes_budget, &mut limits.account_budget] {
        *budget = u64::MAX >> 1;
    }
    let server = BoundServer::bind(&options).await?;
    let origin = server.origin.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let sender = registered(&origin, "sender").await?;
    let mut recipients = Vec::new();
    for index in 0..RECIPIENTS {
        let device = registered(&origin, &format!("recipient{index}")).await?;
        let socket = connect(&device).await?;
        recipients.push((device, socket));
    }

    let (device, socket) = recipients.first_mut().context("a recipient")?;
    let mut single = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        tokio::time::sleep(IDLE).await;
        let begun = Instant::now();
        send(&sender, device).await?;
        let answered = begun.elapsed();
        entry(socket).await?;
        single.push(MessageTimes { answered, received: begun.elapsed() });
    }
    print("one message, idle server", &single);

    let loaded = load(&sender, recipients).await?;
    print("100 messages a second, 50 sockets", &loaded);

    memory(&origin).await?;
    let _ = stop.send(());
    running.await??;
    Ok(())
}

/// Sends a hundred messages a second to the recipients in turn, and returns the times of each.
async fn load(
    sender: &Device<HttpTransport>,
    recipients: Vec<(Device<HttpTransport>, Socket)>,
) -> anyhow::Result<Vec<MessageTimes>> {
    let (devices, sockets): (Vec<_>, Vec<_>) = recipients.into_iter().unzip();
    let each = MESSAGES / RECIPIENTS;
    let readers: Vec<_> = (sockets.into_iter())
        .map(|mut socket| {
            tokio::spawn(async move {
                let mut received = Vec::with_capacity(each);
                for _ in 0..each {
                    received.push((entry(&mut socket).await?, Instant::now()));
                }
                anyhow::Ok(received)
            })
        })
        .collect();
    let mut ticks = tokio::time::interval(PAUSE);
    let mut sends = Vec::with_capacity(MESSAGES);
    for index in 0..MESSAGES {
        ticks.tick().await;
        let device = devices.get(index % RECIPIENTS).context("a recipient")?;
        let (id, body) = envelope(sender, device);
        let (url, sender_token) = (sender.origin().outbox(sender.user()), sender);
        let begun = Instant::now();
        let answer = sender_token.call(Method::POST, &url, Body::Json(&body), Auth::Device).await?;
        ensure!(answer.status == 201, "a send was answered {}", answer.status);
        sends.push((id, begun, begun.elapsed()));
    }
    let mut received = std::collections::BTreeMap::new();
    for reader in readers {
        received.extend(reader.await??);
    }
    let times = sends.into_iter().map(|(id, begun, answered)| {
        let received = received.get(&id).context("a message is missing")?.duration_since(begun);
        Ok(MessageTimes { answered, received })
    });
    times.collect()
}

/// Opens a thousand sockets, and prints by how much the process has grown. The clients' side is in
/// the same process, so that this is more than what the server needs.
async fn memory(origin: &Origin) -> anyhow::Result<()> {
    let mut devices = Vec::new();
    for index in 0..SOCKETS / 4 {
        devices.push(registered(origin, &format!("silent{index}")).await?);
    }
    let before = resident_kib()?;
    let mut sockets = Vec::with_capacity(SOCKETS);
    for device in &devices {
        for _ in 0..4 {
            sockets.push(bare(device).await?);
        }
    }
    let after = resident_kib()?;
    println!(
        "{SOCKETS} sockets, both ends: {} MiB in a process of {} MiB",
        (after - before) / 1024,
        after / 1024
    );
    Ok(())
}

fn print(name: &str, times: &[MessageTimes]) {
    println!("{name}");
    for (what, of) in [
        ("answered", (|times: &MessageTimes| times.answered) as fn(&MessageTimes) -> Duration),
        ("received", |times: &MessageTimes| times.received),
    ] {
        let times: Vec<Duration> = times.iter().map(of).collect();
        let ms = |part| percentile(&times, part).as_secs_f64() * 1e3;
        println!("  {what}  p50 {:6.2} ms   p90 {:6.2} ms   p99 {:6.2} ms", ms(0.5), ms(0.9), ms(0.99));
    }
}

/// Sends a message to a device.
async fn send(sender: &Device<HttpTransport>, to: &Device<HttpTransport>) -> anyhow::Result<()> {
    let (_, body) = envelope(sender, to);
    let url = sender.origin().outbox(sender.user());
    let answer = sender.call(Method::POST, &url, Body::Json(&body), Auth::Device).await?;
    ensure!(answer.status == 201, "a send was answered {}", answer.status);
    Ok(())
}

/// Returns a new envelope for a device: its id, and the activity.
fn envelope(sender: &Device<HttpTransport>, to: &Device<HttpTransport>) -> (String, Value) {
    let id = sender.envelope_id();
    let messages = vec![(to.id().clone(), vec![0x5a; CIPHERTEXT_BYTES])];
    let activity = sender.create_activity(&OutgoingEnvelope::new(to.user().clone(), id.clone(), messages));
    (id.to_string(), activity)
}

/// Opens the socket of a device, and fetches.
async fn connect(device: &Device<HttpTransport>) -> anyhow::Result<Socket> {
    let mut socket = bare(device).await?;
    socket.send(Message::text(r#"{"type":"Fetch"}"#)).await?;
    let first = frame(&mut socket).await?;
    ensure!(first["type"] == "QueueEmpty", "the backlog is {first}");
    Ok(socket)
}

/// Opens the socket of a device.
async fn bare(device: &Device<HttpTransport>) -> anyhow::Result<Socket> {
    let address = device.origin().as_str().strip_prefix("http://").context("a local server")?;
    let mut request = format!("ws://{address}{LIVE_PATH}").into_client_request()?;
    let token = device.tokens().context("tokens")?.access;
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // The default reads into 128 KiB for each socket.
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    Ok(tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?.0)
}

/// Waits for an entry, and returns the id of its envelope.
async fn entry(socket: &mut Socket) -> anyhow::Result<String> {
    let frame = frame(socket).await?;
    Ok(frame["object"]["id"].as_str().context("an entry")?.to_owned())
}

async fn frame(socket: &mut Socket) -> anyhow::Result<Value> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text)?),
        other => bail!("no frame: {other:?}"),
    }
}

/// Registers the first device of a new user.
async fn registered(origin: &Origin, user: &str) -> anyhow::Result<Device<HttpTransport>> {
    let environment = Environment::system();
    let keys = DeviceKeys::generate(COUNTS, &environment)?;
    let device =
        Device::new(HttpTransport::new()?, origin.clone(), UserName::parse(user)?, keys, environment);
    device.register(&id_token(&device).await?, JoinKind::First).await?;
    Ok(device)
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

/// Returns the memory of this process, in KiB.
fn resident_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Returns the time that this part of all times does not exceed.
fn percentile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let index = ((times.len() - 1) as f64 * part).round() as usize;
    times[index]
}
