//! Answers of other servers: their bodies, media types and headers.

use std::error::Error;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{HeaderName, Response};
use http_body_util::BodyExt;

use super::error::excerpt;
use super::{FetchError, MediaTypes};

/// Reads a whole body of at most `limit` bytes.
///
/// The frames are copied into one buffer as they arrive. If they were collected, an answer in
/// chunks of one byte would take many times its size.
///
/// # Errors
/// [`FetchError::Encoded`], [`FetchError::TooLarge`], or the error of the connection.
pub(super) async fn read<B>(
    host: &str,
    response: Response<B>,
    limit: usize,
) -> Result<Response<Bytes>, FetchError>
where
    B: BodyExt<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let (parts, mut body) = response.into_parts();
    check_encoding(host, &parts.headers)?;
    let too_large = || FetchError::TooLarge { host: host.to_owned(), limit };
    // The size that `Content-Length` announces, if there is one.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > limit) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FetchError::from_chain(host, &error))?;
        let Ok(data) = frame.into_data() else { continue }; // trailers are ignored
        if data.len() > limit - bytes.len() {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Response::from_parts(parts, bytes.into()))
}

/// Refuses a compressed body. Nothing is decompressed, so a small answer cannot grow large.
fn check_encoding(host: &str, headers: &HeaderMap) -> Result<(), FetchError> {
    match headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        None => Ok(()),
        Some(value) => Err(FetchError::Encoded { host: host.to_owned(), encoding: quoted(value) }),
    }
}

/// Checks that the answer has exactly one `Content-Type`, and that it is a wanted one.
pub(super) fn check_media_type(
    host: &str,
    headers: &HeaderMap,
    wanted: MediaTypes,
) -> Result<(), FetchError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let first = values.next();
    let taken = first.and_then(|value| value.to_str().ok()).is_some_and(|value| wanted.takes(value));
    if taken && values.next().is_none() {
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
