//! The network between devices and servers, in the hands of someone who reads, changes and drops
//! what passes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use eko_client::environment::Clock;
use eko_client::transport::{Bytes, Transport, TransportError};
use eko_testkit::{DirectTransport, World};
use http::header::{CONTENT_TYPE, DATE, HeaderValue};
use http::{Request, Response, StatusCode};

use crate::test_sockets::TestSockets;

/// The turns of the other tasks after which a held request is let go in any case.
const MOST_TURNS: usize = 100_000;

/// A transport to servers of the test. It records all bodies, and can change answers and fail
/// requests.
#[derive(Clone)]
pub(crate) struct TestNetwork {
    /// Each with its origin and its clock.
    servers: Arc<Mutex<Vec<(String, DirectTransport, Clock)>>>,
    /// Every body that went either way.
    pub(crate) seen: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Every URL that was asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    tamper: Arc<Mutex<Option<TamperFn>>>,
    failing: Arc<Mutex<Option<FailFn>>>,
    dropped: Arc<Mutex<Option<DropFn>>>,
    held: Arc<Mutex<Option<HoldFn>>>,
    /// The paths of the requests that are held.
    waiting: Arc<Mutex<Vec<String>>>,
    /// The sockets of the one device that has any.
    pub(crate) sockets: TestSockets,
}

/// A request and its answer, on their way.
pub(crate) struct PassingExchange<'a> {
    /// The request's method and path.
    pub(crate) endpoint: (&'a str, &'a str),
    /// The request's body.
    pub(crate) request: &'a [u8],
    /// The answer's body.
    pub(crate) answer: &'a [u8],
}

/// An answer in the place of the server's.
pub(crate) struct FalseAnswer {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// The point at which a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// The request does not reach the server.
    LostRequest,
    /// The server handles the request, and its answer is lost.
    LostAnswer,
}

type TamperFn = Box<dyn Fn(PassingExchange<'_>) -> Option<FalseAnswer> + Send + Sync>;
type DropFn = Box<dyn Fn(&Request<Bytes>) -> Option<FalseAnswer> + Send + Sync>;
type HoldFn = Box<dyn Fn(&str) -> bool + Send + Sync>;
type FailFn = Box<dyn Fn() -> Option<NetworkFault> + Send + Sync>;

impl TestNetwork {
    /// Creates a network that reaches these servers.
    pub(crate) fn to(worlds: &[&World]) -> Self {
        let (servers, seen, asked, tamper, failing, dropped) = Default::default();
        let (held, waiting, sockets) = Default::default();
        let network = Self { servers, seen, asked, tamper, failing, dropped, held, waiting, sockets };
        worlds.iter().for_each(|world| network.reach(world));
        network
    }

    /// Reaches one more server from now on.
    pub(crate) fn reach(&self, world: &World) {
        let origin = world.state.origin().to_string();
        self.servers.lock().unwrap().push((origin, world.transport(), world.clock()));
    }

    /// Replaces answers from now on. The server's answer stays where `change` returns `None`.
    pub(crate) fn tamper(
        &self,
        change: impl Fn(PassingExchange<'_>) -> Option<FalseAnswer> + Send + Sync + 'static,
    ) {
        *self.tamper.lock().unwrap() = Some(Box::new(change));
    }

    /// Answers requests in the place of the server from now on. A request for which `answer`
    /// returns `None` reaches the server.
    pub(crate) fn drop_requests(
        &self,
        answer: impl Fn(&Request<Bytes>) -> Option<FalseAnswer> + Send + Sync + 'static,
    ) {
        *self.dropped.lock().unwrap() = Some(Box::new(answer));
    }

    /// Fails requests from now on. `failing` is asked once per request.
    pub(crate) fn fail(&self, failing: impl Fn() -> Option<NetworkFault> + Send + Sync + 'static) {
        *self.failing.lock().unwrap() = Some(Box::new(failing));
    }

    /// Holds requests for these paths from now on, until as many of them wait as `count` says or nothing
    /// more happens. Then it lets them pass, and returns the paths of those that waited, sorted. It is
    /// awaited beside the client's call.
    pub(crate) async fn hold_together(
        &self,
        is_held: impl Fn(&str) -> bool + Send + Sync + 'static,
        count: usize,
    ) -> Vec<String> {
        *self.held.lock().unwrap() = Some(Box::new(is_held));
        for _ in 0..MOST_TURNS {
            if self.waiting.lock().unwrap().len() >= count {
                break;
            }
            tokio::task::yield_now().await;
        }
        *self.held.lock().unwrap() = None;
        let mut waited = std::mem::take(&mut *self.waiting.lock().unwrap());
        waited.sort();
        waited
    }

    /// Waits while a request is held.
    async fn pass_hold(&self, path: &str) {
        let is_held = || self.held.lock().unwrap().as_ref().is_some_and(|held| held(path));
        if is_held() {
            self.waiting.lock().unwrap().push(path.to_owned());
        }
        while is_held() {
            tokio::task::yield_now().await;
        }
    }

    /// Passes everything on unchanged from now on.
    pub(crate) fn honest(&self) {
        *self.tamper.lock().unwrap() = None;
        *self.failing.lock().unwrap() = None;
        *self.dropped.lock().unwrap() = None;
    }
}

impl Transport for TestNetwork {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let url = request.uri().to_string();
        self.asked.lock().unwrap().push(url.clone());
        let servers = self.servers.lock().unwrap().clone();
        let server = servers.iter().find(|(origin, ..)| url.starts_with(&format!("{origin}/")));
        let Some((_, server, clock)) = server else {
            return Err(TransportError::Connect(format!("no way to {url}")));
        };
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let request_body = request.body().clone();
        self.seen.lock().unwrap().push(request_body.to_vec());
        self.pass_hold(&path).await;
        let fault = self.failing.lock().unwrap().as_ref().and_then(|failing| failing());
        let broken = || TransportError::Broken("the line is bad".to_owned());
        if fault == Some(NetworkFault::LostRequest) {
            return Err(broken());
        }
        let instead = self.dropped.lock().unwrap().as_ref().and_then(|answer| answer(&request));
        if let Some(FalseAnswer { status, body }) = instead {
            return Ok(Response::builder().status(status).body(body.into()).unwrap());
        }
        let mut response = server.send(request).await?;
        let date = UNIX_EPOCH + Duration::from_millis(clock().try_into().unwrap());
        let date = HeaderValue::from_str(&httpdate::fmt_http_date(date)).unwrap();
        response.headers_mut().insert(DATE, date);
        if fault == Some(NetworkFault::LostAnswer) {
            return Err(broken());
        }
        let endpoint = (method.as_str(), path.as_str());
        let passing = PassingExchange { endpoint, request: &request_body, answer: response.body() };
        if let Some(change) = &*self.tamper.lock().unwrap()
            && let Some(FalseAnswer { status, body }) = change(passing)
        {
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            *response.body_mut() = body.into();
            if response.status().is_client_error() {
                let problem = HeaderValue::from_static("application/problem+json");
                response.headers_mut().insert(CONTENT_TYPE, problem);
            }
        }
        self.seen.lock().unwrap().push(response.body().to_vec());
        Ok(response)
    }
}
