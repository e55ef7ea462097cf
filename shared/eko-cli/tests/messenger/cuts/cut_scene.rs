//! Accounts that write to each other while their sockets are cut. It is played in small as a test, and
//! in full by a bench.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eko_cli::LibSignal;
use eko_client::messenger::{LiveFeed, MessageDraft, MessengerError, PreparedSignIn, SignInRequest};
use eko_client::store::{EnvelopeState, OutboxEnvelope};
use eko_client::transport::{Bytes, SocketOpening, SocketTransport, Transport, TransportError, WebSocket};
use eko_client::{Body, DeviceStore, Environment, Exchange, HttpTransport, KeyCounts, Messenger};
use eko_local::server::{AUDIENCE, BoundServer, ISSUER_PATH, ServerOptions};
use eko_protocol::address::{Origin, UserName};
use eko_testkit::seeded;
use futures_util::future::join_all;
use http::{Method, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The numbers of keys of each device. Two others write to it.
const COUNTS: KeyCounts = KeyCounts { pre_keys: 4, kyber_pre_keys: 4, last_resort: true };
/// The longest pause between two fetches of a device without a socket.
const LONGEST_PAUSE_MS: i64 = 2_000;
/// The number of bytes, in both directions, within which a connection is cut: in the handshake, in a
/// frame, or between two.
const CUT_WITHIN_BYTES: u16 = 2_000;
/// An account writes to those that follow it at these distances.
const WRITES_TO: [usize; 2] = [1, 7];
/// The time after which a scene that does not end is at fault.
const PATIENCE: Duration = Duration::from_secs(300);

/// A scene.
pub(crate) struct CutScene {
    /// The number of accounts, each with a device that has a socket.
    pub(crate) accounts: usize,
    /// The number of times that a socket is cut.
    pub(crate) cuts: usize,
    /// The seed of the places at which sockets are cut.
    pub(crate) seed: u64,
}

/// The figures of a scene that was played.
pub(crate) struct PlayedScene {
    /// The number of messages that were shown, each once and in order.
    pub(crate) messages: usize,
    /// The number of connections for sockets.
    pub(crate) connections: usize,
}

impl CutScene {
    /// Plays the scene: everybody writes in turns until all cuts were made. Panics unless every message
    /// is shown once, and in the order of its author.
    pub(crate) async fn play(&self) -> PlayedScene {
        println!("the seed of the cuts is {}", self.seed);
        let mut options = ServerOptions::default();
        options.limits.account_budget = u64::MAX;
        let server = BoundServer::bind(&options).await.unwrap();
        let origin = server.origin.clone();
        let running = tokio::spawn(server.run(std::future::pending()));
        let shears = Arc::new(Shears::new(self, &origin));
        let mut accounts = Vec::new();
        for number in 0..self.accounts {
            accounts.push(TestAccount::sign_in(&origin, number, &shears).await);
        }
        for (number, account) in accounts.iter().enumerate() {
            for to in self.readers_of(number) {
                account.know(&accounts[to]).await;
                accounts[to].know(account).await;
            }
        }
        let (end, _) = watch::channel(false);
        let listening = join_all(accounts.iter().map(|account| account.listen(end.subscribe())));
        let writing = async {
            let sent = self.write(&accounts, &shears).await;
            while accounts.iter().map(|account| account.heard.borrow().len()).sum::<usize>() < sent {
                sleep(Duration::from_millis(20)).await;
            }
            end.send_replace(true);
            sent
        };
        let played = timeout(PATIENCE, async { tokio::join!(writing, listening).0 }).await;
        for account in &accounts {
            account.assert_in_order();
        }
        assert!(played.is_ok(), "the scene does not end");
        let messages = played.unwrap();
        for account in &accounts {
            assert!(account.messenger.receive().await.unwrap().messages.is_empty(), "nothing comes again");
        }
        running.abort();
        PlayedScene { messages, connections: shears.connections.load(Ordering::Relaxed) }
    }

    /// Has everybody write until all cuts were made, and once more. Returns the number of messages.
    async fn write(&self, accounts: &[TestAccount], shears: &Shears) -> usize {
        for round in 0.. {
            let is_last = shears.made.load(Ordering::Relaxed) >= self.cuts;
            for (number, account) in accounts.iter().enumerate() {
                for to in self.readers_of(number) {
                    let draft = MessageDraft { text: format!("{number} {round}"), attachments: Vec::new() };
                    let sent = account.messenger.send(&accounts[to].messenger.me(), draft).await.unwrap();
                    // A server with many connections to accept may be out of reach for a moment.
                    let is_given_up = |it: &OutboxEnvelope| {
                        matches!(it.state, EnvelopeState::Failed | EnvelopeState::Refused)
                    };
                    assert!(!sent.envelopes.iter().any(is_given_up), "{:?}", sent.envelopes);
                }
            }
            if is_last {
                return (round + 1) * accounts.len() * WRITES_TO.len();
            }
        }
        unreachable!("rounds have no end")
    }

    /// Returns the numbers of the accounts that an account writes to.
    fn readers_of(&self, number: usize) -> [usize; 2] {
        WRITES_TO.map(|distance| (number + distance) % self.accounts)
    }
}

/// An account with one device, which lists what it has shown.
struct TestAccount {
    messenger: Messenger<CutTransport, LibSignal>,
    heard: RefCell<Vec<String>>,
}

impl TestAccount {
    async fn sign_in(origin: &Origin, number: usize, shears: &Arc<Shears>) -> Self {
        let user = format!("user{number}");
        let request = SignInRequest {
            origin: origin.clone(),
            issuer: format!("{origin}{ISSUER_PATH}"),
            audience: AUDIENCE.to_owned(),
            user: UserName::parse(&user).unwrap(),
            device_name: None,
            counts: COUNTS,
            reset: false,
        };
        let wire = CutTransport::new(number, shears).await;
        let store = DeviceStore::in_memory().unwrap();
        let prepared = PreparedSignIn::new(wire.clone(), store, Environment::system(), request).unwrap();
        let form = format!(
            "grant_type=password&client_id={AUDIENCE}&username={user}&nonce={}",
            prepared.challenge().nonce()
        );
        let form = Body::Raw(Some("application/x-www-form-urlencoded"), form.into());
        let url = format!("{origin}{ISSUER_PATH}/token");
        let answer = Exchange::send(&wire, Method::POST, &url, form, None).await.unwrap().json().unwrap();
        let (messenger, _) =
            prepared.complete(LibSignal, answer["id_token"].as_str().unwrap()).await.unwrap();
        Self { messenger, heard: RefCell::default() }
    }

    /// Makes another account a contact.
    async fn know(&self, other: &Self) {
        self.messenger.verification(&other.messenger.me()).await.unwrap();
        self.messenger.accept_contact(&other.messenger.me()).unwrap();
    }

    /// Shows what comes, as a program does, until the scene ends.
    async fn listen(&self, mut end: watch::Receiver<bool>) {
        let mut feed = self.messenger.live_feed(LONGEST_PAUSE_MS);
        while !*end.borrow() {
            let due_ms = self.step(&mut feed).await.unwrap_or(0).min(feed.due_ms());
            let left_ms = due_ms - self.messenger.device().environment().now_ms();
            tokio::select! {
                () = feed.arrival() => {}
                () = sleep(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))) => {}
                ended = end.changed() => ended.unwrap(),
            }
        }
        self.step(&mut feed).await.unwrap();
        feed.end().await;
    }

    /// Takes one step, and returns the time at which to take the next.
    async fn step(&self, feed: &mut LiveFeed<'_, CutTransport, LibSignal>) -> Result<i64, MessengerError> {
        let received = feed.advance().await?;
        for message in received.messages {
            self.messenger.note_shown(message.position)?;
            self.heard.borrow_mut().push(message.content.text);
        }
        let due_ms = [received.look_again_ms, self.messenger.next_due_ms()?].into_iter().flatten().min();
        Ok(due_ms.unwrap_or(i64::MAX))
    }

    /// Asserts that the messages of each author were shown once and in order.
    fn assert_in_order(&self) {
        let mut next = BTreeMap::<String, usize>::new();
        for text in &*self.heard.borrow() {
            let (author, round) = text.split_once(' ').unwrap();
            let due = next.entry(author.to_owned()).or_default();
            assert_eq!(round.parse(), Ok(*due), "of {author}, in {:?}", self.heard.borrow());
            *due += 1;
        }
    }
}

/// A transport over HTTP whose sockets go through the hands of someone who cuts them.
#[derive(Clone)]
struct CutTransport {
    http: HttpTransport,
    sockets: HttpTransport,
}

impl CutTransport {
    /// Makes the transport of an account.
    async fn new(number: usize, shears: &Arc<Shears>) -> Self {
        let http = HttpTransport::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let through = format!("http://{}", listener.local_addr().unwrap());
        let shears = Arc::clone(shears);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(Arc::clone(&shears).pass(client, number));
            }
        });
        Self { sockets: http.clone().through(&through).unwrap(), http }
    }
}

impl Transport for CutTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.http.send(request).await
    }
}

impl SocketTransport for CutTransport {
    type Socket = WebSocket;

    async fn open(&self, url: &str, token: &str) -> Result<SocketOpening<WebSocket>, TransportError> {
        self.sockets.open(url, token).await
    }
}

/// Someone who cuts connections.
struct Shears {
    server: String,
    random: eko_client::environment::Random,
    /// The numbers of cuts that are left for each account. Each cut makes the pause before the next
    /// socket longer, so they are spread over the accounts.
    left: Mutex<Vec<usize>>,
    made: AtomicUsize,
    connections: AtomicUsize,
    /// The connections to the server of which it was not told that they are cut.
    abandoned: Mutex<Vec<TcpStream>>,
}

impl Shears {
    fn new(scene: &CutScene, origin: &Origin) -> Self {
        let mut left = vec![scene.cuts / scene.accounts; scene.accounts];
        left.iter_mut().take(scene.cuts % scene.accounts).for_each(|cuts| *cuts += 1);
        Self {
            server: origin.as_str().trim_start_matches("http://").to_owned(),
            random: seeded(format!("cuts/{}", scene.seed)),
            left: Mutex::new(left),
            made: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            abandoned: Mutex::default(),
        }
    }

    /// Passes bytes on in both directions, until the connection ends or is cut.
    async fn pass(self: Arc<Self>, mut client: TcpStream, number: usize) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(mut server) = TcpStream::connect(&self.server).await else { return };
        let mut drawn = [0; 3];
        (self.random)(&mut drawn);
        let is_cut = self.left.lock().unwrap()[number] > 0;
        let bytes = usize::from(u16::from_le_bytes([drawn[0], drawn[1]]) % CUT_WITHIN_BYTES);
        let mut left = if is_cut { bytes } else { usize::MAX };
        let (mut up, mut down) = ([0; 1024], [0; 1024]);
        while left > 0 {
            let passed = tokio::select! {
                read = client.read(&mut up) => pass_on(&up, read, &mut server, &mut left).await,
                read = server.read(&mut down) => pass_on(&down, read, &mut client, &mut left).await,
            };
            if !matches!(passed, Ok(1..)) {
                return;
            }
        }
        self.left.lock().unwrap()[number] -= 1;
        self.made.fetch_add(1, Ordering::Relaxed);
        if drawn[2] % 2 == 0 {
            self.abandoned.lock().unwrap().push(server);
        }
    }
}

/// Passes on what was read, as far as it is `left` before the cut.
async fn pass_on(
    buffer: &[u8],
    read: std::io::Result<usize>,
    to: &mut TcpStream,
    left: &mut usize,
) -> std::io::Result<usize> {
    let passed = read?.min(*left);
    to.write_all(&buffer[..passed]).await?;
    *left -= passed;
    Ok(passed)
}
