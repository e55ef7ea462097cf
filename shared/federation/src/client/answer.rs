//! Answers of other servers: their bodies, media types and headers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::response::Parts;
use http::{HeaderName, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Instant, timeout, timeout_at};

use super::coding::Coding;
use super::error::excerpt;
use super::{ExchangeLimits, FetchError, MediaTypes};

/// The most bytes of a body that are thrown away to keep the connection.
const SKIPPED_BYTES: usize = 64 * 1024;
/// The time in which they have to arrive.
const SKIP_TIME: Duration = Duration::from_secs(1);

/// The body of an answer, as it arrives.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, FetchError>;

/// An answer of which only the head is there. Its status may decide already; then nothing that the
/// other server does with the body changes that.
#[derive(Debug)]
pub struct UnreadAnswer {
    response: Response<AnswerBody>,
    host: String,
    limits: ExchangeLimits,
    /// The time until which the body has to be there.
    ends: Instant,
}

impl UnreadAnswer {
    pub(super) fn new(
        response: Response<AnswerBody>,
        host: &str,
        limits: ExchangeLimits,
        ends: Instant,
    ) -> Self {
        Self { response, host: host.to_owned(), limits, ends }
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Reads the body, within the limits of the exchange. The head is returned in either case.
    ///
    /// A body in gzip or deflate is decoded. The result is [`FetchError::Encoded`],
    /// [`FetchError::TooLarge`], [`FetchError::TimedOut`] or the error of the connection if the body
    /// cannot be read.
    pub async fn read(self) -> Response<Result<Bytes, FetchError>> {
        let Self { response, host, limits, ends } = self;
        let (parts, body) = response.into_parts();
        let read = timeout_at(ends, read(&host, &parts.headers, body, limits.body_bytes)).await;
        let late = || FetchError::TimedOut { host: host.clone(), after: limits.time };
        Response::from_parts(parts, read.unwrap_or_else(|_| Err(late())))
    }

    /// Returns the head. A short body is thrown away in a task of its own, so that the connection
    /// can be used again; a longer one ends the connection.
    pub fn skip(self) -> Parts {
        let (parts, body) = self.response.into_parts();
        tokio::spawn(timeout(SKIP_TIME, throw_away(body)));
        parts
    }
}

/// Throws away a body of at most [`SKIPPED_BYTES`].
async fn throw_away(mut body: AnswerBody) {
    let mut left = SKIPPED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}

/// Reads a whole body of at most `limit` bytes. The `headers` are those of its answer.
///
/// The frames are copied into one buffer as they arrive. If they were collected, an answer in
/// chunks of one byte would take many times its size.
///
/// # Errors
/// [`FetchError::Encoded`], [`FetchError::TooLarge`], or the error of the connection.
pub(super) async fn read<B>(
    host: &str,
    headers: &HeaderMap,
    mut body: B,
    limit: usize,
) -> Result<Bytes, FetchError>
where
    B: BodyExt<Data = Bytes, Error = FetchError> + Unpin,
{
    let coding = coding(host, headers)?;
    let too_large = || FetchError::TooLarge { host: host.to_owned(), limit };
    // The size that `Content-Length` announces, if there is one.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > limit) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue }; // trailers are ignored
        if data.len() > limit - bytes.len() {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    match coding {
        None => Ok(bytes.into()),
        Some(coding) => coding.decode(host, &bytes, limit),
    }
}

/// Returns the content coding of a body. Every request declines them, but some hosts of static
/// files compress all the same.
///
/// # Errors
/// [`FetchError::Encoded`] for a coding that is not read, and for several.
fn coding(host: &str, headers: &HeaderMap) -> Result<Option<Coding>, FetchError> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        for name in text.split(',').map(str::trim).filter(|name| !["", "identity"].contains(name)) {
            let coding = Coding::named(name).filter(|_| found.is_none());
            let unread = || FetchError::Encoded { host: host.to_owned(), encoding: quoted(value) };
            found = Some(coding.ok_or_else(unread)?);
        }
    }
    Ok(found)
}

/// Checks that the answer has a `Content-Type`, and that it is a wanted one. A proxy may have repeated
/// it; then each must be.
pub(super) fn check_media_type(
    host: &str,
    headers: &HeaderMap,
    wanted: MediaTypes,
) -> Result<(), FetchError> {
    let values = || headers.get_all(CONTENT_TYPE).iter();
    let first = values().next();
    if first.is_some() && values().all(|value| value.to_str().is_ok_and(|value| wanted.takes(value))) {
        return Ok(());
    }
    Err(FetchError::MediaType { host: host.to_owned(), found: first.map(quoted).unwrap_or_default() })
}

/// Returns `Retry-After` in seconds. A date is ignored: it would need a clock, and few servers send
/// one.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    header(headers, &RETRY_AFTER)?.trim().parse().ok()
}

/// Returns the text of a header, or `None` if it is missing or not ASCII.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the beginning of a header's value, for the text of an error.
fn quoted(value: &HeaderValue) -> String {
    excerpt(&String::from_utf8_lossy(value.as_bytes()))
}
