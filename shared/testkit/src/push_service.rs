//! A push service of the tests' own, and the browsers that subscribe at it. It checks a message as
//! real services do, and decrypts it as a browser does.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ece::EcKeyComponents;
use eko_web_push::encryption;
use futures_util::stream;
use http::{HeaderMap, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::{Internet, read_jwt};

/// The VAPID key of every server in a test.
pub(crate) const VAPID_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBqEujBhlcpRHSBof\n\
    mVmUotH+2BVpSwoptkhCmANtRhuhRANCAATCsCquN6thCmddtmkhXNyPyYNosAPr\n\
    iit49fLyRBsyc+A5KdTrX4AmTn0UXy1G7vLOBNVjfxDLink9khM/YR1Y\n\
    -----END PRIVATE KEY-----";

/// An answer that a push service is told to give.
#[derive(Clone, Debug)]
pub enum PushAnswer {
    /// This status.
    Status(u16),
    /// This status with a `Retry-After` in seconds.
    RetryAfter(u16, u64),
    /// A redirect to this URL.
    Redirect(String),
    /// 201 with a body that does not end.
    Endless,
    /// Nothing, for ever.
    Silence,
}

/// A message that a push service took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenMessage {
    /// The path of the subscription.
    pub id: String,
    /// The content that the browser decrypted.
    pub content: String,
    /// The header `TTL`, in seconds.
    pub ttl_seconds: u64,
    /// The headers `Topic` and `Urgency`.
    pub topic_and_urgency: (String, String),
}

/// A push service on an [`Internet`].
#[derive(Clone)]
pub struct PushSite {
    inner: Arc<Inner>,
}

struct Inner {
    internet: Internet,
    host: String,
    browsers: Mutex<Vec<Browser>>,
    answers: Mutex<VecDeque<PushAnswer>>,
    requests: Mutex<usize>,
    taken: Mutex<Vec<TakenMessage>>,
    faults: Mutex<Vec<String>>,
}

/// A browser with a subscription.
#[derive(Clone)]
pub struct Browser {
    id: String,
    endpoint: String,
    keys: EcKeyComponents,
    auth: [u8; 16],
}

impl Browser {
    /// Makes a browser whose subscription has this endpoint.
    pub fn at(endpoint: &str) -> Self {
        encryption::install();
        let (keys, auth) = ece::generate_keypair_and_auth_secret().expect("keys");
        let keys = keys.raw_components().expect("keys");
        let id = endpoint.rsplit('/').next().unwrap_or_default().to_owned();
        Self { id, endpoint: endpoint.to_owned(), keys, auth }
    }

    /// Returns the subscription as the browser's `PushSubscription` writes it.
    pub fn subscription(&self) -> Value {
        json!({
            "endpoint": self.endpoint,
            "expirationTime": null,
            "keys": {
                "p256dh": URL_SAFE_NO_PAD.encode(self.keys.public_key()),
                "auth": URL_SAFE_NO_PAD.encode(self.auth),
            },
        })
    }
}

/// Locks a mutex, even a poisoned one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PushSite {
    /// Puts a push service with this name on the internet.
    pub async fn online(internet: &Internet, host: &str) -> Self {
        let site = Self::new(internet, host);
        internet.serve(host, site.router()).await;
        site
    }

    /// Puts a push service with this name on the internet, at an address of the test's choice.
    pub async fn at(internet: &Internet, host: &str, address: SocketAddr) -> Self {
        let site = Self::new(internet, host);
        internet.serve_at(host, address, site.router()).await;
        site
    }

    fn new(internet: &Internet, host: &str) -> Self {
        Self {
            inner: Arc::new(Inner {
                internet: internet.clone(),
                host: host.to_owned(),
                browsers: Mutex::default(),
                answers: Mutex::default(),
                requests: Mutex::default(),
                taken: Mutex::default(),
                faults: Mutex::default(),
            }),
        }
    }

    fn router(&self) -> Router {
        Router::new().route("/push/{id}", post(take)).with_state(self.clone())
    }

    /// Makes a browser that subscribes here.
    pub fn browser(&self, id: &str) -> Browser {
        let browser = Browser::at(&format!("https://{}/push/{id}", self.inner.host));
        lock(&self.inner.browsers).push(browser.clone());
        browser
    }

    /// Sets the answers to the next requests. After them, the service takes messages.
    pub fn answer(&self, answers: impl IntoIterator<Item = PushAnswer>) {
        lock(&self.inner.answers).extend(answers);
    }

    /// Returns the number of requests, and forgets them.
    pub fn requests(&self) -> usize {
        std::mem::take(&mut *lock(&self.inner.requests))
    }

    /// Returns the messages that were taken, in order, and forgets them.
    ///
    /// # Panics
    /// A request was not as RFC 8030, 8291 and 8292 require.
    pub fn taken(&self) -> Vec<TakenMessage> {
        let faults = lock(&self.inner.faults).clone();
        assert!(faults.is_empty(), "{faults:?}");
        std::mem::take(&mut *lock(&self.inner.taken))
    }

    /// Checks a request and decrypts its message.
    fn check(&self, id: &str, headers: &HeaderMap, body: &[u8]) -> Result<TakenMessage, String> {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned).ok_or_else(|| format!("no {name}"))
        };
        self.check_vapid(&text("authorization")?)?;
        if text("content-encoding")? != "aes128gcm" {
            return Err("another content coding".to_owned());
        }
        let (topic, urgency) = (text("topic")?, text("urgency")?);
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if topic.len() > 32 || !topic.bytes().all(is_base64url) {
            return Err(format!("the topic {topic}"));
        }
        if !["very-low", "low", "normal", "high"].contains(&urgency.as_str()) {
            return Err(format!("the urgency {urgency}"));
        }
        let ttl_seconds = text("ttl")?.parse().map_err(|_| "no number as TTL")?;
        let browsers = lock(&self.inner.browsers);
        let browser = browsers.iter().rev().find(|browser| browser.id == id).ok_or("no such browser")?;
        let content = ece::decrypt(&browser.keys, &browser.auth, body).map_err(|error| error.to_string())?;
        let content = String::from_utf8(content).map_err(|error| error.to_string())?;
        Ok(TakenMessage { id: id.to_owned(), content, ttl_seconds, topic_and_urgency: (topic, urgency) })
    }

    /// Checks the VAPID token of an `Authorization` (RFC 8292, section 2).
    fn check_vapid(&self, authorization: &str) -> Result<(), String> {
        let parts = authorization.strip_prefix("vapid t=").and_then(|rest| rest.split_once(", k="));
        let (token, public) = parts.ok_or("no VAPID token")?;
        let point = URL_SAFE_NO_PAD.decode(public).map_err(|error| error.to_string())?;
        let (x, y) = point.get(1..).ok_or("no point")?.split_at(32);
        let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
        let key = DecodingKey::from_ec_components(&x, &y).map_err(|error| error.to_string())?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.set_audience(&[format!("https://{}", self.inner.host)]);
        jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|error| error.to_string())?;
        let (_, claims) = read_jwt(token);
        let left = claims["exp"].as_i64().ok_or("no exp")? - self.inner.internet.now_ms() / 1000;
        if !(1..=24 * 3600).contains(&left) {
            return Err(format!("the token lasts {left} seconds"));
        }
        match claims["sub"].as_str() {
            Some(contact) if contact.starts_with("mailto:") => Ok(()),
            other => Err(format!("the contact {other:?}")),
        }
    }
}

/// Takes a message, or answers as the test wants.
async fn take(
    State(site): State<PushSite>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    *lock(&site.inner.requests) += 1;
    let answer = lock(&site.inner.answers).pop_front();
    let checked = site.check(&id, &headers, &body);
    let status = |status: u16| StatusCode::from_u16(status).expect("a status");
    match (answer, checked) {
        (_, Err(fault)) => {
            lock(&site.inner.faults).push(fault);
            StatusCode::FORBIDDEN.into_response()
        }
        (Some(PushAnswer::Status(code)), _) => status(code).into_response(),
        (Some(PushAnswer::RetryAfter(code, seconds)), _) => {
            (status(code), [(header::RETRY_AFTER, seconds.to_string())]).into_response()
        }
        (Some(PushAnswer::Redirect(to)), _) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        (Some(PushAnswer::Silence), _) => std::future::pending().await,
        (Some(PushAnswer::Endless), Ok(message)) => {
            lock(&site.inner.taken).push(message);
            let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 4096]));
            let body = Body::from_stream(stream::repeat_with(chunk));
            (StatusCode::CREATED, body).into_response()
        }
        (None, Ok(message)) => {
            lock(&site.inner.taken).push(message);
            StatusCode::CREATED.into_response()
        }
    }
}
