//! Tests of a machine whose clock is wrong by many days.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Response, header};
use eko_client::{Environment, HttpTransport, Transport as _};
use eko_local::server::{BoundServer, ServerOptions};
use eko_protocol::address::Origin;
use rusqlite::{Connection, params};

use super::people::ReportedFailure;
use super::test_home::{CommandOutput, TestHome};

const DAY_MS: i64 = 24 * 3_600_000;
/// The tables with times that a device has put, and these times.
const TIMES: [(&str, &[&str]); 3] = [
    ("chains", &["looked", "confirmed"]),
    ("envelopes", &["made", "due", "put"]),
    ("messages", &["published", "received", "stored"]),
];

/// Alice and Bob on a server that lives in another time than Alice's machine. The clock of the machine
/// cannot be set in a test: the server's time is, and with it the times in Alice's store that she has put
/// by a clock that was right.
struct ClockScene {
    alice: TestHome,
    bob: TestHome,
    ahead_ms: Arc<AtomicI64>,
    /// The host and port of the server.
    server: String,
    /// The URL behind which the server's issuer is.
    behind: String,
}

impl ClockScene {
    async fn new() -> Self {
        let ahead_ms: Arc<AtomicI64> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("localhost:{}", listener.local_addr().unwrap().port());
        let origin = format!("http://{server}");
        let options =
            ServerOptions { origin: Some(Origin::parse(&origin).unwrap()), ..ServerOptions::default() };
        let behind = BoundServer::bind(&options).await.unwrap();
        let url = behind.url.clone();
        let transport = HttpTransport::new().unwrap().through(&behind.url).unwrap();
        tokio::spawn(behind.run(std::future::pending()));
        let (offset, asked) = (Arc::clone(&ahead_ms), origin.clone());
        let relay = Router::new().fallback(async move |request: Request| {
            let (mut parts, body) = request.into_parts();
            parts.uri = format!("{asked}{}", parts.uri).parse().unwrap();
            let body: Bytes = to_bytes(body, usize::MAX).await.unwrap();
            let (mut parts, body) =
                transport.send(Request::from_parts(parts, body)).await.unwrap().into_parts();
            let now_ms = Environment::system().now_ms() - offset.load(Ordering::SeqCst);
            let date = UNIX_EPOCH + Duration::from_millis(now_ms.try_into().unwrap());
            let date = httpdate::fmt_http_date(date);
            parts.headers.insert(header::DATE, HeaderValue::from_str(&date).unwrap());
            parts.headers.remove(header::TRANSFER_ENCODING);
            Response::from_parts(parts, axum::body::Body::from(body))
        });
        tokio::spawn(async { axum::serve(listener, relay).await });
        let scene = Self { alice: TestHome::new(), bob: TestHome::new(), ahead_ms, server, behind: url };
        let Self { alice, bob, .. } = &scene;
        for (home, name, other) in [(alice, "alice", "@bob"), (bob, "bob", "@alice")] {
            scene.log_in(home, name).await.done();
            home.eko(&["verify", other, "--accept"]).await;
        }
        alice.eko(&["verify", "@bob", "--accept"]).await.done();
        alice.eko(&["send", "@bob", "before"]).await.done();
        assert_eq!(bob.hears().await, ["before"]);
        scene
    }

    async fn log_in(&self, home: &TestHome, name: &str) -> CommandOutput {
        let server = format!("http://{}", self.server);
        home.eko(&["login", name, "--server", &server, "--local-server", &self.behind]).await
    }

    /// Puts the clock of Alice's machine ahead of the server's by this many days.
    fn put_ahead(&self, days: i64) {
        let ahead_ms = days * DAY_MS;
        let by_ms = self.ahead_ms.swap(ahead_ms, Ordering::SeqCst) - ahead_ms;
        let store = Connection::open(self.alice.account().join("eko.db")).unwrap();
        for (table, columns) in TIMES {
            for column in columns {
                let sql = format!("UPDATE {table} SET {column} = {column} + ?1");
                store.execute(&sql, params![by_ms]).unwrap();
            }
        }
    }

    fn words(&self, apart: &str) -> String {
        format!("the clock of this machine is {apart} that of the server {}", self.server)
    }
}

/// By a clock that is 100 days off, no device of Bob's has confirmed their list for 90 days.
#[tokio::test]
async fn what_a_wrong_clock_holds_up_is_kept_and_sent_once_it_is_right() {
    let scene = ClockScene::new().await;
    for (days, apart) in [(100, "100 days ahead of"), (-100, "100 days behind"), (-2, "2 days behind")] {
        // Bob's receipt, which would confirm his devices: a chat reads what waits before its first line goes.
        scene.alice.eko(&["listen", "--once"]).await.done();
        scene.put_ahead(days);
        let sent = scene.alice.eko(&["send", "@bob", apart]).await;
        // What lies ahead of a clock that is behind is not old.
        assert_eq!(sent.err.contains("no device of @bob has confirmed"), days > 0, "{}", sent.err);
        let ReportedFailure { code, what, next } = sent.failed();
        assert_eq!((code, what), (4, format!("not sent yet to @bob: {}; it is kept", scene.words(apart))));
        assert!(
            next.starts_with("set this machine's clock right, and then eko listen, which sends it;"),
            "{next}"
        );
        let history = scene.alice.eko(&["history"]).await.done();
        assert!(history.contains(&format!("waiting: {}; next attempt at ", scene.words(apart))), "{history}");
        let CommandOutput { code, err, .. } = scene.alice.eko_reading(&["chat", "@bob"], "and\n").await;
        assert!(code == 4 && err.contains(&scene.words(apart)) && err.contains("it is kept"), "{err}");
        assert!(err.contains("sent by itself once the clock is right"), "{err}");
        assert!(!err.contains("is there again"), "{err}");
        scene.put_ahead(0);
        scene.alice.eko(&["listen", "--once"]).await.done();
        assert_eq!(scene.bob.hears().await, [apart, "and"]);
    }
}

/// Nothing is held up by a clock that is 40 days off, and every command that meets the server says it.
#[tokio::test]
async fn a_wrong_clock_is_told() {
    let scene = ClockScene::new().await;
    scene.put_ahead(40);
    let warning =
        format!("BEWARE: {}. Next: set this machine's clock right; ", scene.words("40 days ahead of"));
    let said = [
        scene.alice.eko(&["send", "@bob", "one"]).await,
        scene.alice.eko(&["listen", "--once"]).await,
        scene.log_in(&scene.alice, "alice").await,
        scene.alice.eko(&["keys", "renew"]).await,
    ];
    assert!(said[3].out.starts_with("Nothing is made by a clock that is wrong.\n"), "{}", said[3].out);
    let unconfirmed = "for 40 days by the clock of this machine, which differs from the server's. ";
    assert!(said[0].err.contains(unconfirmed), "{}", said[0].err);
    for CommandOutput { code, err, .. } in said {
        assert_eq!((code, err.matches(&warning).count()), (0, 1), "{err}");
    }
    assert_eq!(scene.bob.hears().await, ["one"]);
    let history = scene.alice.eko(&["history"]).await.done();
    assert!(
        history.lines().any(|line| line.contains(" (your clock said 20") && line.ends_with("one")),
        "{history}"
    );
    scene.put_ahead(0);
    // What confirmed Bob's list meanwhile is dated ahead in Alice's store now, and confirms nothing.
    scene.bob.eko(&["send", "@alice", "hello"]).await.done();
    assert_eq!(scene.alice.hears().await, ["hello"]);
    let CommandOutput { code, err, .. } = scene.alice.eko(&["send", "@bob", "two"]).await;
    assert!(code == 0 && !err.contains("BEWARE"), "{err}");
}
