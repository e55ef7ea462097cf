//! A line to a server on which a command is killed at its requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use eko_client::{HttpTransport, Transport as _};
use eko_protocol::address::Origin;
use http::Method;
use http::header::{CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::test_home::{TestHome, serve};

/// The longest body of a request, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// The number of requests with the same name in one run of a command at which it is killed.
const DEADLY_OF_A_NAME: usize = 3;

/// The name of a request, such as `POST /user/alice/outbox Create`, which ends with the type of what it sends, and its
/// number among those of the same name in one run of the command.
pub(crate) type CountedRequest = (String, usize);

/// The moment at which a command is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DeathMoment {
    /// The request does not reach the server.
    BeforeRequest,
    /// The server handles the request, and nobody reads its answer.
    BeforeAnswer,
}

/// The line to a server, whose origin is that of the line.
#[derive(Clone)]
pub(crate) struct DeadlyLine {
    pub(crate) origin: String,
    /// The URL of the server itself, where its issuer is.
    pub(crate) server: String,
    is_deadly: Arc<AtomicBool>,
    /// The requests at which a command was killed.
    deaths: Arc<Mutex<BTreeSet<(CountedRequest, DeathMoment)>>>,
    /// The numbers of requests in this run of the command, by their names.
    counts: Arc<Mutex<BTreeMap<String, usize>>>,
    reached: Arc<Notify>,
    refused: Arc<Mutex<Option<RefusedRequest>>>,
}

/// Requests that the line answers in the place of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusedRequest {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) status: u16,
}

impl RefusedRequest {
    fn answer(&self) -> Response {
        let problem =
            json!({ "type": "http://localhost/problems/invalid", "title": "no", "status": self.status });
        let answer = Response::builder().status(self.status).header(CONTENT_TYPE, "application/problem+json");
        answer.body(Body::from(problem.to_string())).unwrap()
    }
}

impl DeadlyLine {
    /// Starts a server behind such a line.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let server = serve(Some(Origin::parse(&origin).unwrap())).await.url;
        let (is_deadly, deaths, counts, reached, refused) = Default::default();
        let line = Self { origin, server: server.clone(), is_deadly, deaths, counts, reached, refused };
        let (relay, http) = (line.clone(), HttpTransport::new().unwrap());
        let app = Router::new().fallback(move |request: Request| {
            let (relay, http, server) = (relay.clone(), http.clone(), server.clone());
            async move { relay.pass(&http, &server, request).await }
        });
        tokio::spawn(async { axum::serve(listener, app).await });
        line
    }

    async fn pass(&self, http: &HttpTransport, server: &str, request: Request) -> Response {
        let refused = *self.refused.lock().unwrap();
        let is_meant = |it: &RefusedRequest| request.method() == it.method && request.uri().path() == it.path;
        if let Some(refused) = refused.filter(is_meant) {
            return refused.answer();
        }
        let changes = request.method() != Method::GET;
        let (mut parts, body) = request.into_parts();
        let body = to_bytes(body, MOST_BYTES).await.unwrap();
        let content: Value = serde_json::from_slice(&body).unwrap_or_default();
        let kind = content["type"].as_str().map(|kind| format!(" {kind}")).unwrap_or_default();
        let name = format!("{} {}{kind}", parts.method, parts.uri.path());
        let counted = (name.clone(), self.count(&name));
        if self.kills_at(&counted, DeathMoment::BeforeRequest) {
            return self.die().await;
        }
        parts.uri = format!("{server}{}", parts.uri.path_and_query().unwrap()).parse().unwrap();
        let answer = http.send(http::Request::from_parts(parts, body)).await.unwrap();
        if changes && self.kills_at(&counted, DeathMoment::BeforeAnswer) {
            return self.die().await;
        }
        let (mut parts, body) = answer.into_parts();
        for name in [CONNECTION, TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        Response::from_parts(parts, Body::from(body))
    }

    /// Counts a request, and returns its number among those of its name in this run of the command.
    fn count(&self, name: &str) -> usize {
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// True if a command is to be killed at a request, which it is once.
    fn kills_at(&self, request: &CountedRequest, moment: DeathMoment) -> bool {
        let is_deadly = self.is_deadly.load(Ordering::SeqCst) && request.1 <= DEADLY_OF_A_NAME;
        is_deadly && self.deaths.lock().unwrap().insert((request.clone(), moment))
    }

    /// Signs a user in, in a home of its own.
    pub(crate) async fn signed_in(&self, name: &str) -> TestHome {
        let home = TestHome::new();
        let login = ["login", name, "--server", &self.origin, "--local-server", &self.server];
        home.eko(&login).await.done();
        home
    }

    /// Answers requests in the place of the server from now on, or no more.
    pub(crate) fn refuse(&self, refused: Option<RefusedRequest>) {
        *self.refused.lock().unwrap() = refused;
    }

    /// Has the command killed that waits for an answer.
    async fn die(&self) -> Response {
        self.reached.notify_one();
        std::future::pending().await
    }

    /// Runs a command again and again until it succeeds: it is killed at each of its requests, and at each that
    /// changes something also before the answer. Returns the requests.
    pub(crate) async fn kills(&self, home: &TestHome, arguments: &[&str]) -> BTreeSet<CountedRequest> {
        self.is_deadly.store(true, Ordering::SeqCst);
        while self.kills_once(home, arguments).await {}
        self.is_deadly.store(false, Ordering::SeqCst);
        self.deaths.lock().unwrap().iter().map(|(request, _)| request.clone()).collect()
    }

    /// Runs a command that may be killed. Returns false if it has succeeded.
    async fn kills_once(&self, home: &TestHome, arguments: &[&str]) -> bool {
        self.counts.lock().unwrap().clear();
        let mut child = home.command(arguments).spawn().unwrap();
        let id = Pid::from_child(&child);
        drop(child.stdin.take());
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        tokio::pin!(ended);
        tokio::select! {
            ended = &mut ended => {
                let output = ended.unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                false
            }
            () = self.reached.notified() => {
                kill_process(id, Signal::KILL).unwrap();
                ended.await.unwrap();
                true
            }
        }
    }
}
