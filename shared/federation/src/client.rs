//! The guarded HTTP client: the only way from here to other servers.
//!
//! Whom this server talks to is decided by documents that strangers write, so every request is guarded
//! against being turned inward (server-side request forgery) and against answers that hold the caller up:
//!
//! * [`UrlPolicy`] judges each URL, a redirect's target too, before any name is looked up.
//! * The connector resolves the name once, keeps the addresses that [`is_public`] allows, and connects to one
//!   of just those: what was checked is what is used, so a second answer of the DNS (rebinding) has nothing
//!   to change. A pooled connection is reused only for the scheme, host and port it was checked for.
//! * [`ExchangeLimits`] bound the body, and the time of everything together. Nothing is decompressed.
//!
//! This is hyper-util's client around our own connector. `reqwest` was rejected: its resolver seam is never
//! asked about IP literals, and its connector layer does not see the address that is connected to, so neither
//! is a place for the check.
//!
//! [`is_public`]: crate::address_guard::is_public

mod answer;
mod connector;
mod error;
mod media_types;
#[cfg(test)]
mod tests;
mod url_policy;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, HOST, LOCATION, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tokio::time::timeout;
use url::Url;

use self::connector::Connector;
pub use self::error::{FetchError, GuardRefusal};
pub use self::media_types::MediaTypes;
pub use self::url_policy::{MAX_URL_BYTES, UrlPolicy};
use crate::network::Network;

/// How many redirects one fetch follows.
pub const MAX_REDIRECTS: usize = 3;

/// The largest header section that is read. At most 100 fields, which is hyper's own limit.
const MAX_HEADER_BYTES: usize = 32 * 1024;

const POOL_IDLE_TIME: Duration = Duration::from_secs(20);
const POOL_IDLE_PER_HOST: usize = 2;

/// What one request, or one fetch with its redirects, may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeLimits {
    /// Looking the name up, connecting, TLS, and the answer to its last byte, with all redirects.
    pub time: Duration,
    /// The largest body that is read.
    pub body_bytes: usize,
}

/// Makes the certificates that may vouch for other servers. Asked once, before the first request.
pub type Roots = Arc<dyn Fn() -> RootCertStore + Send + Sync>;

/// How a [`GuardedClient`] is set up.
#[derive(Clone)]
pub struct ClientOptions {
    /// Sent with every request; names this server, so that other operators know whom to ask.
    pub user_agent: HeaderValue,
    /// Who may vouch for other servers: [`public_roots`], except in tests.
    pub roots: Roots,
    /// Which URLs may be asked.
    pub urls: UrlPolicy,
}

/// Mozilla's roots, compiled in: there is nothing to read or parse.
pub fn public_roots() -> Roots {
    Arc::new(|| RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// What [`GuardedClient::get_json`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The document is there (200).
    Document(FetchedDocument),
    /// There was one, and it will not come back (410). An actor that answers so has been deleted.
    Gone,
    /// There is none (404).
    NotFound,
}

/// A fetched JSON document. Its media type is one that was asked for; its bytes are not parsed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedDocument {
    /// Where it was found, after redirects: the only origin it can speak for. Without a fragment.
    pub url: Url,
    /// The bytes, at most [`ExchangeLimits::body_bytes`].
    pub body: Bytes,
}

/// The guarded client. A clone shares its connections.
#[derive(Clone)]
pub struct GuardedClient {
    inner: Arc<Inner>,
}

struct Inner {
    network: Arc<dyn Network>,
    options: ClientOptions,
    /// Made with the first request: most cold starts never talk to another server.
    http: OnceLock<Http>,
}

type Http = legacy::Client<Connector, Full<Bytes>>;

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient").field("urls", &self.inner.options.urls).finish_non_exhaustive()
    }
}

impl GuardedClient {
    /// Notes how the client is to be set up; roots and TLS are, with the first request.
    pub fn new(network: Arc<dyn Network>, options: ClientOptions) -> Self {
        Self { inner: Arc::new(Inner { network, options, http: OnceLock::new() }) }
    }

    /// The client below, made if this is the first request.
    ///
    /// # Errors
    /// rustls does not accept its own defaults, which cannot happen with the provider it is built with.
    fn http(&self, host: &str) -> Result<&Http, FetchError> {
        if let Some(http) = self.inner.http.get() {
            return Ok(http);
        }
        let Inner { network, options, http } = &*self.inner;
        let connector = Connector::new(Arc::clone(network), (options.roots)(), options.urls)
            .map_err(|error| FetchError::Unreachable { host: host.to_owned(), reason: error.to_string() })?;
        let made = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIME)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .build(connector);
        Ok(http.get_or_init(|| made))
    }

    /// Judges a URL as a request to it would be judged, as far as that goes without looking its name up: for
    /// refusing an address before it is stored. Gives it back in normal form, without a fragment.
    ///
    /// # Errors
    /// Why nothing would be sent there.
    pub fn check_url(&self, text: &str) -> Result<Url, GuardRefusal> {
        self.inner.options.urls.read(text)
    }

    /// Whether servers of local mode may be asked, over plain http.
    pub fn allows_loopback_http(&self) -> bool {
        self.inner.options.urls.danger_allow_loopback_http
    }

    /// Sends one request and reads the whole answer, whatever its status. A redirect is an answer too, so that
    /// a signed POST never goes anywhere but where it was addressed.
    ///
    /// `Host`, `User-Agent` and `Accept-Encoding` are set here, from the URL and the options.
    ///
    /// # Errors
    /// The URL or its addresses are refused, or there was no answer within the limits.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        limits: &ExchangeLimits,
    ) -> Result<Response<Bytes>, FetchError> {
        let (mut parts, body) = request.into_parts();
        let url = self.inner.options.urls.read(&parts.uri.to_string())?;
        parts.uri = uri(&url)?;
        let host = host(&url);
        within(limits, host, async {
            let response = self.exchange(host, Request::from_parts(parts, Full::new(body))).await?;
            answer::read(host, response, limits.body_bytes).await
        })
        .await
    }

    /// Fetches a JSON document, following at most [`MAX_REDIRECTS`] redirects, each judged like the first URL.
    ///
    /// `prepare` makes the headers of a request to the URL it is given, or refuses it. It is asked again at each
    /// redirect, since a signature covers the URL, and nobody may lead to where one would not go oneself.
    ///
    /// # Errors
    /// A URL or its addresses are refused, there was no answer within the limits, or the answer is not a
    /// document of one of the media types.
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
            200 => {
                answer::check_media_type(host, response.headers(), media_types)?;
                let body = answer::read(host, response, limits.body_bytes).await?.into_body();
                Ok(Hop::End(FetchOutcome::Document(FetchedDocument { url, body })))
            }
            301 | 302 | 303 | 307 | 308 => {
                let target = answer::header(response.headers(), &LOCATION)
                    .and_then(|location| url.join(location).ok())
                    .ok_or_else(|| FetchError::BadRedirect { host: host.to_owned() })?;
                Ok(Hop::Redirect(self.inner.options.urls.check_redirect(&url, target)?))
            }
            404 => Ok(Hop::End(FetchOutcome::NotFound)),
            410 => Ok(Hop::End(FetchOutcome::Gone)),
            _ => Err(FetchError::Status {
                host: host.to_owned(),
                status: response.status(),
                retry_after_seconds: answer::retry_after(response.headers()),
            }),
        }
    }

    /// One request and the head of its answer; the body is still to be read.
    async fn exchange(
        &self,
        host: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<impl BodyExt<Data = Bytes, Error: Error + 'static> + Unpin + use<>>, FetchError>
    {
        let headers = request.headers_mut();
        headers.remove(HOST); // hyper makes it from the URL, so that it names the server that was checked
        headers.insert(USER_AGENT, self.inner.options.user_agent.clone());
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self.http(host)?.request(request).await.map_err(|error| FetchError::from_chain(host, &error))
    }
}

/// What one request of a fetch led to.
enum Hop {
    End(FetchOutcome),
    Redirect(Url),
}

/// The host of a checked URL, which always has one.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// A checked URL as hyper wants it. What is requested is what was checked: the text is not parsed a second
/// time in its original spelling.
fn uri(url: &Url) -> Result<Uri, GuardRefusal> {
    Uri::try_from(url.as_str()).map_err(|_| GuardRefusal::NotAUrl)
}

async fn within<T>(
    limits: &ExchangeLimits,
    host: &str,
    work: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    timeout(limits.time, work)
        .await
        .unwrap_or_else(|_| Err(FetchError::TimedOut { host: host.to_owned(), after: limits.time }))
}
