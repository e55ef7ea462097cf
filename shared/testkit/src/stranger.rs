//! A server of other software: one actor with a key, an inbox that answers as the test says, and
//! requests that are signed correctly or nearly so.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use eko_federation::keys::SigningKey;
use eko_protocol::http_signature::{self, OutgoingRequest, Scheme};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use url::Url;

use crate::{DirectTransport, Internet, World};

/// A request that a stranger received.
#[derive(Clone, Debug)]
pub struct StrangerRequest {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl StrangerRequest {
    /// Parses the body as JSON. Returns `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// An answer of a stranger.
#[derive(Clone, Debug)]
pub struct StrangerAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers, except the media type.
    pub headers: Vec<(&'static str, String)>,
    /// The media type.
    pub media_type: &'static str,
    /// The body.
    pub body: String,
    /// The continuation after the body.
    pub tail: AnswerTail,
}

/// The continuation of an answer after its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerTail {
    /// The answer ends.
    #[default]
    End,
    /// White space follows without end, as fast as it is read.
    Endless,
    /// A byte per second follows without end.
    Drips,
    /// Nothing follows, and the answer does not end.
    Stalls,
    /// There is no answer, and the connection stays open.
    Silent,
}

impl StrangerAnswer {
    /// Makes an answer without a body.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self {
            status,
            headers: Vec::new(),
            media_type: "application/activity+json",
            body: String::new(),
            tail: AnswerTail::End,
        }
    }

    /// Makes an answer with an activity.
    pub fn activity(status: u16, body: &Value) -> Self {
        Self { body: body.to_string(), ..Self::status(status) }
    }

    /// Sets the continuation.
    pub fn then(mut self, tail: AnswerTail) -> Self {
        self.tail = tail;
        self
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A function that may answer a request.
type StrangerScript = Arc<dyn Fn(&StrangerRequest) -> Option<StrangerAnswer> + Send + Sync>;

/// The answers of a stranger, and the requests that it received.
#[derive(Clone)]
struct StrangerSite {
    documents: Arc<Mutex<Vec<(String, StrangerAnswer)>>>,
    answers: Arc<Mutex<VecDeque<StrangerAnswer>>>,
    requests: Arc<Mutex<Vec<StrangerRequest>>>,
    script: Arc<Mutex<Option<StrangerScript>>>,
}

/// A server of other software, with one actor, `https://{host}/users/eve`.
pub struct Stranger {
    /// `https://{host}`.
    pub origin: String,
    /// The actor's id.
    pub actor: String,
    /// The address, for [`Internet::unplug`].
    pub address: SocketAddr,
    /// The actor's key.
    pub key: Arc<SigningKey>,
    site: StrangerSite,
}

impl Stranger {
    /// Puts a stranger on the internet. Its actor document is correct, and its inbox answers 202.
    pub async fn new(internet: &Internet, host: &str) -> Self {
        let origin = format!("https://{host}");
        let actor = format!("{origin}/users/eve");
        let site = StrangerSite {
            documents: Arc::default(),
            answers: Arc::default(),
            requests: Arc::default(),
            script: Arc::default(),
        };
        let app = Router::new().fallback(answer).with_state(site.clone());
        let address = internet.serve(host, app).await;
        let stranger = Self { origin, actor, address, key: signing_key("stranger").1, site };
        stranger.document("/users/eve", StrangerAnswer::activity(200, &stranger.actor_document()));
        stranger
    }

    /// Returns the actor's correct document.
    pub fn actor_document(&self) -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
            "type": "Person",
            "id": self.actor,
            "preferredUsername": "eve",
            "inbox": format!("{}/inbox", self.actor),
            "publicKey": {
                "id": self.key_id(),
                "owner": self.actor,
                "publicKeyPem": self.key.public_pem(),
            },
        })
    }

    /// Returns the id of the actor's key.
    pub fn key_id(&self) -> String {
        format!("{}#main-key", self.actor)
    }

    /// Sets the answer to a GET of a path.
    pub fn document(&self, path: &str, answer: StrangerAnswer) {
        let mut documents = self.site.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.retain(|(other, _)| other != path);
        documents.push((path.to_owned(), answer));
    }

    /// Sets the answer to the next POST that has none yet. POSTs without one are answered 202.
    pub fn answer(&self, answer: StrangerAnswer) {
        self.site.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
    }

    /// Sets a script that answers requests. Requests for which it returns `None` are answered as
    /// without it.
    pub fn script(
        &self,
        script: impl Fn(&StrangerRequest) -> Option<StrangerAnswer> + Send + Sync + 'static,
    ) {
        *self.site.script.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(script));
    }

    /// Returns the requests that were received, in order.
    pub fn asked(&self) -> Vec<StrangerRequest> {
        self.site.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the POSTs that were received, in order.
    pub fn posts(&self) -> Vec<StrangerRequest> {
        self.asked().into_iter().filter(|request| request.method == Method::POST).collect()
    }

    /// Returns a POST of an activity to a URL of a world, signed correctly.
    pub fn signed(&self, scheme: Scheme, url: &str, activity: &Value, now_ms: i64) -> http::Request<Bytes> {
        self.signed_bytes(scheme, url, activity.to_string().into(), now_ms)
    }

    /// Does as [`Stranger::signed`], with any body.
    pub fn signed_bytes(&self, scheme: Scheme, url: &str, body: Bytes, now_ms: i64) -> http::Request<Bytes> {
        sign(&self.key, &self.key_id(), scheme, url, body, now_ms)
    }

    /// Delivers an activity, signed by RFC 9421. Returns the status, and the body as JSON.
    pub async fn deliver(&self, world: &World, path: &str, activity: &Value) -> (u16, Value) {
        let url = format!("{}{path}", world.state.origin());
        let request = self.signed(Scheme::Rfc9421, &url, activity, world.now_ms());
        DirectTransport::new(world.app.clone()).json(request).await
    }
}

/// Returns a signed POST.
pub fn sign(
    key: &SigningKey,
    key_id: &str,
    scheme: Scheme,
    url: &str,
    body: Bytes,
    now_ms: i64,
) -> http::Request<Bytes> {
    let url = Url::parse(url).expect("a URL");
    let outgoing = OutgoingRequest { method: "POST", url: &url, body: Some(&body), key_id };
    let unsigned = http_signature::prepare(scheme, &outgoing, now_ms).expect("a request that can be signed");
    let signature = key.sign(unsigned.base()).expect("a signature");
    let mut request = http::Request::post(url.path()).header("content-type", "application/activity+json");
    for (name, value) in unsigned.into_headers(&signature) {
        request = request.header(name, value);
    }
    request.body(body).expect("a request")
}

/// Returns the PEM of an RSA key and the key. For each label there is one in this process.
pub fn signing_key(label: &str) -> (String, Arc<SigningKey>) {
    type LabelledKeys = Mutex<Vec<(String, String, Arc<SigningKey>)>>;
    static KEYS: OnceLock<LabelledKeys> = OnceLock::new();
    let mut keys = KEYS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, pem, key)) = keys.iter().find(|(other, ..)| other == label) {
        return (pem.clone(), Arc::clone(key));
    }
    let pem = SigningKey::generate().expect("a key");
    let key = Arc::new(SigningKey::from_pem(&pem).expect("the key just made"));
    keys.push((label.to_owned(), pem.clone(), Arc::clone(&key)));
    (pem, key)
}

/// Answers a request, by the script, the planned answers or the documents.
async fn answer(State(site): State<StrangerSite>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let received = StrangerRequest { method: parts.method, target, headers: parts.headers, body };
    site.requests.lock().unwrap_or_else(PoisonError::into_inner).push(received.clone());
    let script = site.script.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let scripted = script.and_then(|script| script(&received));
    let answer = scripted.unwrap_or_else(|| match received.method {
        Method::POST => {
            let next = site.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            next.unwrap_or_else(|| StrangerAnswer::status(202))
        }
        _ => {
            let documents = site.documents.lock().unwrap_or_else(PoisonError::into_inner);
            let found = documents.iter().find(|(path, _)| *path == received.target);
            found.map_or_else(|| StrangerAnswer::status(404), |(_, answer)| answer.clone())
        }
    });
    let begun = stream::iter([Ok::<_, Infallible>(Bytes::from(answer.body.clone()))]);
    let body = match answer.tail {
        AnswerTail::End => Body::from(answer.body),
        AnswerTail::Endless => {
            Body::from_stream(begun.chain(stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096])))))
        }
        AnswerTail::Drips => Body::from_stream(begun.chain(stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok(Bytes::from_static(b" ")), ()))
        }))),
        AnswerTail::Stalls => Body::from_stream(begun.chain(stream::pending())),
        AnswerTail::Silent => std::future::pending().await,
    };
    let mut response = Response::builder().status(answer.status).header("content-type", answer.media_type);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(body).expect("a response")
}
