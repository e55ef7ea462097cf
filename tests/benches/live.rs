//! The time from a sender's POST to the frame on the recipient's socket, at a local server over TCP.
//!
//! `cargo bench -p eko-tests --bench live` prints, each beside its target: the distribution for a
//! single message on an idle server, and for 100 messages a second to 50 sockets; the shares of the
//! send, the queue, the table and the notification; and the memory of a server with a thousand
//! sockets, which is another process. Server and clients share the machine. Nothing here asserts a
//! time.

#[path = "live/timeline.rs"]
mod timeline;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
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
use timeline::{Parts, Timeline};
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
/// The sockets whose memory is measured, and those of each device.
const SOCKETS: usize = 1_000;
const SOCKETS_EACH: usize = 4;
const CIPHERTEXT_BYTES: usize = 512;
const COUNTS: KeyCounts = KeyCounts { pre_keys: 0, kyber_pre_keys: 0, last_resort: false };

type Socket = WebSocketStream<TcpStream>;

/// The argument by which this program is a server, and nothing else.
const SERVE: &str = "--serve";

/// The times of one message.
struct MessageTimes {
    begun: Instant,
    answered: Instant,
    received: Instant,
}

/// The targets of one measurement, in milliseconds.
struct Targets {
    p50: f64,
    p99: Option<f64>,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` passes --bench. `cargo test --benches` does not, and must not measure.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match std::env::args().any(|arg| arg == SERVE) {
        true => runtime.block_on(serve()),
        false => runtime.block_on(measure()),
    }
}

async fn measure() -> anyhow::Result<()> {
    let timeline = Timeline::start();
    let server = BoundServer::bind(&options()).await?;
    let origin = server.origin.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let transport = HttpTransport::new()?;
    let sender = registered(&transport, &origin, "sender").await?;
    let mut recipients = Vec::new();
    for index in 0..RECIPIENTS {
        let device = registered(&transport, &origin, &format!("recipient{index}")).await?;
        let socket = connect(&device).await?;
        recipients.push((device, socket));
    }

    let (device, socket) = recipients.first_mut().context("a recipient")?;
    let mut single = Vec::with_capacity(SINGLE);
    timeline.clear();
    for _ in 0..SINGLE {
        tokio::time::sleep(IDLE).await;
        let (_, body) = envelope(&sender, device);
        let begun = Instant::now();
        let answered = send(&sender, &body).await?;
        entry(socket).await?;
        single.push(MessageTimes { begun, answered, received: Instant::now() });
    }
    print("one message, idle server", &single, &Targets { p50: 8.0, p99: None }, &timeline);

    timeline.clear();
    let loaded = load(&sender, recipients).await?;
    let targets = Targets { p50: 10.0, p99: Some(50.0) };
    print("100 messages a second, 50 sockets", &loaded, &targets, &timeline);
    let _ = stop.send(());
    running.await??;
    memory().await
}

/// Returns the options of a server whose budgets nobody exhausts.
fn options() -> ServerOptions {
    let mut options = ServerOptions::default();
    let limits = &mut options.limits;
    for budget in [&mut limits.sender_budget, &mut limits.sender_bytes_budget, &mut limits.account_budget] {
        *budget = u64::MAX >> 1;
    }
    options
}

/// Runs a server until its standard input ends, and prints its origin.
async fn serve() -> anyhow::Result<()> {
    let server = BoundServer::bind(&options()).await?;
    println!("{}", server.origin);
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let stop = async {
        let _ = end.await;
    };
    server.run(stop).await?;
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
        let begun = Instant::now();
        sends.push((id, begun, send(sender, &body).await?));
    }
    let mut received = std::collections::BTreeMap::new();
    for reader in readers {
        received.extend(reader.await??);
    }
    let times = sends.into_iter().map(|(id, begun, answered)| {
        let received = *received.get(&id).context("a message is missing")?;
        Ok(MessageTimes { begun, answered, received })
    });
    times.collect()
}

/// Opens a thousand sockets at a server of its own, and prints the memory of its process.
async fn memory() -> anyhow::Result<()> {
    let mut server = Command::new(std::env::current_exe()?);
    server.args(["--bench", SERVE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = server.spawn()?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().context("its output")?).read_line(&mut line)?;
    let origin = Origin::parse(line.trim())?;
    // One connection for all requests, so that sockets are what is measured.
    let transport = HttpTransport::new()?;
    let mut devices = Vec::new();
    for index in 0..SOCKETS / SOCKETS_EACH {
        devices.push(registered(&transport, &origin, &format!("silent{index}")).await?);
    }
    let before = resident_kib(server.id())?;
    let mut sockets = Vec::with_capacity(SOCKETS);
    for device in &devices {
        for _ in 0..SOCKETS_EACH {
            sockets.push(connect(device).await?);
        }
    }
    let after = resident_kib(server.id())?;
    println!("{SOCKETS} open sockets, the whole process of the server");
    println!("  {:6.1} MiB (target: under 60)", after as f64 / 1024.0);
    println!("  {:6.1} MiB before they were opened", before as f64 / 1024.0);
    drop((server.stdin.take(), sockets));
    ensure!(server.wait()?.success(), "the server failed");
    Ok(())
}

fn print(name: &str, times: &[MessageTimes], targets: &Targets, timeline: &Timeline) {
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let row = |what: &str, of: fn(&MessageTimes) -> Instant| {
        let times: Vec<f64> = times.iter().map(|one| ms(of(one).duration_since(one.begun))).collect();
        let at = [0.5, 0.9, 0.99, 1.0].map(|part| percentile(&times, part));
        println!(
            "  {what}  p50 {:6.2} ms   p90 {:6.2} ms   p99 {:6.2} ms   most {:6.2} ms",
            at[0], at[1], at[2], at[3]
        );
    };
    println!("{name}: {} messages", times.len());
    row("answered", |times| times.answered);
    row("received", |times| times.received);
    let p99 = targets.p99.map(|ms| format!(", p99 ≤ {ms} ms")).unwrap_or_default();
    println!("  target:   p50 ≤ {} ms{p99}", targets.p50);
    let messages: Vec<(Instant, Instant)> = times.iter().map(|one| (one.begun, one.received)).collect();
    let parts = timeline.parts(&messages);
    let whole: f64 = parts.iter().map(|parts| ms(parts.whole())).sum();
    let share = |what: &str, of: fn(&Parts) -> Duration| {
        let times: Vec<f64> = parts.iter().map(|parts| ms(of(parts))).collect();
        let part = 100.0 * times.iter().sum::<f64>() / whole;
        println!("  {what:12}  {part:4.0} %   p50 {:6.2} ms", percentile(&times, 0.5));
    };
    share("send", |parts| parts.send);
    share("queue", |parts| parts.queue);
    share("table", |parts| parts.table);
    share("notification", |parts| parts.notification);
}

/// Posts a message, and returns the time of the answer.
async fn send(sender: &Device<HttpTransport>, body: &Value) -> anyhow::Result<Instant> {
    let url = sender.origin().outbox(sender.user());
    let answer = sender.call(Method::POST, &url, Body::Json(body), Auth::Device).await?;
    ensure!(answer.status == 201, "a send was answered {}", answer.status);
    Ok(Instant::now())
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
    let address = device.origin().as_str().strip_prefix("http://").context("a local server")?;
    let mut request = format!("ws://{address}{LIVE_PATH}").into_client_request()?;
    let token = device.tokens().context("tokens")?.access;
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // The default reads into 128 KiB for each socket.
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let mut socket = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?.0;
    socket.send(Message::text(r#"{"type":"Fetch"}"#)).await?;
    let first = frame(&mut socket).await?;
    ensure!(first["type"] == "QueueEmpty", "the backlog is {first}");
    Ok(socket)
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
async fn registered(
    transport: &HttpTransport,
    origin: &Origin,
    user: &str,
) -> anyhow::Result<Device<HttpTransport>> {
    let environment = Environment::system();
    let keys = DeviceKeys::generate(COUNTS, &environment)?;
    let user = UserName::parse(user)?;
    let device = Device::new(transport.clone(), origin.clone(), user, keys, environment);
    device.register(&id_token(transport, &device).await?, JoinKind::First).await?;
    Ok(device)
}

/// Returns an ID token of the server's development issuer for a device.
async fn id_token(transport: &HttpTransport, device: &Device<HttpTransport>) -> anyhow::Result<IdToken> {
    let url = format!("{}{ISSUER_PATH}/token", device.origin());
    let (user, challenge) = (device.user(), device.challenge());
    let nonce = challenge.nonce();
    let form = format!("grant_type=password&username={user}&client_id={AUDIENCE}&nonce={nonce}");
    let body = Body::Raw(Some("application/x-www-form-urlencoded"), form.into());
    let answer = Exchange::send(transport, Method::POST, &url, body, None).await?.json()?;
    Ok(challenge.answered(answer["id_token"].as_str().context("no ID token")?))
}

/// Returns the memory of a process, in KiB.
fn resident_kib(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Returns the value that this part of all values does not exceed.
fn percentile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1) as f64 * part).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}
