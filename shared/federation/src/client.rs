//! The guarded HTTP client, with which this server sends all requests to other servers.
//!
//! Documents of strangers decide which hosts this server asks. The client therefore guards every
//! request against server-side request forgery, and against answers that are too large or too slow:
//!
//! * [`UrlPolicy`] checks each URL, also the target of a redirect, before its name is looked up.
//! * The connector resolves the name once, keeps the addresses that [`is_public`] allows, and
//!   connects to one of these. A second, different answer of the DNS (rebinding) has no effect. A
//!   pooled connection is used again only for the scheme, host and port that it was opened for.
//! * [`PrivateHosts`] are exempt from both checks, because the operator vouches for them. Only the
//!   client for push services has some.
//! * [`ExchangeLimits`] bound the size of the body and the time of the whole exchange. A
//!   compressed body counts by what it becomes.
//!
//! The client is hyper-util's with a connector of its own. `reqwest` has no place for the address
//! check: its resolver is not called for IP literals, and its connector layer does not see the
//! address.
//!
//! [`is_public`]: crate::address_guard::is_public

mod answer;
mod coding;
mod connector;
mod error;
mod media_types;
mod private_hosts;
#[cfg(test)]
mod tests;
mod url_policy;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, HOST, LOCATION, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use self::answer::AnswerBody;
pub use self::answer::UnreadAnswer;
use self::connector::{Dialer, GuardedConnector};
pub use self::error::{FetchError, GuardRefusal};
pub use self::media_types::MediaTypes;
pub use self::private_hosts::PrivateHosts;
pub use self::url_policy::{MAX_URL_BYTES, UrlPolicy};
use crate::network::Network;

/// The maximum number of redirects that one fetch follows.
pub const MAX_REDIRECTS: usize = 3;

/// The port of an https URL that names none.
const HTTPS_PORT: u16 = 443;

/// The maximum size of a header section in bytes. hyper reads at most 100 fields.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// The time for which an idle connection is kept.
const POOL_IDLE_TIME: Duration = Duration::from_secs(20);
/// The number of idle connections that are kept for each server.
const POOL_IDLE_PER_HOST: usize = 2;

/// The limits of one exchange: a request and its answer, or a fetch with its redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeLimits {
    /// The time for everything: name resolution, connection, TLS, and the answer to its last byte,
    /// with all redirects.
    pub time: Duration,
    /// The maximum size of the body in bytes.
    pub body_bytes: usize,
}

/// A function that returns the root certificates for other servers. It is called once, before the
/// first request.
pub type Roots = Arc<dyn Fn() -> RootCertStore + Send + Sync>;

/// The settings of a [`GuardedClient`].
#[derive(Clone)]
pub struct ClientOptions {
    /// The `User-Agent` of every request. It names this server, so that other operators can contact
    /// its operator.
    pub user_agent: HeaderValue,
    /// The root certificates for other servers: [`public_roots`], except in tests.
    pub roots: Roots,
    /// The URLs that may be requested.
    pub urls: UrlPolicy,
    /// The hosts that may be at private addresses. There are none for a client that fetches.
    pub private: PrivateHosts,
}

/// Returns Mozilla's root certificates. They are compiled in, so that nothing is read or parsed at
/// start.
pub fn public_roots() -> Roots {
    Arc::new(|| RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// The longest time for the body of a 410. What the status says does not wait longer for it.
const TOMBSTONE_TIME: Duration = Duration::from_secs(1);

/// The result of [`GuardedClient::get_json`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The server has the document (200, or 203 if a proxy has changed the answer).
    Document(FetchedDocument),
    /// The server says that the document existed and will not come back (410). Holds the body, which may
    /// be a tombstone; empty if it could not be read soon. Without a tombstone this may pass.
    Gone(Bytes),
    /// The server has no such document (404).
    NotFound,
}

/// A fetched document with one of the media types that were asked for. Its bytes are not parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedDocument {
    /// The URL of the document after redirects, without a fragment. The document can speak for this
    /// origin only.
    pub url: Url,
    /// The content, at most [`ExchangeLimits::body_bytes`].
    pub body: Bytes,
}

/// The guarded HTTP client. Clones share their connections.
#[derive(Clone)]
pub struct GuardedClient {
    inner: Arc<Inner>,
}

struct Inner {
    network: Arc<dyn Network>,
    options: ClientOptions,
    /// The client below. It is made with the first request, because most cold starts need no other
    /// server.
    http: OnceLock<Http>,
}

type Http = legacy::Client<GuardedConnector, Full<Bytes>>;

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient").field("urls", &self.inner.options.urls).finish_non_exhaustive()
    }
}

impl GuardedClient {
    /// Creates a client. Roots and TLS are set up with the first request.
    pub fn new(network: Arc<dyn Network>, options: ClientOptions) -> Self {
        Self { inner: Arc::new(Inner { network, options, http: OnceLock::new() }) }
    }

    /// Returns the client below, and makes it for the first request.
    ///
    /// # Errors
    /// [`FetchError::Unreachable`] if rustls refuses its own defaults, which its provider always
    /// supports.
    fn http(&self, host: &str) -> Result<&Http, FetchError> {
        if let Some(http) = self.inner.http.get() {
            return Ok(http);
        }
        let Inner { network, options, http } = &*self.inner;
        let dialer = Dialer::new(Arc::clone(network), options.private.clone());
        let connector = GuardedConnector::new(dialer, (options.roots)(), options.urls)
            .map_err(|error| FetchError::Unreachable { host: host.to_owned(), reason: error.to_string() })?;
        let made = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIME)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .build(connector);
        Ok(http.get_or_init(|| made))
    }

    /// Checks a URL as a request to it would, without looking its name up. With it, a caller
    /// refuses an address before it is stored. Returns the URL in normal form, without a fragment.
    ///
    /// # Errors
    /// [`GuardRefusal`] for a URL that would not be requested.
    pub fn check_url(&self, text: &str) -> Result<Url, GuardRefusal> {
        let ClientOptions { urls, private, .. } = &self.inner.options;
        urls.read_exempt(text, private)
    }

    /// True if the client may ask servers of local mode, over plain http.
    pub fn allows_loopback_http(&self) -> bool {
        self.inner.options.urls.danger_allow_loopback_http
    }

    /// Sends one request and returns its answer with any status, when the head of the answer is
    /// there. A redirect is not followed but returned, so that a signed POST goes only to its URL.
    ///
    /// `Host`, `User-Agent` and `Accept-Encoding` are set here, from the URL and the options.
    ///
    /// # Errors
    /// [`FetchError::Refused`] for the URL or its addresses; the other [`FetchError`]s if there is
    /// no answer within the time.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        limits: &ExchangeLimits,
    ) -> Result<UnreadAnswer, FetchError> {
        let (mut parts, body) = request.into_parts();
        let url = self.check_url(&parts.uri.to_string())?;
        parts.uri = uri(&url)?;
        let host = host(&url);
        let ends = Instant::now() + limits.time;
        let exchange = self.exchange(host, Request::from_parts(parts, Full::new(body)));
        let late = || FetchError::TimedOut { host: host.to_owned(), after: limits.time };
        let response = timeout_at(ends, exchange).await.unwrap_or_else(|_| Err(late()))?;
        Ok(UnreadAnswer::new(response, host, *limits, ends))
    }

    /// Fetches a JSON document. At most [`MAX_REDIRECTS`] redirects are followed, and each target
    /// is checked like the first URL.
    ///
    /// `prepare` returns the headers of a request to a URL, or refuses the URL. It is called for
    /// each redirect again: a signature covers the URL, and a redirect must not lead to a server
    /// that the policy excludes.
    ///
    /// # Errors
    /// [`FetchError::Refused`] for a URL or its addresses, [`FetchError::MediaType`] for another
    /// kind of document, [`FetchError::Status`] for another status than 200, 203, 404, 410 or a
    /// redirect, and the other [`FetchError`]s if there is no answer within the limits.
    pub async fn get_json(
        &self,
        url: &str,
        media_types: MediaTypes,
        prepare: impl Fn(&Url) -> Result<Vec<(HeaderName, HeaderValue)>, GuardRefusal>,
        limits: &ExchangeLimits,
    ) -> Result<FetchOutcome, FetchError> {
        let first = self.inner.options.urls.read(url)?;
        within(limits, host(&first), async {
            let mut url = first.clone();
            for _ in 0..=MAX_REDIRECTS {
                match self.get_once(url, media_types, &prepare, limits).await? {
                    Hop::End(fetched) => return Ok(fetched),
                    Hop::Redirect(target) => url = target,
                }
            }
            Err(FetchError::TooManyRedirects { host: host(&first).to_owned() })
        })
        .await
    }

    /// Sends one request of a fetch.
    async fn get_once(
        &self,
        url: Url,
        media_types: MediaTypes,
        prepare: impl Fn(&Url) -> Result<Vec<(HeaderName, HeaderValue)>, GuardRefusal>,
        limits: &ExchangeLimits,
    ) -> Result<Hop, FetchError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri(&url)?;
        request.headers_mut().extend(prepare(&url)?);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(media_types.accept));

        let host = host(&url);
        let response = self.exchange(host, request).await?;
        match response.status().as_u16() {
            _ if brings_document(response.status()) => {
                answer::check_media_type(host, response.headers(), media_types)?;
                let (parts, body) = response.into_parts();
                let body = answer::read(host, &parts.headers, body, limits.body_bytes).await?;
                Ok(Hop::End(FetchOutcome::Document(FetchedDocument { url, body })))
            }
            301 | 302 | 303 | 307 | 308 => {
                let target = answer::header(response.headers(), &LOCATION)
                    .and_then(|location| url.join(location).ok())
                    .ok_or_else(|| FetchError::BadRedirect { host: host.to_owned() })?;
                Ok(Hop::Redirect(self.inner.options.urls.check_redirect(&url, target)?))
            }
            404 => Ok(Hop::End(FetchOutcome::NotFound)),
            410 => {
                let (parts, body) = response.into_parts();
                let read = answer::read(host, &parts.headers, body, limits.body_bytes);
                let body = timeout(TOMBSTONE_TIME, read).await.ok().and_then(Result::ok);
                Ok(Hop::End(FetchOutcome::Gone(body.unwrap_or_default())))
            }
            _ => Err(FetchError::Status {
                host: host.to_owned(),
                status: response.status(),
                retry_after_seconds: answer::retry_after(response.headers()),
                accept_signature: answer::header(response.headers(), &crate::ACCEPT_SIGNATURE)
                    .map(str::to_owned),
            }),
        }
    }

    /// Sends one request and returns the head of its answer. The caller reads the body.
    async fn exchange(
        &self,
        host: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<AnswerBody>, FetchError> {
        let headers = request.headers_mut();
        headers.remove(HOST); // hyper makes it from the checked URL
        headers.insert(USER_AGENT, self.inner.options.user_agent.clone());
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let authority = request.uri().authority().map_or_else(|| host.to_owned(), ToString::to_string);
        let answered = self.http(host)?.request(request).await.map_err(|error| {
            match FetchError::from_chain(host, &error) {
                // The connection was not open yet: TLS failed.
                FetchError::Broken { reason, .. } if error.is_connect() => {
                    FetchError::Unreachable { host: authority, reason }
                }
                other => other,
            }
        })?;
        let host = host.to_owned();
        Ok(answered
            .map(|body| body.map_err(move |error| FetchError::from_chain(&host, &error)).boxed_unsync()))
    }
}

/// The result of one request of a fetch.
enum Hop {
    End(FetchOutcome),
    Redirect(Url),
}

/// True if an answer brings what was asked for: 200, or 203 from a proxy that has changed the answer
/// (RFC 9110, section 15.3.4).
pub(crate) fn brings_document(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION)
}

/// Returns the host of a checked URL, which always has one.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// Converts a checked URL for hyper. Its normal form is parsed, not the original text, so that
/// hyper requests what was checked.
fn uri(url: &Url) -> Result<Uri, GuardRefusal> {
    Uri::try_from(url.as_str()).map_err(|_| GuardRefusal::NotAUrl)
}

/// Runs an exchange within its time.
async fn within<T>(
    limits: &ExchangeLimits,
    host: &str,
    work: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    timeout(limits.time, work)
        .await
        .unwrap_or_else(|_| Err(FetchError::TimedOut { host: host.to_owned(), after: limits.time }))
}
